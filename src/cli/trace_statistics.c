/* SPDX-License-Identifier: BSD-3-Clause */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/trace_commands.h"
#include "common/align.h"
#include "trace/catalog.h"
#include "trace/event_stream.h"
#include "trace/stat.h"
#include "trace/symbols.h"
#include "wire/frame.h"

#define SITES_DEFAULT 20u

/* The counts of the whole and of each site: a column of the table, a member in JSON. */
static const struct column {
	const char *member, *title, *row;
	size_t offset;
} columns[] = {
#define COLUMN(member, title, row)                                                                           \
	{                                                                                                    \
#member, title, row, offsetof(struct trace_counts, member)                                   \
	}
	COLUMN(stores, "STORES", "stores"),
	COLUMN(store_bytes, NULL, "bytes stored"),
	COLUMN(nontemporal, NULL, "non-temporal stores"),
	COLUMN(flushes, "FLUSHES", "lines flushed"),
	COLUMN(fences, "FENCES", "fences"),
	COLUMN(unflushed, "UNFLUSHED", "stores that were never flushed"),
	COLUMN(unfenced, "UNFENCED", "stores that were flushed and never fenced"),
	COLUMN(overwritten, "OVERWRITTEN", "stores over bytes that were not durable yet"),
	COLUMN(clean_flushes, "CLEAN", "lines flushed that were clean"),
	COLUMN(redundant_flushes, "AGAIN", "lines flushed again before the fence"),
	COLUMN(idle_fences, "IDLE", "fences with nothing to do"),
#undef COLUMN
};
#define COLUMNS (sizeof(columns) / sizeof(columns[0]))

static uint64_t count_in(const struct trace_counts *counts, const struct column *column)
{
	return *(const uint64_t *)(const void *)((const char *)counts + column->offset);
}

/* What is printed, in whichever form. */
struct report {
	const struct trace_cli_options *options;
	const struct trace_catalog *catalog;
	struct trace_stat *stat;
	uint64_t events;
	struct trace_symbols *symbols; /* NULL: places are not looked up */
	uint64_t most_sites;
};

static int take(void *context, const struct trace_event *event, struct message *message)
{
	struct report *report = context;

	report->events++;
	return trace_stat_add(report->stat, event);
}

static const char *place_of(const struct report *report, uint32_t site, uint32_t frame)
{
	const char *place = report->symbols ? trace_symbols_frame(report->symbols, site, frame) : "";

	return place ? place : "";
}

/* Sites that stored, flushed or fenced, at most so many. */
static size_t sites_shown(const struct report *report, const struct trace_site_counts **sites)
{
	size_t count;

	*sites = trace_stat_sites(report->stat, &count);
	return (size_t)min_u64(count, report->most_sites);
}

static bool is_directory(const struct report *report, uint64_t file)
{
	const struct trace_event *event = trace_catalog_file(report->catalog, file);

	if (!event)
		return false;
	return event->kind == TRACE_MKDIR ||
	       (event->kind == TRACE_FILE && S_ISDIR(event->node.attributes.mode));
}

/* ---- JSON ------------------------------------------------------------------------------------- */

static void add_counts(struct json_object *object, const struct trace_counts *counts)
{
	for (size_t i = 0; i < COLUMNS; i++)
		control_put_u64(object, columns[i].member, count_in(counts, &columns[i]));
}

static struct json_object *total_json(const struct report *report)
{
	const struct trace_stat *stat = report->stat;
	struct json_object *total = json_object_new_object();

	add_counts(total, trace_stat_counts(stat));
	control_put_u64(total, "lines", trace_stat_lines(stat));
	control_put_u64(total, "writes", trace_stat_events(stat, TRACE_WRITE));
	control_put_u64(total, "write_bytes", trace_stat_write_bytes(stat));
	control_put_u64(total, "marks", trace_stat_events(stat, TRACE_MARK));
	control_put_u64(total, "lost", trace_stat_events(stat, TRACE_LOST));
	return total;
}

static struct json_object *site_json(const struct report *report, const struct trace_site_counts *site)
{
	const struct trace_event *event = trace_catalog_site(report->catalog, site->site);
	struct json_object *object = json_object_new_object(), *stack = json_object_new_array();

	control_put_u64(object, "site", site->site);
	add_counts(object, &site->counts);
	for (uint32_t i = 0; report->symbols && event && i < event->stack.count; i++)
		json_object_array_add(stack, json_object_new_string(place_of(report, site->site, i)));
	json_object_object_add(object, "stack", stack);
	return object;
}

static struct json_object *file_json(const struct report *report, const struct trace_file_counts *file)
{
	struct json_object *object = json_object_new_object();
	char path[TRACE_PATH_MAX + 1];
	struct trace_bytes bytes = { (const unsigned char *)path, 0 };

	trace_catalog_path(report->catalog, file->file, path, sizeof(path));
	bytes.length = (uint32_t)strlen(path);
	control_put_u64(object, "file", file->file);
	json_object_object_add(object, "path", trace_json_bytes(&bytes));
	control_put_bool(object, "directory", is_directory(report, file->file));
	control_put_u64(object, "stores", file->stores);
	control_put_u64(object, "changes", file->writes);
	control_put_u64(object, "syncs", file->syncs);
	control_put_bool(object, "unsynced", file->changed);
	return object;
}

/* A row by itself says what it is of. */
static void print_line(struct json_object *object, const char *type)
{
	control_put_string(object, "type", type);
	output_line(object);
	json_object_put(object);
}

static void print_ndjson(const struct report *report)
{
	const struct trace_site_counts *sites;
	const size_t site_count = sites_shown(report, &sites);
	size_t file_count;
	const struct trace_file_counts *files = trace_stat_files(report->stat, &file_count);

	print_line(total_json(report), "total");
	for (size_t i = 0; i < site_count; i++)
		print_line(site_json(report, &sites[i]), "site");
	for (size_t i = 0; i < file_count; i++)
		print_line(file_json(report, &files[i]), "file");
}

static void print_json(const struct report *report)
{
	CLEANUP_JSON struct json_object *result = json_object_new_object();
	struct json_object *site_array = json_object_new_array(), *file_array = json_object_new_array();
	const struct trace_site_counts *sites;
	const size_t site_count = sites_shown(report, &sites);
	size_t file_count;
	const struct trace_file_counts *files = trace_stat_files(report->stat, &file_count);

	json_object_object_add(result, "total", total_json(report));
	json_object_object_add(result, "sites", site_array);
	json_object_object_add(result, "files", file_array);
	for (size_t i = 0; i < site_count; i++)
		json_object_array_add(site_array, site_json(report, &sites[i]));
	for (size_t i = 0; i < file_count; i++)
		json_object_array_add(file_array, file_json(report, &files[i]));
	output_object(result);
}

/* ---- Tables ------------------------------------------------------------------------------------ */

static void print_row(uint64_t count, const char *what)
{
	printf("%14" PRIu64 " %s\n", count, what);
}

static void print_totals(const struct report *report)
{
	const struct trace_stat *stat = report->stat;

	for (size_t i = 0; i < COLUMNS; i++)
		print_row(count_in(trace_stat_counts(stat), &columns[i]), columns[i].row);
	print_row(trace_stat_lines(stat), "lines touched");
	print_row(trace_stat_events(stat, TRACE_WRITE), "writes on the mount");
	print_row(trace_stat_write_bytes(stat), "bytes written there");
	print_row(trace_stat_events(stat, TRACE_MARK), "marks");
	if (trace_stat_events(stat, TRACE_LOST))
		print_row(trace_stat_events(stat, TRACE_LOST), "places where events were lost");
}

static void print_sites(const struct report *report)
{
	const struct trace_site_counts *sites;
	const size_t count = sites_shown(report, &sites);

	if (!count)
		return;
	printf("\n%8s", "SITE");
	for (size_t i = 0; i < COLUMNS; i++)
		if (columns[i].title)
			printf(" %11s", columns[i].title);
	puts(" PLACE");
	for (size_t i = 0; i < count; i++) {
		if (sites[i].site)
			printf("%8" PRIu32, sites[i].site);
		else
			printf("%8s", "-");
		for (size_t c = 0; c < COLUMNS; c++)
			if (columns[c].title)
				printf(" %11" PRIu64, count_in(&sites[i].counts, &columns[c]));
		printf(" %s\n", place_of(report, sites[i].site, 0));
	}
}

static void print_files(const struct report *report)
{
	size_t count, shown = 0;
	const struct trace_file_counts *files = trace_stat_files(report->stat, &count);
	char path[TRACE_PATH_MAX + 1];

	for (size_t i = 0; i < count; i++) {
		if (!files[i].changed)
			continue;
		if (!shown++)
			puts("\n   CHANGES      SYNCS NOT SYNCED AFTER ITS LAST CHANGE");
		printf("%10" PRIu64 " %10" PRIu64 " ", files[i].writes, files[i].syncs);
		output_name(trace_catalog_path(report->catalog, files[i].file, path, sizeof(path)),
			    is_directory(report, files[i].file) ? " (directory)\n" : "\n");
	}
}

static void print_report(const struct report *report)
{
	if (report->options->json) {
		print_json(report);
	} else if (report->options->ndjson) {
		print_ndjson(report);
	} else {
		print_totals(report);
		print_sites(report);
		print_files(report);
	}
}

int trace_statistics(struct cli *cli, const char *path, const struct trace_cli_options *options)
{
	CLEANUP_EVENTS struct trace_events *events = NULL;
	struct report report = { .options = options, .most_sites = SITES_DEFAULT };
	int status =
		cli_whole_number(cli, "sites", options->sites, 0, UINT64_MAX, &report.most_sites);

	if (status)
		return status;
	if (options->json && options->ndjson)
		return cli_usage(cli, "--json and --ndjson are two forms of the same: give one");
	status = trace_open(cli, path, &events);
	if (status)
		return status;
	report.stat = trace_stat_create();
	if (!report.stat)
		return cli_fail(cli, "out of memory");
	status = trace_each(cli, events, take, &report);
	if (trace_stat_end(report.stat) < 0) {
		status = cli_fail(cli, "out of memory");
	} else if (status == CLI_OK || !trace_is_other_text(events, report.events)) {
		report.catalog = trace_events_catalog(events);
		report.symbols = options->no_source ? NULL : trace_symbols_create(report.catalog);
		print_report(&report);
		trace_symbols_destroy(report.symbols);
	}
	trace_stat_destroy(report.stat);
	return status;
}
