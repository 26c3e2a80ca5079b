/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Processes that fork(3) does not make: like its handlers, these see to it that the child has a connection
 * and WPQs of its own. Headers that declare the functions otherwise are not included.
 */

#include <linux/sched.h>
#include <stdint.h>

#include "client/kernel_refusals.h"
#include "client/next_function.h"
#include "client/queues.h"

/* fork(3) without the program's handlers. */
PUBLIC int forking_without_handlers(void) __asm__("_Fork");
PUBLIC int forking_without_handlers(void)
{
	static struct next_function next = { .name = "_Fork" };
	int pid;

	client_fork_prepare();
	pid = (int)next_function(&next)(0, 0, 0, 0, 0, 0);
	client_fork_done(pid);
	return pid;
}

typedef long clone_fn(int (*function)(void *), long stack, long flags, void *argument, void *parent, long tls,
		      void *child);

/* What a process begins with; it has a copy of this. */
struct beginning {
	int (*function)(void *argument);
	void *argument;
};

static int begin(void *beginning_at)
{
	const struct beginning *beginning = beginning_at;

	client_fork_child();
	return beginning->function(beginning->argument);
}

static long clone_or_refuse(struct next_function *function, const struct beginning *beginning, long stack,
			    long flags, void *parent, long tls, void *child)
{
	clone_fn *next = (clone_fn *)(void *)next_function(function);
	long pid;

	if (client_refuse_clone)
		client_refuse_clone((unsigned long)flags, (uintptr_t)stack, parent, child);
	/* In this memory it is a thread, or the parent waits for it. */
	if (flags & CLONE_VM)
		return next(beginning->function, stack, flags, beginning->argument, parent, tls, child);
	client_fork_prepare();
	pid = next(begin, stack, flags, (void *)(uintptr_t)beginning, parent, tls, child);
	client_fork_done(pid); /* the child has begun with begin() */
	return pid;
}

#define CLONE(symbol)                                                                                   \
	PUBLIC clone_fn making_##symbol __asm__(#symbol);                                               \
	PUBLIC long making_##symbol(int (*function)(void *), long stack, long flags, void *argument,    \
				  void *parent, long tls, void *child)                                  \
	{                                                                                               \
		static struct next_function next = { .name = #symbol };                                 \
		const struct beginning beginning = { function, argument };                              \
                                                                                                        \
		return clone_or_refuse(&next, &beginning, stack, flags, parent, tls, child);            \
	}
CLONE(clone)
CLONE(__clone)
