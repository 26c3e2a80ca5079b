/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SRC_FAULT_H
#define SRC_FAULT_H

#include "region/region.h"

/*
 * A region's memory can be taken away while it is mapped: its file cut short, a
 * namespace enabled over its range. The next touch is SIGBUS, on any thread.
 * From here on that ends the process with status 1 and a line on stderr that
 * says so; what is left of the media stays as it is. Once a process.
 */
void fault_watch(const struct region *region);

#endif
