/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLI_TRACE_COMMANDS_H
#define CLI_TRACE_COMMANDS_H

/* The commands of softpmem trace. Each returns an exit status and has printed a failure. */

#include "cli/cli.h"
#include "trace/event_stream.h"

struct trace_cli_options {
	const char *output, *images, *sites;
	bool json, ndjson, pmemcheck, no_source;
};

struct message;
struct trace_event;

/* cli_trace.c: open a trace in either form; returns an exit status. CLEANUP_EVENTS closes it. */
int trace_open(struct cli *cli, const char *path, struct trace_events **events);
static inline void trace_close(struct trace_events **events)
{
	trace_events_close(*events);
}
#define CLEANUP_EVENTS __attribute__((cleanup(trace_close)))

/*
 * cli_trace.c: all events of a trace, or of what is good of it; then the message about the rest. A negative
 * result of `visit` ends it: its message is printed, or "out of memory" if there is none.
 */
int trace_each(struct cli *cli, struct trace_events *events,
	       int (*visit)(void *context, const struct trace_event *event, struct message *message),
	       void *context);

/*
 * cli_trace.c: a file that does not begin as a trace is read as the text form of one. After a failure, and
 * `good` events: is it no such text either, from its first line on?
 */
bool trace_is_other_text(const struct trace_events *events, uint64_t good);

/* trace_info.c: what a trace is of. */
int trace_info(struct cli *cli, const char *path, const struct trace_cli_options *options);
/* trace_statistics.c: what it shows without a checker. */
int trace_statistics(struct cli *cli, const char *path, const struct trace_cli_options *options);
/* trace_convert.c: the text form; the log of pmemcheck; and back. */
int trace_dump(struct cli *cli, const char *path, const struct trace_cli_options *options);
int trace_export(struct cli *cli, const char *path, const struct trace_cli_options *options);
int trace_import(struct cli *cli, const char *path, const struct trace_cli_options *options);

struct json_object;
struct trace_bytes;

/* Bytes of a trace as a JSON string: NULs become spaces, and what is not UTF-8 U+FFFD. NULL: no memory. */
struct json_object *trace_json_bytes(const struct trace_bytes *bytes);

#endif
