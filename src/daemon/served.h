/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SRC_SERVED_H
#define SRC_SERVED_H

/* The regions that the daemon serves: opening, naming and watching them. */

#include "daemon/daemon.h"

/* Open the memory of the regions, while this process still has the privileges for it. */
int served_open_regions(struct daemon *daemon, struct message *message);
/* Load the pools of the regions, and name the regions. */
int served_open_pools(struct daemon *daemon, struct message *message);
/*
 * Make everything durable, mark the regions as cleanly stopped, close them. The first error is returned,
 * and all are logged.
 */
int served_close(struct daemon *daemon);

/* Find a region by its name; NULL: there is none. */
struct served_region *served_find(struct daemon *daemon, const char *name);

/*
 * Check whether the memory of a region was taken away. If so, it is logged, and the region fails. To be
 * called periodically, from one thread.
 */
void served_watch(struct daemon *daemon);
/* Give back memory that no pool of a region has: pools_trim(). Called as often as served_watch(). */
void served_trim(struct daemon *daemon);

#endif
