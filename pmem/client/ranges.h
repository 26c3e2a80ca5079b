/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLIENT_RANGES_H
#define CLIENT_RANGES_H

/*
 * Which addresses of the process are pools: a sorted table of mapped ranges, read without a lock. Lookups
 * are async-signal-safe and make no system call unless they meet a writer.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/compiler.h"
#include "common/align.h"

enum range_flags {
	RANGE_POOL = 1u << 0,	    /* a shared mapping of a view */
	RANGE_REGISTERED = 1u << 1, /* mapped by pmem_map_file() as persistent: pmem_is_pmem() says 1 */
	RANGE_PRIVATE = 1u << 2,    /* a private mapping of a view: flushing it makes nothing durable */
	RANGE_READ_ONLY = 1u << 3,  /* its descriptor is read-only: mprotect(2) may not add PROT_WRITE */
	RANGE_DONTFORK = 1u << 4,   /* MADV_DONTFORK: a forked child does not have it */
	RANGE_FORBIDDEN = 1u << 5   /* recorded, and the program may not store to it now */
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
	/* A flush does not need these. */
	intptr_t alias; /* a recorder's second mapping of the bytes is this much further; 0: none */
	uintptr_t keeper; /* see ranges_release(); 0: none */
	uint32_t trace_pool; /* with an alias: the pool's number in the recorder's slots */
};
_Static_assert(sizeof(struct range) == LINE_SIZE, "a lookup that knows the entry reads one line");

/* Private to this header and ranges.c. */
extern _Atomic uint64_t ranges_version;
extern struct range *ranges_table;
/* The index of the entry that this thread found last; one word, because a signal handler may change it. */
extern THREAD_HOT size_t ranges_hint;

/*
 * ranges_find() for an address in the entry that this thread found last; false if it is not there. The entry
 * may meanwhile hold another range, or none. It is read field by field: a struct that is assembled and
 * copied waits for its own stores. `whole` is a constant; an unrecorded flush does not need the last three
 * fields.
 */
static inline __attribute__((always_inline)) bool ranges_find_again(uintptr_t address, struct range *out,
								    bool whole)
{
	uint64_t now = atomic_load_explicit(&ranges_version, memory_order_acquire);
	const struct range *entry = &ranges_table[ranges_hint];
	uintptr_t start = __atomic_load_n(&entry->start, __ATOMIC_RELAXED);

	out->start = address;
	out->end = __atomic_load_n(&entry->end, __ATOMIC_RELAXED);
	out->offset = __atomic_load_n(&entry->offset, __ATOMIC_RELAXED) + (address - start);
	out->view = __atomic_load_n(&entry->view, __ATOMIC_RELAXED);
	out->region = __atomic_load_n(&entry->region, __ATOMIC_RELAXED);
	out->flags = __atomic_load_n(&entry->flags, __ATOMIC_RELAXED);
	if (whole) {
		out->alias = __atomic_load_n(&entry->alias, __ATOMIC_RELAXED);
		out->keeper = __atomic_load_n(&entry->keeper, __ATOMIC_RELAXED);
		out->trace_pool = __atomic_load_n(&entry->trace_pool, __ATOMIC_RELAXED);
	}
	atomic_thread_fence(memory_order_acquire);
	return !(now & 1) && atomic_load_explicit(&ranges_version, memory_order_relaxed) == now &&
	       address >= start && address < out->end;
}

/* What is at `address`: the rest of its range from `address` on, or of the gap it is in. */
struct range ranges_find(uintptr_t address);
/* True if a range within [address, address + length) has one of these flags. */
bool ranges_any(uintptr_t address, size_t length, uint16_t flags);

/* Between these, the calling thread alone may change the table. Signals are blocked meanwhile. */
uint64_t ranges_lock(void);
void ranges_unlock(uint64_t signals);

/* The functions below require the lock. Addresses are multiples of the page size. */

/* Forget [start, end), and release the keepers. */
void ranges_erase(uintptr_t start, uintptr_t end);
/*
 * Enter a range in the place of what the table has there, whose keepers are released. Without RANGE_POOL its
 * region becomes RANGE_NO_REGION. -ENOMEM: the table is full; nothing has changed.
 */
int ranges_insert(const struct range *range);
/* Set and clear flags of all ranges within [start, end). */
void ranges_mark(uintptr_t start, uintptr_t end, uint16_t set, uint16_t clear);
/* Copy the ranges within [start, end), cut at its ends. Returns their number; -ENOMEM: more than `most`. */
int ranges_copy(uintptr_t start, uintptr_t end, struct range *copies, size_t most);
/* Forget [start, end), but release no keeper: the caller does, for the copies that it does not insert. */
void ranges_take(uintptr_t start, uintptr_t end);
/*
 * A keeper is a page of the file that a range is a mapping of: as long as it is mapped, the kernel counts the
 * process among the users of the file. All ranges of one mmap(2) share one. Unmap it if no range in the
 * table has it.
 */
void ranges_release(uintptr_t keeper);

/* In the child of a fork, with the lock that the parent's thread took: gives it up. */
void ranges_fork_child(void);


#endif
