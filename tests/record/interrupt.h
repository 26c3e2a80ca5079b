/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RECORD_INTERRUPT_H
#define RECORD_INTERRUPT_H

/*
 * A signal to a thread that waits in a system call. A timer's signal may come before the call on a slow
 * machine, and then nothing would interrupt the call.
 */

#include <err.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

struct interruption {
	pid_t thread;
	long calls[2]; /* numbers, of which one is waited for */
	pthread_t by;
};

/* Whether the kernel says that the thread waits in one of the calls: proc(5), /proc/pid/syscall. */
static inline int is_in_call(const struct interruption *interruption)
{
	char path[64];
	long number = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", interruption->thread);
	file = fopen(path, "re");
	if (!file)
		err(1, "%s", path);
	/* "running" of a thread that does not wait. */
	if (fscanf(file, "%ld", &number) != 1)
		number = -1;
	fclose(file);
	return number >= 0 && (number == interruption->calls[0] || number == interruption->calls[1]);
}

static inline void *interrupt(void *argument)
{
	const struct interruption *interruption = argument;

	while (!is_in_call(interruption))
		usleep(1000);
	tgkill(getpid(), interruption->thread, SIGALRM);
	return NULL;
}

/* SIGALRM, once, to the calling thread as soon as it waits in `call` or in `other_call` (-1: none). */
static inline void interruption_begin(struct interruption *interruption, long call, long other_call)
{
	interruption->thread = gettid();
	interruption->calls[0] = call;
	interruption->calls[1] = other_call;
	if (pthread_create(&interruption->by, NULL, interrupt, interruption) != 0)
		errx(1, "pthread_create");
}

/* After the call. */
static inline void interruption_end(const struct interruption *interruption)
{
	pthread_join(interruption->by, NULL);
}

#endif
