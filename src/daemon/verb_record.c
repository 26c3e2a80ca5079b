/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "daemon/verbs.h"
#include "recorder/recorder.h"
#include "server/foreign_fd.h"
#include "wire/frame.h"

/*
 * How often the client is told what was recorded, and it is noticed that the client has ended. Another
 * request that wants to record looks by itself (take_turn()).
 */
#define LOOK_MS 100

struct record_request {
	const char *file; /* the name of the trace, for messages */
	uint64_t key;	  /* that recorded processes have; 0: there are none */
	bool stop;	  /* the recording of another client */
};

static const struct request_field fields[] = {
	REQUEST_FIELD("file", REQUEST_STRING, struct record_request, file),
	REQUEST_FIELD("key", REQUEST_U64, struct record_request, key),
	REQUEST_FIELD("stop", REQUEST_BOOL, struct record_request, stop),
	REQUEST_FIELDS_END,
};

static int check(const void *decoded, struct message *message)
{
	const struct record_request *request = decoded;

	if (!request->file == !request->stop)
		return message_fail(message, -EINVAL,
				    "record: either a file is written or a recording is stopped");
	return 0;
}

/* A trace has the bytes of all files, whoever may read these. */
static int check_user(struct job *job)
{
	if (job->peer->uid == 0 || job->peer->uid == geteuid())
		return 0;
	return message_fail(&job->message, -EACCES,
			    "record: a trace has the contents of all files: only root and the daemon's user "
			    "may record");
}

static int check_file(struct job *job, const char *name, int fd)
{
	const dev_t mount = job->daemon->fusefs ? fusefs_device(job->daemon->fusefs) : 0;
	struct statx stx;
	int flags;

	if (fd < 0)
		return message_fail(&job->message, -EINVAL, "record: %.512s: no descriptor came with it",
				    name);
	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &stx) < 0)
		return message_fail(&job->message, -errno, "record: %.512s: %s", name, strerror(errno));
	if (!S_ISREG(stx.stx_mode))
		return message_fail(&job->message, -EINVAL, "record: %.512s: not a regular file", name);
	/* The events of writing it would have to be written. */
	if (mount && makedev(stx.stx_dev_major, stx.stx_dev_minor) == mount)
		return message_fail(&job->message, -EINVAL,
				    "record: %.512s: it is on the mount that is recorded: write the trace to "
				    "another file system",
				    name);
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || (flags & (O_APPEND | O_PATH)) || (flags & O_ACCMODE) == O_RDONLY)
		return message_fail(&job->message, -EBADF, "record: %.512s: not open for writing", name);
	return 0;
}

/* Wait for a recording whose client has ended, which ends by itself. -EBUSY: there is another one. */
static int take_turn(struct job *job)
{
	struct daemon *daemon = job->daemon;
	LOCK_SCOPE(&daemon->recording_lock);

	while (daemon->recording && reply_has_hung_up(daemon->recording))
		pthread_cond_wait(&daemon->recording_changed, &daemon->recording_lock);
	if (daemon->recording)
		return message_fail(&job->message, -EBUSY,
				    "record: there is a recording already: 'softpmem record --stop' ends it");
	daemon->recording = job->reply;
	return 0;
}

static void end_turn(struct daemon *daemon)
{
	LOCK_SCOPE(&daemon->recording_lock);

	daemon->recording = NULL;
	daemon->recordings++;
	pthread_cond_broadcast(&daemon->recording_changed);
}

static void settle(void *context)
{
	const struct daemon *daemon = context;

	if (daemon->fusefs)
		fusefs_settle(daemon->fusefs);
}

static int begin(struct job *job, const struct record_request *request, int fd)
{
	struct recorder_begin options = { .fd = fd,
					  .name = request->file,
					  .key = request->key,
					  .settle = settle,
					  .context = job->daemon };
	struct message why;
	int error = check_file(job, request->file, fd);

	/* A key that nobody knows. */
	if (!error && !request->key && getrandom(&options.key, sizeof(options.key), 0) < 0)
		error = message_fail(&job->message, -errno, "record: %s", strerror(errno));
	if (error)
		return error;
	/* No outage while the files are read. */
	LOCK_SCOPE(&job->daemon->outage_lock);
	error = recorder_begin(job->daemon->recorder, &options, &why);
	return error ? message_fail(&job->message, error, "record: %s", why.text) : 0;
}

/* Whoever asks for the end may have waited for a program: the exit of that one is recorded first. */
static int end_recording(struct job *job)
{
	attach_await_ended(job->daemon->attach);
	return recorder_stop(job->daemon->recorder);
}

/* Until it was stopped, the file could not be written, or the client has ended. */
static void await_end(struct job *job)
{
	struct recorder *recorder = job->daemon->recorder;
	struct recorder_summary summary;

	do {
		recorder_progress(recorder, &summary);
		reply_progress(job->reply, "recording", summary.events, summary.events);
		if (reply_has_hung_up(job->reply) || reply_is_broken(job->reply))
			end_recording(job);
	} while (!recorder_wait(recorder, LOOK_MS));
}

/* Why regions are not in the trace, or not up to its end. */
static void put_failed(struct job *job)
{
	struct json_object *reasons = json_object_new_array();

	for (unsigned i = 0; reasons && i < job->daemon->region_count; i++) {
		struct json_object *reason = NULL;
		struct message why;

		if (region_failure(job->daemon->regions[i].region, &why))
			reason = json_object_new_string(why.text);
		if (reason && json_object_array_add(reasons, reason) != 0)
			json_object_put(reason);
	}
	json_object_object_add(job->result, "failed", reasons);
}

static int conclude(struct job *job, const struct recorder_summary *summary)
{
	struct daemon *daemon = job->daemon;
	/* The last one may have failed while it was recorded. */
	int error = job_any_region(job);

	if (summary->error) {
		daemon_log_for(daemon, job->peer->uid, LOG_ERR, "record: ended early: %s",
			       summary->message.text);
		return message_fail(&job->message, summary->error,
				    "record: %.1024s: the trace has the first %llu events or fewer",
				    summary->message.text, (unsigned long long)summary->events);
	}
	daemon_log_for(daemon, job->peer->uid, LOG_NOTICE, "record: ended: %llu events, %llu bytes",
		       (unsigned long long)summary->events, (unsigned long long)summary->bytes);
	if (error)
		return error;
	job->result = json_object_new_object();
	if (!job->result)
		return 0;
	control_put_u64(job->result, "events", summary->events);
	control_put_u64(job->result, "bytes", summary->bytes);
	control_put_u64(job->result, "processes", summary->processes);
	control_put_u64(job->result, "threads", summary->threads);
	control_put_u64(job->result, "pools", summary->pools);
	control_put_u64(job->result, "gaps", summary->gaps);
	put_failed(job);
	return 0;
}

/* It is this request's turn. */
static int record_until_end(struct job *job, const struct record_request *request, int fd,
			    struct recorder_summary *summary)
{
	int error = begin(job, request, fd);

	if (error)
		return error;
	daemon_log_for(job->daemon, job->peer->uid, LOG_NOTICE, "record: %.512s: begun", request->file);
	await_end(job);
	recorder_collect(job->daemon->recorder, summary);
	return 0;
}

static int record(struct job *job, const struct record_request *request)
{
	const int fd = reply_take_fd(job->reply);
	struct recorder_summary summary;
	int error = job_any_region(job);

	if (!error)
		error = take_turn(job);
	if (!error) {
		error = record_until_end(job, request, fd, &summary);
		end_turn(job->daemon);
	}
	if (fd >= 0)
		server_close_foreign(fd);
	return error ? error : conclude(job, &summary);
}

static uint64_t recordings_over(struct daemon *daemon)
{
	LOCK_SCOPE(&daemon->recording_lock);

	return daemon->recordings;
}

/* Returns when the file is complete, and another recording may begin. */
static int stop(struct job *job)
{
	struct daemon *daemon = job->daemon;
	const uint64_t over = recordings_over(daemon);

	if (end_recording(job) < 0)
		return message_fail(&job->message, -ENOENT, "record: nothing is being recorded");
	LOCK_SCOPE(&daemon->recording_lock);
	while (daemon->recording && daemon->recordings == over)
		pthread_cond_wait(&daemon->recording_changed, &daemon->recording_lock);
	return 0;
}

static int run(struct job *job)
{
	const struct record_request *request = job->request;
	int error = check_user(job);

	if (error)
		return error;
	return request->stop ? stop(job) : record(job, request);
}

const struct verb verb_record = {
	.name = "record",
	.fields = fields,
	.request_bytes = sizeof(struct record_request),
	.check = check,
	.run = run,
};
