/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REGION_FINDER_H
#define REGION_FINDER_H

/*
 * Private to pmem/region: discovery on the /proc and /sys below `root`, for region_discover() and for
 * tests.
 */

#include "region/discover.h"
#include "region/nd.h"

int discover_tree(const char *root, const struct nd_devices *devices, struct region_candidates *out,
		  struct message *message);

#endif
