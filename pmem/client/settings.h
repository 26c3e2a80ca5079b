/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLIENT_SETTINGS_H
#define CLIENT_SETTINGS_H

/*
 * What the environment asks for. It is read once, at the first use: other libraries' constructors may call
 * us before our own constructors have run. Thread-safe, async-signal-safe after the first call.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/compiler.h"

struct client_settings {
	const char *attach_path; /* SOFTPMEM_ATTACH, the daemon's socket; NULL: act as an ordinary libpmem */
	bool must_attach;	 /* SOFTPMEM_MUST_ATTACH=1: the process ends if the daemon refuses it */
	bool through;		 /* SOFTPMEM_THROUGH=1: a fence waits until the media has its lines */
	bool flush_never;	 /* PMEM_NO_FLUSH=1 */
	bool flush_always;	 /* PMEM_NO_FLUSH=0: flush also where the domain is cpu_cache */
	bool valgrind;		 /* the process runs under Valgrind */
	size_t nontemporal_from; /* PMEM_MOVNT_THRESHOLD, bytes; SIZE_MAX: PMEM_NO_MOVNT=1 */
	bool record;		 /* stores to pools are recorded: SOFTPMEM_RECORD is set, not to 0 */
	uint64_t record_key;	 /* its value: the key of the recording */
	/*
	 * SOFTPMEM_OUTPUTS="DEVICE:INODE DEVICE:INODE ", hexadecimal: the files that are the standard
	 * output and the standard error of the recorded program; 0: none.
	 */
	struct {
		uint64_t device, inode;
	} outputs[2];
	unsigned stack_depth; /* SOFTPMEM_STACK: frames of a site's call stack, 1 to TRACE_FRAMES_MAX */
	bool inline_never;	 /* SOFTPMEM_INLINE=0: the program's own flush instructions are left alone */
	bool inline_verbose;	 /* SOFTPMEM_INLINE=verbose: name every instruction that is not seen */
	bool has_hint;		 /* PMEM_MMAP_HINT is set */
	uintptr_t hint;		 /* its value, an address */
};

/* Private to this header and settings.c. */
extern struct client_settings client_settings_read;
extern atomic_bool client_settings_known;
const struct client_settings *client_settings_learn(void);

/* The settings. Inline, because every flush and every fence asks. Never fails. */
static inline const struct client_settings *client_settings(void)
{
	if (likely(atomic_load_explicit(&client_settings_known, memory_order_acquire)))
		return &client_settings_read;
	return client_settings_learn();
}

/* ---- The fast paths of flush, fence and store -------------------------------------- */

/* Private to this header and settings.c. */
extern atomic_bool client_fast_path_allowed_flag, client_fast_path_recorded_flag;

/*
 * True if the settings are known and change neither what a fence does nor what a flush does in the
 * memory_controller domain, and nobody forbids the fast paths.
 */
static inline bool client_fast_path_allowed(void)
{
	return atomic_load_explicit(&client_fast_path_allowed_flag, memory_order_relaxed);
}

/*
 * True if only a recorder forbids them: once it has been told of an event, the fast path is to be taken for
 * it. Never true together with the above, after which nothing is gained by a second try.
 */
static inline bool client_fast_path_recorded(void)
{
	return atomic_load_explicit(&client_fast_path_recorded_flag, memory_order_relaxed);
}

/* Forbid the fast paths, for a recorder that must see every event, or allow them again. */
void client_fast_path_forbid(bool forbid);

#endif
