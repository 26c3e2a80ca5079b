/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/trace_commands.h"
#include "common/cleanup.h"
#include "trace/catalog.h"
#include "trace/event_stream.h"
#include "trace/pmemcheck.h"
#include "trace/replay_contents.h"
#include "trace/symbols.h"
#include "trace/text_form.h"
#include "trace/writer.h"

/* ---- Files ---------------------------------------------------------------------------------- */

static int fail_errno(struct cli *cli, const char *path, int error)
{
	struct message message;

	message_fail(&message, error, "%s: %s", path, strerror(-error));
	return cli_fail(cli, message.text);
}

/* Create or empty a file, unless it is the one that is read. Returns a descriptor or negative errno. */
static int open_target(const char *input, const char *path)
{
	CLEANUP_FD int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
	struct stat from, to;

	if (fd < 0 || fstat(fd, &to) < 0)
		return -errno;
	if (stat(input, &from) == 0 && from.st_dev == to.st_dev && from.st_ino == to.st_ino)
		return -EEXIST;
	if (S_ISREG(to.st_mode) && ftruncate(fd, 0) < 0)
		return -errno;
	return steal_fd(&fd);
}

static int fail_target(struct cli *cli, const char *path, int error)
{
	struct message message;

	if (error != -EEXIST)
		return fail_errno(cli, path, error);
	message_fail(&message, error, "%s: it is the file that is read: name another one", path);
	return cli_fail(cli, message.text);
}

/* --output, else the standard output. NULL: a failure was printed. */
static FILE *open_output(struct cli *cli, const char *input, const char *path)
{
	CLEANUP_FD int fd = -1;
	FILE *out;

	if (!path)
		return stdout;
	fd = open_target(input, path);
	out = fd < 0 ? NULL : fdopen(fd, "w");
	if (out)
		steal_fd(&fd);
	else
		fail_target(cli, path, fd < 0 ? fd : -ENOMEM);
	return out;
}

/* Close it; what could not be written is a failure. */
static int close_output(struct cli *cli, FILE *out, const char *path, int status)
{
	bool failed = fflush(out) != 0 || ferror(out);

	if (out != stdout && fclose(out) != 0)
		failed = true;
	if (status == CLI_OK && failed)
		return fail_errno(cli, path ? path : "standard output", errno ? -errno : -EIO);
	return status;
}

/* ---- dump ------------------------------------------------------------------------------------ */

struct dump {
	FILE *out;
	struct trace_events *events;
	struct trace_symbols *symbols; /* NULL: no source lines */
	uint64_t before;
	bool begun;
};

static int dump_event(void *context, const struct trace_event *event, struct message *message)
{
	static const unsigned char no_uuid[16];
	struct dump *dump = context;
	const uint32_t frames = event->kind == TRACE_SITE ? event->stack.count : 1;
	const char *place;

	if (!dump->begun) {
		const unsigned char *uuid = trace_events_uuid(dump->events);

		trace_text_print_header(dump->out, memcmp(uuid, no_uuid, sizeof(no_uuid)) == 0 ? NULL : uuid,
					trace_events_created(dump->events));
		dump->begun = true;
	}
	trace_text_print(dump->out, event, dump->before);
	dump->before = event->stamp ? event->stamp : dump->before;
	/* The definition of a site has all of its frames. */
	for (uint32_t i = 0; dump->symbols && event->site && i < frames; i++) {
		place = trace_symbols_frame(dump->symbols, event->site, i);
		if (!place)
			return -ENOMEM;
		fprintf(dump->out, "%s%s", i ? ", " : " # ", place);
	}
	putc('\n', dump->out);
	return ferror(dump->out) ? message_fail(message, -EIO, "writing failed: %s", strerror(errno)) : 0;
}

int trace_dump(struct cli *cli, const char *path, const struct trace_cli_options *options)
{
	CLEANUP_EVENTS struct trace_events *events = NULL;
	struct dump dump = { 0 };
	int status = trace_open(cli, path, &events);

	if (status)
		return status;
	dump.events = events;
	dump.out = open_output(cli, path, options->output);
	if (!dump.out)
		return CLI_FAILED;
	if (!options->no_source)
		dump.symbols = trace_symbols_create(trace_events_catalog(events));
	status = trace_each(cli, events, dump_event, &dump);
	trace_symbols_destroy(dump.symbols);
	return close_output(cli, dump.out, options->output, status);
}

/* ---- export ---------------------------------------------------------------------------------- */

struct log_export {
	struct trace_pmemcheck *log;
	struct trace_events *events;
	struct trace_replay *replay;
	const char *images; /* NULL: paths are those of the trace */
	char path[PATH_MAX];
	int error; /* of writing the image at `path` */
};

/* A name of its own in the directory, whatever the trace calls the file. */
static void image_path(struct log_export *to, uint64_t file)
{
	char path[TRACE_PATH_MAX + 1], *name;

	trace_catalog_path(trace_events_catalog(to->events), file, path, sizeof(path));
	name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	for (char *at = name; *at; at++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", *at))
			*at = '_';
	snprintf(to->path, sizeof(to->path), "%s/%llu-%.200s", to->images, (unsigned long long)file, name);
}

static int write_image(struct log_export *to, uint64_t file)
{
	CLEANUP_FD int fd = open(to->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);

	return fd < 0 ? -errno : trace_replay_save(to->replay, file, fd);
}

/* The file is about to be stored to for the first time: its contents are those it had before. */
static const char *path_of(void *context, uint64_t file)
{
	struct log_export *to = context;

	if (!to->images)
		return trace_catalog_path(trace_events_catalog(to->events), file, to->path, sizeof(to->path));
	image_path(to, file);
	if (!to->error)
		to->error = write_image(to, file);
	return to->path;
}

static uint64_t size_of(void *context, uint64_t file)
{
	const struct log_export *to = context;

	return trace_replay_size(to->replay, file);
}

static int export_event(void *context, const struct trace_event *event, struct message *message)
{
	struct log_export *to = context;
	int error = trace_pmemcheck_add(to->log, event);

	if (to->error)
		return message_fail(message, to->error, "%s: %s", to->path, strerror(-to->error));
	if (error == -EINVAL)
		return message_fail(message, error, "%s: the log cannot hold this path: use --images",
				    to->path);
	if (error == -E2BIG)
		return message_fail(message, error, "the trace stores to too many files for the log");
	if (!error)
		error = trace_replay_apply(to->replay, event);
	if (error == -EOPNOTSUPP)
		return message_fail(message, error, "a fallocate moves bytes, which no image can");
	return error;
}

/* The end of the log, and what it could not say. */
static int end_export(struct log_export *to, int status)
{
	struct trace_pmemcheck_skipped skipped;

	trace_pmemcheck_end(to->log, &skipped);
	if (skipped.operations || skipped.marks)
		fprintf(stderr,
			"softpmem: the log has no place for %llu operations of the mount and %llu marks\n",
			(unsigned long long)skipped.operations, (unsigned long long)skipped.marks);
	return status;
}

int trace_export(struct cli *cli, const char *path, const struct trace_cli_options *options)
{
	CLEANUP_EVENTS struct trace_events *events = NULL;
	struct log_export to = { .images = options->images };
	FILE *out;
	int status;

	if (!options->pmemcheck)
		return cli_usage(cli, "export requires --pmemcheck: the text form is what 'dump' prints");
	status = trace_open(cli, path, &events);
	if (status)
		return status;
	if (options->images && mkdir(options->images, 0777) < 0 && errno != EEXIST)
		return fail_errno(cli, options->images, -errno);
	out = open_output(cli, path, options->output);
	if (!out)
		return CLI_FAILED;
	to.events = events;
	to.replay = trace_replay_create();
	to.log = to.replay ? trace_pmemcheck_create(out, path_of, size_of, &to) : NULL;
	status = to.log ? end_export(&to, trace_each(cli, events, export_event, &to)) :
			  cli_fail(cli, "out of memory");
	trace_pmemcheck_destroy(to.log);
	trace_replay_destroy(to.replay);
	return close_output(cli, out, options->output, status);
}

/* ---- import ---------------------------------------------------------------------------------- */

struct trace_target {
	struct trace_writer *writer;
	const char *output;
	int fd;
	bool ended;
	struct message message;
};

static int import_event(void *context, const struct trace_event *event)
{
	struct trace_target *target = context;

	target->ended = event->kind == TRACE_END;
	return trace_writer_put(target->writer, event, &target->message);
}

static int start_import(struct trace_target *target, const unsigned char *uuid, uint64_t created)
{
	struct trace_writer_options options = { .level = TRACE_WRITER_LEVEL, .created = created };

	if (uuid)
		memcpy(options.uuid, uuid, sizeof(options.uuid));
	return trace_writer_create(target->fd, target->output, &options, &target->writer, &target->message);
}

static int end_import(struct trace_target *target)
{
	return target->ended ? trace_writer_flush(target->writer, &target->message) :
			       trace_writer_end(target->writer, &target->message);
}

static int import_text(struct trace_target *target, const char *path)
{
	CLEANUP_EVENTS struct trace_events *events = NULL;
	struct trace_event event;
	int more, error = trace_events_open(path, &events, &target->message);

	if (error)
		return error;
	more = trace_events_next(events, &event, &target->message);
	error = more < 0 ? more :
			   start_import(target, trace_events_uuid(events), trace_events_created(events));
	while (!error && more == 1) {
		error = import_event(target, &event);
		if (!error)
			more = trace_events_next(events, &event, &target->message);
		if (more < 0)
			error = more;
	}
	return error ? error : end_import(target);
}

static int import_log(struct trace_target *target, const char *path)
{
	struct trace_pmemcheck_skipped skipped;
	FILE *in = fopen(path, "re");
	int error;

	if (!in)
		return message_fail(&target->message, -errno, "%s: %s", path, strerror(errno));
	error = start_import(target, NULL, 0);
	if (!error)
		error = trace_pmemcheck_import(in, path, import_event, target, &skipped, &target->message);
	if (!error && skipped.operations)
		fprintf(stderr, "softpmem: %llu stores and flushes are of no registered file\n",
			(unsigned long long)skipped.operations);
	fclose(in);
	return error ? error : end_import(target);
}

int trace_import(struct cli *cli, const char *path, const struct trace_cli_options *options)
{
	struct trace_target target = { .output = options->output };
	CLEANUP_FD int fd = -1;
	int error;

	if (!options->output)
		return cli_usage(cli, "import requires --output FILE");
	fd = open_target(path, options->output);
	if (fd < 0)
		return fail_target(cli, options->output, fd);
	target.fd = fd;
	error = options->pmemcheck ? import_log(&target, path) : import_text(&target, path);
	trace_writer_destroy(target.writer);
	return error ? cli_fail(cli, target.message.text) : CLI_OK;
}
