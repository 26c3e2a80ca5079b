/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SRC_REGIONS_H
#define SRC_REGIONS_H

/* The content of the regions that discovery finds, and the choice of one for `auto`. */

#include "common/message.h"
#include "pool/pool.h"
#include "region/discover.h"

enum regions_holds {
	REGIONS_UNKNOWN, /* unknown: it could not be read */
	REGIONS_BLANK,
	REGIONS_POOLS,
	REGIONS_FOREIGN,
	REGIONS_SERVED /* another softpmem process uses it */
};
/* "nothing", "softpmem pools", "other bytes", "the pools of a running daemon"; "" if unknown. */
const char *regions_holds_name(enum regions_holds holds);

/*
 * Read the content of the candidate if it is usable; nothing is written. If opening it fails, or it holds the
 * beginning of a larger region, it becomes refused, with the reason.
 */
enum regions_holds regions_look(struct region_candidate *candidate);

/*
 * Find the region for "auto": the best one that contains pools and that no daemon serves, as a spec for
 * the caller to free. Never formats.
 */
int regions_choose(char **spec, struct message *message);

/*
 * Open memory that will be tested and overwritten, exclusively. Refuses memory that discovery refuses,
 * and, without `force`, memory that contains the first or last page of a region with pools.
 */
int regions_open_for_test(const char *spec, bool force, struct region **out, struct message *message);

#endif
