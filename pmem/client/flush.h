/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLIENT_FLUSH_H
#define CLIENT_FLUSH_H

/*
 * Flush and fence of any memory of the process, pools or not. Async-signal-safe; they concern the calling
 * thread alone.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/connection.h"
#include "client/settings.h"

/* pmem_flush(): nothing where flushes do not count. Durable with the thread's next client_fence(). */
void client_flush(uintptr_t address, size_t length);
/* pmem_drain(): sfence. */
void client_fence(void);
/* The same for a fence instruction of the program, of which a recorder is not told. */
void client_fence_seen(void);
/* pmem_persist(): both in one call. */
void client_persist(uintptr_t address, size_t length);
/*
 * The lines of [address, address + length), after non-temporal stores to them, which flush by themselves: a
 * recorder is not told of a flush. Whether flushes count or not. `flags` as for queue_flush().
 */
void client_flush_lines(uintptr_t address, size_t length, uint32_t flags);
/* True unless PMEM_NO_FLUSH or the cpu_cache domain makes flushes unnecessary. */
static inline bool client_flushes_count(void);
/* msync(2) including its meaning for pools. 0 or a negative errno. */
int client_msync(void *address, size_t length, int flags);

/* ---- Private to this header and flush.c ----------------------------------------------- */

bool client_flushes_count_in_full(void);

static inline bool client_flushes_count(void)
{
	/* The usual case while a recorder is attached. */
	if (client_fast_path_recorded() && connection_domain_is(PERSISTENCE_MEMORY_CONTROLLER))
		return true;
	return client_flushes_count_in_full();
}

#endif
