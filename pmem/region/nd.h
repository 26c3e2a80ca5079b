/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REGION_ND_H
#define REGION_ND_H

/* Private to pmem/region: what libndctl and libdaxctl know of this machine's persistent memory. */

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
	/* What it shows as while active: "pmem0"; of a devdax namespace "dax0.0". */
	char shown_as[32];
	/* Physical; size 0 where it is not told. */
	uint64_t start, size;
	bool active;
	/* What a mapping of a device-dax must be a multiple of. */
	uint64_t align;
	/* "memory_controller", "cpu_cache"; empty if the platform does not say. */
	char persistence_domain[24];
	/* Of the DIMMs behind it, in all; -1: they do not count. */
	int64_t dirty_shutdowns;
	unsigned badblocks;
	int numa_node; /* -1: unknown */
};

struct nd_devices {
	VECTOR_FIELDS(struct nd_device);
};

void nd_devices_free(struct nd_devices *devices);

#define CLEANUP_ND_DEVICES __attribute__((cleanup(nd_devices_free)))

/* Namespaces with a size, then device-daxes. Addresses are told to root only. */
int nd_read(struct nd_devices *out, struct message *message);

/* NULL: there is none of this name. */
const struct nd_device *nd_find(const struct nd_devices *devices, const char *name);

#endif
