/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REGION_PLATFORM_H
#define REGION_PLATFORM_H

/*
 * Private to pmem/region: the kernel's lockdown and the device tree, which also decide which memory is
 * free.
 */

#include "region/physmap.h"

/* "none", "integrity" or "confidentiality"; empty where the kernel does not report it. */
void platform_read_lockdown(const char *root, char *state, size_t size);

/*
 * Read the device tree's reserved-memory nodes. The name of a range is that of its node, followed by a
 * comma and its first compatible string if it has one. A machine without a device tree has none, which is
 * success.
 */
int platform_read_device_tree(const char *root, struct phys_ranges *out, struct message *message);

/*
 * Is the node for a driver, which may use the range later? True for a node with a compatible string other
 * than that of pmem-region.
 */
bool platform_node_is_claimed(const struct phys_range *node);

#endif
