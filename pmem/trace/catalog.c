/* SPDX-License-Identifier: BSD-3-Clause */
#include "trace/catalog.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "trace/idmap.h"
#include "trace/schema.h"

/* A trace whose definitions exceed this is refused, before they fill the memory. */
#define DEFINITIONS_MAX ((size_t)1 << 24)

enum table { FILES, PROCESSES, THREADS, MODULES, SITES, TABLES };

struct trace_catalog {
	struct idmap tables[TABLES];
	uint64_t events, stamp;
	uint64_t last_file; /* the last one that was found: most events are about the same file */
	uint32_t sites; /* 1 to it are defined: a recorder numbers them so */
	bool ended;
};

struct trace_catalog *trace_catalog_create(void)
{
	return calloc(1, sizeof(struct trace_catalog));
}

void trace_catalog_destroy(struct trace_catalog *catalog)
{
	if (!catalog)
		return;
	for (int i = 0; i < TABLES; i++)
		idmap_clear(&catalog->tables[i], free);
	free(catalog);
}

/* ---- Copies of definitions ---------------------------------------------------- */

static size_t copied_size(const struct trace_event *event, const struct trace_schema *schema)
{
	size_t size = sizeof(*event);

	for (const struct trace_field *field = schema->fields; field->type != TRACE_FIELD_END; field++) {
		const void *at = (const char *)event + field->offset;

		if (field->type == TRACE_FIELD_STRING || field->type == TRACE_FIELD_OCTETS)
			size += ((const struct trace_bytes *)at)->length + 1;
		else if (field->type == TRACE_FIELD_SEGMENTS)
			size += event->module.count * sizeof(struct trace_segment);
		else if (field->type == TRACE_FIELD_FRAMES)
			size += event->stack.count * sizeof(struct trace_frame);
	}
	return size;
}

static char *copy_string(struct trace_bytes *bytes, char *room)
{
	if (bytes->length)
		memcpy(room, bytes->at, bytes->length);
	room[bytes->length] = 0;
	bytes->at = (unsigned char *)room;
	return room + bytes->length + 1;
}

/* One allocation holds the event, its array, then its strings. */
static struct trace_event *copy_event(const struct trace_event *event)
{
	const struct trace_schema *schema = trace_schema_of(event->kind);
	struct trace_event *copy = malloc(copied_size(event, schema));
	char *room = (char *)(copy + 1);

	if (!copy)
		return NULL;
	*copy = *event;
	if (event->kind == TRACE_MODULE) {
		const size_t size = event->module.count * sizeof(struct trace_segment);

		if (size)
			memcpy(room, event->module.segments, size);
		copy->module.segments = (struct trace_segment *)(void *)room;
		room += size;
	} else if (event->kind == TRACE_SITE) {
		const size_t size = event->stack.count * sizeof(struct trace_frame);

		memcpy(room, event->stack.frames, size);
		copy->stack.frames = (struct trace_frame *)(void *)room;
		room += size;
	}
	for (const struct trace_field *field = schema->fields; field->type != TRACE_FIELD_END; field++)
		if (field->type == TRACE_FIELD_STRING || field->type == TRACE_FIELD_OCTETS)
			room = copy_string((struct trace_bytes *)((char *)copy + field->offset), room);
	return copy;
}

static int keep(struct trace_catalog *catalog, enum table table, uint64_t id, const struct trace_event *event,
		const char **wrong)
{
	struct idmap *map = &catalog->tables[table];
	struct trace_event *copy;

	if (map->count >= DEFINITIONS_MAX) {
		*wrong = "it has more than 16 million definitions";
		return -EBADMSG;
	}
	copy = copy_event(event);
	if (!copy || idmap_set(map, id, copy) < 0) {
		free(copy);
		return -ENOMEM;
	}
	return 0;
}

/* ---- What refers to what ------------------------------------------------------- */

static bool known(const struct trace_catalog *catalog, enum table table, uint64_t id)
{
	return idmap_get(&catalog->tables[table], id);
}

static bool known_or_none(const struct trace_catalog *catalog, enum table table, uint64_t id)
{
	return !id || known(catalog, table, id);
}

static bool file_known(struct trace_catalog *catalog, uint64_t file)
{
	if (file == catalog->last_file)
		return true;
	if (!known(catalog, FILES, file))
		return false;
	catalog->last_file = file;
	return true;
}

static bool site_known(const struct trace_catalog *catalog, uint32_t site)
{
	return site <= catalog->sites || known(catalog, SITES, site);
}

static bool frames_known(const struct trace_catalog *catalog, const struct trace_event *event)
{
	for (uint32_t i = 0; i < event->stack.count; i++)
		if (!known_or_none(catalog, MODULES, event->stack.frames[i].module))
			return false;
	return true;
}

static bool creates_file(enum trace_kind kind)
{
	return kind == TRACE_FILE || kind == TRACE_CREATE || kind == TRACE_MKDIR || kind == TRACE_MKFIFO ||
	       kind == TRACE_SYMLINK;
}

static bool has_parent(enum trace_kind kind)
{
	return (kind >= TRACE_CREATE && kind <= TRACE_RMDIR) || kind == TRACE_NAME;
}

static const char *file_wrong(struct trace_catalog *catalog, const struct trace_event *event)
{
	if (creates_file(event->kind) ? known(catalog, FILES, event->file) :
					!file_known(catalog, event->file))
		return creates_file(event->kind) ? "the file's id is in use" : "the file is not defined";
	if (has_parent(event->kind) && !known(catalog, FILES, event->name.parent))
		return "the directory is not defined";
	if (event->kind == TRACE_RENAME && (!known(catalog, FILES, event->rename.parent) ||
					    !known(catalog, FILES, event->rename.new_parent) ||
					    !known_or_none(catalog, FILES, event->rename.replaced)))
		return "the directory or the replaced file is not defined";
	return NULL;
}

static const char *reference_wrong(struct trace_catalog *catalog, const struct trace_event *event)
{
	if (event->kind == TRACE_SITE) {
		if (known(catalog, SITES, event->site))
			return "the site is defined twice";
		return frames_known(catalog, event) ? NULL : "the module of a frame is not defined";
	}
	if (!site_known(catalog, event->site))
		return "the site is not defined";
	switch (event->kind) {
	case TRACE_MODULE:
		if (known(catalog, MODULES, event->module.module))
			return "the module is defined twice";
		return known_or_none(catalog, PROCESSES, event->module.process) ?
			       NULL :
			       "the process is not defined";
	case TRACE_PROCESS_START:
		if (known(catalog, PROCESSES, event->process.process))
			return "the process starts twice";
		return known_or_none(catalog, PROCESSES, event->process.parent) ?
			       NULL :
			       "the parent process is not defined";
	case TRACE_PROCESS_EXIT:
		return known(catalog, PROCESSES, event->process.process) ? NULL :
									   "the process is not defined";
	case TRACE_THREAD_START:
		if (known(catalog, THREADS, event->thread))
			return "the thread starts twice";
		return known_or_none(catalog, PROCESSES, event->process.process) ?
			       NULL :
			       "the process is not defined";
	default:
		return event->file ? file_wrong(catalog, event) : NULL;
	}
}

static const char *order_wrong(const struct trace_catalog *catalog, const struct trace_event *event)
{
	if (catalog->ended)
		return "it follows the end";
	if (trace_kind_is_definition(event->kind))
		return event->stamp || event->thread ? "a definition has a stamp or a thread" : NULL;
	if (event->stamp <= catalog->stamp)
		return "its stamp does not exceed the one before it";
	if (event->kind == TRACE_END && event->end.events != catalog->events + 1)
		return "the end states another number of events";
	return NULL;
}

int trace_catalog_add(struct trace_catalog *catalog, const struct trace_event *event, const char **wrong)
{
	int error = 0;

	*wrong = order_wrong(catalog, event);
	if (!*wrong)
		*wrong = reference_wrong(catalog, event);
	if (*wrong)
		return -EBADMSG;
	if (creates_file(event->kind))
		error = keep(catalog, FILES, event->file, event, wrong);
	else if (event->kind == TRACE_PROCESS_START)
		error = keep(catalog, PROCESSES, event->process.process, event, wrong);
	else if (event->kind == TRACE_THREAD_START)
		error = keep(catalog, THREADS, event->thread, event, wrong);
	else if (event->kind == TRACE_MODULE)
		error = keep(catalog, MODULES, event->module.module, event, wrong);
	else if (event->kind == TRACE_SITE)
		error = keep(catalog, SITES, event->site, event, wrong);
	if (error)
		return error;
	if (event->kind == TRACE_SITE && event->site == catalog->sites + 1)
		catalog->sites++;
	catalog->events++;
	catalog->ended = event->kind == TRACE_END;
	if (event->stamp)
		catalog->stamp = event->stamp;
	return 0;
}

/* ---- Questions ----------------------------------------------------------------- */

uint64_t trace_catalog_events(const struct trace_catalog *catalog)
{
	return catalog->events;
}

uint64_t trace_catalog_stamp(const struct trace_catalog *catalog)
{
	return catalog->stamp;
}

bool trace_catalog_ended(const struct trace_catalog *catalog)
{
	return catalog->ended;
}

const struct trace_event *trace_catalog_file(const struct trace_catalog *catalog, uint64_t file)
{
	return idmap_get(&catalog->tables[FILES], file);
}

const struct trace_event *trace_catalog_process(const struct trace_catalog *catalog, uint32_t process)
{
	return idmap_get(&catalog->tables[PROCESSES], process);
}

const struct trace_event *trace_catalog_thread(const struct trace_catalog *catalog, uint32_t thread)
{
	return idmap_get(&catalog->tables[THREADS], thread);
}

const struct trace_event *trace_catalog_module(const struct trace_catalog *catalog, uint32_t module)
{
	return idmap_get(&catalog->tables[MODULES], module);
}

const struct trace_event *trace_catalog_site(const struct trace_catalog *catalog, uint32_t site)
{
	return idmap_get(&catalog->tables[SITES], site);
}

const char *trace_catalog_path(const struct trace_catalog *catalog, uint64_t file, char *buffer,
			       size_t buffer_size)
{
	const struct trace_event *event = trace_catalog_file(catalog, file);
	const struct trace_bytes *path = NULL;

	if (event)
		path = event->kind == TRACE_FILE ? &event->node.path : &event->name.name;
	if (path && path->length)
		snprintf(buffer, buffer_size, "%.*s", (int)path->length, (const char *)path->at);
	else
		snprintf(buffer, buffer_size, "file %" PRIu64, file);
	return buffer;
}
