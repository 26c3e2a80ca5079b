/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REGION_ND_H
#define REGION_ND_H

/* Private to pmem/region: what libndctl and libdaxctl report about this machine's persistent memory. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/message.h"
#include "common/vector.h"

enum nd_kind { ND_NAMESPACE, ND_DAX };

struct nd_device {
	enum nd_kind kind;
	/* "namespace0.0", "dax0.0" */
	char name[32];
	/* As ndctl and daxctl write it: raw, fsdax, devdax, sector; devdax, system-ram. */
	char mode[16];
	/* The name of its block device while it is active, as "pmem0"; of a devdax namespace "dax0.0". */
	char shown_as[32];
	/* The physical address; size is 0 where the kernel does not show it. */
	uint64_t start, size;
	bool active;
	/* The alignment of mappings of a device-dax. */
	uint64_t align;
	/* "memory_controller", "cpu_cache"; empty if the platform does not say. */
	char persistence_domain[24];
	/* Dirty shutdowns, summed over its DIMMs; -1: they do not count them. */
	int64_t dirty_shutdowns;
	unsigned badblocks;
	int numa_node; /* -1: unknown */
};

struct nd_devices {
	VECTOR_FIELDS(struct nd_device);
};

void nd_devices_free(struct nd_devices *devices);

#define CLEANUP_ND_DEVICES __attribute__((cleanup(nd_devices_free)))

/* Read the namespaces with a size, then the device-daxes. Only root sees addresses. */
int nd_read(struct nd_devices *out, struct message *message);

/* NULL: no device has this name. */
const struct nd_device *nd_find(const struct nd_devices *devices, const char *name);

#endif
