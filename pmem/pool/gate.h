/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef POOL_GATE_H
#define POOL_GATE_H

/*
 * Private to pmem/pool: the gate between calls and an outage. Every call that uses volatile state or the
 * media is inside the gate. An outage waits until all calls have left, and lets no new one enter. Calls
 * without a handle wait for the end of the outage. Calls through a handle fail, because the handle is of
 * an older generation then.
 */

#include "pool/inode.h"
#include "pool/pools.h"

/* Wait until no outage is running, and delay the next one until pool_gate_leave(). */
void pool_gate_enter(struct pools *pools);
/*
 * Enter with a handle, without waiting: -EIO if the handle is of an older generation or the media are
 * lost.
 */
int pool_gate_enter_handle(struct pool_handle *handle);
/* Enter without waiting: false if an outage is running or about to begin. */
bool pool_gate_try_enter(struct pools *pools);
void pool_gate_leave(struct pools *pools);

static inline void pool_gate_cleanup(struct pools **pools)
{
	if (*pools)
		pool_gate_leave(*pools);
}

/* Stay inside until the end of the enclosing scope. */
#define GATE_SCOPE(which) \
	struct pools *scope_gate \
		__attribute__((cleanup(pool_gate_cleanup), unused)) = (pool_gate_enter(which), (which))
/* The same with a handle. Returns from the enclosing function if there is an error. */
#define HANDLE_SCOPE(handle) \
	struct pools *scope_gate \
		__attribute__((cleanup(pool_gate_cleanup), unused)) = (handle)->pool->pools; \
	do { \
		int scope_error = pool_gate_enter_handle(handle); \
		if (scope_error) { \
			scope_gate = NULL; \
			return scope_error; \
		} \
	} while (0)

#endif
