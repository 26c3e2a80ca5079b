/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REGION_CMDLINE_H
#define REGION_CMDLINE_H

/*
 * Private to pmem/region: the parameters of the kernel command line that concern memory
 * (kernel-parameters.txt).
 */

#include "region/physmap.h"

struct kernel_options {
	/* memmap= ranges that take RAM away; the name is "$", "!" or "%". */
	struct phys_ranges memmaps;
	/* The least mem=: the kernel uses no memory above this address. UINT64_MAX: there is no mem=. */
	uint64_t mem_limit;
	/*
	 * memmap=exactmap, or ranges given with memmap=SIZE@START: the command line alone says what is
	 * RAM.
	 */
	bool exact_map;
	/*
	 * pci=nocrs: the kernel ignores the windows that the firmware reports for bridges, and may give
	 * gaps in the RAM to devices.
	 */
	bool pci_nocrs;
	/* iomem=relaxed: /dev/mem may map ranges that drivers hold. */
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
