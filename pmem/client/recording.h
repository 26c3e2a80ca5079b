/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLIENT_RECORDING_H
#define CLIENT_RECORDING_H

/*
 * Recording (softpmem record): the engine of record/ sees every store of the program to pools, and the
 * client tells it of what it does itself. Pools are mapped read-only, and a second time, writable, at their
 * *alias*.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/compiler.h"
#include "client/ranges.h"
#include "client/record/record.h"

/* Private to this header and recording.c. */
extern atomic_bool client_recording_active;
/* The address that the call of a function of libpmem returns to; kept while recording only. */
extern THREAD_HOT uintptr_t client_recording_caller;

/* Are stores recorded? False until the process maps its first pool or starts its first thread. */
static inline bool client_recording(void)
{
	return unlikely(atomic_load_explicit(&client_recording_active, memory_order_relaxed));
}

/* Call it first in a function that the program calls and that stores, flushes or fences. */
static inline __attribute__((always_inline)) void client_recording_called_from(const void *caller)
{
	if (client_recording())
		client_recording_caller = (uintptr_t)caller;
}

/*
 * Start to record this process; its only thread calls it, or its first call to map a pool does. `setup` has
 * what client/inline.c puts in; everything else is added. Ends the process if it cannot be recorded.
 */
void client_recording_start(struct record_setup *setup);

/* A second thread is about to be created. */
void client_recording_thread(void);
/* Of client_fork_prepare() and its kin, while this process is recorded. */
void client_recording_fork_prepare(void);
void client_recording_fork_parent(void);
void client_recording_fork_child(void);
/* Before the code of the program is patched for the first time. */
void client_recording_patches(void);

/* ---- Mappings; under ranges_lock() ------------------------------------------------------ */

/* What a mapping's own protection is: stores must fault. */
int client_recording_protection(int prot);
/*
 * `range`, which has its addresses, was mapped with client_recording_protection(prot): make its alias.
 * -ENOMEM. Ends the process if there are too many mappings of pools.
 */
int client_recording_map(struct range *range, int prot, uint32_t trace_pool);
/* [start, end) is about to be unmapped, or replaced: so are the aliases of the ranges in it. */
void client_recording_unmap(uintptr_t start, uintptr_t end);
/* mprotect(2), of ranges with and without aliases. */
long client_recording_protect(uintptr_t start, uintptr_t end, int prot, int key);
/* MADV_POPULATE_WRITE: recorded mappings are read-only themselves. 0 or a negative errno. */
long client_recording_populate(uintptr_t start, uintptr_t end);
/* madvise(2) that concerns fork, of the aliases of the ranges in [start, end). */
void client_recording_advise(uintptr_t start, uintptr_t end, int advice);
/*
 * mremap(2) moved, resized or copied the mapping of `range` to [to, to + new_length). `range` is as it was
 * before, `kept`: and still is. Returns the distance to the alias there.
 */
intptr_t client_recording_remap(const struct range *range, uintptr_t to, size_t new_length, bool kept);

/*
 * How many bytes from `address` on the program may store to, at most `length`: what the kernel would find if
 * mappings of pools were not read-only. Without the lock; async-signal-safe.
 */
size_t client_recording_storable(uintptr_t address, size_t length);

#endif
