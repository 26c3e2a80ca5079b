/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Two threads flush the same line at the same time. After a power failure the line is never older than what
 * either thread has fenced, even if the other thread's flush had read the line before.
 *
 *   oneline PROGRAM POOL FENCES CUTS [1]   do FENCES fences in each of two threads, or in one; CUTS failures
 *
 * The negative control uses one thread, because with two threads one may flush what the other leaves out.
 *
 * PROGRAM is softpmem. The threads run in a child, which the power failure kills. What they have fenced is
 * recorded in memory that survives the child. Exits with 1 if the line is older.
 */

#include <errno.h>
#include <fcntl.h>
#include <libpmem.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "../e2e/powerfail.h"

#define LINE 64
#define LINES 64

enum { THREADS = 2 };
static unsigned thread_count = THREADS;

struct fenced {
	_Alignas(LINE) _Atomic uint64_t number;
};

static struct fenced *fenced; /* of each thread */
static const char *path;
static _Atomic uint64_t *line; /* a word of it for each thread */

static void die(const char *what)
{
	fprintf(stderr, "oneline: %s: %s\n", what, strerror(errno));
	exit(2);
}

static void *hammer(void *argument)
{
	size_t me = (size_t)argument;

	for (uint64_t n = fenced[me].number + 1;; n++) {
		atomic_store_explicit(&line[me], n, memory_order_relaxed);
		pmem_persist((void *)line, LINE);
		atomic_store_explicit(&fenced[me].number, n, memory_order_release);
	}
	return NULL;
}

static void hammer_until_killed(unsigned which)
{
	int is_pmem = 0;
	size_t length;
	char *memory = pmem_map_file(path, 0, 0, 0, &length, &is_pmem);
	pthread_t threads[THREADS];

	if (!memory || length < (size_t)LINES * LINE)
		die(pmem_errormsg());
	if (!is_pmem)
		die("the pool is no persistent memory");
	line = (_Atomic uint64_t *)(memory + (size_t)which * LINE);
	for (size_t i = 0; i < thread_count; i++)
		if (pthread_create(&threads[i], NULL, hammer, (void *)i) != 0)
			die("pthread_create");
	for (;;)
		pause();
}

static pid_t start(unsigned which)
{
	pid_t child = fork();

	if (child < 0)
		die("fork");
	if (child > 0)
		return child;
	alarm(240);
	hammer_until_killed(which);
	exit(2);
}

static uint64_t least(void)
{
	uint64_t a = fenced[0].number, b = fenced[1].number;

	return a < b || thread_count == 1 ? a : b;
}

static int await(pid_t child)
{
	int status;

	if (waitpid(child, &status, 0) != child)
		die("waitpid");
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL ? 0 : -1;
}

static int judge(unsigned which)
{
	uint64_t found[THREADS];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int result = 0;

	if (fd < 0 || pread(fd, found, sizeof(found), (off_t)which * LINE) != sizeof(found))
		die(path);
	close(fd);
	for (unsigned i = 0; i < thread_count; i++) {
		if (found[i] >= fenced[i].number)
			continue;
		printf("thread %u had fenced %ju, and line %u has %ju: it is older\n", i,
		       (uintmax_t)fenced[i].number, which, (uintmax_t)found[i]);
		result = 1;
	}
	return result;
}

/* Wait until each thread has done this many more fences. */
static int cut_once(const char *program, unsigned which, uint64_t fences)
{
	uint64_t until = least() + fences;
	pid_t child = start(which);

	while (least() < until) {
		if (waitpid(child, NULL, WNOHANG) != 0) {
			printf("the threads end by themselves\n");
			return 1;
		}
		usleep(100);
	}
	if (powerfail(program, "lose", 0) != 0)
		die("powerfail");
	if (await(child) != 0) {
		printf("the threads were not killed\n");
		return 1;
	}
	return judge(which);
}

int main(int argc, char **argv)
{
	unsigned long fences, cuts;

	if (argc == 6 && strcmp(argv[5], "1") == 0) {
		thread_count = 1;
	} else if (argc != 5) {
		fprintf(stderr, "usage: oneline PROGRAM POOL FENCES CUTS [1]\n");
		return 2;
	}
	path = argv[2];
	fences = strtoul(argv[3], NULL, 10);
	cuts = strtoul(argv[4], NULL, 10);
	fenced = mmap(NULL, THREADS * sizeof(*fenced), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	if (fenced == MAP_FAILED)
		die("mmap");
	for (unsigned long i = 0; i < cuts; i++)
		if (cut_once(argv[1], (unsigned)(i % LINES), fences / cuts) != 0)
			return 1;
	printf("%ju and %ju fences, %lu cuts\n", (uintmax_t)fenced[0].number, (uintmax_t)fenced[1].number,
	       cuts);
	return least() >= fences / cuts * cuts ? 0 : 1;
}
