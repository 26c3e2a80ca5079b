/* SPDX-License-Identifier: BSD-3-Clause */
#include "verbs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkreport.h"
#include "common/cleanup.h"
#include "control.h"

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

static int verb_status(struct job *job)
{
	struct daemon *daemon = job->daemon;
	struct json_object *result = json_object_new_object();
	char mark[REQUEST_MARK_MAX + 1];
	struct pools_info info;
	struct message why;

	if (!result)
		return job_fail(job, -ENOMEM, "status");
	pools_info(daemon->pools, &info);
	daemon_last_mark(daemon, mark);
	control_put_string(result, "region", daemon->options.region);
	control_put_string(result, "state", region_failure(daemon->region, &why) ? "failed" : "active");
	if (region_failed(daemon->region))
		control_put_string(result, "reason", why.text);
	job_put_uuid(result, info.uuid);
	control_put_string(result, "label", info.label);
	control_put_u64(result, "size", info.size);
	control_put_u64(result, "available_size", info.free);
	control_put_u64(result, "volatile_size", info.volatile_bytes);
	control_put_string(result, "memory_type", region_memory_type(daemon->region));
	control_put_string(result, "persistence_domain", domain_kind_name(info.domain));
	job_put_mode(result, info.mode);
	control_put_bool(result, "read_only", info.read_only);
	control_put_u64(result, "generation", info.generation);
	control_put_u64(result, "dirty_shutdowns", info.dirty_shutdowns);
	control_put_u64(result, "pools", info.pools);
	control_put_u64(result, "directories", info.directories);
	control_put_u64(result, "created", (uint64_t)info.created);
	if (daemon->mountpoint)
		control_put_string(result, "mount", daemon->mountpoint);
	control_put_string(result, "mark", mark);
	control_put_u64(result, "pid", (uint64_t)getpid());
	control_put_string(result, "version", PACKAGE_VERSION);
	job->result = result;
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

static int pass(struct job *job, struct findings *findings, struct pools_check_result *result)
{
	struct pools_check_options options = { .problem = note_problem,
					       .progress = check_progress,
					       .context = findings };
	int error;

	*findings = (struct findings){ .job = job };
	error = pools_check(job->daemon->region, &options, result, &job->message);
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
static void send_problems(struct job *job, const struct findings *first, const struct findings *second,
			  struct pools_check_result *result)
{
	uint64_t counts[] = { [POOLS_LEFTOVER] = 0, [POOLS_REDUNDANT] = 0, [POOLS_DAMAGE] = 0 };

	for (size_t i = 0; i < second->count; i++) {
		if (!is_among(first, &second->problems[i]))
			continue;
		counts[second->problems[i].kind]++;
		reply_item(job->reply, checkreport_problem(&second->problems[i]));
	}
	result->leftovers = counts[POOLS_LEFTOVER];
	result->redundant = counts[POOLS_REDUNDANT];
	result->damaged = counts[POOLS_DAMAGE];
}

/*
 * Others change the metadata while it is read, and a half-written entry looks
 * like a damaged one. What two passes find in the same place is there.
 */
static int verb_check(struct job *job)
{
	const char *region = job->daemon->options.region;
	struct findings first, second = { 0 };
	struct pools_check_result result;
	int error = pass(job, &first, &result);

	if ((error == 0 || error == -EUCLEAN) && first.count)
		error = pass(job, &second, &result);
	if (error == 0 || error == -EUCLEAN) {
		send_problems(job, &first, &second, &result);
		job->result = checkreport_result(region, &result);
		error = 0;
		if (result.damaged)
			error = message_fail(&job->message, -EUCLEAN,
					     "region %s: damaged in %llu places: stop the daemon, "
					     "then save what is there with softpmemd --read-only",
					     region, (unsigned long long)result.damaged);
	}
	free(first.problems);
	free(second.problems);
	return error;
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
	bool works = request->verb == REQUEST_STATUS || request->verb == REQUEST_MARK;
	/* Of media that are gone nothing is to be said but that. */
	int error = works ? 0 : region_failure(job.daemon->region, &job.message);

	if (!error)
		error = verbs[request->verb](&job);
	/* Also if it failed: for want of its media, then, and not for what it made of them. */
	if (!works && region_failed(job.daemon->region))
		error = region_failure(job.daemon->region, &job.message);

	log_line(&job.daemon->log, LOG_DEBUG, "control: pid %d, uid %u: %s%s%s: %s", (int)peer->pid,
		 peer->uid, request_verb_name(request->verb), request->path ? " " : "",
		 request->path ? request->path : "", error ? job.message.text : "done");
	reply_final(reply, error, error ? job.message.text : "", job.result);
}
