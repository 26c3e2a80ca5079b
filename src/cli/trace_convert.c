/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/output.h"
#include "cli/output_file.h"
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

/* A text that is written to --output, else to the standard output. */
struct text_output {
	struct output_file file;
	FILE *out;
};

static int open_file(struct cli *cli, const char *input, const char *path, struct output_file *file)
{
	char *const inputs[] = { (char *)(uintptr_t)input, NULL };
	struct message message;

	return output_file_open(file, path, inputs, &message) < 0 ? cli_fail(cli, message.text) : CLI_OK;
}

static int open_output(struct cli *cli, const char *input, const char *path, struct text_output *output)
{
	CLEANUP_FD int fd = -1;

	*output = (struct text_output){ .file = OUTPUT_FILE_CLOSED, .out = stdout };
	if (!path)
		return CLI_OK;
	if (open_file(cli, input, path, &output->file) != CLI_OK)
		return CLI_FAILED;
	fd = fcntl(output->file.fd, F_DUPFD_CLOEXEC, 0);
	output->out = fd < 0 ? NULL : fdopen(fd, "w");
	if (!output->out) {
		fail_errno(cli, path, -errno);
		output_file_cancel(&output->file);
		return CLI_FAILED;
	}
	steal_fd(&fd);
	return CLI_OK;
}

/* A negative errno with a message if the output is full. */
static int check_output(struct text_output *output, struct message *message)
{
	if (!ferror(output->out))
		return 0;
	return message_fail(message, -errno, "%s: %s",
			    output->file.path ? output->file.path : "standard output", strerror(errno));
}

/*
 * Close it. What could not be written is a failure. A file is committed if it was written as a whole: as far
 * as the trace was good, if `status` says no more than that.
 */
static int close_output(struct cli *cli, struct text_output *output, bool whole, int status)
{
	const char *path = output->file.path;
	struct message message;
	bool failed = fflush(output->out) != 0 || ferror(output->out);
	int error = failed ? -errno : 0;

	if (output->out != stdout && fclose(output->out) != 0 && !failed) {
		failed = true;
		error = -errno;
	}
	if (status == CLI_OK && failed)
		status = fail_errno(cli, path ? path : "standard output", error ? error : -EIO);
	if (path && whole && !failed && output_file_commit(&output->file, &message) < 0)
		status = cli_fail(cli, message.text);
	output_file_cancel(&output->file);
	return status;
}

/* ---- dump ------------------------------------------------------------------------------------ */

struct dump {
	struct text_output output;
	struct trace_events *events;
	struct trace_symbols *symbols; /* NULL: no source lines */
	uint64_t before;
	bool begun;
};

static int dump_event(void *context, const struct trace_event *event, struct message *message)
{
	static const unsigned char no_uuid[16];
	struct dump *dump = context;
	FILE *out = dump->output.out;
	const uint32_t frames = event->kind == TRACE_SITE ? event->stack.count : 1;
	const char *place;

	if (!dump->begun) {
		const unsigned char *uuid = trace_events_uuid(dump->events);

		trace_text_print_header(out, memcmp(uuid, no_uuid, sizeof(no_uuid)) == 0 ? NULL : uuid,
					trace_events_created(dump->events));
		dump->begun = true;
	}
	trace_text_print(out, event, dump->before);
	dump->before = event->stamp ? event->stamp : dump->before;
	/* The definition of a site has all of its frames. */
	for (uint32_t i = 0; dump->symbols && event->site && i < frames; i++) {
		place = trace_symbols_frame(dump->symbols, event->site, i);
		if (!place)
			return -ENOMEM;
		fprintf(out, "%s%s", i ? ", " : " # ", place);
	}
	putc('\n', out);
	return check_output(&dump->output, message);
}

int trace_dump(struct cli *cli, const char *path, const struct trace_cli_options *options)
{
	CLEANUP_EVENTS struct trace_events *events = NULL;
	struct dump dump = { 0 };
	int status = trace_open(cli, path, &events);

	if (status)
		return status;
	dump.events = events;
	if (open_output(cli, path, options->output, &dump.output) != CLI_OK)
		return CLI_FAILED;
	if (!options->no_source)
		dump.symbols = trace_symbols_create(trace_events_catalog(events));
	status = trace_each(cli, events, dump_event, &dump);
	trace_symbols_destroy(dump.symbols);
	return close_output(cli, &dump.output, dump.begun, status);
}

/* ---- export ---------------------------------------------------------------------------------- */

struct log_export {
	struct trace_pmemcheck *log;
	struct trace_events *events;
	struct trace_replay *replay;
	struct text_output output;
	const char *images; /* NULL: paths are those of the trace */
	char path[PATH_MAX];
	int error; /* of writing the image at `path` */
	bool begun;
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

	to->begun = true;
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
	return error ? error : check_output(&to->output, message);
}

/* The end of the log, and what it could not say. */
static int end_export(struct log_export *to, int status)
{
	struct trace_pmemcheck_skipped skipped;

	trace_pmemcheck_end(to->log, &skipped);
	if (skipped.operations || skipped.marks)
		fprintf(stderr,
			"softpmem: the log has no place for %s of the mount and %s\n",
			output_count(skipped.operations, "operation", NULL),
			output_count(skipped.marks, "mark", NULL));
	return status;
}

int trace_export(struct cli *cli, const char *path, const struct trace_cli_options *options)
{
	CLEANUP_EVENTS struct trace_events *events = NULL;
	struct log_export to = { .images = options->images };
	int status;

	if (!options->pmemcheck)
		return cli_usage(cli, "export requires --pmemcheck: the text form is what 'dump' prints");
	status = trace_open(cli, path, &events);
	if (status)
		return status;
	if (options->images && mkdir(options->images, 0777) < 0 && errno != EEXIST)
		return fail_errno(cli, options->images, -errno);
	if (open_output(cli, path, options->output, &to.output) != CLI_OK)
		return CLI_FAILED;
	to.events = events;
	to.replay = trace_replay_create();
	to.log = to.replay ? trace_pmemcheck_create(to.output.out, path_of, size_of, &to) : NULL;
	status = to.log ? end_export(&to, trace_each(cli, events, export_event, &to)) :
			  cli_fail(cli, "out of memory");
	trace_pmemcheck_destroy(to.log);
	trace_replay_destroy(to.replay);
	return close_output(cli, &to.output, to.begun && !to.error, status);
}

/* ---- import ---------------------------------------------------------------------------------- */

struct trace_target {
	struct trace_writer *writer;
	struct output_file file;
	bool ended;
	bool partial; /* what was good of a damaged trace file was written */
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
	return trace_writer_create(target->file.fd, target->file.path, &options, &target->writer,
				   &target->message);
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
	if (!error)
		return end_import(target);
	/* A text with a mistake is not imported. What is good of a trace that was cut is. */
	if (more < 0 && target->writer && !trace_events_are_text(events)) {
		struct message ignored;

		target->partial = trace_writer_flush(target->writer, &ignored) == 0;
	}
	return error;
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
	struct trace_target target = { .file = OUTPUT_FILE_CLOSED };
	struct message message;
	int error;

	if (!options->output)
		return cli_usage(cli, "import requires --output FILE");
	if (open_file(cli, path, options->output, &target.file) != CLI_OK)
		return CLI_FAILED;
	error = options->pmemcheck ? import_log(&target, path) : import_text(&target, path);
	trace_writer_destroy(target.writer);
	if ((!error || target.partial) && output_file_commit(&target.file, &message) < 0 && !error)
		error = message_fail(&target.message, -EIO, "%s", message.text);
	output_file_cancel(&target.file);
	return error ? cli_fail(cli, target.message.text) : CLI_OK;
}
