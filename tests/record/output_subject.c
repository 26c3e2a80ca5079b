/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * output_subject POOL: a program to be recorded. Before each write it stores the write's number to the pool's
 * first word. It writes by each function that writes to its standard output, its standard error, sockets and
 * pipes, and once to places whose writes are no output.
 */

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "meanwhile.h"

static volatile uint64_t *pool;
static unsigned step;
static char text[64];

/* The text of the next step, which is stored as made durable before it is written. */
static const char *next(void)
{
	step++;
	*pool = step;
	snprintf(text, sizeof(text), "step %u\n", step);
	return text;
}

static void streams(void)
{
	printf("%s", next());
	fflush(stdout);
	next();
	puts("step 2");
	fflush(stdout);
	next();
	fwrite(text, 1, strlen(text), stdout);
	fflush(stdout);
	fprintf(stderr, "%s", next());
	dprintf(STDOUT_FILENO, "%s", next());
}

static void calls(int fd)
{
	struct iovec parts[2] = { { .iov_base = (void *)(uintptr_t)"step ", .iov_len = 5 } };

	if (write(fd, next(), strlen(text)) < 0)
		err(1, "write");
	next();
	parts[1] = (struct iovec){ .iov_base = text + 5, .iov_len = strlen(text) - 5 };
	if (writev(fd, parts, 2) < 0)
		err(1, "writev");
	next();
	if (syscall(SYS_write, fd, text, strlen(text)) < 0)
		err(1, "syscall");
}

static void sends(int fd)
{
	struct iovec part;
	struct mmsghdr messages[2] = { { .msg_hdr = { .msg_iov = &part, .msg_iovlen = 1 } } };

	if (send(fd, next(), strlen(text), 0) < 0 || sendto(fd, next(), strlen(text), 0, NULL, 0) < 0)
		err(1, "send");
	next();
	part = (struct iovec){ .iov_base = text, .iov_len = strlen(text) };
	if (sendmsg(fd, &messages[0].msg_hdr, 0) < 0)
		err(1, "sendmsg");
	next();
	part.iov_len = strlen(text);
	messages[1] = messages[0];
	/* One text twice. */
	if (sendmmsg(fd, messages, 2, 0) != 2)
		err(1, "sendmmsg");
}

/* Longer than a mark's text, which is told apart by its length. */
static void long_ones(int fd)
{
	char bytes[10000];

	memset(bytes, 'x', sizeof(bytes));
	memcpy(bytes, next(), strlen(text));
	if (write(STDOUT_FILENO, bytes, sizeof(bytes)) != sizeof(bytes))
		err(1, "write");
	memcpy(bytes, next(), strlen(text));
	if (write(fd, bytes, sizeof(bytes)) != sizeof(bytes))
		err(1, "write");
}

/* No output: files, /dev/null, and what fails. */
static void no_output(void)
{
	FILE *file = tmpfile();
	int null = open("/dev/null", O_WRONLY);

	if (!file || fprintf(file, "no output\n") < 0 || fflush(file) != 0 || fclose(file) != 0)
		err(1, "tmpfile");
	if (write(null, "no output\n", 10) != 10 || write(-1, "no output\n", 10) != -1 || errno != EBADF)
		err(1, "write");
	close(null);
}

/* ---- A write that waits ---------------------------------------------------------------------- */

static int full[2];
static bool cleaned;

static void clean(void *unused)
{
	cleaned = true;
}

static void *wait_for_room(void *unused)
{
	char bytes[4096] = "no output, for it is never written\n";

	pthread_cleanup_push(clean, NULL);
	while (write(full[1], bytes, sizeof(bytes)) < 0)
		;
	pthread_cleanup_pop(0);
	return NULL;
}

static void on_alarm(int number)
{
}

/* One that is interrupted by a signal, and one whose thread is cancelled. */
static void waits(void)
{
	struct sigaction action = { .sa_handler = on_alarm };
	struct meanwhile signal;
	char bytes[65536] = "";
	pthread_t thread;
	void *result;

	if (pipe(full) != 0 || fcntl(full[1], F_SETPIPE_SZ, sizeof(bytes)) < 0 ||
	    write(full[1], bytes, sizeof(bytes)) != sizeof(bytes))
		err(1, "pipe");
	sigaction(SIGALRM, &action, NULL);
	interruption_begin(&signal, SYS_write, -1);
	if (write(full[1], bytes, 1) != -1 || errno != EINTR)
		errx(1, "a signal does not interrupt a write");
	meanwhile_end(&signal);
	if (pthread_create(&thread, NULL, wait_for_room, NULL) != 0)
		errx(1, "pthread_create");
	usleep(20000);
	pthread_cancel(thread);
	pthread_join(thread, &result);
	if (result != PTHREAD_CANCELED || !cleaned)
		errx(1, "a thread that writes is not cancelled");
}

static void *of_thread(void *unused)
{
	printf("%s", next());
	fflush(stdout);
	return NULL;
}

int main(int argc, char **argv)
{
	int fd = argc == 2 ? open(argv[1], O_RDWR) : -1, pipes[2], sockets[2];
	pthread_t thread;

	pool = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (pool == MAP_FAILED)
		err(1, "usage: output_subject POOL");
	if (pipe(pipes) != 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) != 0)
		err(1, "pipe");
	streams();
	calls(STDOUT_FILENO);
	calls(pipes[1]);
	calls(sockets[0]);
	sends(sockets[0]);
	long_ones(sockets[0]);
	no_output();
	waits();
	if (pthread_create(&thread, NULL, of_thread, NULL) != 0)
		errx(1, "pthread_create");
	pthread_join(thread, NULL);
	if (fork() == 0) {
		printf("%s", next());
		exit(0);
	}
	wait(NULL);
	return 0;
}
