/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FUSE_FUSEFS_H
#define FUSE_FUSEFS_H

/*
 * The FUSE 3 mount: a tree of files for the pools of one region, or a directory
 * with such a tree for each of several regions. write(2) goes through to the pool
 * at once and is volatile until fsync, fdatasync, O_DSYNC or msync; everything
 * that changes names, owners, modes or times is durable when it returns. The
 * kernel caches data, attributes and names without a time limit, so every change
 * of a pool that is not made through the mount must be reported with the
 * functions under "Changes by others".
 *
 * Functions return 0 or a negative errno. One struct fusefs a mount; several
 * mounts of one struct pools are not supported. A region's number is its index
 * among the regions that were given to fusefs_mount().
 */

#include <stdbool.h>

#include "common/log_sink.h"
#include "common/message.h"
#include "common/vector.h"
#include "pool/pool.h"

struct fusefs;
struct recorder;

struct fusefs_region {
	struct pools *pools;
	/* The name of its directory if there are several regions. A single region is the mount's root. */
	const char *name;
};

struct fusefs_options {
	const char *mountpoint;
	/* Let other users in: only as root, or with user_allow_other in /etc/fuse.conf. */
	bool allow_other;
	/*
	 * Have the kernel check owners and permissions. False is for a mount that root alone may enter: for
	 * each check of a directory whose names have changed the kernel asks for its attributes, which
	 * makes up a third of the requests of a program that makes and removes files.
	 */
	bool check_permissions;
	bool read_only;
	bool nonempty;	  /* mount on a directory that has files, which the mount hides */
	unsigned threads; /* 0: a number that suits this machine */
	struct recorder *recorder; /* of these pools; outlives the mount. NULL: nothing is ever recorded */
	struct log_sink log;
};

/*
 * Mount. A mount of ours at the same place whose daemon died is cleared first.
 * -EBUSY: a live one is there; -ENOENT, -ENOTDIR: no such directory; -ENOTEMPTY: it has files; -ENODEV: no
 * FUSE in this kernel; -EPERM: not allowed, or fusermount3 is missing. No request
 * is served before fusefs_serve() runs: do not access the mount in between.
 */
int fusefs_mount(const struct fusefs_region *regions, unsigned count, const struct fusefs_options *options,
		 struct fusefs **out, struct message *message);

/*
 * Serve with threads of its own, until the mount is gone from outside or
 * fusefs_stop() is called: then what the kernel still holds is written back and
 * the mount is removed, lazily if files are open on it. Call once.
 */
int fusefs_serve(struct fusefs *fusefs);

/* st_dev of the files on the mount; 0 if unknown. */
dev_t fusefs_device(const struct fusefs *fusefs);

/*
 * st_ino on the mount is the pool's own number in its low bits. If there are
 * several regions, the bits above have the region's number + 1, so that no two
 * files have the same st_ino.
 */
#define FUSEFS_REGION_SHIFT 48
static inline unsigned fusefs_ino_region(uint64_t ino)
{
	return ino >> FUSEFS_REGION_SHIFT ? (unsigned)(ino >> FUSEFS_REGION_SHIFT) - 1 : 0;
}
static inline uint64_t fusefs_ino_pool(uint64_t ino)
{
	return ino & (((uint64_t)1 << FUSEFS_REGION_SHIFT) - 1);
}

/* Return when no request is being served any more that began before this call. */
void fusefs_settle(struct fusefs *fusefs);

/* Make fusefs_serve() return soon. Any thread, also in a signal handler, and more than once. */
void fusefs_stop(struct fusefs *fusefs);

/* Close what clients left open, unmount if that has not been done yet, free. NULL is allowed. */
void fusefs_unmount(struct fusefs *fusefs);

/* ---- An outage ---------------------------------------------------------------- */

/*
 * What the mount does in an outage. src/daemon/outage.c calls the five functions
 * below, from one thread, which must not be one of the mount's and must hold no
 * lock that a file operation needs. fusefs_park() comes first and fusefs_resume()
 * last; between the two the mount is not taken away.
 */

/*
 * Serve nothing but the write-back of dirty pages. Requests that can wait are
 * parked, others fail with -EIO. Returns when every request that began earlier
 * has been answered.
 */
void fusefs_park(struct fusefs *fusefs);
/*
 * After fusefs_park(): have the kernel write back the dirty pages of all
 * mappings. On return their stores are in the pools, unless a pool had no space
 * for them. They are a consistent cut of what was stored: the next access to a
 * page that was taken from a mapping is a READ, which fails, so no store is in the
 * pools while an earlier one is missing.
 */
void fusefs_write_back(struct fusefs *fusefs);
/*
 * After fusefs_park(): end the generation. What the kernel writes back is
 * acknowledged and discarded from here on, and open files and mappings stay dead
 * (EIO, SIGBUS); a name that is opened after fusefs_resume() is of the next one.
 */
void fusefs_discard(struct fusefs *fusefs);
/*
 * After fusefs_discard(): empty the kernel's caches of all regions. To be called
 * before and after the pools decide: a page that could not be written back
 * stays in the cache the first time, clean.
 */
void fusefs_discard_caches(struct fusefs *fusefs);
/*
 * After fusefs_discard(): the region of this number has another tree (pools_restore()). Inodes that the
 * kernel knows are of the old one: calls on them fail with -ESTALE, except on the root.
 */
void fusefs_tree_replaced(struct fusefs *fusefs, unsigned region);
/* After pools_resume(): serve again, first what was parked. */
void fusefs_resume(struct fusefs *fusefs);

/*
 * A region's media are lost (pools_media_lost()). Answer every request on it
 * with -EIO, for good, and empty the kernel's caches of it, so that processes
 * learn it at their next access. The other regions go on. Not during an outage.
 */
void fusefs_region_lost(struct fusefs *fusefs, unsigned region);

/* ---- An exact moment ------------------------------------------------------------ */

/*
 * An outage at an exact request of the mount. One moment at a time is armed. The
 * worker that meets the request stops the mount (from then on only requests that
 * began before it are served to their end) and calls reached(); the caller then
 * runs an outage, which continues from there. Whatever requests are served, no
 * later one has an effect before the outage.
 */

enum fusefs_event_kind {
	FUSEFS_EVENT_CHANGE, /* a request that changes bytes, sizes, names or attributes, or syncs */
	FUSEFS_EVENT_SYNC    /* fsync or fdatasync of a file or a directory */
};

struct fusefs_moment {
	enum fusefs_event_kind kind;
	uint64_t number; /* of the request, counted from 1 since it was armed */
	bool after;	 /* the outage comes after the request and its reply; else it is not served */
	/*
	 * fnmatch(3): only requests on paths that match count; the pattern of a name without a slash
	 * matches in every directory. NULL: all.
	 */
	char *pattern;
	/* From the moment on no request is answered before fusefs_moment_release(), at most for 2 s. */
	bool holds;
	/*
	 * Asked by a worker that meets the request, with a lock held that fusefs_moment_disarm() takes.
	 * False: there is no outage, and the moment stays as it is until it is disarmed.
	 */
	bool (*is_wanted)(void *context);
	/* Called by a worker of the mount. No outage begins before it returns. */
	void (*reached)(void *context);
	void *context;
};

/* The request that was met, or so far the last one that counted. */
struct fusefs_event {
	uint64_t number;	    /* of requests that counted */
	const char *operation;	    /* a system call such as "write"; static; "" before it is reached */
	char path[4096 + 256 + 2]; /* on the mount; "" for a file without a name */
};

/* -EBUSY: a moment is armed or reached already; -ENOMEM. *moment is copied. */
int fusefs_moment_arm(struct fusefs *fusefs, const struct fusefs_moment *moment);
/* False, and nothing has happened, if the moment was reached: an outage must follow. */
bool fusefs_moment_disarm(struct fusefs *fusefs);
/* The moment is now: stop the mount at once; an outage must follow. `holds` as in struct fusefs_moment. */
void fusefs_moment_now(struct fusefs *fusefs, bool holds);
/* Answer requests that were held since the moment. Those that cannot wait for the outage fail with -EIO. */
void fusefs_moment_release(struct fusefs *fusefs);
void fusefs_moment_seen(struct fusefs *fusefs, struct fusefs_event *seen);
/* The mount is stopped for a moment, and no outage has begun since. */
bool fusefs_moment_is_stopped(struct fusefs *fusefs);

/* A request that could be a moment (FUSEFS_EVENT_CHANGE). */
struct fusefs_listed_event {
	const char *operation; /* a system call such as "write"; static */
	bool syncs;	       /* it is a FUSEFS_EVENT_SYNC too */
	char *path;	       /* on the mount; "" for a file without a name */
};

struct fusefs_event_list {
	VECTOR(struct fusefs_listed_event) items; /* in the order in which they were served */
	uint64_t omitted;			  /* later ones, for which there was no room or no memory */
};

/* List the requests that could be a moment, from here on. A list that is kept begins again. Any thread. */
void fusefs_events_start(struct fusefs *fusefs);
/* How many requests the list has or has omitted. Any thread. */
uint64_t fusefs_events_listed(struct fusefs *fusefs);
/* End the list. It is the caller's, for fusefs_event_list_free(); empty if none was started. Any thread. */
void fusefs_events_stop(struct fusefs *fusefs, struct fusefs_event_list *list);
void fusefs_event_list_free(struct fusefs_event_list *list);

/* ---- Changes by others -------------------------------------------------------- */

/*
 * Report a change that was not made through the mount: a name was added, replaced
 * or removed, or the bytes, size or attributes of a pool changed. Not to be called
 * from a call-back of the pools, nor with a lock held that a file operation needs.
 */
void fusefs_entry_changed(struct fusefs *fusefs, struct pool *directory, const char *name);
void fusefs_pool_changed(struct fusefs *fusefs, struct pool *pool);
/* Only its times did. */
void fusefs_pool_times_changed(struct fusefs *fusefs, struct pool *pool);
/*
 * Have the kernel look up every name again when it is used next. False: the kernel does not know how; report
 * each name that has changed.
 */
bool fusefs_all_entries_changed(struct fusefs *fusefs);

#endif
