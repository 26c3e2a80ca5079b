/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SRC_SERVED_H
#define SRC_SERVED_H

/* The regions that the daemon serves: opening them, what they are called, and what becomes of them. */

#include "daemon/daemon.h"

/* Open their memory, for as long as this process has the privileges for it. */
int served_open_regions(struct daemon *daemon, struct message *message);
/* Load what is on them, and name them. */
int served_open_pools(struct daemon *daemon, struct message *message);
/* Commit, mark as cleanly stopped, close. The first error is returned, and all are logged. */
int served_close(struct daemon *daemon);

/* By name; NULL: there is none. */
struct served_region *served_find(struct daemon *daemon, const char *name);

/*
 * Has anything been taken away? Then it is said, and nobody goes on with it. To
 * be called now and then, from one thread.
 */
void served_watch(struct daemon *daemon);

#endif
