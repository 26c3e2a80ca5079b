/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SRC_SNAPSHOTS_H
#define SRC_SNAPSHOTS_H

/* The snapshots that the daemon keeps, by name. daemon->outage_lock is held by all callers. */

#include "daemon/daemon.h"
#include "pool/contents.h"
#include "region/snapshot.h"

/* In bytes, without the NUL. */
#define SNAPSHOT_NAME_MAX 63

struct snapshot {
	char name[SNAPSHOT_NAME_MAX + 1];
	struct served_region *region;
	/* One of the two: of a region, or of a pool. */
	struct region_snapshot *bytes;
	struct pool_contents *contents;
	char *path; /* of the pool when it was taken, as messages show it; NULL: of a region. malloc()ed */
	time_t taken;
};

/* NULL: there is none of this name. */
struct snapshot *snapshots_find(struct daemon *daemon, const char *name);
/* 0 or -ENOMEM. The name is not in use. What the snapshot has is the list's, if that succeeds. */
int snapshots_add(struct daemon *daemon, const struct snapshot *snapshot);
/* Give its memory back. */
void snapshots_remove(struct daemon *daemon, struct snapshot *snapshot);
/* Give back the memory of all, before the regions are closed. */
void snapshots_remove_all(struct daemon *daemon);

#endif
