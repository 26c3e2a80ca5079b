/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/cleanup.h"
#include "common/rng.h"
#include "wire/frame.h"
#include "daemon/verbs.h"

/* What became of one pool. */
struct line_report {
	const struct served_region *region;
	char *path; /* "" for a pool without a name */
	enum pool_mode mode;
	struct domain_lines lines;
	uint64_t size_before, size_after;
};

/*
 * Kept in memory while the power is off, sent when it is on: a client that reads
 * slowly must not keep the power off.
 */
struct outage {
	struct job *job;
	uint64_t pools; /* how many there are */
	struct line_report *reports;
	size_t count, room;
	struct domain_lines total;
	uint64_t unreported; /* for want of memory */
};

/* The outage as one region has it. */
struct region_outage {
	struct outage *outage;
	const struct served_region *region;
};

static void note_report(void *context, const struct pool_power_report *report)
{
	const struct region_outage *part = context;
	struct outage *outage = part->outage;
	struct line_report *mine;
	char *path = *report->path ? job_show(outage->job->daemon, part->region, report->path) : strdup("");

	reply_progress(outage->job->reply, "deciding what survives", outage->count, outage->pools);
	outage->total.guaranteed += report->lines.guaranteed;
	outage->total.undetermined += report->lines.undetermined;
	outage->total.kept += report->lines.kept;
	outage->total.lost += report->lines.lost;
	if (path && outage->count == outage->room) {
		size_t room = outage->room ? 2 * outage->room : 64;
		void *grown = reallocarray(outage->reports, room, sizeof(*mine));

		if (grown) {
			outage->reports = grown;
			outage->room = room;
		}
	}
	if (!path || outage->count == outage->room) {
		free(path);
		outage->unreported++;
		return;
	}
	outage->reports[outage->count++] = (struct line_report){
		.region = part->region,
		.path = path,
		.mode = report->mode,
		.lines = report->lines,
		.size_before = report->size_before,
		.size_after = report->size_after,
	};
}

/* As fusefs_power_failure(). */
static int cut_pools(struct daemon *daemon, const struct pools_power_options *options)
{
	int result = 0;
	unsigned off;

	for (off = 0; off < daemon->region_count && !result; off++)
		result = pools_power_off(daemon->regions[off].pools);
	if (result)
		off--;
	for (unsigned i = 0; i < daemon->region_count && off == daemon->region_count; i++) {
		struct served_region *region = &daemon->regions[i];
		int error = region_failed(region->region) ? 0 : pools_power_apply(region->pools, &options[i]);

		if (!result && !region_failed(region->region))
			result = error;
	}
	while (off--)
		pools_power_on(daemon->regions[off].pools);
	return result;
}

static int cut_power(struct daemon *daemon, const struct pools_power_options *options)
{
	return daemon->fusefs ? fusefs_power_failure(daemon->fusefs, options) : cut_pools(daemon, options);
}

/*
 * Clients are killed first, while the mount still answers: who waits for it in
 * the kernel does not end before it is answered.
 */
static int fail_power(struct daemon *daemon, struct pools_power_options *options)
{
	bool gone = attach_power_fails(daemon->attach);
	int error;

	for (unsigned i = 0; i < daemon->region_count; i++)
		options[i].mappers_are_gone = gone;
	error = cut_power(daemon, options);
	attach_power_returns(daemon->attach);
	return error;
}

static void put_lines(struct json_object *object, const struct domain_lines *lines)
{
	control_put_u64(object, "lines_guaranteed", lines->guaranteed);
	control_put_u64(object, "lines_undetermined", lines->undetermined);
	control_put_u64(object, "lines_kept", lines->kept);
	control_put_u64(object, "lines_lost", lines->lost);
}

static void send_reports(struct job *job, struct outage *outage)
{
	for (size_t i = 0; i < outage->count; i++) {
		const struct line_report *report = &outage->reports[i];
		struct json_object *item = json_object_new_object();

		if (item) {
			control_put_string(item, "path", report->path);
			job_put_region(job, report->region, item);
			job_put_mode(item, report->mode);
			put_lines(item, &report->lines);
			control_put_u64(item, "size_before", report->size_before);
			control_put_u64(item, "size_after", report->size_after);
		}
		reply_item(job->reply, item);
	}
}

static void outage_free(struct outage *outage)
{
	for (size_t i = 0; i < outage->count; i++)
		free(outage->reports[i].path);
	free(outage->reports);
}

static void put_region(struct json_object *object, const struct served_region *region)
{
	struct pools_info info;

	pools_info(region->pools, &info);
	control_put_u64(object, "generation", info.generation);
	control_put_u64(object, "dirty_shutdowns", info.dirty_shutdowns);
}

/* What the failure made of each of several regions. */
static struct json_object *summarize_regions(const struct daemon *daemon)
{
	struct json_object *regions = json_object_new_array();

	for (unsigned i = 0; regions && i < daemon->region_count; i++) {
		const struct served_region *region = &daemon->regions[i];
		struct json_object *object = json_object_new_object();

		if (!object || json_object_array_add(regions, object) != 0)
			break;
		control_put_string(object, "name", region->name);
		control_put_string(object, "state", region_failed(region->region) ? "failed" : "active");
		put_region(object, region);
	}
	return regions;
}

static struct json_object *summary(struct job *job, const struct pools_power_options *options,
				   const struct outage *outage)
{
	struct json_object *result = json_object_new_object();
	struct daemon *daemon = job->daemon;
	char mark[REQUEST_MARK_MAX + 1];

	if (!result)
		return NULL;
	daemon_last_mark(daemon, mark);
	control_put_string(result, "policy", chooser_policy_name(options->policy));
	if (options->policy == CHOOSER_RANDOM)
		control_put_u64(result, "seed", job->seed);
	if (daemon->region_count == 1)
		put_region(result, &daemon->regions[0]);
	else
		json_object_object_add(result, "regions", summarize_regions(daemon));
	control_put_string(result, "mark", mark);
	put_lines(result, &outage->total);
	if (outage->unreported)
		control_put_u64(result, "unreported_pools", outage->unreported);
	return result;
}

/* 32 bits, so that every JSON reader gives it back as it was. */
static uint64_t draw_seed(void)
{
	uint32_t seed;

	/* Up to 256 bytes are never cut short, and the pool is full long before a daemon starts. */
	(void)!getrandom(&seed, sizeof(seed), 0);
	return seed;
}

/*
 * One seed for all, and coins that differ: pools of two regions have the same
 * numbers. By the name, so that the order in which regions were given, and what
 * is drawn anew when one is formatted, changes nothing.
 */
static uint64_t seed_of(const struct daemon *daemon, const struct served_region *region, uint64_t seed)
{
	const uint64_t fnv_prime = 0x100000001b3u;
	uint64_t hash = 0xcbf29ce484222325u;

	if (daemon->region_count == 1)
		return seed;
	for (const char *at = region->name; *at; at++)
		hash = (hash ^ (unsigned char)*at) * fnv_prime;
	return seed ^ rng_mix(hash);
}

/* "generation 3", or of several "generations: a 3, b 7". */
static void name_generations(const struct daemon *daemon, char *text, size_t size)
{
	size_t at = (size_t)snprintf(text, size, daemon->region_count == 1 ? "generation" : "generations:");

	for (unsigned i = 0; i < daemon->region_count && at < size; i++) {
		const struct served_region *region = &daemon->regions[i];
		unsigned long long generation = pools_generation(region->pools);
		const char *comma = i ? "," : "";

		if (daemon->region_count == 1)
			at += (size_t)snprintf(text + at, size - at, " %llu", generation);
		else if (region_failed(region->region))
			at += (size_t)snprintf(text + at, size - at, "%s %s has failed", comma, region->name);
		else
			at += (size_t)snprintf(text + at, size - at, "%s %s %llu", comma, region->name,
					       generation);
	}
	/* Of very many some are left out: status has them all. */
	if (at >= size)
		strcpy(text + size - sizeof("..."), "...");
}

static void log_outage(struct job *job, const struct pools_power_options *options,
		       const struct outage *outage, int error)
{
	const struct log *log = &job->daemon->log;
	char seed[32] = "", generations[1024];

	if (options->policy == CHOOSER_RANDOM)
		snprintf(seed, sizeof(seed), ", seed %llu", (unsigned long long)job->seed);
	name_generations(job->daemon, generations, sizeof(generations));
	if (error)
		log_line(log, LOG_ERR, "%s (policy %s%s)", job->message.text,
			 chooser_policy_name(options->policy), seed);
	else
		log_line(log, LOG_NOTICE,
			 "power failure: policy %s%s; %s; lines: %llu guaranteed, %llu kept, "
			 "%llu lost",
			 chooser_policy_name(options->policy), seed, generations,
			 (unsigned long long)outage->total.guaranteed, (unsigned long long)outage->total.kept,
			 (unsigned long long)outage->total.lost);
}

/* Power fails in a machine, not in a region. Of one whose media are lost nothing can be said but that. */
static int check_regions(struct job *job)
{
	int error = 0;

	for (unsigned i = 0; i < job->daemon->region_count; i++) {
		error = region_failure(job->daemon->regions[i].region, &job->message);
		if (!error)
			break;
	}
	return error;
}

static int fail_regions(struct job *job, struct outage *outage)
{
	struct daemon *daemon = job->daemon;
	struct pools_power_options options[REGIONS_MAX];
	struct region_outage parts[REGIONS_MAX];
	int error;

	for (unsigned i = 0; i < daemon->region_count; i++) {
		struct served_region *region = &daemon->regions[i];
		struct pools_info info;

		pools_info(region->pools, &info);
		outage->pools += info.pools;
		parts[i] = (struct region_outage){ .outage = outage, .region = region };
		options[i] = (struct pools_power_options){ .policy = job->request->policy,
							   .seed = seed_of(daemon, region, job->seed),
							   .report = note_report,
							   .context = &parts[i] };
	}
	error = fail_power(daemon, options);
	if (error == -EBUSY)
		message_fail(&job->message, error, "powerfail: a power failure is under way: try again");
	else if (error)
		message_fail(&job->message, error, "powerfail: %s: see the daemon's log", strerror(-error));
	log_outage(job, options, outage, error);
	if (!error)
		job->result = summary(job, options, outage);
	return error;
}

int verb_powerfail(struct job *job)
{
	struct outage outage = { .job = job };
	int error = check_regions(job), lost;

	if (error)
		return error;
	job->seed = job->request->has_seed ? job->request->seed : draw_seed();
	error = fail_regions(job, &outage);
	if (!error)
		send_reports(job, &outage);
	outage_free(&outage);
	/* The last of them was taken away meanwhile. */
	lost = check_regions(job);
	return lost ? lost : error;
}
