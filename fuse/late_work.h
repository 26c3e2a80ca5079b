/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FUSE_LATE_WORK_H
#define FUSE_LATE_WORK_H

/*
 * Work that has the kernel write back or drop pages. The kernel waits for the
 * answers to other requests then, so a worker must not wait for the kernel: if
 * all workers did, none would answer. The thread of fusefs_serve() does this
 * work, one item after the other, in the order in which the items were added.
 */

#include <pthread.h>
#include <stdbool.h>
#include <sys/queue.h>

struct fusefs;

/* The first member of a structure of its owner. */
struct late_work {
	STAILQ_ENTRY(late_work) next; /* in late_queue.items */
	/*
	 * Do the work and free the item. Without `kernel_answers` the mount is being taken away: do not have
	 * the kernel write back or drop anything, but answer the request if there is one.
	 */
	void (*run)(struct fusefs *fs, struct late_work *work, bool kernel_answers);
};

struct late_queue {
	pthread_mutex_t lock; /* guards the fields below */
	STAILQ_HEAD(, late_work) items;
	bool closed;
};

void fusefs_late_init(struct late_queue *queue);
void fusefs_late_destroy(struct late_queue *queue);

/* Any thread. The item is the queue's from here on; after fusefs_late_close() it is run at once. */
void fusefs_late_add(struct fusefs *fs, struct late_work *work);
/* Run what was added so far. By the thread of fusefs_serve(). */
void fusefs_late_run(struct fusefs *fs);
/* The same, and no item waits from here on. By the thread of fusefs_serve(), while workers run. */
void fusefs_late_close(struct fusefs *fs);

#endif
