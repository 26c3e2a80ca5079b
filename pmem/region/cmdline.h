/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REGION_CMDLINE_H
#define REGION_CMDLINE_H

/* Private to pmem/region: what the kernel command line says of memory (kernel-parameters.txt). */

#include "region/physmap.h"

struct kernel_options {
	/* memmap= ranges that take RAM away; the name is "$", "!" or "%". */
	struct phys_ranges memmaps;
	/* What is above this address is none of the kernel's: the least mem=. UINT64_MAX: there is none. */
	uint64_t mem_limit;
	/* memmap=exactmap, or ranges given with memmap=SIZE@START: RAM is what the line says. */
	bool exact_map;
	/* pci=nocrs: bridges' windows are not believed, and a gap in the RAM is free for devices. */
	bool pci_nocrs;
	/* iomem=relaxed: /dev/mem maps what drivers hold. */
	bool iomem_relaxed;
	/* crashkernel=...; empty if there is none. */
	char crashkernel[64];
	/* ramoops.mem_address= and mem_size=; size 0 (last < start) if there are none. */
	struct phys_range ramoops;
};

void kernel_options_free(struct kernel_options *options);

#define CLEANUP_KERNEL_OPTIONS __attribute__((cleanup(kernel_options_free)))

int kernel_options_read(const char *root, struct kernel_options *out, struct message *message);

#endif
