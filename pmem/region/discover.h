/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REGION_DISCOVER_H
#define REGION_DISCOVER_H

/*
 * What real memory of this machine could be a region, and what cannot and why. Nothing is mapped to
 * find out.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/message.h"
#include "common/vector.h"

enum region_verdict {
	REGION_USABLE,
	REGION_DOUBTFUL, /* usable; `why` is what to mind */
	REGION_REFUSED	 /* `why` is the reason and the way out */
};
/* "usable", "usable with a warning", "refused" */
const char *region_verdict_name(enum region_verdict verdict);

struct region_candidate {
	/* For region_open(). Also of what is refused, where there would be one. */
	char spec[64];
	/* "namespace0.0", "dax0.0"; empty for RAM that only an address names. */
	char device[32];
	/* Of a namespace or device-dax, as ndctl and daxctl write it; else empty. */
	char mode[16];
	/* Physical. size 0: not told. */
	uint64_t start, size;
	char set_aside_by[160];
	/* How the kernel has it mapped now: "write-back"; empty if it has not, or does not tell. */
	char memory_type[32];
	int numa_node; /* -1: unknown */
	/* "memory_controller", "cpu_cache"; empty if the platform does not say. */
	char persistence_domain[24];
	/* Dirty shutdowns the DIMMs behind it count; -1: they do not. */
	int64_t dirty_shutdowns;
	unsigned badblocks;
	enum region_verdict verdict;
	struct message why;
};

struct region_candidates {
	VECTOR_FIELDS(struct region_candidate);
	/*
	 * Of use to who found nothing: a memmap= that would set some RAM aside; empty if there is no
	 * more to give.
	 */
	char advice[64];
};

/*
 * Of this machine, the best first. 0 or a negative errno: -EACCES without the
 * privilege to see addresses. *out is emptied first; free it with
 * region_candidates_free().
 */
int region_discover(struct region_candidates *out, struct message *message);
void region_candidates_free(struct region_candidates *candidates);

#endif
