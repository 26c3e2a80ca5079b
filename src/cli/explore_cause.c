/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/explore_cause.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "trace/reader.h"

char *explore_site_text(const struct trace_catalog *catalog, uint32_t site)
{
	const struct trace_event *event = site ? trace_catalog_site(catalog, site) : NULL;
	const struct trace_event *module;
	char *text = NULL;

	if (!event || !event->stack.count)
		return strdup("");
	module = trace_catalog_module(catalog, event->stack.frames[0].module);
	if (asprintf(&text, "%.*s+0x%" PRIx64, module ? (int)module->module.path.length : 1,
		     module ? (const char *)module->module.path.at : "?", event->stack.frames[0].offset) < 0)
		return NULL;
	return text;
}

int explore_read_definitions(int fd, const char *trace, struct trace_reader **out, struct message *message)
{
	struct trace_event event;
	struct message ignored;
	int error = lseek(fd, 0, SEEK_SET) < 0 ?
			    message_fail(message, -errno, "%s: %s", trace, strerror(errno)) :
			    trace_reader_create(fd, trace, out, message);

	if (error)
		return error;
	while (trace_reader_next(*out, &event, &ignored) == 1)
		;
	return 0;
}

int explore_open_definitions(const char *trace, struct trace_reader **out, struct message *message)
{
	CLEANUP_FD int fd = open(trace, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? message_fail(message, -errno, "%s: %s", trace, strerror(errno)) :
			explore_read_definitions(fd, trace, out, message);
}

/* ---- Causes --------------------------------------------------------------------------------- */

void explore_causes_clear(struct explore_causes *causes)
{
	for (size_t i = 0; i < causes->count; i++)
		free(causes->items[i]);
	vector_free(causes);
}

/* NULL without memory. */
static char *evidence_text(const struct trace_catalog *catalog, const struct explore_evidence *evidence)
{
	CLEANUP_FREE char *site = explore_site_text(catalog, evidence->site);
	const char *fate = evidence->lost ? "lost" : "kept";
	char *text;
	int length;

	if (!site)
		return NULL;
	if (evidence->operation)
		length = asprintf(&text, "%s %d %s\n", fate, (int)evidence->kind, evidence->path);
	else if (*site)
		length = asprintf(&text, "%s %s\n", fate, site);
	else
		length = asprintf(&text, "%s %s+%" PRIu64 "\n", fate, evidence->path, evidence->offset);
	return length < 0 ? NULL : text;
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void put_cause(FILE *out, const struct explore_finding *finding, struct explore_causes *texts)
{
	const struct explore_point *point = &finding->point;

	fprintf(out, "%d %d %d\n", (int)finding->neighbour, (int)finding->verdict.result,
		finding->verdict.code);
	/* Nothing makes a difference: the place is all that there is to tell. */
	if (finding->neighbour == EXPLORE_AGAINST_NONE)
		fprintf(out, "%d %" PRIx64 "\n", (int)point->kind, point->cluster);
	if (texts->count)
		qsort(texts->items, texts->count, sizeof(*texts->items), compare_texts);
	for (size_t i = 0; i < texts->count; i++)
		if (!i || strcmp(texts->items[i - 1], texts->items[i]) != 0)
			fputs(texts->items[i], out);
}

/* NULL without memory. */
static char *cause_text(const struct trace_catalog *catalog, const struct explore_finding *finding)
{
	struct explore_causes texts = { 0 };
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	bool whole = out;

	for (size_t i = 0; whole && i < finding->evidence.count; i++) {
		char *one = evidence_text(catalog, &finding->evidence.items[i]);

		whole = one && vector_append(&texts, one) == 0;
		if (!whole)
			free(one);
	}
	if (whole)
		put_cause(out, finding, &texts);
	explore_causes_clear(&texts);
	whole = out && fclose(out) == 0 && whole;
	if (whole)
		return text;
	free(text);
	return NULL;
}

static bool is_known(const struct explore_causes *causes, const char *cause)
{
	for (size_t i = 0; i < causes->count; i++)
		if (strcmp(causes->items[i], cause) == 0)
			return true;
	return false;
}

int explore_causes_keep_new(struct explore_causes *causes, int fd, const char *trace,
			    struct explore_findings *findings, struct message *message)
{
	struct trace_reader *reader;
	size_t kept = 0;
	int error = findings->count ? explore_read_definitions(fd, trace, &reader, message) : 0;

	if (error || !findings->count)
		return error;
	for (size_t i = 0; !error && i < findings->count; i++) {
		char *cause = cause_text(trace_reader_catalog(reader), &findings->items[i]);
		const bool is_new = cause && !is_known(causes, cause);

		error = !cause ? -ENOMEM : is_new ? vector_append(causes, cause) : 0;
		if (error || !is_new)
			free(cause);
		if (!error && is_new) {
			const struct explore_finding swapped = findings->items[kept];

			/* Those that are dropped come last. */
			findings->items[kept++] = findings->items[i];
			findings->items[i] = swapped;
		}
	}
	trace_reader_destroy(reader);
	explore_findings_keep(findings, error ? 0 : kept);
	return error ? message_fail(message, error, "out of memory") : 0;
}
