/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REGION_DISCOVER_H
#define REGION_DISCOVER_H

/* Which physical memory of this machine can be a region, which cannot, and why. Discovery maps nothing. */

#include <stddef.h>
#include <stdint.h>

#include "common/message.h"
#include "common/vector.h"

enum region_verdict {
	REGION_USABLE,
	REGION_DOUBTFUL, /* usable; `why` is a warning */
	REGION_REFUSED	 /* `why` is the reason and the way out */
};
/* "usable", "usable with a warning", "refused" */
const char *region_verdict_name(enum region_verdict verdict);

struct region_candidate {
	/* For region_open(). A refused candidate has one too if its address is known. */
	char spec[64];
	/* "namespace0.0", "dax0.0"; empty for RAM that has an address only. */
	char device[32];
	/* The mode of a namespace or device-dax, in the words of ndctl and daxctl; else empty. */
	char mode[16];
	/* The physical address; size is 0 where the kernel does not show it. */
	uint64_t start, size;
	char set_aside_by[160];
	/*
	 * The cache type with which the kernel has it mapped, as "write-back"; empty if it is not mapped
	 * or unknown.
	 */
	char memory_type[32];
	int numa_node; /* -1: unknown */
	/* "memory_controller", "cpu_cache"; empty if the platform does not say. */
	char persistence_domain[24];
	/* Dirty shutdowns of its DIMMs; -1: they do not count them. */
	int64_t dirty_shutdowns;
	unsigned badblocks;
	enum region_verdict verdict;
	struct message why;
};

struct region_candidates {
	VECTOR_FIELDS(struct region_candidate);
	/*
	 * If there is no candidate: a memmap= that would set some RAM aside. Empty if no RAM can be
	 * spared.
	 */
	char advice[64];
};

/*
 * Find the candidates of this machine, the best first. 0 or a negative errno: -EACCES without the
 * privilege to see addresses. *out is emptied first; free it with region_candidates_free().
 */
int region_discover(struct region_candidates *out, struct message *message);
void region_candidates_free(struct region_candidates *candidates);

#endif
