/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REGION_NUMA_H
#define REGION_NUMA_H

/* Private to pmem/region: the NUMA node of memory that the kernel does not use, and so has no node for. */

#include "region/physmap.h"

/*
 * The firmware's System Resource Affinity Table names a proximity domain for
 * each range, set aside or not; the kernel tells the node of memory that it
 * uses. What lies in one domain with that is in its node. -1: not all of the
 * range lies in one, or none of its memory is in use.
 */
int numa_node_of(const char *root, const struct phys_range *range);

#endif
