/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Processes made in every way that libc has, and that flush.
 *
 *	forks make FILE    a child for each way persists a line and stores another one; then its parent
 *	                   persists one
 *	forks check FILE   the lines that were persisted are there, and the other ones are not
 */
#include <libpmem.h>
#include <linux/sched.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"

#define LINE 64

unsigned tap_run, tap_failed;

static char stack[65536] __attribute__((aligned(16)));

static int end(void *unused)
{
	(void)unused;
	return 0;
}

static pid_t by_fork(void)
{
	return fork();
}

static pid_t by_fork_without_handlers(void)
{
	return _Fork();
}

static pid_t by_number(void)
{
	return (pid_t)syscall(SYS_fork);
}

static pid_t by_number_of_clone(void)
{
	return (pid_t)syscall(SYS_clone, SIGCHLD | CLONE_FS, NULL, NULL, NULL, NULL);
}

static pid_t by_number_of_clone3(void)
{
	struct clone_args arguments = { .flags = CLONE_FILES, .exit_signal = SIGCHLD };

	return (pid_t)syscall(SYS_clone3, &arguments, sizeof(arguments));
}

static const struct way {
	const char *name;
	pid_t (*make)(void);
} ways[] = {
	{ "fork()", by_fork },
	{ "_Fork()", by_fork_without_handlers },
	{ "syscall(SYS_fork)", by_number },
	{ "syscall(SYS_clone)", by_number_of_clone },
	{ "syscall(SYS_clone3)", by_number_of_clone3 },
};
#define WAYS (sizeof(ways) / sizeof(*ways))

/* Of a way: what its child persists, what it only stores, and what the parent persists then. */
enum { BY_CHILD, STORED, BY_PARENT, KINDS };

/* Valid until the next call. */
static const char *about(size_t way, const char *what)
{
	static char text[128];

	snprintf(text, sizeof(text), "%s: %s", ways[way].name, what);
	return text;
}

static unsigned char *line_of(unsigned char *pool, size_t way, unsigned kind)
{
	return pool + (way * KINDS + kind) * LINE;
}

static void persist(unsigned char *line)
{
	*line = 1;
	pmem_persist(line, 1);
}

static bool child_ends_well(pid_t pid)
{
	int status;

	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

/* What makes no process, or one in this memory, is libc's as before. */
static void check_other_calls(void)
{
	struct clone_args arguments = { .exit_signal = SIGCHLD };

	OK(syscall(SYS_getpid) == getpid(), "syscall() of another number returns its value");
	FAILS(syscall(SYS_close, -1), EBADF, "syscall() of another number sets errno");
	FAILS(syscall(SYS_clone3, 1, sizeof(arguments)), EFAULT, "clone3 with a bad address fails");
	FAILS(syscall(SYS_clone3, &arguments, 8), EINVAL, "clone3 with a short struct fails");
	FAILS(syscall(SYS_clone, CLONE_SIGHAND | SIGCHLD, NULL, NULL, NULL, NULL), EINVAL,
	      "clone with flags that do not go together fails");
	OK(child_ends_well(clone(end, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, NULL)),
	   "clone() makes a process in this memory");
}

static int make(unsigned char *pool)
{
	for (size_t way = 0; way < WAYS; way++) {
		pid_t pid = ways[way].make();

		if (pid == 0) {
			*line_of(pool, way, STORED) = 1;
			persist(line_of(pool, way, BY_CHILD));
			_exit(0);
		}
		OK(child_ends_well(pid), about(way, "the child ends by itself"));
		persist(line_of(pool, way, BY_PARENT));
	}
	check_other_calls();
	persist(line_of(pool, WAYS, BY_PARENT));
	return tap_done();
}

static int check(unsigned char *pool)
{
	for (size_t way = 0; way < WAYS; way++) {
		OK(*line_of(pool, way, BY_CHILD) == 1, about(way, "what the child persisted is there"));
		OK(*line_of(pool, way, BY_PARENT) == 1,
		   about(way, "what the parent persisted then is there"));
		OK(*line_of(pool, way, STORED) == 0, about(way, "what the child only stored is lost"));
	}
	OK(*line_of(pool, WAYS, BY_PARENT) == 1, "what was persisted after all of them is there");
	return tap_done();
}

int main(int argc, char **argv)
{
	unsigned char *pool;
	size_t length;
	int is_pmem;

	if (argc != 3) {
		fprintf(stderr, "usage: forks make|check FILE\n");
		return 2;
	}
	pool = pmem_map_file(argv[2], 0, 0, 0, &length, &is_pmem);
	if (!pool || length < (WAYS + 1) * KINDS * LINE) {
		fprintf(stderr, "forks: %s: %s\n", argv[2], pmem_errormsg());
		return 1;
	}
	return strcmp(argv[1], "make") == 0 ? make(pool) : check(pool);
}
