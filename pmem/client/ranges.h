/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLIENT_RANGES_H
#define CLIENT_RANGES_H

/*
 * Which addresses of the process are pools: a sorted table of mapped ranges, read without a lock. Lookups
 * are async-signal-safe and make no system call unless they meet a writer.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/align.h"

enum range_flags {
	RANGE_POOL = 1u << 0,	   /* a shared mapping of a view */
	RANGE_REGISTERED = 1u << 1 /* mapped by pmem_map_file() as persistent memory: pmem_is_pmem() says 1 */
};

/* The region of what is no pool: no WPQ is of it, so a WPQ's region needs no further check. */
#define RANGE_NO_REGION UINT16_MAX

struct range {
	/* A flush needs these; the table keeps them in one line. */
	_Alignas(LINE_SIZE) uintptr_t start;
	uintptr_t end;	 /* up to where everything below is the same */
	uint64_t offset; /* of `start` in the view */
	uint32_t view;	 /* its number in WPQ records */
	uint16_t region;
	uint16_t flags; /* 0: nothing that the table knows is mapped from start to end */
	/* The rest of the line is for who asks for more. */
	intptr_t alias; /* a recorder's second mapping of the bytes is this much further; 0: none */
};
_Static_assert(sizeof(struct range) == LINE_SIZE, "a lookup that knows the entry reads one line");

/* What is at `address`: the rest of its range from `address` on, or of the gap it is in. */
struct range ranges_find(uintptr_t address);

/* Between these, the calling thread alone may change the table. Signals are blocked meanwhile. */
uint64_t ranges_lock(void);
void ranges_unlock(uint64_t signals);

/* The functions below require the lock. Addresses are multiples of the page size. */

/* Forget [start, end). */
void ranges_erase(uintptr_t start, uintptr_t end);
/*
 * Enter a range in the place of what the table has there. Without RANGE_POOL its region becomes
 * RANGE_NO_REGION. -ENOMEM: the table is full; nothing has changed.
 */
int ranges_insert(const struct range *range);
/* Set `flags` on all ranges within [start, end). */
void ranges_mark(uintptr_t start, uintptr_t end, uint16_t flags);

/* In the child of a fork, whose parent's thread held the lock. */
void ranges_fork_child(void);

/* Private to ranges.c and fast_path.h. */
extern _Atomic uint64_t ranges_version;
extern struct range *ranges_table;

#endif
