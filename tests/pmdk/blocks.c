/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A program of libpmemblk and one of libpmemlog that a test kills, and checkers of the pools that they leave.
 *
 *   blocks run blk|log POOL JOURNAL STEPS   do steps until there are STEPS of them; append a byte to
 *                                           JOURNAL after each step
 *   blocks check blk|log POOL JOURNAL       exit with 0 if the pool has the result of all steps of the
 *                                           journal, or of one more, and nothing in it is torn
 */

#include <libpmemblk.h>
#include <libpmemlog.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <unistd.h>

#define BLOCK 512
#define BLOCKS 8
#define RECORD 300

static void die(const char *what, const char *why)
{
	fprintf(stderr, "blocks: %s: %s\n", what, why);
	exit(2);
}

static uint64_t steps_done(const char *journal)
{
	struct stat stat_journal = { 0 };

	stat(journal, &stat_journal);
	return (uint64_t)stat_journal.st_size;
}

static void note(int journal)
{
	if (journal < 0 || write(journal, ".", 1) != 1)
		die("journal", "cannot write");
}

/* A step writes its number to each word of a block or record. */
static void fill(uint64_t *words, size_t bytes, uint64_t step)
{
	for (size_t i = 0; i < bytes / sizeof(*words); i++)
		words[i] = step + 1;
}

static int is_whole(const uint64_t *words, size_t bytes)
{
	for (size_t i = 1; i < bytes / sizeof(*words); i++)
		if (words[i] != words[0])
			return 0;
	return 1;
}

static PMEMblkpool *open_blocks(const char *path)
{
	PMEMblkpool *pool = access(path, F_OK) == 0 ? pmemblk_open(path, BLOCK) :
						      pmemblk_create(path, BLOCK, PMEMBLK_MIN_POOL, 0600);

	if (!pool)
		die(path, pmemblk_errormsg());
	return pool;
}

static int run_blocks(const char *path, int journal, uint64_t step, uint64_t steps)
{
	PMEMblkpool *pool = open_blocks(path);
	uint64_t block[BLOCK / 8];

	for (; step < steps; step++) {
		fill(block, BLOCK, step);
		if (pmemblk_write(pool, block, (long long)(step % BLOCKS)) != 0)
			die("pmemblk_write", pmemblk_errormsg());
		note(journal);
	}
	pmemblk_close(pool);
	return 0;
}

static int check_blocks(const char *path, uint64_t done)
{
	PMEMblkpool *pool;
	uint64_t block[BLOCK / 8];

	if (pmemblk_check(path, BLOCK) != 1) {
		printf("pmemblk_check says that it is not consistent\n");
		return 1;
	}
	pool = open_blocks(path);
	for (uint64_t i = 0; i < BLOCKS; i++) {
		/* The number of the last step that wrote the block, counted from 1. */
		uint64_t last = done > i ? (done - 1 - i) / BLOCKS * BLOCKS + i + 1 : 0;

		if (pmemblk_read(pool, block, (long long)i) != 0)
			die("pmemblk_read", pmemblk_errormsg());
		if (!is_whole(block, BLOCK)) {
			printf("block %ju is torn\n", (uintmax_t)i);
			return 1;
		}
		if (block[0] != last && !(block[0] == done + 1 && done % BLOCKS == i)) {
			printf("block %ju has %ju, and %ju was written\n", (uintmax_t)i, (uintmax_t)block[0],
			       (uintmax_t)last);
			return 1;
		}
	}
	pmemblk_close(pool);
	return 0;
}

static PMEMlogpool *open_log(const char *path)
{
	PMEMlogpool *pool = access(path, F_OK) == 0 ? pmemlog_open(path) :
						      pmemlog_create(path, PMEMLOG_MIN_POOL, 0600);

	if (!pool)
		die(path, pmemlog_errormsg());
	return pool;
}

static int run_log(const char *path, int journal, uint64_t step, uint64_t steps)
{
	PMEMlogpool *pool = open_log(path);
	uint64_t record[RECORD];

	for (; step < steps; step++) {
		fill(record, sizeof(record), step);
		if (pmemlog_append(pool, record, sizeof(record)) != 0)
			die("pmemlog_append", pmemlog_errormsg());
		note(journal);
	}
	pmemlog_close(pool);
	return 0;
}

static uint64_t seen;

/* Called for each record. Returning 0 ends the walk. */
static int see(const void *bytes, size_t length, void *argument)
{
	const uint64_t *record = bytes;

	(void)argument;
	if (length != RECORD * sizeof(*record) || record[0] != seen + 1 || !is_whole(record, length))
		return 0;
	seen++;
	return 1;
}

static int check_log(const char *path, uint64_t done)
{
	PMEMlogpool *pool;
	uint64_t records;

	if (pmemlog_check(path) != 1) {
		printf("pmemlog_check says that it is not consistent\n");
		return 1;
	}
	pool = open_log(path);
	records = (uint64_t)pmemlog_tell(pool) / (RECORD * sizeof(uint64_t));
	pmemlog_walk(pool, RECORD * sizeof(uint64_t), see, NULL);
	pmemlog_close(pool);
	if (records < done || records > done + 1 || seen != records) {
		printf("%ju records were written, %ju are there, %ju of them whole\n", (uintmax_t)done,
		       (uintmax_t)records, (uintmax_t)seen);
		return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	int is_log = argc > 2 && strcmp(argv[2], "log") == 0;

	if (argc == 6 && strcmp(argv[1], "run") == 0) {
		int journal = open(argv[4], O_WRONLY | O_APPEND | O_CREAT, 0600);
		uint64_t done = steps_done(argv[4]), steps = strtoull(argv[5], NULL, 10);

		return is_log ? run_log(argv[3], journal, done, steps) :
				run_blocks(argv[3], journal, done, steps);
	}
	if (argc == 5 && strcmp(argv[1], "check") == 0)
		return is_log ? check_log(argv[3], steps_done(argv[4])) :
				check_blocks(argv[3], steps_done(argv[4]));
	fprintf(stderr, "usage: blocks run blk|log POOL JOURNAL STEPS | blocks check blk|log POOL JOURNAL\n");
	return 2;
}
