/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A process keeps the connection of one that has ended and whose pid another process has now. The daemon
 * must not mistake the second for the first: the mappings of the new process must not give rights to the
 * old connection.
 *
 *	reused_pid POOL	as root, who may choose a pid (clone3(2), set_tid)
 *
 * Nor must it give the connection the rights of another user whose program the process executes since, while
 * others have the connection.
 *
 *	reused_pid POOL COPY	as root; COPY is this program with the set-user-ID bit, and POOL is root's
 *	reused_pid --map POOL	map the pool, say so on stdout, wait for the end of stdin
 */
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attaching.h"
#include "tap.h"

unsigned tap_run, tap_failed;

static long request_wpq(int connection)
{
	struct attach_reply reply;
	int fd = -1;
	long error = attach_ask(connection, ATTACH_WPQ, -1, &reply, &fd);

	if (fd >= 0)
		close(fd);
	return error;
}

/*
 * Run in a child that shares the descriptors of this process, which keeps the connection after the child
 * has ended.
 */
static int connect_and_greet(void *connection)
{
	struct attach_reply reply;

	int fd = attach_connect(NULL);

	*(int *)connection = fd;
	return fd < 0 || attach_ask(fd, ATTACH_HELLO, -1, &reply, NULL) != 0;
}

static pid_t fork_with_pid(pid_t pid)
{
	struct clone_args arguments = {
		.exit_signal = SIGCHLD, .set_tid = (uintptr_t)&pid, .set_tid_size = 1
	};

	return (pid_t)syscall(SYS_clone3, &arguments, sizeof(arguments));
}

/*
 * Start a process with this pid, which maps the pool until `until` is closed, and writes to `ready` when
 * it does.
 */
static void map_pool(const char *pool, int ready, int until)
{
	struct mapping mapping;
	char byte = mapping_open(&mapping, pool) == 0;

	if (write(ready, &byte, 1) == 1)
		(void)!read(until, &byte, 1);
	_exit(0);
}

static _Alignas(16) char stack[64 << 10];

/* ---- A program of another user ----------------------------------------------------------- */

#define USER 65534

struct becoming {
	int connection, ready, until;
	char *copy, *pool;
};

/* Run in a child that shares the descriptors of this process; says 0 if it fails. */
static int connect_and_become(void *argument)
{
	struct becoming *becoming = argument;

	if (setgid(USER) == 0 && setuid(USER) == 0 && connect_and_greet(&becoming->connection) == 0 &&
	    unshare(CLONE_FILES) == 0 && dup2(becoming->ready, STDOUT_FILENO) >= 0 &&
	    dup2(becoming->until, STDIN_FILENO) >= 0)
		execl(becoming->copy, becoming->copy, "--map", becoming->pool, NULL);
	(void)!write(becoming->ready, "", 1);
	return 1;
}

static int check_becoming(char *pool, char *copy)
{
	struct becoming becoming = { .connection = -1, .copy = copy, .pool = pool };
	int ready[2], until[2], status;
	char mapped = 0;
	pid_t child;

	if (pipe2(ready, O_CLOEXEC) < 0 || pipe2(until, O_CLOEXEC) < 0)
		return 2;
	becoming.ready = ready[1];
	becoming.until = until[0];
	/* With the memory of this process, it says which descriptor the connection is; exec ends that. */
	child = clone(connect_and_become, stack + sizeof(stack), CLONE_VM | CLONE_FILES | SIGCHLD, &becoming);
	OK(child > 0 && read(ready[0], &mapped, 1) == 1 && mapped == 1,
	   "a user's process connects, executes a program of root's, and that maps a pool of root's");
	OK(request_wpq(becoming.connection) == -EPERM,
	   "the connection that the user's process made gets no WPQ");
	close(until[1]);
	waitpid(child, &status, 0);
	return tap_done();
}

int main(int argc, char **argv)
{
	int connection = -1, status, ready[2], until[2];
	char mapped = 0;
	pid_t first, second;

	if (argc == 3 && strcmp(argv[1], "--map") == 0)
		map_pool(argv[2], STDOUT_FILENO, STDIN_FILENO);
	if (argc == 3)
		return check_becoming(argv[1], argv[2]);
	if (argc != 2 || pipe(ready) < 0 || pipe(until) < 0)
		return 2;
	OK(connect_and_greet(&connection) == 0 && request_wpq(connection) == 0,
	   "negative control: a process that lives gets a WPQ on its connection");
	close(connection);

	first = clone(connect_and_greet, stack + sizeof(stack), CLONE_VM | CLONE_FILES | SIGCHLD,
		      &connection);
	OK(first > 0 && waitpid(first, &status, 0) == first && status == 0, "a process connects and ends");
	second = fork_with_pid(first);
	if (second == 0) {
		close(until[1]);
		map_pool(argv[1], ready[1], until[0]);
	}
	OK(second == first, "another process gets its pid");
	OK(read(ready[0], &mapped, 1) == 1 && mapped == 1, "that process maps a pool");
	OK(request_wpq(connection) == -ESRCH, "the connection of the first process gets no WPQ");
	close(until[1]);
	waitpid(second, &status, 0);
	return tap_done();
}
