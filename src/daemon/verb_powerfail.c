/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/align.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "wire/frame.h"
#include "daemon/mount_users.h"
#include "daemon/outage.h"
#include "daemon/verbs.h"

/*
 * How often a request that waits for its moment tells its client how far it is, and looks whether the client
 * is still there. Whatever depends on that looks by itself (moment.c).
 */
#define LOOK_MS 200
#define WAIT_MAX_S (365u * 86400)

struct powerfail_request {
	enum chooser_policy policy; /* CHOOSER_LOSE if it is not given */
	struct request_number seed;
	const char *metadata; /* NULL: each region's own mode */
	const char *lose_only; /* a limit of what is lost (chooser.h); NULL: none */
	/* The moment: at most one of these. */
	uint64_t before_op, after_op, before_sync, after_sync, before_fence, after_fence;
	const char *at_mark;
	const char *pattern;	    /* of the paths that count */
	struct request_number wait; /* the most seconds to wait for the moment */
	bool kill;		    /* the processes that use the mount */
	bool kill_own;		    /* only those that the client has started */
};
_Static_assert(CHOOSER_LOSE == 0, "a policy that is not given is a zero");

static int parse_policy(const char *text, void *policy)
{
	return chooser_policy_parse(text, policy);
}

static const struct request_field fields[] = {
	REQUEST_FIELD("policy", REQUEST_WORD, struct powerfail_request, policy, .parse = parse_policy),
	REQUEST_FIELD("seed", REQUEST_NUMBER, struct powerfail_request, seed),
	REQUEST_FIELD("metadata", REQUEST_STRING, struct powerfail_request, metadata),
	REQUEST_FIELD("lose_only", REQUEST_STRING, struct powerfail_request, lose_only),
	REQUEST_FIELD("before_op", REQUEST_U64, struct powerfail_request, before_op),
	REQUEST_FIELD("after_op", REQUEST_U64, struct powerfail_request, after_op),
	REQUEST_FIELD("before_sync", REQUEST_U64, struct powerfail_request, before_sync),
	REQUEST_FIELD("after_sync", REQUEST_U64, struct powerfail_request, after_sync),
	REQUEST_FIELD("before_fence", REQUEST_U64, struct powerfail_request, before_fence),
	REQUEST_FIELD("after_fence", REQUEST_U64, struct powerfail_request, after_fence),
	REQUEST_FIELD("at_mark", REQUEST_STRING, struct powerfail_request, at_mark),
	REQUEST_FIELD("pattern", REQUEST_STRING, struct powerfail_request, pattern),
	REQUEST_FIELD("wait", REQUEST_NUMBER, struct powerfail_request, wait),
	REQUEST_FIELD("kill", REQUEST_BOOL, struct powerfail_request, kill),
	REQUEST_FIELD("kill_own", REQUEST_BOOL, struct powerfail_request, kill_own),
	REQUEST_FIELDS_END,
};

static int check(const void *decoded, struct message *message)
{
	const struct powerfail_request *request = decoded;
	const bool fence = request->before_fence || request->after_fence;
	int events = (request->before_op > 0) + (request->after_op > 0) + (request->before_sync > 0) +
		     (request->after_sync > 0) + (request->before_fence > 0) +
		     (request->after_fence > 0) + (request->at_mark != NULL);
	struct chooser_limit limit;
	enum metadata_mode mode;

	if (request->lose_only && chooser_limit_parse(request->lose_only, &limit) < 0)
		return message_fail(message, -EINVAL,
				    "powerfail: --lose-only '%.64s': give a set that torture has printed",
				    request->lose_only);
	if (request->metadata && metadata_mode_parse(request->metadata, &mode) < 0)
		return message_fail(message, -EINVAL,
				    "powerfail: metadata '%s': give durable, ordered or strict",
				    request->metadata);
	if (events > 1)
		return message_fail(message, -EINVAL, "powerfail: an outage has one moment: give one event");
	if (request->at_mark && (!*request->at_mark || strlen(request->at_mark) > REQUEST_MARK_MAX))
		return message_fail(message, -EINVAL, "powerfail: the text of a mark has 1 to %d bytes",
				    REQUEST_MARK_MAX);
	if (request->pattern && (!events || request->at_mark || fence))
		return message_fail(
			message, -EINVAL,
			"powerfail: a pattern of paths is for the number of an operation or sync");
	if (request->wait.given && !events)
		return message_fail(message, -EINVAL,
				    "powerfail: without an event there is nothing to wait for");
	return 0;
}

/* ---- The moment ------------------------------------------------------------------ */

static bool kills(const struct powerfail_request *request)
{
	return request->kill || request->kill_own;
}

static struct moment_wanted wanted_moment(const struct job *job)
{
	const struct powerfail_request *request = job->request;
	const uint64_t op = request->before_op + request->after_op;
	const uint64_t sync = request->before_sync + request->after_sync;
	const uint64_t fence = request->before_fence + request->after_fence;

	/* check() let at most one of the numbers through. */
	return (struct moment_wanted){
		.event = request->at_mark ? MOMENT_MARK :
			 op		  ? MOMENT_CHANGE :
			 sync		  ? MOMENT_SYNC :
			 fence		  ? MOMENT_FENCE :
					    MOMENT_NOW,
		.after = request->after_op || request->after_sync || request->after_fence,
		.number = op + sync + fence,
		.pattern = request->pattern,
		.mark = request->at_mark,
		.holds = kills(request),
		.reply = job->reply,
	};
}

static struct fusefs_event seen_event(const struct daemon *daemon)
{
	struct fusefs_event seen = { .operation = "" };

	if (daemon->fusefs)
		fusefs_moment_seen(daemon->fusefs, &seen);
	return seen;
}

static const char *event_name(const struct moment_wanted *wanted)
{
	switch (wanted->event) {
	case MOMENT_MARK:
		return "mark";
	case MOMENT_FENCE:
		return "fence";
	case MOMENT_SYNC:
		return "sync";
	default:
		return "operation";
	}
}

/* How many events of the kind came since the moment was armed. */
static uint64_t seen_number(struct daemon *daemon, const struct moment_wanted *wanted)
{
	pid_t pid;

	return wanted->event == MOMENT_FENCE ? moment_fences(daemon, &pid) : seen_event(daemon).number;
}

static int give_up(struct job *job, const struct moment_wanted *wanted)
{
	if (wanted->event == MOMENT_MARK)
		return message_fail(&job->message, -ETIMEDOUT,
				    "powerfail: the mark '%s' did not come: the power is still on",
				    wanted->mark);
	return message_fail(&job->message, -ETIMEDOUT,
			    "powerfail: only %llu of %llu %ss came: the power is still on",
			    (unsigned long long)seen_number(job->daemon, wanted),
			    (unsigned long long)wanted->number, event_name(wanted));
}

static bool has_left(const struct reply *reply)
{
	return reply_has_hung_up(reply) || reply_is_broken(reply);
}

/* Wait until the mount has stopped at the event. */
static int await_moment(struct job *job, const struct moment_wanted *wanted)
{
	const struct powerfail_request *request = job->request;
	const uint64_t until = request->wait.given ?
				       clock_ms() + min_u64(request->wait.value, WAIT_MAX_S) * 1000 :
				       UINT64_MAX;
	int error = moment_arm(job->daemon, wanted, &job->message);

	if (error)
		return error;
	/* At once: the client may wait for this before it starts what leads to the moment. */
	reply_progress(job->reply, "waiting for the moment", 0, wanted->number);
	while (!moment_wait(job->daemon, LOOK_MS)) {
		reply_progress(job->reply, "waiting for the moment", seen_number(job->daemon, wanted),
			       wanted->number);
		if ((has_left(job->reply) || clock_ms() >= until) && moment_disarm(job->daemon))
			return give_up(job, wanted);
	}
	return 0;
}

static void put_moment(struct daemon *daemon, const struct moment_wanted *wanted,
		       struct json_object *result)
{
	struct json_object *moment;

	if (wanted->event == MOMENT_NOW)
		return;
	moment = json_object_new_object();
	if (!moment)
		return;
	control_put_string(moment, "event", event_name(wanted));
	if (wanted->event == MOMENT_MARK) {
		control_put_string(moment, "mark", wanted->mark);
	} else {
		control_put_string(moment, "when", wanted->after ? "after" : "before");
		control_put_u64(moment, "number", seen_number(daemon, wanted));
	}
	if (wanted->event == MOMENT_FENCE) {
		pid_t pid;

		moment_fences(daemon, &pid);
		control_put_u64(moment, "pid", (uint64_t)pid);
	} else if (wanted->event != MOMENT_MARK) {
		const struct fusefs_event seen = seen_event(daemon);

		control_put_string(moment, "operation", seen.operation);
		control_put_string(moment, "path", seen.path);
	}
	json_object_object_add(result, "moment", moment);
}

static void send_progress(void *context, uint64_t done, uint64_t total)
{
	struct job *job = context;

	reply_progress(job->reply, "deciding what survives", done, total);
}

static void put_lines(struct json_object *object, const struct domain_lines *lines)
{
	control_put_u64(object, "lines_guaranteed", lines->guaranteed);
	control_put_u64(object, "lines_undetermined", lines->undetermined);
	control_put_u64(object, "lines_kept", lines->kept);
	control_put_u64(object, "lines_lost", lines->lost);
}

static void send_files(struct job *job, const struct outage_report *report)
{
	for (size_t i = 0; i < report->files.count; i++) {
		const struct outage_file *file = &report->files.items[i];
		CLEANUP_FREE char *shown = NULL;
		struct json_object *item = json_object_new_object();

		if (*file->path)
			shown = job_show(job->daemon, file->region, file->path);
		if (item) {
			control_put_string(item, "path", shown ? shown : file->path);
			job_put_region(job, file->region, item);
			job_put_mode(item, file->mode);
			put_lines(item, &file->lines);
			control_put_u64(item, "size_before", file->size_before);
			control_put_u64(item, "size_after", file->size_after);
		}
		reply_item(job->reply, item);
	}
}

static void send_lost(struct job *job, const struct outage_report *report)
{
	for (size_t i = 0; i < report->lost.count; i++) {
		const struct outage_lost *lost = &report->lost.items[i];
		CLEANUP_FREE char *shown = job_show(job->daemon, lost->region, lost->path);
		struct json_object *item = json_object_new_object();

		if (item) {
			control_put_string(item, "operation", lost->operation);
			control_put_string(item, "path", shown ? shown : lost->path);
		}
		if (item && lost->to_path) {
			CLEANUP_FREE char *to_shown = job_show(job->daemon, lost->region, lost->to_path);

			control_put_string(item, "to_path", to_shown ? to_shown : lost->to_path);
		}
		if (item)
			job_put_region(job, lost->region, item);
		reply_item(job->reply, item);
	}
}

static void put_region(struct json_object *object, const struct served_region *region)
{
	struct pools_info info;

	pools_info(region->pools, &info);
	control_put_u64(object, "generation", info.generation);
	control_put_u64(object, "dirty_shutdowns", info.dirty_shutdowns);
}

/* The state of each region. */
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

static struct json_object *summary(struct job *job, const struct chooser *chooser,
				   const struct outage_report *report)
{
	struct json_object *result = json_object_new_object();
	struct daemon *daemon = job->daemon;
	char mark[REQUEST_MARK_MAX + 1];

	if (!result)
		return NULL;
	daemon_last_mark(daemon, mark);
	control_put_string(result, "policy", chooser_policy_name(chooser->policy));
	if (chooser->policy == CHOOSER_RANDOM)
		control_put_u64(result, "seed", chooser->seed);
	json_object_object_add(result, "regions", summarize_regions(daemon));
	control_put_string(result, "mark", mark);
	put_lines(result, &report->total);
	control_put_u64(result, "operations_lost", report->lost.count + report->unreported_lost);
	if (report->unreported)
		control_put_u64(result, "unreported_pools", report->unreported);
	return result;
}

/* A seed of 32 bits: every JSON reader keeps such a number exactly. */
static uint64_t draw_seed(void)
{
	uint32_t seed;

	/*
	 * A read of up to 256 bytes is never short, and the pool of the kernel is initialized long before
	 * a daemon starts.
	 */
	(void)!getrandom(&seed, sizeof(seed), 0);
	return seed;
}

/* "generation 3"; with several regions "generations: a 3, b 7". */
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
	/* Truncated if there are very many regions: `softpmem status` lists all. */
	if (at >= size)
		strcpy(text + size - sizeof("..."), "...");
}

static void log_outage(struct job *job, const struct chooser *chooser, const struct outage_report *report,
		       int error)
{
	char seed[32] = "", generations[1024];

	if (chooser->policy == CHOOSER_RANDOM)
		snprintf(seed, sizeof(seed), ", seed %llu", (unsigned long long)chooser->seed);
	name_generations(job->daemon, generations, sizeof(generations));
	if (error)
		daemon_log_for(job->daemon, job->peer->uid, LOG_ERR, "%s (policy %s%s)", job->message.text,
			chooser_policy_name(chooser->policy), seed);
	else
		daemon_log_for(job->daemon, job->peer->uid, LOG_NOTICE,
			"power failure: policy %s%s; %s; lines: %llu guaranteed, %llu kept, %llu lost; "
			"operations: %zu lost",
			chooser_policy_name(chooser->policy), seed, generations,
			(unsigned long long)report->total.guaranteed, (unsigned long long)report->total.kept,
			(unsigned long long)report->total.lost, report->lost.count);
}

static int explain(struct job *job, int error)
{
	if (error == -ECANCELED)
		return message_fail(&job->message, error,
				    "powerfail: another power failure came at the same moment: try again");
	return message_fail(&job->message, error, "powerfail: %s: see the daemon's log", strerror(-error));
}

static enum metadata_mode wanted_metadata(const struct powerfail_request *request)
{
	/* That of the regions is the same or stronger. */
	enum metadata_mode mode = METADATA_STRICT;

	/* check() has parsed it before. */
	if (request->metadata)
		metadata_mode_parse(request->metadata, &mode);
	return mode;
}

/* Operations that a stronger mode has committed cannot be lost any more. */
static int check_metadata(struct job *job)
{
	const struct powerfail_request *request = job->request;
	enum metadata_mode own = METADATA_DURABLE;

	for (unsigned i = 0; request->metadata && i < job->daemon->region_count; i++) {
		struct pools_info info;

		pools_info(job->daemon->regions[i].pools, &info);
		if (info.weakest_metadata > own)
			own = info.weakest_metadata;
	}
	if (!request->metadata || wanted_metadata(request) <= own)
		return 0;
	return message_fail(&job->message, -EINVAL,
			    "powerfail: metadata '%s': the daemon has made durable what this mode could "
			    "lose: start it with --metadata %s (now: %s)",
			    request->metadata, request->metadata, metadata_mode_name(own));
}

/* A limit is of one seed. */
static uint64_t wanted_seed(const struct powerfail_request *request)
{
	return request->seed.given ? request->seed.value : request->lose_only ? 0 : draw_seed();
}

/* The mount is stopped, if there is a moment. */
static int fail_power(struct job *job, const struct moment_wanted *wanted)
{
	const struct powerfail_request *request = job->request;
	struct chooser_limit limit;
	/* check() has parsed the limit before. */
	const bool limited = request->lose_only && chooser_limit_parse(request->lose_only, &limit) == 0;
	const struct outage_options options = {
		.chooser = { .policy = request->policy,
			     .seed = wanted_seed(request),
			     .limit = limited ? &limit : NULL },
		.metadata = wanted_metadata(request),
		.at_moment = wanted->event != MOMENT_NOW || kills(request),
		.progress = send_progress,
		.context = job,
	};
	struct outage_report report = { 0 };
	unsigned killed = 0;
	int error;

	if (kills(request)) {
		/* No process sees that the power is off: each ends at the moment. */
		if (wanted->event == MOMENT_NOW && job->daemon->fusefs)
			fusefs_moment_now(job->daemon->fusefs, true);
		killed = request->kill ? mount_users_kill(job->daemon, job->peer->pid) :
					 mount_users_kill_below(job->daemon, job->peer->pid);
		if (job->daemon->fusefs)
			fusefs_moment_release(job->daemon->fusefs);
	}
	error = outage_run(job->daemon, &options, &report);
	if (error)
		explain(job, error);
	log_outage(job, &options.chooser, &report, error);
	if (!error) {
		job->result = summary(job, &options.chooser, &report);
		if (job->result) {
			put_moment(job->daemon, wanted, job->result);
			if (kills(request))
				control_put_u64(job->result, "killed", killed);
		}
		send_files(job, &report);
		send_lost(job, &report);
	}
	outage_report_free(&report);
	return error;
}

static int run(struct job *job)
{
	const struct moment_wanted wanted = wanted_moment(job);
	/* Power fails for the whole machine: regions that work take part. */
	int error = job_any_region(job), lost;

	if (!error)
		error = check_metadata(job);
	if (!error && wanted.event != MOMENT_NOW)
		error = await_moment(job, &wanted);
	if (error)
		return error;
	error = fail_power(job, &wanted);
	if (wanted.event != MOMENT_NOW)
		moment_end(job->daemon);
	/* The last region may have been lost in the meantime. */
	lost = job_any_region(job);
	return lost ? lost : error;
}

const struct verb verb_powerfail = {
	.name = "powerfail",
	.fields = fields,
	.request_bytes = sizeof(struct powerfail_request),
	.check = check,
	.run = run,
};
