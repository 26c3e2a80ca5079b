/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_RECORD_WORLD_H
#define TESTS_RECORD_WORLD_H

/*
 * What tests of the recorder's engine run in: one pool, mapped read-only and writable, code that can be
 * patched, and the consumer's end of the threads' buffers.
 */

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WORLD_POOL 7u	    /* the pool's id in events */
#define WORLD_OFFSET 40960u /* of its mapping in the pool */

struct world {
	unsigned char *pool; /* read-only; below 2 GiB */
	unsigned char *alias;
	size_t bytes;
};
extern struct world world;

/* Start the engine with a pool of so many bytes, and with handlers of SIGSEGV, SIGBUS and SIGTRAP. */
void world_start(size_t bytes);
/* The same without stores: the pool is mapped once, writable, and the hooks are called. */
struct record_setup;
void world_start_hooks(size_t bytes, struct record_setup setup);
/* Called for signals that the engine does not take; by default the process ends. */
extern void (*world_signal)(int number, siginfo_t *info, void *context);

/* Whether others may store as well: else this thread locks neither lines nor the clock. */
void world_many(bool many);

/* Private executable memory of a file, with these bytes; below 2 GiB if `low`. */
unsigned char *world_code(const void *bytes, size_t length, bool low);

/* An event as a slot has it. */
struct world_event {
	uint64_t stamp;
	unsigned thread; /* numbered in the order in which threads attached, from 0 */
	unsigned kind;	 /* enum trace_slot_kind */
	unsigned flags;	 /* or which flush or fence */
	unsigned site;
	uint64_t offset; /* from the pool's mapping */
	uint64_t mask;
	uint64_t length;
	const unsigned char *bytes; /* until the next world_events() */
};
/*
 * All events published since the last call, ordered by stamp. Fails the process if a slot is malformed or
 * a stamp comes twice. Only while no thread logs.
 */
const struct world_event *world_events(size_t *count);
/* Take slots out of the buffers while threads log, to be returned by world_events() later. */
void world_collect(void);

/* Do a store's bytes to an image of the pool's mapping. */
void world_apply(const struct world_event *event, unsigned char *image);

#endif
