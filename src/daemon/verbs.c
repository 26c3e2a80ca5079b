/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/verbs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/checkreport.h"
#include "common/cleanup.h"
#include "wire/frame.h"

int job_fail(struct job *job, int error, const char *path)
{
	static const struct {
		int error;
		const char *way_out;
	} ways_out[] = {
		{ ENOENT, "see softpmem list" },
		{ EEXIST, "destroy it first, or choose another name" },
		{ ENOTDIR, "a part of the path is not a directory" },
		{ EISDIR, "it is a directory" },
		{ ENOTEMPTY, "--recursive destroys what is in it too" },
		{ ENOSPC, "destroy pools, or give the daemon a larger region" },
		{ EFBIG, "a pool has at most 16 TiB" },
		{ ENAMETOOLONG, "a name has at most 255 bytes" },
		{ EROFS, "the daemon runs with --read-only" },
		{ EBUSY, "try again" },
	};

	for (size_t i = 0; i < sizeof(ways_out) / sizeof(ways_out[0]); i++)
		if (ways_out[i].error == -error)
			return message_fail(&job->message, error, "%.512s: %s: %s", path, strerror(-error),
					    ways_out[i].way_out);
	return message_fail(&job->message, error, "%.512s: %s", path, strerror(-error));
}

void job_put_mode(struct json_object *object, enum pool_mode mode)
{
	control_put_string(object, "mode", pool_mode_name(mode));
	if (mode != POOL_MODE_FSDAX)
		control_put_u64(object, "sector_size", (uint64_t)mode);
}

void daemon_last_mark(struct daemon *daemon, char mark[REQUEST_MARK_MAX + 1])
{
	LOCK_SCOPE(&daemon->mark_lock);

	strcpy(mark, daemon->mark);
}

void job_entry_changed(struct job *job, struct pool *directory, const char *name)
{
	if (job->daemon->fusefs)
		fusefs_entry_changed(job->daemon->fusefs, directory, name);
}

void job_put_uuid(struct json_object *object, const uint8_t uuid[16])
{
	char text[37], *at = text;

	for (int i = 0; i < 16; i++)
		at += sprintf(at, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", uuid[i]);
	control_put_string(object, "uuid", text);
}

/* The members that tell of a region. */
static void put_region(struct json_object *object, const struct served_region *served)
{
	struct pools_info info;
	struct message why;
	bool failed = region_failure(served->region, &why);

	pools_info(served->pools, &info);
	control_put_string(object, "name", served->name);
	control_put_string(object, "region", served->spec);
	control_put_string(object, "state", failed ? "failed" : "active");
	if (failed)
		control_put_string(object, "reason", why.text);
	job_put_uuid(object, info.uuid);
	control_put_string(object, "label", info.label);
	control_put_u64(object, "size", info.size);
	control_put_u64(object, "available_size", info.free);
	control_put_u64(object, "volatile_size", info.volatile_bytes);
	control_put_string(object, "memory_type", region_memory_type(served->region));
	control_put_string(object, "persistence_domain", persistence_domain_name(info.domain));
	job_put_mode(object, info.mode);
	control_put_bool(object, "read_only", info.read_only);
	control_put_u64(object, "generation", info.generation);
	control_put_u64(object, "dirty_shutdowns", info.dirty_shutdowns);
	control_put_u64(object, "pools", info.pools);
	control_put_u64(object, "directories", info.directories);
	control_put_u64(object, "created", (uint64_t)info.created);
}

/* "active", "degraded" (some have failed) or "failed" */
static const char *state_of_all(const struct daemon *daemon)
{
	unsigned failed = 0;

	for (unsigned i = 0; i < daemon->region_count; i++)
		failed += region_failed(daemon->regions[i].region);
	if (!failed)
		return "active";
	return failed == daemon->region_count ? "failed" : "degraded";
}

/* All of them are in "regions"; of one alone the members are also at the top. */
static int verb_status(struct job *job)
{
	struct daemon *daemon = job->daemon;
	CLEANUP_JSON struct json_object *regions = json_object_new_array();
	struct json_object *result = json_object_new_object();
	char mark[REQUEST_MARK_MAX + 1];

	job->result = result;
	if (!result || !regions)
		return job_fail(job, -ENOMEM, "status");
	for (unsigned i = 0; i < daemon->region_count; i++) {
		struct json_object *object = json_object_new_object();

		if (!object || json_object_array_add(regions, object) != 0)
			return job_fail(job, -ENOMEM, "status");
		put_region(object, &daemon->regions[i]);
	}
	if (daemon->region_count == 1)
		put_region(result, &daemon->regions[0]);
	else
		control_put_string(result, "state", state_of_all(daemon));
	daemon_last_mark(daemon, mark);
	json_object_object_add(result, "regions", steal_pointer(&regions));
	if (daemon->mountpoint)
		control_put_string(result, "mount", daemon->mountpoint);
	control_put_string(result, "mark", mark);
	control_put_u64(result, "pid", (uint64_t)getpid());
	control_put_string(result, "version", PACKAGE_VERSION);
	return 0;
}

static int verb_mark(struct job *job)
{
	struct daemon *daemon = job->daemon;

	pthread_mutex_lock(&daemon->mark_lock);
	strcpy(daemon->mark, job->request->text);
	pthread_mutex_unlock(&daemon->mark_lock);
	log_line(&daemon->log, LOG_NOTICE, "mark: %s", job->request->text);
	return 0;
}

/* ---- check ------------------------------------------------------------------- */

struct findings {
	struct job *job;
	struct pools_problem *problems;
	size_t count, room;
	bool overflow;
};

static void note_problem(void *context, const struct pools_problem *problem)
{
	struct findings *findings = context;

	if (findings->count == findings->room) {
		size_t room = findings->room ? 2 * findings->room : 16;
		void *grown = reallocarray(findings->problems, room, sizeof(*problem));

		if (!grown) {
			findings->overflow = true;
			return;
		}
		findings->problems = grown;
		findings->room = room;
	}
	findings->problems[findings->count++] = *problem;
}

static void check_progress(void *context, const char *what, uint64_t done, uint64_t total)
{
	struct findings *findings = context;

	reply_progress(findings->job->reply, what, done, total);
}

static int pass(struct job *job, const struct served_region *region, struct findings *findings,
		struct pools_check_result *result)
{
	struct pools_check_options options = { .problem = note_problem,
					       .progress = check_progress,
					       .context = findings };
	int error;

	*findings = (struct findings){ .job = job };
	error = pools_check(region->region, &options, result, &job->message);
	return findings->overflow ? job_fail(job, -ENOMEM, "check") : error;
}

static bool is_among(const struct findings *findings, const struct pools_problem *problem)
{
	for (size_t i = 0; i < findings->count; i++)
		if (findings->problems[i].kind == problem->kind &&
		    findings->problems[i].offset == problem->offset &&
		    strcmp(findings->problems[i].text, problem->text) == 0)
			return true;
	return false;
}

/* Send what both passes found, and count it. */
static void send_problems(struct job *job, const struct served_region *region, const struct findings *first,
			  const struct findings *second, struct pools_check_result *result)
{
	uint64_t counts[] = { [POOLS_LEFTOVER] = 0, [POOLS_REDUNDANT] = 0, [POOLS_DAMAGE] = 0 };

	for (size_t i = 0; i < second->count; i++) {
		struct json_object *item;

		if (!is_among(first, &second->problems[i]))
			continue;
		counts[second->problems[i].kind]++;
		item = checkreport_problem(&second->problems[i]);
		if (item)
			job_put_region(job, region, item);
		reply_item(job->reply, item);
	}
	result->leftovers = counts[POOLS_LEFTOVER];
	result->redundant = counts[POOLS_REDUNDANT];
	result->damaged = counts[POOLS_DAMAGE];
}

/*
 * Others change the metadata while it is read, and a half-written entry looks
 * like a damaged one. What two passes find in the same place is there.
 */
static int check_region(struct job *job, const struct served_region *region, struct json_object **report)
{
	struct findings first, second = { 0 };
	struct pools_check_result result;
	int error = pass(job, region, &first, &result);

	if ((error == 0 || error == -EUCLEAN) && first.count)
		error = pass(job, region, &second, &result);
	if (region_failed(region->region))
		error = region_failure(region->region, &job->message);
	if (error == 0 || error == -EUCLEAN) {
		send_problems(job, region, &first, &second, &result);
		*report = checkreport_result(region->spec, &result);
		error = 0;
		if (result.damaged)
			error = message_fail(&job->message, -EUCLEAN,
					     "region %s: damaged in %llu places: stop the daemon, "
					     "then save what is there with softpmemd --read-only",
					     region->spec, (unsigned long long)result.damaged);
	}
	free(first.problems);
	free(second.problems);
	return error;
}

/* Of those that fail the last is told; the rest is checked and reported. */
static int check_all(struct job *job)
{
	struct json_object *reports = json_object_new_array();
	int result = 0;

	job->result = json_object_new_object();
	if (!reports || !job->result || json_object_object_add(job->result, "regions", reports) != 0)
		return job_fail(job, -ENOMEM, "check");
	for (unsigned i = 0; i < job->daemon->region_count; i++) {
		const struct served_region *region = &job->daemon->regions[i];
		struct json_object *report = NULL;
		int error = check_region(job, region, &report);

		if (report) {
			control_put_string(report, "name", region->name);
			json_object_array_add(reports, report);
		}
		result = error ? error : result;
	}
	return result;
}

static int verb_check(struct job *job)
{
	int error = job_region(job);

	if (error)
		return error;
	return job->region ? check_region(job, job->region, &job->result) : check_all(job);
}

/* ---- All of them --------------------------------------------------------------- */

void verbs_handle(void *context, const struct request *request, const struct peer *peer, struct reply *reply)
{
	static verb_fn *const verbs[REQUEST_VERBS] = {
		[REQUEST_STATUS] = verb_status, [REQUEST_LIST] = verb_list,
		[REQUEST_CREATE] = verb_create, [REQUEST_DESTROY] = verb_destroy,
		[REQUEST_PATH] = verb_path,	[REQUEST_POWERFAIL] = verb_powerfail,
		[REQUEST_MARK] = verb_mark,	[REQUEST_CHECK] = verb_check,
		[REQUEST_STAT] = verb_stat,
	};
	struct job job = { .daemon = context, .request = request, .peer = peer, .reply = reply };
	int error = verbs[request->verb](&job);

	/* Also if it failed: for want of its media, then, and not for what it made of them. */
	if (job.region && region_failed(job.region->region))
		error = region_failure(job.region->region, &job.message);
	log_line(&job.daemon->log, LOG_DEBUG, "control: pid %d, uid %u: %s%s%s: %s", (int)peer->pid,
		 peer->uid, request_verb_name(request->verb), request->path ? " " : "",
		 request->path ? request->path : "", error ? job.message.text : "done");
	reply_final(reply, error, error ? job.message.text : "", job.result);
	free(job.path);
	free(job.shown);
}
