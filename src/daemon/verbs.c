/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/verbs.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "daemon/moment.h"
#include "recorder/recorder.h"
#include "wire/frame.h"

int job_fail(struct job *job, int error, const char *path)
{
	static const struct {
		int error;
		const char *way_out;
	} ways_out[] = {
		{ ENOENT, "see softpmem list" },
		{ EEXIST, "destroy it first, or choose another name" },
		{ ENOTDIR, "it, or a part of its path, is not a directory" },
		{ EISDIR, "give the path of a pool" },
		{ ENOTEMPTY, "--recursive destroys what is in it too" },
		{ ENOSPC, "destroy pools, or give the daemon a larger region" },
		{ EFBIG, "a pool has at most 16 TiB" },
		{ ENAMETOOLONG, "a name has at most 255 bytes" },
		{ EROFS, "the daemon runs with --read-only" },
		{ EBUSY, "try again" },
		{ EMFILE, "destroy pools, or raise the limit of open files: LIMITS in softpmemd(8)" },
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

int job_parse_mode(const char *text, void *mode)
{
	return pool_mode_parse(text, mode);
}

void daemon_log_for(struct daemon *daemon, uid_t uid, int priority, const char *format, ...)
{
	unsigned suppressed = 0;
	char text[2048];
	va_list args;

	if (uid != 0 && uid != geteuid()) {
		LOCK_SCOPE(&daemon->loglimit_lock);
		if (!loglimit_allows(&daemon->loglimit, uid, clock_ms(), &suppressed))
			return;
	}
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (suppressed)
		log_line(&daemon->log, LOG_NOTICE, "control: uid %u: %u lines were suppressed", uid,
			 suppressed);
	log_line(&daemon->log, priority, "%s", text);
}

void daemon_set_mark(struct daemon *daemon, uid_t uid, const char *text)
{
	{
		LOCK_SCOPE(&daemon->mark_lock);
		strcpy(daemon->mark, text);
	}
	daemon_log_for(daemon, uid, LOG_NOTICE, "mark: %s", text);
	recorder_mark(daemon->recorder, text);
	moment_meet_mark(daemon, text);
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

/* ---- The table ------------------------------------------------------------------- */

static const struct verb *const verbs[] = {
	&verb_check,
	&verb_create,
	&verb_destroy,
	&verb_events,
	&verb_list,
	&verb_mark,
	&verb_path,
	&verb_powerfail,
	&verb_record,
	&verb_rename,
	&verb_resize,
	&verb_restore,
	&verb_snapshot,
	&verb_stat,
	&verb_status,
	&verb_stop,
	&verb_sync,
};

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(verbs[i]->name, name) == 0)
			return verbs[i];
	return NULL;
}

int verbs_decode(struct json_object *json, const struct verb **verb, void **request, struct message *message)
{
	const char *name = request_verb(json, message);
	CLEANUP_FREE void *decoded = NULL;
	int error;

	if (!name)
		return -EINVAL;
	*verb = find_verb(name);
	if (!*verb)
		return message_fail(message, -EINVAL, "%.64s: the daemon does not know this verb", name);
	decoded = calloc(1, (*verb)->request_bytes + 1);
	if (!decoded)
		return message_fail(message, -ENOMEM, "%s: the daemon is out of memory", name);
	error = request_decode(json, (*verb)->fields, decoded, message);
	if (!error && (*verb)->check)
		error = (*verb)->check(decoded, message);
	if (!error)
		*request = steal_pointer(&decoded);
	return error;
}

static int run(struct job *job, struct json_object *json)
{
	CLEANUP_FREE void *request = NULL;
	const struct verb *verb;
	int error = verbs_decode(json, &verb, &request, &job->message);

	if (error)
		return error;
	job->request = request;
	error = verb->run(job);
	if (verb->commits && job->region)
		pools_commit(job->region->pools);
	/* If a region has failed, that is the reason for the failure of the verb. */
	if (job->region && region_failed(job->region->region))
		error = region_failure(job->region->region, &job->message);
	return error;
}

void verbs_handle(void *context, struct json_object *json, const struct peer *peer, struct reply *reply)
{
	struct job job = { .daemon = context, .peer = peer, .reply = reply };
	const char *verb = "", *path = "";
	int error = run(&job, json);

	control_get_string(json, "verb", &verb);
	control_get_string(json, "path", &path);
	log_line(&job.daemon->log, LOG_DEBUG, "control: pid %d, uid %u: %.64s%s%.512s: %s", (int)peer->pid,
		 peer->uid, verb, *path ? " " : "", path, error ? job.message.text : "done");
	reply_final(reply, error, error ? job.message.text : "", job.result);
	/* The main thread waits for this signal. */
	if (job.stops)
		kill(getpid(), SIGTERM);
	free(job.path);
	free(job.shown);
}
