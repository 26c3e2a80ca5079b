/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/cleanup.h"
#include "control.h"
#include "verbs.h"

/* What became of one pool. */
struct line_report {
	char *path;
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

static void note_report(void *context, const struct pool_power_report *report)
{
	struct outage *outage = context;
	struct line_report *mine;
	char *path = strdup(report->path);

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
		.path = path,
		.mode = report->mode,
		.lines = report->lines,
		.size_before = report->size_before,
		.size_after = report->size_after,
	};
}

static int cut_power(struct daemon *daemon, const struct pools_power_options *options)
{
	int error;

	if (daemon->fusefs)
		return fusefs_power_failure(daemon->fusefs, options);
	error = pools_power_off(daemon->pools);
	if (error)
		return error;
	error = pools_power_apply(daemon->pools, options);
	pools_power_on(daemon->pools);
	return error;
}

/*
 * Clients are killed first, while the mount still answers: who waits for it in
 * the kernel does not end before it is answered.
 */
static int fail_power(struct daemon *daemon, const struct pools_power_options *options)
{
	struct pools_power_options known = *options;
	int error;

	known.mappers_are_gone = attach_power_fails(daemon->attach);
	error = cut_power(daemon, &known);
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

static struct json_object *summary(struct job *job, const struct pools_power_options *options,
				   const struct outage *outage)
{
	struct json_object *result = json_object_new_object();
	char mark[REQUEST_MARK_MAX + 1];
	struct pools_info info;

	if (!result)
		return NULL;
	pools_info(job->daemon->pools, &info);
	daemon_last_mark(job->daemon, mark);
	control_put_string(result, "policy", domain_policy_name(options->policy));
	if (options->policy == DOMAIN_RANDOM)
		control_put_u64(result, "seed", options->seed);
	control_put_u64(result, "generation", info.generation);
	control_put_u64(result, "dirty_shutdowns", info.dirty_shutdowns);
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

static void log_outage(struct job *job, const struct pools_power_options *options,
		       const struct outage *outage, int error)
{
	const struct log *log = &job->daemon->log;
	char seed[32] = "";

	if (options->policy == DOMAIN_RANDOM)
		snprintf(seed, sizeof(seed), ", seed %llu", (unsigned long long)options->seed);
	if (error)
		log_line(log, LOG_ERR, "%s (policy %s%s)", job->message.text,
			 domain_policy_name(options->policy), seed);
	else
		log_line(log, LOG_NOTICE,
			 "power failure: policy %s%s; generation %llu; lines: %llu guaranteed, %llu kept, "
			 "%llu lost",
			 domain_policy_name(options->policy), seed,
			 (unsigned long long)pools_generation(job->daemon->pools),
			 (unsigned long long)outage->total.guaranteed, (unsigned long long)outage->total.kept,
			 (unsigned long long)outage->total.lost);
}

int verb_powerfail(struct job *job)
{
	struct outage outage = { .job = job };
	struct pools_info info;
	struct pools_power_options options = {
		.policy = job->request->policy,
		.seed = job->request->has_seed ? job->request->seed : draw_seed(),
		.report = note_report,
		.context = &outage,
	};
	int error;

	pools_info(job->daemon->pools, &info);
	outage.pools = info.pools;
	error = fail_power(job->daemon, &options);
	if (error == -EBUSY)
		message_fail(&job->message, error, "powerfail: a power failure is under way: try again");
	else if (error)
		message_fail(&job->message, error, "powerfail: %s: see the daemon's log", strerror(-error));
	log_outage(job, &options, &outage, error);
	if (!error) {
		job->result = summary(job, &options, &outage);
		send_reports(job, &outage);
	}
	outage_free(&outage);
	return error;
}
