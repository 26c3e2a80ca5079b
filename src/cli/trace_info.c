/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "cli/trace_commands.h"
#include "common/cleanup.h"
#include "trace/catalog.h"
#include "trace/event_stream.h"
#include "trace/schema.h"
#include "wire/frame.h"
#include "wire/text.h"

struct json_object *trace_json_bytes(const struct trace_bytes *bytes)
{
	CLEANUP_FREE char *copy = malloc((size_t)bytes->length + 1), *utf8 = NULL;
	bool changed;

	if (!copy)
		return NULL;
	if (bytes->length)
		memcpy(copy, bytes->at, bytes->length);
	copy[bytes->length] = 0;
	for (uint32_t i = 0; i < bytes->length; i++)
		if (!copy[i])
			copy[i] = ' ';
	utf8 = text_utf8(copy, &changed);
	return utf8 ? json_object_new_string(utf8) : NULL;
}

/* ---- Collecting ------------------------------------------------------------------------------ */

struct info {
	struct json_object *kinds, *properties, *processes, *files; /* of `result` */
	uint64_t events, threads, modules, sites, lost;
	bool complete;
};

static void count_kind(struct info *info, const struct trace_event *event)
{
	const char *name = trace_event_name(event);
	struct json_object *count;

	if (json_object_object_get_ex(info->kinds, name, &count))
		json_object_set_uint64(count, json_object_get_uint64(count) + 1);
	else
		control_put_u64(info->kinds, name, 1);
}

static void add_process(struct info *info, const struct trace_event *event)
{
	struct json_object *process = json_object_new_object();

	control_put_u64(process, "process", event->process.process);
	control_put_u64(process, "parent", event->process.parent);
	json_object_object_add(process, "pid", json_object_new_int(event->process.pid));
	json_object_object_add(process, "command", trace_json_bytes(&event->process.text));
	json_object_array_add(info->processes, process);
}

static void put_uuid(struct json_object *object, const char *key, const unsigned char uuid[16])
{
	char text[33];

	for (int i = 0; i < 16; i++)
		snprintf(text + 2 * i, 3, "%02x", uuid[i]);
	control_put_string(object, key, text);
}

/* Of the files that were there at the start, those that have contents. */
static void add_file(struct info *info, const struct trace_event *event)
{
	struct json_object *file;

	if (event->node.attributes.mode && !S_ISREG(event->node.attributes.mode))
		return;
	file = json_object_new_object();
	control_put_u64(file, "file", event->file);
	json_object_object_add(file, "path", trace_json_bytes(&event->node.path));
	control_put_u64(file, "size", event->node.size);
	put_uuid(file, "uuid", event->node.uuid);
	json_object_array_add(info->files, file);
}

static void add_property(struct info *info, const struct trace_event *event)
{
	CLEANUP_JSON struct json_object *key = trace_json_bytes(&event->info.key);

	if (key)
		json_object_object_add(info->properties, json_object_get_string(key),
				       trace_json_bytes(&event->info.value));
}

static int take(void *context, const struct trace_event *event, struct message *message)
{
	struct info *info = context;

	info->events++;
	count_kind(info, event);
	info->threads += event->kind == TRACE_THREAD_START;
	info->modules += event->kind == TRACE_MODULE;
	info->sites += event->kind == TRACE_SITE;
	info->lost += event->kind == TRACE_LOST;
	info->complete = event->kind == TRACE_END;
	if (event->kind == TRACE_PROCESS_START)
		add_process(info, event);
	else if (event->kind == TRACE_FILE)
		add_file(info, event);
	else if (event->kind == TRACE_INFO)
		add_property(info, event);
	return 0;
}

static struct json_object *member(struct json_object *result, const char *name, struct json_object *value)
{
	json_object_object_add(result, name, value);
	return value;
}

static void add_header(struct json_object *result, const char *path, const struct trace_events *events)
{
	const struct trace_bytes name = { (const unsigned char *)path, (uint32_t)strlen(path) };

	member(result, "trace", trace_json_bytes(&name));
	control_put_string(result, "form", trace_events_are_text(events) ? "text" : "binary");
	put_uuid(result, "id", trace_events_uuid(events));
	control_put_u64(result, "created", trace_events_created(events));
}

/* ---- Printing --------------------------------------------------------------------------------- */

static void print_time(uint64_t seconds)
{
	const time_t when = (time_t)seconds;
	struct tm tm;
	char text[64];

	if (seconds && gmtime_r(&when, &tm) && strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &tm))
		printf(", recorded %s", text);
}

static void print_kinds(struct json_object *kinds)
{
	puts("\n    EVENTS KIND");
	json_object_object_foreach(kinds, name, count)
		printf("%10" PRIu64 " %s\n", json_object_get_uint64(count), name);
}

static void print_rows(struct json_object *result)
{
	struct json_object *processes, *files, *properties;

	json_object_object_get_ex(result, "processes", &processes);
	json_object_object_get_ex(result, "files", &files);
	json_object_object_get_ex(result, "properties", &properties);
	if (json_object_array_length(processes))
		puts("\n   PROCESS        PID COMMAND");
	for (size_t i = 0; i < json_object_array_length(processes); i++) {
		struct json_object *process = json_object_array_get_idx(processes, i);

		printf("%10" PRIu64 " %10" PRIu64 " ", output_u64(process, "process"),
		       output_u64(process, "pid"));
		output_name(output_string(process, "command"), "\n");
	}
	if (json_object_array_length(files))
		puts("\n      FILE       SIZE PATH");
	for (size_t i = 0; i < json_object_array_length(files); i++) {
		struct json_object *file = json_object_array_get_idx(files, i);

		printf("%10" PRIu64 " %10s ", output_u64(file, "file"), output_size(file, "size"));
		output_name(output_string(file, "path"), "\n");
	}
	if (json_object_object_length(properties))
		puts("\nPROPERTIES");
	json_object_object_foreach(properties, key, value)
	{
		output_name(key, ": ");
		output_name(json_object_get_string(value), "\n");
	}
}

static void print(struct json_object *result, const struct info *info)
{
	struct json_object *complete, *kinds;

	json_object_object_get_ex(result, "complete", &complete);
	json_object_object_get_ex(result, "kinds", &kinds);
	output_name(output_string(result, "trace"), ": ");
	printf("%" PRIu64 " events, %s, %s form\n", info->events,
	       json_object_get_boolean(complete) ? "complete" : "not complete",
	       output_string(result, "form"));
	printf("id %s", output_string(result, "id"));
	print_time(output_u64(result, "created"));
	printf("\nthreads: %" PRIu64 ", modules: %" PRIu64 ", sites: %" PRIu64 "\n", info->threads,
	       info->modules, info->sites);
	if (info->lost)
		printf("events were lost, %" PRIu64 " times: see 'lost' in softpmem trace dump\n",
		       info->lost);
	print_kinds(kinds);
	print_rows(result);
}

int trace_info(struct cli *cli, const char *path, const struct trace_cli_options *options)
{
	CLEANUP_JSON struct json_object *result = json_object_new_object();
	CLEANUP_EVENTS struct trace_events *events = NULL;
	struct info info = { 0 };
	int status = trace_open(cli, path, &events);

	if (status)
		return status;
	info.properties = member(result, "properties", json_object_new_object());
	info.kinds = member(result, "kinds", json_object_new_object());
	info.processes = member(result, "processes", json_object_new_array());
	info.files = member(result, "files", json_object_new_array());
	status = trace_each(cli, events, take, &info);
	if (status != CLI_OK && trace_is_other_text(events, info.events))
		return status;
	add_header(result, path, events);
	/* A text need not have its end. */
	control_put_bool(result, "complete",
			 status == CLI_OK && (info.complete || trace_events_are_text(events)));
	control_put_u64(result, "events", info.events);
	control_put_u64(result, "threads", info.threads);
	control_put_u64(result, "modules", info.modules);
	control_put_u64(result, "sites", info.sites);
	control_put_u64(result, "lost", info.lost);
	if (options->json)
		output_object(result);
	else
		print(result, &info);
	return status;
}
