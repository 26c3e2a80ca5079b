/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * blocks_subject blk|log POOL THREADS: a libpmemblk or libpmemlog program to be recorded. Each thread writes
 * blocks of its own over and over, or appends records; then what is in the pool is printed.
 */

#include <err.h>
#include <libpmemblk.h>
#include <libpmemlog.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 512
#define BLOCKS_OF_THREAD 4
#define WRITES 60
#define RECORD 200
#define THREADS_MOST 16

static PMEMblkpool *blocks;
static PMEMlogpool *records;
static unsigned per_thread[THREADS_MOST];

static void *write_blocks(void *number)
{
	unsigned char block[BLOCK];

	for (unsigned i = 0; i < WRITES; i++) {
		const long long at = (long long)(uintptr_t)number * BLOCKS_OF_THREAD + i % BLOCKS_OF_THREAD;

		memset(block, (int)(i + (uintptr_t)number), sizeof(block));
		if (pmemblk_write(blocks, block, at) != 0)
			errx(1, "pmemblk_write: %s", pmemblk_errormsg());
	}
	if (pmemblk_set_zero(blocks, (long long)(uintptr_t)number * BLOCKS_OF_THREAD) != 0)
		errx(1, "pmemblk_set_zero: %s", pmemblk_errormsg());
	return NULL;
}

static void *append_records(void *number)
{
	unsigned char record[RECORD];

	memset(record, (int)(uintptr_t)number, sizeof(record));
	for (unsigned i = 0; i < WRITES; i++)
		if (pmemlog_append(records, record, sizeof(record)) != 0)
			errx(1, "pmemlog_append: %s", pmemlog_errormsg());
	return NULL;
}

/* Of the record of a thread all bytes are its number. */
static int count_record(const void *bytes, size_t length, void *unused)
{
	const unsigned char *record = bytes;

	(void)unused;
	for (size_t i = 0; i < length; i++)
		if (length != RECORD || record[i] != record[0] || record[0] >= THREADS_MOST)
			errx(1, "a record is torn");
	per_thread[record[0]]++;
	return 1;
}

static void in_threads(void *(*work)(void *), unsigned count)
{
	pthread_t threads[THREADS_MOST];

	for (uintptr_t i = 0; i < count; i++)
		if (pthread_create(&threads[i], NULL, work, (void *)i) != 0)
			errx(1, "pthread_create");
	for (unsigned i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
}

static void print_blocks(unsigned threads)
{
	unsigned char block[BLOCK];

	for (unsigned i = 0; i < threads * BLOCKS_OF_THREAD; i++) {
		if (pmemblk_read(blocks, block, i) != 0)
			errx(1, "pmemblk_read: %s", pmemblk_errormsg());
		if (block[0] != block[BLOCK - 1])
			errx(1, "block %u is torn", i);
		printf("%u ", block[0]);
	}
	printf("\n");
}

int main(int argc, char **argv)
{
	const unsigned threads = argc == 4 ? (unsigned)atoi(argv[3]) : 0;

	if (!threads || threads > THREADS_MOST)
		errx(2, "usage: blocks_subject blk|log POOL THREADS");
	if (strcmp(argv[1], "blk") == 0) {
		blocks = pmemblk_create(argv[2], BLOCK, PMEMBLK_MIN_POOL, 0600);
		if (!blocks)
			errx(1, "%s: %s", argv[2], pmemblk_errormsg());
		in_threads(write_blocks, threads);
		print_blocks(threads);
		pmemblk_close(blocks);
		printf("consistent %d\n", pmemblk_check(argv[2], BLOCK));
		return 0;
	}
	records = pmemlog_create(argv[2], PMEMLOG_MIN_POOL, 0600);
	if (!records)
		errx(1, "%s: %s", argv[2], pmemlog_errormsg());
	in_threads(append_records, threads);
	pmemlog_walk(records, RECORD, count_record, NULL);
	for (unsigned i = 0; i < threads; i++)
		printf("%u ", per_thread[i]);
	pmemlog_close(records);
	printf("consistent %d\n", pmemlog_check(argv[2]));
	return 0;
}
