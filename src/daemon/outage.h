/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SRC_OUTAGE_H
#define SRC_OUTAGE_H

/*
 * The director of outages: the only place that knows the order of their phases.
 * Clients, the mount and the pools each do their part when they are told.
 *
 *   1. stop clients   programs that map pools are killed
 *   2. park           the mount serves nothing but write-back
 *   3. settle         if stores in dirty pages can survive, the kernel writes these back
 *   4. stop pools     handles are dead, calls wait
 *   5. decide         a chooser picks what survives, operation by operation and line by line; the power
 *                     cycle is counted
 *   6. rebuild views  the kernel's caches and the views have what the media has
 *   7. go on          pools, mount, clients, in the next generation; the kernel is told which names it has
 *                     to look up again
 *
 * An outage runs in the thread that asks for it, which must hold no lock of the
 * participants and must not be serving a request of theirs: phases 2 and 4 wait
 * for those. An outage that a request on the mount asks for is therefore run by
 * another thread; the request closes the gate at its moment
 * (fusefs_gate_change()), leaves its token, and is answered afterwards.
 *
 * One outage, or loss of a region, at a time; a second one waits.
 */

#include "common/vector.h"
#include "daemon/daemon.h"

struct region_snapshot;

struct outage_options {
	/* For the whole machine. Each region, pool and line derives its own chooser from it. */
	struct chooser chooser;
	/* In regions of a weaker metadata mode, a larger value, this one instead. */
	enum metadata_mode metadata;
	/* The mount was stopped at an exact request (fusefs_moment_arm(), fusefs_moment_now()). */
	bool at_moment;
	/* Called after each pool was decided, by the thread that runs the outage; may be NULL. */
	void (*progress)(void *context, uint64_t done, uint64_t total);
	void *context;
};

/* The outcome for one regular file that had volatile state. */
struct outage_file {
	const struct served_region *region;
	char *path; /* in the region; "" for a file without a name */
	enum pool_mode mode;
	struct domain_lines lines;
	uint64_t size_before, size_after; /* bytes */
};

/* An operation on a name, a size or attributes that was taken back: struct pool_lost_operation. */
struct outage_lost {
	const struct served_region *region;
	const char *operation; /* static */
	char *path, *to_path;  /* in the region; to_path is NULL if it has one path */
};

struct outage_report {
	VECTOR(struct outage_file) files;
	VECTOR(struct outage_lost) lost; /* the newest first */
	struct domain_lines total; /* of all files, including those not in `files` */
	uint64_t unreported;	   /* number of files that are not in `files` for lack of memory */
	uint64_t unreported_lost;  /* the same, of operations */
};

/*
 * Let the power of the machine fail, and return when the regions are served again. The report must be
 * all-zero; free it with outage_report_free(), also after an error. -EIO: the media of all regions are
 * lost. -ECANCELED: another outage came between the moment and this call. Other errors: the outage took
 * place, but something that the policy keeps was lost (the log names it).
 */
int outage_run(struct daemon *daemon, const struct outage_options *options, struct outage_report *report);
void outage_report_free(struct outage_report *report);

/*
 * Go back to a snapshot of the region, in the same steps as an outage. All clients of the daemon are stopped,
 * and all files that are open on the mount are dead afterwards; in the other regions nothing is lost.
 * -ENOMEM: the snapshot is not whole, and the region is as it was. After another error the region has failed.
 * The caller holds daemon->outage_lock.
 */
int outage_restore(struct daemon *daemon, const struct served_region *region,
		   struct region_snapshot *snapshot);

/*
 * A region's media are lost for good. Kill the processes that map its pools, so that none continues to
 * store to memory that nobody keeps, and make its files fail with -EIO. The other regions continue.
 */
void outage_region_lost(struct daemon *daemon, const struct served_region *region);

#endif
