/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RECORD_ENGINE_H
#define RECORD_ENGINE_H

/* The engine's one context. Private to pmem/client/record. */

#include <stdatomic.h>
#include <stdint.h>

#include "client/record/record.h"
#include "client/record/state.h"

#define RECORD_SITES_MAX (1u << 18)
#define RECORD_PRIVATE_STACK (128u << 10) /* bytes, of each thread that called C code */

struct record_engine {
	bool started;
	atomic_bool has_pools; /* a pool is mapped, or was */
	struct record_setup setup;
	/*
	 * Of xsave: the components that the kernel has turned on, and where the standard format has them.
	 * xcr0 is 0 until they are known.
	 */
	uint64_t xcr0;
	struct {
		uint32_t offset, bytes;
		bool aligned; /* to 64 in the compacted format */
	} components[63];
	uint32_t ranges_lock;
	unsigned next_range;
};
extern struct record_engine record_engine;

/*
 * A message on stderr, with the site's instruction and its bytes if there is one, and the end of the process.
 */
_Noreturn void record_die(const char *why, const struct record_site *site);

struct record_site *record_site_by_id(uint32_t id);

/* Does no other thread of the process run code of the program? Async-signal-safe. */
bool record_has_one_thread(void);

#endif
