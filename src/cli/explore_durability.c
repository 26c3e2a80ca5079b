/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/explore_durability.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/explore_json.h"
#include "cli/explore_site.h"
#include "cli/output.h"
#include "cli/trace_commands.h"
#include "common/cleanup.h"
#include "common/persistence.h"
#include "explore/places.h"
#include "explore/walk_names.h"
#include "trace/catalog.h"
#include "trace/idmap.h"
#include "trace/reader.h"
#include "trace/stat.h"
#include "trace/symbols.h"
#include "wire/frame.h"

/* Of a site: a count that is wrong if it is not 0. */
static const struct kind {
	const char *name, *text;
	size_t offset;
	bool loses; /* data; else only time */
} kinds[] = {
#define KIND(member, loses, text)                                                                            \
	{                                                                                                    \
#member, text, offsetof(struct trace_counts, member), loses                                  \
	}
	KIND(unflushed, true, "stores that were never flushed"),
	KIND(unfenced, true, "stores that were flushed and never fenced"),
	KIND(redundant_flushes, false, "lines flushed again before the fence, in vain"),
	KIND(clean_flushes, false, "lines flushed that had nothing to write back, in vain"),
#undef KIND
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

struct durability {
	struct trace_stat *stat;
	const struct trace_catalog *catalog;
	struct trace_symbols *symbols; /* NULL: no memory */
	struct json_object *findings;  /* NULL: as text */
	struct idmap at_risk;	       /* files and directories of which a power failure may take something */
	uint64_t losses, vain;
};

static const char *place_of(const struct durability *durability, uint32_t site)
{
	const char *place = NULL;

	if (site && durability->symbols)
		place = trace_symbols_frame(durability->symbols, site, 0);
	return place && *place ? place : "an unknown place";
}

/* A finding, which `text` tells to people. It is about the site, or about the file `at` if that is 0. */
static void add_json(const struct durability *durability, const char *kind, const char *text, const char *at,
		     uint32_t site, uint64_t count, bool loses)
{
	struct json_object *object = json_object_new_object();
	struct trace_bytes bytes = { (const unsigned char *)at, (uint32_t)strlen(at) };

	control_put_string(object, "kind", kind);
	control_put_bool(object, "durability", loses);
	control_put_u64(object, "count", count);
	explore_put_text(object, "text", text);
	json_object_object_add(object, "at", trace_json_bytes(&bytes));
	explore_put_site(object, durability->catalog, durability->symbols, site);
	json_object_array_add(durability->findings, object);
}

static void tell_site(struct durability *durability, const struct kind *kind,
		      const struct trace_site_counts *site)
{
	const uint64_t count = *(const uint64_t *)(const void *)((const char *)&site->counts + kind->offset);
	const char *at = place_of(durability, site->site);
	char text[128];

	if (!count)
		return;
	*(kind->loses ? &durability->losses : &durability->vain) += 1;
	if (durability->findings) {
		snprintf(text, sizeof(text), "%s (%" PRIu64 ")", kind->text, count);
		add_json(durability, kind->name, text, at, site->site, count, kind->loses);
		return;
	}
	printf("%10" PRIu64 " %s, at ", count, kind->text);
	output_name(at, "\n");
}

static bool is_directory(const struct durability *durability, uint64_t file)
{
	const struct trace_event *event = trace_catalog_file(durability->catalog, file);

	return event && (event->kind == TRACE_MKDIR ||
			 (event->kind == TRACE_FILE && S_ISDIR(event->node.attributes.mode)));
}

static void tell_file(struct durability *durability, const struct trace_file_counts *file)
{
	const bool directory = is_directory(durability, file->file);
	const char *what = directory ? "directory" : "file";
	const char *how = file->syncs ? "was not synced after the last one" : "was never synced";
	char path[TRACE_PATH_MAX + 1], text[128];

	if (!file->changed || !idmap_get(&durability->at_risk, file->file))
		return;
	durability->losses++;
	trace_catalog_path(durability->catalog, file->file, path, sizeof(path));
	if (durability->findings) {
		snprintf(text, sizeof(text), "changes (%" PRIu64 ") of a %s that %s", file->writes, what,
			 how);
		add_json(durability, directory ? "unsynced_directory" : "unsynced_file", text, path, 0,
			 file->writes, true);
		return;
	}
	printf("%10" PRIu64 " change%s of the %s ", file->writes, file->writes == 1 ? "" : "s", what);
	output_name(path, "");
	printf(", which %s\n", how);
}

static void tell(struct durability *durability, bool flushes_matter)
{
	size_t count;
	const struct trace_site_counts *sites = trace_stat_sites(durability->stat, &count);

	for (size_t k = 0; flushes_matter && k < KINDS; k++)
		for (size_t i = 0; i < count; i++)
			tell_site(durability, &kinds[k], &sites[i]);
	const struct trace_file_counts *files = trace_stat_files(durability->stat, &count);

	for (size_t i = 0; i < count; i++)
		tell_file(durability, &files[i]);
}

/* ---- What the models say ------------------------------------------------------------------------ */

static int add_risk(struct durability *durability, uint64_t file)
{
	return idmap_set(&durability->at_risk, file, durability);
}

/* A pending operation on names puts its directories at risk, another one the file itself. */
static int add_operation(void *durability, const struct names_op *op, size_t group)
{
	int error = op->dir ? add_risk(durability, op->dir) : add_risk(durability, op->inode);

	(void)group;
	return !error && op->to_dir ? add_risk(durability, op->to_dir) : error;
}

/* The numbers of the events that wrote to files. Stores of programs are told by their sites. */
struct writes {
	VECTOR_FIELDS(uint64_t); /* ascending */
};

static int compare_numbers(const void *a, const void *b)
{
	const uint64_t one = *(const uint64_t *)a, other = *(const uint64_t *)b;

	return one < other ? -1 : one > other;
}

static bool is_write(const struct writes *writes, uint64_t event)
{
	return writes->count &&
	       bsearch(&event, writes->items, writes->count, sizeof(event), compare_numbers);
}

static int walk_through(struct explore_walk *walk, struct writes *writes, struct message *message)
{
	int step;

	while ((step = explore_walk_next(walk, message)) > 0)
		if (explore_walk_event(walk)->kind == TRACE_WRITE && !explore_walk_is_sync_step(walk) &&
		    vector_append(writes, explore_walk_count(walk)) < 0)
			return message_fail(message, -ENOMEM, "out of memory");
	return step;
}

static int add_line(struct durability *durability, const struct explore_walk *walk,
		    const struct writes *writes, const struct explore_place *place)
{
	const struct lines *lines = explore_walk_lines(walk);
	const uint64_t newest = explore_place_version(walk, place, place->versions - 1);
	const size_t count = lines_pending(lines, place->address, newest, NULL, 0);
	CLEANUP_FREE struct lines_pending *stores = calloc(count + 1, sizeof(*stores));

	if (!stores)
		return -ENOMEM;
	lines_pending(lines, place->address, newest, stores, count);
	for (size_t i = 0; i < count; i++)
		if (is_write(writes, stores[i].id))
			return add_risk(durability, place->file->id);
	return 0;
}

/* A sync of a file commits more than this file, and so does mapping one: the models know what is left. */
static int find_risks(struct durability *durability, const struct durability_task *task,
		      struct message *message)
{
	struct explore_places places = { 0 };
	struct writes writes = { 0 };
	struct explore_walk *walk;
	int error = explore_walk_create(task->fd, task->trace, task->walk, &walk, message);

	if (error)
		return error;
	error = walk_through(walk, &writes, message);
	if (!error) {
		error = explore_places_collect(walk, &places);
		for (size_t i = 0; !error && i < places.lines; i++)
			error = add_line(durability, walk, &writes, &places.items[i]);
		if (!error)
			error = names_groups(explore_walk_names_model(explore_walk_names(walk)), durability,
					     add_operation);
		if (error)
			message_fail(message, error, "out of memory");
	}
	explore_places_clear(&places);
	vector_free(&writes);
	explore_walk_destroy(walk);
	return error;
}

static int print_json(struct durability *durability, const struct durability_task *task,
		      struct output_file *output, struct message *message)
{
	CLEANUP_JSON struct json_object *result = json_object_new_object();

	durability->losses = durability->vain = 0;
	durability->findings = json_object_new_array();
	control_put_u64(result, "version", EXPLORE_JSON_VERSION);
	explore_put_text(result, "trace", task->trace);
	control_put_bool(result, "without_checker", true);
	json_object_object_add(result, "findings", durability->findings);
	tell(durability, task->flushes_matter);
	durability->findings = NULL;
	control_put_string(result, "domain",
			   persistence_domain_name(task->flushes_matter ? PERSISTENCE_MEMORY_CONTROLLER :
									  PERSISTENCE_CPU_CACHE));
	control_put_u64(result, "events", trace_catalog_events(durability->catalog));
	control_put_u64(result, "never_durable", durability->losses);
	control_put_u64(result, "in_vain", durability->vain);
	control_put_bool(result, "complete", true);
	return explore_json_write(result, output, message);
}

static int print(struct durability *durability, const struct durability_task *task, struct message *message)
{
	if (task->json) {
		print_json(durability, task, NULL, message);
	} else {
		durability->losses = durability->vain = 0;
		tell(durability, task->flushes_matter);
		puts(durability->losses ? "what was not made durable may be lost when the power fails "
					  "after the end of the trace" :
					  "all that was stored was made durable");
	}
	return task->output ? print_json(durability, task, task->output, message) : 0;
}

int explore_durability_print(const struct durability_task *task, bool *found, struct message *message)
{
	struct durability durability = { .stat = trace_stat_create() };
	struct trace_reader *reader;
	struct trace_event event;
	int step, error;

	if (!durability.stat)
		return message_fail(message, -ENOMEM, "out of memory");
	error = lseek(task->fd, 0, SEEK_SET) < 0 ?
			message_fail(message, -errno, "%s: %s", task->trace, strerror(errno)) :
			trace_reader_create(task->fd, task->trace, &reader, message);
	if (error) {
		trace_stat_destroy(durability.stat);
		return error;
	}
	while ((step = trace_reader_next(reader, &event, message)) == 1 && !error)
		error = trace_stat_add(durability.stat, &event);
	if (!error && step == 0)
		error = trace_stat_end(durability.stat);
	if (error)
		message_fail(message, error, "out of memory");
	else if (step < 0)
		error = step;
	if (!error)
		error = find_risks(&durability, task, message);
	if (!error) {
		durability.catalog = trace_reader_catalog(reader);
		durability.symbols = trace_symbols_create(durability.catalog);
		error = print(&durability, task, message);
		trace_symbols_destroy(durability.symbols);
	}
	*found = durability.losses > 0;
	idmap_clear(&durability.at_risk, NULL);
	trace_reader_destroy(reader);
	trace_stat_destroy(durability.stat);
	return error;
}
