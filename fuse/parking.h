/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FUSE_PARKING_H
#define FUSE_PARKING_H

/*
 * Requests that wait for the end of an outage, as bytes: they hold no thread and
 * no token. The kernel's order among them is kept. Any thread.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct parked_request {
	struct parked_request *next;
	size_t size;
	unsigned char bytes[]; /* as they were read from the kernel */
};

struct parking {
	pthread_mutex_t lock;
	struct parked_request *first, **end; /* guarded by lock */
};

void fusefs_parking_init(struct parking *parking);
/* Requests that are still parked are dropped. */
void fusefs_parking_destroy(struct parking *parking);
/* Copies the bytes. 0 or -ENOMEM. */
int fusefs_parking_add(struct parking *parking, const void *bytes, size_t size);
/* Take out the request with this number of the kernel's. False: it is not parked. */
bool fusefs_parking_remove(struct parking *parking, uint64_t unique);
/* All of them, in order, for the caller to free one by one. NULL: none. */
struct parked_request *fusefs_parking_take(struct parking *parking);

#endif
