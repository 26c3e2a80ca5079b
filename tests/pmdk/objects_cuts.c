/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Lets the power fail while the program of objects.c runs, and has its checker look at the pool. This process
 * maps no pool itself, so a power failure does not kill it.
 *
 *   objects fences PROGRAM POLICY STRIDE POOL FILE...   at each STRIDE'th fence of the run, each time with
 *                                                       the pool as it was created
 *   objects moments PROGRAM CUTS POOL FILE...           CUTS times while 4 threads work, with each policy
 *                                                       in turn; the program continues with what is left
 *
 * PROGRAM is softpmem. The FILEs are what the pool or pool set consists of. To be started by `PROGRAM run`,
 * with flush_faults.so preloaded. Exits with 0 and prints the number of cuts, or exits with 1 and prints what
 * the checker found after which cut.
 *
 * OBJECTS_ALONE names a pool set like POOL without its replica. libpmemobj 1.12.1 crashes when it opens a
 * pool with a replica in which a redo log is unfinished, on any file system and also after a SIGKILL without
 * a power failure. Then pmempool removes the replica, as a user would have to, and the rest of the pool set
 * must be consistent.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../e2e/powerfail.h"
#include "common/align.h"
#include "common/rng.h"
#include "objects.h"

#define POOL_BYTES ((size_t)8 << 20)
#define STEPS 10	       /* each action, and the state that is left to it */
#define MOST_STEPS 4000 /* of a thread in one pool */
#define FILES 4

struct base {
	char *path;
	unsigned char *bytes, *now;
	size_t size;
};

static const char *program, *pool, *alone, *skip_flush = "0";
static size_t pool_bytes = POOL_BYTES;
static unsigned long without_replica; /* cuts */
static struct base bases[FILES];
static size_t base_count;
static struct journal *journal; /* shared with children */

static void die(const char *what)
{
	fprintf(stderr, "objects: %s: %s\n", what, strerror(errno));
	exit(2);
}

/* ---- The pool as it was created ------------------------------------------------- */

static int open_file(const struct base *base)
{
	int fd = open(base->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		die(base->path);
	return fd;
}

static void read_all(int fd, unsigned char *bytes, size_t size)
{
	for (size_t at = 0; at < size;) {
		ssize_t got = pread(fd, bytes + at, size - at, (off_t)at);

		if (got <= 0)
			die("read");
		at += (size_t)got;
	}
}

/* The children do not use it, and hundreds of them are forked. */
static unsigned char *own_memory(size_t size)
{
	unsigned char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED || madvise(memory, size, MADV_DONTFORK) != 0)
		die("mmap");
	return memory;
}

static void base_keep(struct base *base)
{
	struct stat stat;
	int fd = open_file(base);

	if (fstat(fd, &stat) != 0)
		die(base->path);
	base->size = (size_t)stat.st_size;
	base->bytes = own_memory(base->size);
	base->now = own_memory(base->size);
	read_all(fd, base->bytes, base->size);
	close(fd);
}

/* Write only the pages that differ, and make them durable: the next failure must not find older ones. */
static void base_restore(const struct base *base)
{
	int fd = open_file(base);

	/* Make the replica again if it was removed. */
	if (ftruncate(fd, (off_t)base->size) != 0)
		die(base->path);
	read_all(fd, base->now, base->size);
	for (size_t at = 0; at < base->size; at += PAGE_BYTES)
		if (memcmp(base->now + at, base->bytes + at, PAGE_BYTES) != 0 &&
		    pwrite(fd, base->bytes + at, PAGE_BYTES, (off_t)at) != PAGE_BYTES)
			die(base->path);
	if (fsync(fd) != 0)
		die(base->path);
	close(fd);
}

static void restore(void)
{
	for (size_t i = 0; i < base_count; i++)
		base_restore(&bases[i]);
	memset(journal, 0, sizeof(*journal));
}

/* ---- Children -------------------------------------------------------------------- */

enum errand { CREATE, RUN_ONE, RUN_ALL, CHECK };

/*
 * `cut_at`: the fence at which the child is killed, or 0. Only the program that is tested leaves flushes out.
 */
static pid_t start(enum errand errand, unsigned long cut_at)
{
	char number[32];
	pid_t child;

	snprintf(number, sizeof(number), "%lu", cut_at);
	setenv("SOFTPMEM_TEST_CUT_AT", number, 1);
	setenv("SOFTPMEM_TEST_SKIP_FLUSH", errand == RUN_ONE || errand == RUN_ALL ? skip_flush : "0", 1);
	fflush(stdout);
	child = fork();
	if (child < 0)
		die("fork");
	if (child > 0)
		return child;
	alarm(120);
	switch (errand) {
	case CREATE:
		exit(objects_create(pool, pool_bytes));
	case RUN_ONE:
		exit(objects_run(pool, journal, 1, STEPS));
	case RUN_ALL:
		objects_run(pool, journal, WORKERS, MOST_STEPS);
		/* The program ended before the power failed, as happens on slow machines. */
		for (;;)
			pause();
	case CHECK:
		exit(objects_check(pool, journal));
	}
	exit(2);
}

static int await(pid_t child)
{
	int status;

	if (waitpid(child, &status, 0) != child)
		die("waitpid");
	return status;
}

static bool was_killed(int status)
{
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static void cut_power(const char *policy, unsigned long seed)
{
	if (powerfail(program, policy, seed) != 0)
		die("powerfail");
}

static bool take_replica_away(void)
{
	char *arguments[] = { "pmempool", "transform", (char *)pool, (char *)alone, NULL };
	pid_t child;
	int status;

	if (posix_spawnp(&child, arguments[0], NULL, NULL, arguments, environ) != 0)
		die("pmempool");
	status = await(child);
	if (status != 0)
		printf("pmempool does not take the replica away: wait status %#x\n", (unsigned)status);
	return status == 0;
}

static bool is_right(void)
{
	int status = await(start(CHECK, 0));

	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV && alone && take_replica_away()) {
		const char *whole = pool;

		without_replica++;
		pool = alone;
		status = await(start(CHECK, 0));
		pool = whole;
	}
	if (WIFSIGNALED(status))
		printf("the judge dies of signal %d\n", WTERMSIG(status));
	return status == 0;
}

/* ---- Fences ------------------------------------------------------------------------ */

static int fences(const char *policy, unsigned long stride)
{
	unsigned long cuts = 0;

	for (unsigned long n = 1;; n += stride) {
		int status;

		restore();
		status = await(start(RUN_ONE, n));
		if (status != 0 && !was_killed(status)) {
			printf("the program fails before fence %lu: wait status %#x\n", n, (unsigned)status);
			return 1;
		}
		cut_power(policy, n);
		if (!is_right()) {
			printf("cut at fence %lu, policy %s\n", n, policy);
			return 1;
		}
		if (status == 0)
			break;
		cuts++;
	}
	if (atomic_load(&journal->committed[0]) != STEPS) {
		printf("the last run did not come to its end\n");
		return 1;
	}
	printf("%lu cuts", cuts);
	if (alone)
		printf(", %lu of them opened without the replica", without_replica);
	printf("\n");
	return 0;
}

/* ---- Moments ------------------------------------------------------------------------- */

static uint64_t committed(void)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < WORKERS; i++)
		sum += atomic_load(&journal->committed[i]);
	return sum;
}

static bool has_room(void)
{
	for (unsigned i = 0; i < WORKERS; i++)
		if (atomic_load(&journal->committed[i]) > MOST_STEPS / 4)
			return false;
	return true;
}

/*
 * Wait for this many commits, at least one, because a process that has not mapped the pool yet is not killed;
 * then wait a little longer.
 */
static bool await_moment(pid_t child, uint64_t commits, unsigned microseconds)
{
	uint64_t enough = committed() + commits;
	int status;

	while (committed() < enough) {
		if (waitpid(child, &status, WNOHANG) != 0) {
			printf("the program ends by itself: wait status %#x\n", (unsigned)status);
			return false;
		}
		usleep(20);
	}
	usleep(microseconds);
	return true;
}

static int moments(unsigned long cuts)
{
	static const char *const policies[] = { "lose", "random", "keep" };
	uint64_t total = 0;

	restore();
	for (unsigned long n = 0; n < cuts; n++) {
		const char *policy = policies[n % 3];
		uint64_t before;
		pid_t child;
		int status;

		if (!has_room())
			restore();
		before = committed();
		child = start(RUN_ALL, 0);
		if (!await_moment(child, 1 + rng_mix(n) % 200, (unsigned)(rng_mix(~n) % 300)))
			return 1;
		cut_power(policy, n);
		status = await(child);
		if (!was_killed(status)) {
			printf("cut %lu: the program was not killed: wait status %#x\n", n, (unsigned)status);
			return 1;
		}
		if (!is_right()) {
			printf("cut %lu, policy %s\n", n, policy);
			return 1;
		}
		total += committed() - before;
	}
	printf("%lu cuts, %llu steps\n", cuts, (unsigned long long)total);
	return 0;
}

/* ---------------------------------------------------------------------------------------- */

static void prepare(char **files, int count)
{
	char *sync[] = { (char *)program, "sync", NULL };

	journal = mmap(NULL, sizeof(*journal), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (journal == MAP_FAILED)
		die("mmap");
	if (await(start(CREATE, 0)) != 0)
		exit(2);
	/*
	 * libpmemobj creates files with mode 0 and gives them their mode last. A power failure that takes
	 * this back leaves files that user 0 alone can open.
	 */
	if (run_quietly(sync) != 0)
		die("sync");
	cut_power("lose", 0);
	for (int i = 0; i < count; i++) {
		bases[i].path = files[i];
		base_keep(&bases[i]);
	}
	base_count = (size_t)count;
	if (!is_right())
		exit(1);
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[1] : "";
	int words = strcmp(what, "fences") == 0 ? 6 : strcmp(what, "moments") == 0 ? 5 : 0;

	if (!words || argc <= words - 1 || argc - words > FILES) {
		fprintf(stderr, "usage: objects fences SOFTPMEM POLICY STRIDE POOL FILE...\n"
				"       objects moments SOFTPMEM CUTS POOL FILE...\n");
		return 2;
	}
	if (getenv("SOFTPMEM_TEST_SKIP_FLUSH"))
		skip_flush = strdup(getenv("SOFTPMEM_TEST_SKIP_FLUSH"));
	alone = getenv("OBJECTS_ALONE");
	program = argv[2];
	pool = argv[words - 1];
	if (words == 5)
		pool_bytes *= 2; /* for 4 threads and their arenas */
	prepare(argv + words, argc - words);
	if (words == 6)
		return fences(argv[3], strtoul(argv[4], NULL, 10));
	return moments(strtoul(argv[3], NULL, 10));
}
