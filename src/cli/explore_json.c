/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/explore_json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/explore_cause.h"
#include "cli/explore_site.h"
#include "cli/output.h"
#include "common/cleanup.h"
#include "trace/reader.h"
#include "trace/symbols.h"
#include "wire/frame.h"
#include "wire/text.h"

struct making {
	const struct explore_outcome *outcome;
	const struct trace_catalog *catalog;
	struct trace_symbols *symbols; /* NULL: not known */
};

/* ---- Findings ------------------------------------------------------------------------ */

static struct json_object *evidence_json(const struct making *making, const struct explore_evidence *evidence)
{
	struct json_object *object = json_object_new_object();

	control_put_bool(object, "lost", evidence->lost);
	explore_put_text(object, "file", evidence->path);
	if (evidence->operation)
		explore_put_text(object, "operation", evidence->operation);
	control_put_u64(object, "offset", evidence->offset);
	control_put_u64(object, "length", evidence->length);
	control_put_u64(object, "event", evidence->event);
	control_put_u64(object, "thread", evidence->thread);
	explore_put_site(object, making->catalog, making->symbols, evidence->site);
	return object;
}

static struct json_object *timeline_json(const struct making *making, const struct explore_timeline *timeline)
{
	struct json_object *object = json_object_new_object(), *rows = json_object_new_array();
	struct json_object *events = json_object_new_array();

	for (size_t i = 0; i < timeline->rows.count; i++) {
		const struct explore_row *row = &timeline->rows.items[i];
		struct json_object *item = json_object_new_object();

		explore_put_text(item, "file", row->path);
		if (row->operation)
			explore_put_text(item, "operation", row->operation);
		else
			control_put_u64(item, "offset", row->offset);
		json_object_array_add(rows, item);
	}
	for (size_t i = 0; i < timeline->moments.count; i++) {
		const struct explore_moment *moment = &timeline->moments.items[i];
		struct json_object *item = json_object_new_object();

		control_put_u64(item, "event", moment->event);
		control_put_string(item, "kind", moment->name);
		control_put_u64(item, "thread", moment->thread);
		if (moment->row != EXPLORE_ALL_ROWS)
			control_put_u64(item, "row", moment->row);
		if (moment->fate != EXPLORE_FATE_NONE)
			control_put_string(item, "fate", explore_fate_name(moment->fate));
		if (moment->site && making->symbols)
			explore_put_text(item, "site", trace_symbols_frame(making->symbols, moment->site, 0));
		json_object_array_add(events, item);
	}
	json_object_object_add(object, "rows", rows);
	json_object_object_add(object, "events", events);
	control_put_u64(object, "left_out", timeline->left_out);
	return object;
}

/* Where power fails, what differs from the neighbour, and what was acknowledged. */
static void put_crash(const struct making *making, struct json_object *object,
		      const struct explore_finding *finding)
{
	static const char *const against[] = { [EXPLORE_AGAINST_NEWEST] = "newest",
					       [EXPLORE_AGAINST_GUARANTEED] = "guaranteed",
					       [EXPLORE_AGAINST_NONE] = "none" };
	struct json_object *evidence = json_object_new_array();

	control_put_u64(object, "after_event", finding->point.after & ~EXPLORE_BEFORE_SYNC);
	control_put_string(object, "before", explore_point_kind(&finding->point));
	control_put_string(object, "phase", explore_phase_name(finding->phase));
	control_put_string(object, "passes", against[finding->neighbour]);
	for (size_t i = 0; i < finding->evidence.count; i++)
		json_object_array_add(evidence, evidence_json(making, &finding->evidence.items[i]));
	json_object_object_add(object, "evidence", evidence);
	json_object_object_add(object, "timeline", timeline_json(making, &finding->timeline));
}

static void put_marks(struct json_object *object, const struct explore_finding *finding)
{
	control_put_u64(object, "marks", finding->marks);
	if (finding->last_mark)
		explore_put_text(object, "last_mark", finding->last_mark);
}

/* `state`: its name for a replay. `first`: what was acknowledged before the first power failure. */
static struct json_object *finding_json(const struct making *making, const struct explore_finding *finding,
					const char *state, const struct explore_finding *first)
{
	const struct explore_options *options = making->outcome->options;
	struct json_object *object = json_object_new_object();
	CLEANUP_FREE char *replay = explore_replay_command(making->outcome, state);
	char verdict[128];

	explore_verdict_text(&finding->verdict, options->timeout_ms, verdict, sizeof(verdict));
	control_put_string(object, "state", state);
	control_put_string(object, "verdict", verdict);
	control_put_string(object, "weakest_metadata", metadata_mode_name(finding->weakest));
	control_put_string(object, "weakest_persistency", lines_mode_name(finding->weakest_lines));
	control_put_u64(object, "states", finding->states);
	explore_put_text(object, "output", finding->verdict.output);
	explore_put_text(object, "replay", replay ? replay : "");
	put_marks(object, first);
	put_crash(making, object, finding);
	return object;
}

/* The state of the first run: "first" of a finding at a crash of its recovery. */
static struct json_object *first_json(const struct making *making, const struct explore_finding *first)
{
	struct json_object *object = json_object_new_object();

	control_put_string(object, "state", first->name);
	put_marks(object, first);
	put_crash(making, object, first);
	return object;
}

/* `making` is of the first run. */
static int add_recovery(const struct making *making, const struct explore_second *second,
			struct json_object *findings, struct message *message)
{
	struct trace_reader *reader;
	struct making own = *making;
	int error = explore_open_definitions(second->trace, &reader, message);

	if (error)
		return error;
	own.catalog = trace_reader_catalog(reader);
	own.symbols = trace_symbols_create(own.catalog);
	for (size_t i = 0; i < second->findings.count; i++) {
		const struct explore_finding *finding = &second->findings.items[i];
		CLEANUP_FREE char *state = explore_depth_name(second, finding);
		struct json_object *object =
			finding_json(&own, finding, state ? state : "", &second->first.items[0]);

		control_put_u64(object, "depth", 2);
		json_object_object_add(object, "first", first_json(making, &second->first.items[0]));
		json_object_array_add(findings, object);
	}
	trace_symbols_destroy(own.symbols);
	trace_reader_destroy(reader);
	return 0;
}

/* ---- The whole ------------------------------------------------------------------------- */

/* What was tried, and why not more. */
static void put_coverage(struct json_object *object, const struct explore_outcome *outcome)
{
	const struct explore_summary *summary = &outcome->summary;

	control_put_u64(object, "crash_points", outcome->points->count);
	control_put_u64(object, "points_checked", summary->points);
	control_put_u64(object, "points_exhausted", summary->exhausted);
	if (summary->legal != UINT64_MAX)
		control_put_u64(object, "states_legal", summary->legal);
	control_put_u64(object, "states_generated", summary->generated);
	control_put_u64(object, "states_equal", summary->equal);
	control_put_u64(object, "states_checked", summary->checked);
	control_put_u64(object, "states_failed", outcome->failures);
	control_put_bool(object, "complete",
			 summary->limit == EXPLORE_LIMIT_NONE &&
				 (outcome->levels < 2 || outcome->depth.complete));
	if (summary->limit != EXPLORE_LIMIT_NONE)
		control_put_string(object, "limit", explore_limit_name(summary->limit));
}

static struct json_object *depth_json(const struct explore_depth *depth)
{
	struct json_object *object = json_object_new_object();

	control_put_u64(object, "recovered", depth->recovered);
	control_put_u64(object, "recorded", depth->recorded);
	control_put_u64(object, "equal", depth->equal);
	control_put_u64(object, "not_repeated", depth->failed);
	control_put_u64(object, "reordered", depth->reordered);
	control_put_u64(object, "left_out", depth->left_out);
	control_put_u64(object, "states_checked", depth->checked);
	control_put_u64(object, "states_failed", depth->failures);
	return object;
}

static int findings_json(const struct making *making, struct json_object *findings, struct message *message)
{
	const struct explore_outcome *outcome = making->outcome;
	int error = 0;

	for (size_t i = 0; i < outcome->findings.count; i++) {
		const struct explore_finding *finding = &outcome->findings.items[i];

		json_object_array_add(findings, finding_json(making, finding, finding->name, finding));
	}
	for (size_t i = 0; !error && i < outcome->depth.seconds.count; i++)
		error = add_recovery(making, &outcome->depth.seconds.items[i], findings, message);
	return error;
}

int explore_json(const struct explore_outcome *outcome, const struct trace_catalog *catalog,
		 struct json_object **out, struct message *message)
{
	const struct making making = {
		.outcome = outcome, .catalog = catalog, .symbols = trace_symbols_create(catalog)
	};
	struct json_object *object = json_object_new_object(), *findings = json_object_new_array();
	struct json_object *checker = json_object_new_array();
	const struct explore_options *options = outcome->options;
	int error;

	control_put_u64(object, "version", EXPLORE_JSON_VERSION);
	explore_put_text(object, "trace", outcome->trace);
	control_put_string(object, "search", outcome->identity);
	if (options->shards) {
		control_put_u64(object, "shard", options->shard + 1);
		control_put_u64(object, "shards", options->shards);
	}
	for (char *const *word = options->checker; word && *word; word++)
		explore_add_text(checker, *word);
	json_object_object_add(object, "checker", checker);
	control_put_string(object, "persistency", lines_mode_name(options->walk.mode));
	control_put_string(object, "domain", persistence_domain_name(options->walk.domain));
	control_put_string(object, "metadata", metadata_mode_name(options->walk.metadata));
	control_put_u64(object, "events", outcome->points->events);
	if (outcome->points->cut.text[0])
		explore_put_text(object, "cut", outcome->points->cut.text);
	put_coverage(object, outcome);
	control_put_u64(object, "milliseconds", outcome->milliseconds);
	control_put_u64(object, "unstable", outcome->findings.unstable + outcome->depth.unstable);
	control_put_u64(object, "unreduced", outcome->findings.unreduced + outcome->depth.unreduced);
	if (outcome->levels > 1)
		json_object_object_add(object, "depth", depth_json(&outcome->depth));
	json_object_object_add(object, "findings", findings);
	error = findings_json(&making, findings, message);
	trace_symbols_destroy(making.symbols);
	if (error)
		json_object_put(object);
	else
		*out = object;
	return error;
}

int explore_json_write(struct json_object *object, struct output_file *output, struct message *message)
{
	if (!output) {
		output_object(object);
		return 0;
	}
	if (json_object_to_fd(output->fd, object, JSON_C_TO_STRING_PRETTY) < 0)
		return message_fail(message, -EIO, "%s: cannot write the findings: %s", output->path,
				    strerror(errno));
	return output_file_commit(output, message);
}
