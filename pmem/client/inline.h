/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLIENT_INLINE_H
#define CLIENT_INLINE_H

/*
 * Flush and fence instructions that the program has inline, as libpmem2 and many storage engines have: found
 * and patched by record/, and done as pmem_flush() and pmem_drain() do. Thread-safe; not in signal handlers.
 */

#include <stdbool.h>

#include "client/record/record.h"

/*
 * The process maps a pool, or starts its first thread: from the first call on, all objects that are or will
 * be loaded are patched. Does nothing if the settings say so. The caller holds no lock of the client.
 */
void client_inline_start(void);

/*
 * The first part of it, which takes little time: no code is patched but by record_replace(). A recorded
 * process calls it before it runs code of the program.
 */
void client_inline_start_engine(void);

/*
 * Are flushes of the code at `caller` seen? libpmemobj and its kin flush by functions of libpmem; all others
 * by instructions, which are seen if the objects were patched, except in a Java virtual machine, which makes
 * its code as it runs.
 */
bool client_inline_sees(const void *caller);

/* This thread has flushed by a function of libpmem: a fence of the program's own concerns it too. */
static inline void client_inline_flushed(void)
{
	record_waiting = 1;
}

/* ... and has fenced. */
static inline void client_inline_fenced(void)
{
	record_waiting = 0;
}

/* This thread ends, and has no WPQ any more: what the engine keeps for it is given back. */
void client_inline_thread_end(void);

#endif
