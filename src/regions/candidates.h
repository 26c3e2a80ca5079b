/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SRC_REGIONS_H
#define SRC_REGIONS_H

/* What is in the regions that discovery finds, and which of them `auto` means. */

#include "common/message.h"
#include "pool/pool.h"
#include "region/discover.h"

enum regions_holds {
	REGIONS_UNKNOWN, /* it was not looked at */
	REGIONS_BLANK,
	REGIONS_POOLS,
	REGIONS_FOREIGN,
	REGIONS_SERVED /* another softpmem process is at it */
};
/* "nothing", "softpmem pools", "other bytes", "the pools of a running daemon"; "" if unknown. */
const char *regions_holds_name(enum regions_holds holds);

/*
 * Look into what discovery would use; nothing is changed. What cannot be opened
 * after all becomes refused, with the reason.
 */
enum regions_holds regions_look(struct region_candidate *candidate);

/*
 * "auto": the best region that holds pools and that nobody serves, as a spec for the caller to free.
 * Never formats.
 */
int regions_choose(char **spec, struct message *message);

/*
 * Open what is to be tested and overwritten, alone. Refuses what discovery
 * refuses, and without `force` what holds softpmem pools, wherever in it they
 * begin or end.
 */
int regions_open_for_test(const char *spec, bool force, struct region **out, struct message *message);

#endif
