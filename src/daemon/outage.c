/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/outage.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "recorder/recorder.h"

/* ---- What is reported --------------------------------------------------------- */

/* With more stale names than these, the kernel drops all that it knows. */
#define STALE_ONE_BY_ONE 256

/* A directory, with a reference, and a name in it. */
struct stale_entry {
	struct pool *directory;
	char *name;
};

/* One outage, while it runs. */
struct outage {
	struct daemon *daemon;
	const struct outage_options *options;
	struct outage_report *report;
	uint64_t files, decided; /* total number of regions, and of those that were decided */
	VECTOR(struct stale_entry) stale;
};

/* One outage, for one region. */
struct region_outage {
	struct outage *outage;
	const struct served_region *region;
};

/* Collected in memory until the outage is over: a client that reads slowly must not prolong it. */
static void note_file(void *context, const struct pool_outage_report *pool)
{
	const struct region_outage *part = context;
	struct outage *outage = part->outage;
	struct outage_report *report = outage->report;
	struct outage_file file = {
		.region = part->region,
		.path = strdup(pool->path),
		.mode = pool->mode,
		.lines = pool->lines,
		.size_before = pool->size_before,
		.size_after = pool->size_after,
	};

	report->total.guaranteed += pool->lines.guaranteed;
	report->total.undetermined += pool->lines.undetermined;
	report->total.kept += pool->lines.kept;
	report->total.lost += pool->lines.lost;
	if (!file.path || vector_append(&report->files, file) < 0) {
		free(file.path);
		report->unreported++;
	}
	outage->decided++;
	if (outage->options->progress)
		outage->options->progress(outage->options->context, outage->decided, outage->files);
}

/* A name whose entry was taken back: the kernel has to look it up again. */
static void note_entry(struct outage *outage, struct pool *directory, const char *name)
{
	struct stale_entry entry = { .directory = directory, .name = name ? strdup(name) : NULL };

	if (!directory || !entry.name)
		return;
	if (vector_append(&outage->stale, entry) < 0) {
		free(entry.name);
		return;
	}
	pool_ref(directory, 1);
}

static void note_lost(void *context, const struct pool_lost_operation *operation)
{
	const struct region_outage *part = context;
	struct outage_report *report = part->outage->report;
	struct outage_lost lost = { .region = part->region };

	if (operation) {
		lost.operation = operation->operation;
		lost.path = strdup(operation->path);
		lost.to_path = operation->to_name ? strdup(operation->to_path) : NULL;
		note_entry(part->outage, operation->directory, operation->name);
		note_entry(part->outage, operation->to_directory, operation->to_name);
	}
	if (!lost.path || vector_append(&report->lost, lost) < 0) {
		free(lost.path);
		free(lost.to_path);
		report->unreported_lost++;
	}
}

void outage_report_free(struct outage_report *report)
{
	for (size_t i = 0; i < report->lost.count; i++) {
		free(report->lost.items[i].path);
		free(report->lost.items[i].to_path);
	}
	vector_free(&report->lost);
	for (size_t i = 0; i < report->files.count; i++)
		free(report->files.items[i].path);
	vector_free(&report->files);
	*report = (struct outage_report){ 0 };
}

/* ---- Phases ------------------------------------------------------------------- */

static bool is_lost(const struct served_region *region)
{
	return pools_media_lost(region->pools);
}

static bool all_are_lost(const struct daemon *daemon)
{
	for (unsigned i = 0; i < daemon->region_count; i++)
		if (!is_lost(&daemon->regions[i]))
			return false;
	return true;
}

/* Can stores in dirty pages of the kernel's cache survive? */
static bool stores_may_survive(const struct daemon *daemon, const struct chooser *chooser)
{
	if (chooser->policy != CHOOSER_LOSE || chooser->limit)
		return true;
	for (unsigned i = 0; i < daemon->region_count; i++)
		if (pools_persistence(daemon->regions[i].pools) == PERSISTENCE_CPU_CACHE)
			return true;
	return false;
}

static void stop_mount(const struct daemon *daemon, const struct chooser *chooser)
{
	if (!daemon->fusefs)
		return;
	fusefs_park(daemon->fusefs);
	if (stores_may_survive(daemon, chooser))
		fusefs_write_back(daemon->fusefs);
	fusefs_discard(daemon->fusefs);
}

static void discard_caches(const struct daemon *daemon)
{
	if (daemon->fusefs)
		fusefs_discard_caches(daemon->fusefs);
}

/*
 * Pools of two regions have the same numbers and must not share choices. Derive by the name of the
 * region, so that the order in which the regions were given does not matter.
 */
static struct chooser region_chooser(const struct daemon *daemon, const struct served_region *region,
				     const struct chooser *chooser)
{
	return daemon->region_count == 1 ? *chooser : chooser_derive_name(chooser, region->name);
}

/*
 * A region whose media are lost takes no part. All others are decided even after an error; the first
 * error is returned.
 */
static int decide(struct outage *outage, bool mappers_are_gone)
{
	struct daemon *daemon = outage->daemon;
	int result = 0;

	for (unsigned i = 0; i < daemon->region_count; i++) {
		const struct served_region *region = &daemon->regions[i];
		const struct chooser chooser = region_chooser(daemon, region, &outage->options->chooser);
		struct region_outage part = { .outage = outage, .region = region };
		const struct pools_outage pools = {
			.mappers_are_gone = mappers_are_gone,
			.metadata = outage->options->metadata,
			.report = note_file,
			.lost = note_lost,
			.context = &part,
		};
		int error = is_lost(region) ? 0 : pools_decide(region->pools, &chooser, &pools);

		if (!result && !is_lost(region))
			result = error;
	}
	return result;
}

static void count_files(struct outage *outage)
{
	const struct daemon *daemon = outage->daemon;

	for (unsigned i = 0; i < daemon->region_count; i++) {
		struct pools_info info;

		pools_info(daemon->regions[i].pools, &info);
		outage->files += info.pools;
	}
}

/* The mount is still parked: nothing changes the files. */
static void tell_recorder(const struct outage *outage)
{
	const struct daemon *daemon = outage->daemon;
	const struct outage_report *report = outage->report;
	struct recorder_outage told = {
		.policy = chooser_policy_name(outage->options->chooser.policy),
		.seed = outage->options->chooser.seed,
		.taken_back = report->lost.count + report->unreported_lost,
	};
	struct pools_info info;

	pools_info(daemon->regions[0].pools, &info);
	told.generation = info.generation;
	recorder_outage(daemon->recorder, &told);
	for (size_t i = 0; i < report->files.count; i++) {
		const struct outage_file *file = &report->files.items[i];

		if (*file->path)
			recorder_changed_by_outage(daemon->recorder, file->region->pools, file->path);
	}
}

/* No outage follows: serve the requests that have waited for it since the moment. */
static void open_mount(const struct daemon *daemon, const struct outage_options *options)
{
	if (!options->at_moment || !daemon->fusefs)
		return;
	fusefs_park(daemon->fusefs);
	fusefs_resume(daemon->fusefs);
}

/* While the mount answers: a process that waits for it may hold the lock of a directory. */
static void drop_stale_entries(struct outage *outage)
{
	struct fusefs *fusefs = outage->daemon->fusefs;
	bool dropped = !fusefs;

	/* One by one, the kernel takes 20 us for each, and has the mount forget it. */
	if (!dropped && outage->stale.count > STALE_ONE_BY_ONE)
		dropped = fusefs_all_entries_changed(fusefs);
	for (size_t i = 0; i < outage->stale.count; i++) {
		struct stale_entry *entry = &outage->stale.items[i];

		if (!dropped)
			fusefs_entry_changed(fusefs, entry->directory, entry->name);
		pool_unref(entry->directory, 1);
		free(entry->name);
	}
	vector_free(&outage->stale);
}

int outage_run(struct daemon *daemon, const struct outage_options *options, struct outage_report *report)
{
	struct outage outage = { .daemon = daemon, .options = options, .report = report };
	LOCK_SCOPE(&daemon->outage_lock);
	bool mappers_are_gone;
	int error;

	if (all_are_lost(daemon)) {
		open_mount(daemon, options);
		return -EIO;
	}
	if (options->at_moment && daemon->fusefs && !fusefs_moment_is_stopped(daemon->fusefs))
		return -ECANCELED;
	count_files(&outage);
	/*
	 * Stop the clients while the mount still answers: a process that waits for the mount in the
	 * kernel cannot end before it gets its answer.
	 */
	mappers_are_gone = attach_power_fails(daemon->attach);
	stop_mount(daemon, &options->chooser);
	for (unsigned i = 0; i < daemon->region_count; i++)
		pools_stop(daemon->regions[i].pools);
	discard_caches(daemon);
	error = decide(&outage, mappers_are_gone);
	discard_caches(daemon);
	for (unsigned i = 0; i < daemon->region_count; i++)
		pools_resume(daemon->regions[i].pools);
	tell_recorder(&outage);
	if (daemon->fusefs)
		fusefs_resume(daemon->fusefs);
	attach_power_returns(daemon->attach);
	drop_stale_entries(&outage);
	return error;
}

/* ---- Snapshots ---------------------------------------------------------------------- */

struct names_noted {
	struct outage *outage;
	struct pool *root;
};

static int note_name(void *context, const char *name, struct pool *pool, uint64_t next)
{
	const struct names_noted *noted = context;

	(void)next;
	note_entry(noted->outage, noted->root, name);
	pool_unref(pool, 1);
	return 0;
}

/*
 * The kernel may know what the names in `of` were, or that there were none: it has to look them up in `in`.
 * Below them it finds nothing of what it knows.
 */
static void note_names(struct outage *outage, struct pool *of, struct pool *in)
{
	struct names_noted noted = { .outage = outage, .root = in };

	pool_readdir(of, 0, note_name, &noted);
}

/* Serve requests on the mount again, and those for the new root. */
static void replace_tree(struct daemon *daemon, const struct served_region *region, bool replaced)
{
	if (!daemon->fusefs)
		return;
	if (replaced)
		fusefs_tree_replaced(daemon->fusefs, region->number);
	fusefs_resume(daemon->fusefs);
}

int outage_restore(struct daemon *daemon, const struct served_region *region,
		   struct region_snapshot *snapshot)
{
	struct outage outage = { .daemon = daemon };
	struct pool *old = pool_root(region->pools), *root;
	int error;

	attach_power_fails(daemon->attach);
	if (daemon->fusefs) {
		fusefs_park(daemon->fusefs);
		fusefs_write_back(daemon->fusefs);
		fusefs_discard(daemon->fusefs);
	}
	/* The names of before are names of the new root's to the kernel: the inode is the same. */
	note_names(&outage, old, old);
	pools_stop(region->pools);
	discard_caches(daemon);
	error = pools_restore(region->pools, snapshot);
	discard_caches(daemon);
	pools_resume(region->pools);
	root = pool_root(region->pools);
	for (size_t i = 0; i < outage.stale.count; i++) {
		pool_unref(outage.stale.items[i].directory, 1);
		pool_ref(root, 1);
		outage.stale.items[i].directory = root;
	}
	if (!error)
		note_names(&outage, root, root);
	replace_tree(daemon, region, !error);
	attach_power_returns(daemon->attach);
	attach_paths_prune(daemon->attach);
	drop_stale_entries(&outage);
	pool_unref(root, 1);
	pool_unref(old, 1);
	return error;
}

void outage_region_lost(struct daemon *daemon, const struct served_region *region)
{
	LOCK_SCOPE(&daemon->outage_lock);

	/* While the mount answers, as above. */
	attach_region_lost(daemon->attach, region->number);
	if (daemon->fusefs)
		fusefs_region_lost(daemon->fusefs, region->number);
}
