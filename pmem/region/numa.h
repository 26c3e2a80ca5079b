/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REGION_NUMA_H
#define REGION_NUMA_H

/*
 * Private to pmem/region: the NUMA node of memory that the kernel does not use, and for which it
 * therefore reports none.
 */

#include "region/physmap.h"

/*
 * The firmware's System Resource Affinity Table (SRAT) gives a proximity domain for each range, reserved
 * or not. The kernel reports the node of memory that it uses. Memory of the same domain is in the same
 * node. -1: the range spans several domains, or none of its domain's memory is in use.
 */
int numa_node_of(const char *root, const struct phys_range *range);

#endif
