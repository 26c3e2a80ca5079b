/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RECORD_MEANWHILE_H
#define RECORD_MEANWHILE_H

/*
 * What is done while a thread waits in a system call, a signal to it for instance. A timer's signal may come
 * before the call on a slow machine, and then nothing would interrupt the call.
 */

#include <err.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

struct meanwhile {
	pid_t thread;  /* which waits */
	long calls[2]; /* numbers, of which one is waited for */
	void (*function)(const struct meanwhile *meanwhile);
	int fd; /* for the function */
	pthread_t by;
};

/* Whether the kernel says that the thread waits in one of the calls: proc(5), /proc/pid/syscall. */
static inline int is_in_call(const struct meanwhile *meanwhile)
{
	char path[64];
	long number = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", meanwhile->thread);
	file = fopen(path, "re");
	if (!file)
		err(1, "%s", path);
	/* "running" of a thread that does not wait. */
	if (fscanf(file, "%ld", &number) != 1)
		number = -1;
	fclose(file);
	return number >= 0 && (number == meanwhile->calls[0] || number == meanwhile->calls[1]);
}

static inline void *do_meanwhile(void *argument)
{
	const struct meanwhile *meanwhile = argument;

	while (!is_in_call(meanwhile))
		usleep(1000);
	meanwhile->function(meanwhile);
	return NULL;
}

/* Once, as soon as the calling thread waits in `call` or in `other_call` (-1: none). */
static inline void meanwhile_begin(struct meanwhile *meanwhile, long call, long other_call)
{
	meanwhile->thread = gettid();
	meanwhile->calls[0] = call;
	meanwhile->calls[1] = other_call;
	if (pthread_create(&meanwhile->by, NULL, do_meanwhile, meanwhile) != 0)
		errx(1, "pthread_create");
}

/* After the call. */
static inline void meanwhile_end(const struct meanwhile *meanwhile)
{
	pthread_join(meanwhile->by, NULL);
}

static inline void interrupt(const struct meanwhile *meanwhile)
{
	tgkill(getpid(), meanwhile->thread, SIGALRM);
}

/* SIGALRM to the calling thread; meanwhile_end() ends it. */
static inline void interruption_begin(struct meanwhile *meanwhile, long call, long other_call)
{
	meanwhile->function = interrupt;
	meanwhile_begin(meanwhile, call, other_call);
}

#endif
