/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A little engine on libpmem with a log of one record, whose recovery is right if power does not fail during
 * it.
 *
 *   replaying_log work POOL            set two numbers to 1; they are equal when all is well
 *   replaying_log check-buggy POOL     replay the log, then check; the log is cleared before what it has is
 *                                      durable
 *   replaying_log check-fixed POOL     the same, but what the log has is durable before it is cleared
 *   replaying_log check-owner POOL     the same as check-buggy, but it first stores its pid
 *   replaying_log dump-buggy POOL      replay the log, and print the numbers unless they are 0
 *   replaying_log dump-fixed POOL      the same, recovering as check-fixed does
 *   replaying_log forget POOL          store a number that is never flushed
 *
 * Exit status: 0; 1 if the numbers differ or are older than what was acknowledged; 2 for errors.
 */

#include <libpmem.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE 64

/* Volatile, because their order in the program counts: the stores to one line become durable in it. */
struct pool {
	_Alignas(LINE) struct {
		volatile uint64_t left, right, valid;
	} log;
	_Alignas(LINE) volatile uint64_t left;
	_Alignas(LINE) volatile uint64_t right;
	_Alignas(LINE) volatile uint64_t owner; /* as of a lock: it means nothing after a crash */
};

static void persist(const volatile void *line)
{
	pmem_persist((const void *)(uintptr_t)line, LINE);
}

static void flush(const volatile void *line)
{
	pmem_flush((const void *)(uintptr_t)line, LINE);
}

static void work(struct pool *pool)
{
	pool->log.left = pool->log.right = 1;
	pool->log.valid = 1;
	persist(&pool->log);
	pool->left = 1;
	persist(&pool->left);
	pool->right = 1;
	persist(&pool->right);
	pool->log.valid = 0;
	persist(&pool->log);
	puts("1");
	fflush(stdout);
}

static void recover(struct pool *pool, bool fixed)
{
	if (!pool->log.valid)
		return;
	pool->left = pool->log.left;
	pool->right = pool->log.right;
	if (fixed) {
		flush(&pool->left);
		flush(&pool->right);
		pmem_drain();
	}
	pool->log.valid = 0;
	persist(&pool->log);
	persist(&pool->left);
	persist(&pool->right);
}

static uint64_t acknowledged(void)
{
	const char *path = getenv("SOFTPMEM_MARKS");
	FILE *marks = path ? fopen(path, "re") : NULL;
	uint64_t last = 0, number;

	while (marks && fscanf(marks, "%lu", &number) == 1)
		last = number;
	if (marks)
		fclose(marks);
	return last;
}

static int dump(struct pool *pool, bool fixed)
{
	recover(pool, fixed);
	if (pool->left || pool->right)
		printf("%lu %lu\n", pool->left, pool->right);
	return 0;
}

static int check(struct pool *pool, bool fixed)
{
	/* What this prints is no acknowledgement of the engine. */
	puts("99");
	fflush(stdout);
	recover(pool, fixed);
	if (pool->left == pool->right && pool->left >= acknowledged())
		return 0;
	printf("left %lu, right %lu, acknowledged %lu\n", pool->left, pool->right, acknowledged());
	return 1;
}

int main(int argc, char **argv)
{
	struct pool *pool;
	size_t length;
	struct stat st;

	if (argc != 3)
		return 2;
	/* Before it has its size there is nothing to recover. */
	if (strcmp(argv[1], "work") != 0 && (stat(argv[2], &st) < 0 || !st.st_size))
		return 0;
	pool = pmem_map_file(argv[2], 0, 0, 0, &length, NULL);
	if (!pool || length < sizeof(*pool)) {
		perror(argv[2]);
		return 2;
	}
	if (strcmp(argv[1], "check-owner") == 0)
		pool->owner = (uint64_t)getpid();
	if (strncmp(argv[1], "check-", 6) == 0)
		return check(pool, strcmp(argv[1], "check-fixed") == 0);
	if (strncmp(argv[1], "dump-", 5) == 0)
		return dump(pool, strcmp(argv[1], "dump-fixed") == 0);
	if (strcmp(argv[1], "work") == 0)
		work(pool);
	else if (strcmp(argv[1], "forget") == 0)
		pool->left = 2;
	else
		return 2;
	return 0;
}
