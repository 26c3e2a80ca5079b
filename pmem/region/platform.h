/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REGION_PLATFORM_H
#define REGION_PLATFORM_H

/* Private to pmem/region: what else decides over physical memory. */

#include "region/physmap.h"

/* "none", "integrity" or "confidentiality"; empty where the kernel does not tell. */
void platform_read_lockdown(const char *root, char *state, size_t size);

/*
 * The device tree's reserved-memory nodes, named after the node, with its first
 * compatible string behind a comma if it has one. A machine without a device
 * tree has none: 0.
 */
int platform_read_device_tree(const char *root, struct phys_ranges *out, struct message *message);

/* Who was told of this range in advance uses it: a node with a compatible that is not pmem-region's. */
bool platform_node_is_claimed(const struct phys_range *node);

#endif
