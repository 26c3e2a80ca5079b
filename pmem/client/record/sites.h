/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RECORD_SITES_H
#define RECORD_SITES_H

/*
 * Flushes, fences and system calls in the code of a loaded object, found by disassembly. record_scan() is in
 * record.h. Private to pmem/client/record. Not in signal handlers: uses malloc().
 */

#include <link.h>

#include "client/record/decode.h"

enum record_kinds {
	RECORD_FLUSHES_AND_FENCES, /* clwb, clflushopt, clflush, sfence, mfence */
	RECORD_LOCKED_TOO,	   /* and locked instructions with a memory operand */
	RECORD_CALLS_TOO	   /* and system calls */
};

/*
 * Called for each. `refused`: why it must not be patched, or NULL. Instructions that were patched before are
 * found as they were.
 */
typedef void record_found_fn(void *context, uint64_t address, const struct record_insn *insn,
			     const char *refused);
/* What an object may have, by its bytes alone, which takes little time. */
struct record_traces {
	bool any;	  /* flushes or fences */
	bool needs_fence; /* clwb or clflushopt, which wait for a fence */
};
struct record_traces record_look_for_sites(const struct dl_phdr_info *object);

/* -ENOMEM. Instructions in code whose boundaries are not certain are found with a reason. */
int record_find_sites(const struct dl_phdr_info *object, enum record_kinds kinds, record_found_fn *found,
		      void *context);

#endif
