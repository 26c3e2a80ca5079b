/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/explore_print.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/explore_cause.h"
#include "cli/explore_json.h"
#include "cli/output.h"
#include "common/cleanup.h"
#include "trace/catalog.h"
#include "trace/symbols.h"
#include "wire/frame.h"
#include "wire/text.h"

#define EVIDENCE_MOST 20u

/* Print text of a trace, escaped for a terminal. */
static void print_safe(const char *text)
{
	CLEANUP_FREE char *safe = text_printable(text);

	fputs(safe ? safe : "?", stdout);
}

const char *explore_point_kind(const struct explore_point *point)
{
	const struct trace_event event = { .kind = point->kind, .op = point->op };

	return trace_event_name(&event);
}

/* ---- Text ------------------------------------------------------------------------ */

/* Where in the program, and by whom it was called; --json has the whole call stack. */
static void print_site(struct trace_symbols *symbols, uint32_t site)
{
	for (uint32_t i = 0; symbols && site; i++) {
		const char *frame = trace_symbols_frame(symbols, site, i);

		if (!frame || !trace_symbols_fit_line(frame, i))
			break;
		printf("%s%s", i == 0 ? " at " : i == 1 ? ", called by " : ", ", frame);
	}
}

static void print_point(struct trace_symbols *symbols, const struct explore_point *point)
{
	if (point->kind == TRACE_END)
		printf("  power fails at the end of the trace, after event %" PRIu64, point->after);
	else if (point->after & EXPLORE_BEFORE_SYNC)
		printf("  power fails before the sync of event %" PRIu64 " (synchronous write)",
		       point->after & ~EXPLORE_BEFORE_SYNC);
	else if (point->kind == TRACE_MARK)
		printf("  power fails right after event %" PRIu64 " (mark)", point->after);
	else
		printf("  power fails right before event %" PRIu64 " (%s)", point->after + 1,
		       explore_point_kind(point));
	print_site(symbols, point->site);
	putchar('\n');
}

static void print_evidence(struct trace_symbols *symbols, const struct explore_evidence *evidence)
{
	printf("  %s: ", evidence->lost ? "lost" : "kept");
	print_safe(evidence->operation ? evidence->operation : evidence->path);
	if (evidence->operation)
		printf(", by event %" PRIu64, evidence->event);
	else
		printf(", bytes %" PRIu64 " to %" PRIu64 ", stored by event %" PRIu64 " of thread %" PRIu32,
		       evidence->offset, evidence->offset + evidence->length - 1, evidence->event,
		       evidence->thread);
	print_site(symbols, evidence->site);
	putchar('\n');
}

/* A word as a shell needs it. */
static void put_word(FILE *out, const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789_-./=:,+@%{}";

	if (*word && !word[strspn(word, plain)]) {
		fputs(word, out);
		return;
	}
	putc('\'', out);
	for (; *word; word++)
		fputs(*word == '\'' ? "'\\''" : (char[]){ *word, '\0' }, out);
	putc('\'', out);
}

static void put_words(FILE *out, char *const *words)
{
	for (; words && *words; words++) {
		put_word(out, *words);
		if (words[1])
			putc(' ', out);
	}
}

char *explore_replay_command(const struct explore_outcome *outcome, const char *state)
{
	const struct explore_options *options = outcome->options;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	fputs("softpmem explore", out);
	if (options->walk.mode != LINES_MODE_LINE)
		fprintf(out, " --persistency %s", lines_mode_name(options->walk.mode));
	if (options->walk.domain != PERSISTENCE_MEMORY_CONTROLLER)
		fprintf(out, " --domain %s", persistence_domain_name(options->walk.domain));
	if (options->walk.metadata != METADATA_ORDERED)
		fprintf(out, " --metadata %s", metadata_mode_name(options->walk.metadata));
	fprintf(out, " --replay %s ", state);
	if (outcome->builtin)
		fprintf(out, "--checker %s ", outcome->builtin);
	if (options->engine) {
		put_words(out, options->checker);
		putc(' ', out);
	}
	if (outcome->oracle) {
		fprintf(out, "--oracle %s --dump ", outcome->oracle);
		put_word(out, outcome->dump);
		putc(' ', out);
	}
	put_word(out, outcome->trace);
	if ((!outcome->builtin || options->how != EXPLORE_CHECKER_BY_NAME) && !outcome->oracle &&
	    !options->engine) {
		fputs(" -- ", out);
		put_words(out, options->checker);
	}
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

static void print_evidences(struct trace_symbols *symbols, const struct explore_finding *finding)
{
	for (size_t i = 0; i < finding->evidence.count && i < EVIDENCE_MOST; i++)
		print_evidence(symbols, &finding->evidence.items[i]);
	if (finding->evidence.count > EVIDENCE_MOST)
		printf("  and %zu more: see --json\n", finding->evidence.count - EVIDENCE_MOST);
}

static void print_marks(const struct explore_finding *finding)
{
	if (!finding->last_mark)
		return;
	printf("  acknowledged before: %s, the last one '", output_count(finding->marks, "mark", NULL));
	print_safe(finding->last_mark);
	fputs("'\n", stdout);
}

/* The power failure, and what makes its state one on which the checker fails. */
static void print_failure(const struct explore_outcome *outcome, struct trace_symbols *symbols,
			  const struct explore_finding *finding)
{
	static const char *const against[] = {
		[EXPLORE_AGAINST_NEWEST] = "the checker passes if everything else that was stored is durable",
		[EXPLORE_AGAINST_GUARANTEED] = "the checker passes if only what is guaranteed is durable",
		[EXPLORE_AGAINST_NONE] =
			"the checker fails whether everything or only what is guaranteed is durable",
	};
	static const char *const meanings[] = {
		[METADATA_DURABLE] = "names are durable at once: bytes are lost",
		[METADATA_ORDERED] = "as on ext4 and xfs",
		[METADATA_STRICT] = "only by the letter of POSIX",
	};

	print_point(symbols, &finding->point);
	print_evidences(symbols, finding);
	printf("  %s\n", against[finding->neighbour]);
	/* A weaker mode than that of the search is one of a directory. */
	if (finding->weakest > outcome->options->walk.metadata)
		puts("  it fails in the metadata modes that the directories of the trace have");
	else
		printf("  it fails in the metadata mode %s (%s)\n", metadata_mode_name(finding->weakest),
		       meanings[finding->weakest]);
	/* With lines all findings are of lines. */
	if (outcome->options->walk.mode != LINES_MODE_LINE)
		printf("  it fails in the persistency mode %s (%s)\n",
		       lines_mode_name(finding->weakest_lines),
		       finding->weakest_lines == LINES_MODE_LINE ?
			       "stores to a line become durable in order, as on x86" :
			       "only if stores to a line become durable out of order");
}

static void print_end(const struct explore_outcome *outcome, const struct explore_finding *finding,
		      const char *state)
{
	CLEANUP_FREE char *replay = explore_replay_command(outcome, state);

	if (*finding->verdict.output) {
		fputs("  the checker printed: ", stdout);
		print_safe(finding->verdict.output);
		putchar('\n');
	}
	fputs("  replay: ", stdout);
	print_safe(replay ? replay : "?");
	putchar('\n');
}

static void print_title(const struct explore_outcome *outcome, const struct explore_finding *finding,
			size_t number, const char *when)
{
	char verdict[128];

	explore_verdict_text(&finding->verdict, outcome->options->timeout_ms, verdict, sizeof(verdict));
	printf("\nfinding %zu%s: the checker %s (%s)\n", number, when, verdict,
	       output_count(finding->states, "state", NULL));
}

static void print_finding(const struct explore_outcome *outcome, struct trace_symbols *symbols,
			  const struct explore_finding *finding, size_t number)
{
	print_title(outcome, finding, number, "");
	print_failure(outcome, symbols, finding);
	print_marks(finding);
	print_end(outcome, finding, finding->name);
}

/* A power failure of the run, and then one during the recovery from it. */
static void print_second(const struct explore_outcome *outcome, struct trace_symbols *symbols,
			 const struct explore_second *second, struct trace_symbols *recovery,
			 const struct explore_finding *finding, size_t number)
{
	const struct explore_finding *first = &second->first.items[0];
	CLEANUP_FREE char *state = explore_depth_name(second, finding);

	print_title(outcome, finding, number, ", if power fails again during recovery");
	puts("  first, in the run:");
	print_point(symbols, &first->point);
	print_evidences(symbols, first);
	if (!first->evidence.count)
		puts("  everything that was stored is durable");
	print_marks(first);
	printf("  the checker recovers from this state (%s)\n  then, in that recovery:\n", first->name);
	print_failure(outcome, recovery, finding);
	print_end(outcome, finding, state ? state : "?");
}

static void print_depth(const struct explore_depth *depth)
{
	printf("%s recovered by different changes: %s recorded, %" PRIu64 " of them like another one\n",
	       output_count(depth->recovered, "state is", "states are"),
	       output_count(depth->recorded, "recovery", "recoveries"), depth->equal);
	printf("%s of power failures in recoveries checked: %" PRIu64 " failed\n",
	       output_count(depth->checked, "state", NULL), depth->failures);
	if (depth->failed)
		printf("%s failed when recorded, and could not be explored: does the checker depend on its "
		       "surroundings?\n",
		       output_count(depth->failed, "recovery", "recoveries"));
	if (depth->reordered)
		printf("%" PRIu64 " failures are not reported: their recoveries, recorded again, stored "
		       "elsewhere or in another order, and could not be replayed. Has the checker several "
		       "threads or processes?\n",
		       depth->reordered);
	if (depth->left_out)
		printf("%s left out by a limit\n",
		       output_count(depth->left_out, "recovery was", "recoveries were"));
	if (depth->complete)
		puts("all states of the recoveries were checked");
}

static void print_summary(const struct explore_outcome *outcome)
{
	static const char *const limits[] = {
		[EXPLORE_LIMIT_NONE] = "",
		[EXPLORE_LIMIT_CHANCE] = "no other states of the rest were found by chance",
		[EXPLORE_LIMIT_STATES] = "the limit of states ended the search",
		[EXPLORE_LIMIT_FAILURES] = "so many failed that the search ended",
		[EXPLORE_LIMIT_TIME] = "the time was over",
	};
	const uint64_t unstable = outcome->findings.unstable + outcome->depth.unstable;
	const uint64_t unreduced = outcome->findings.unreduced + outcome->depth.unreduced;
	const struct explore_summary *summary = &outcome->summary;
	const double seconds = (double)outcome->milliseconds / 1000;

	if (outcome->points->cut.text[0])
		printf("%s\n", outcome->points->cut.text);
	printf("%s, %s\n", output_count(outcome->points->events, "event", NULL),
	       output_count(outcome->points->count, "crash point", NULL));
	printf("%s of %s checked in %.1f s: %" PRIu64 " failed\n",
	       output_count(summary->checked, "state", NULL), output_count(summary->points, "point", NULL),
	       seconds, outcome->failures);
	if (summary->limit == EXPLORE_LIMIT_NONE)
		puts("all states were checked");
	else
		printf("%s all their states checked; %s\n",
		       output_count(summary->exhausted, "point had", "points had"), limits[summary->limit]);
	/* Perhaps it does not find the files, or {} is another path than its user thinks. */
	if (outcome->failures && outcome->failures == summary->checked)
		printf("the checker failed on every state: does it pass where nothing is lost? "
		       "--replay %" PRIu64 "n --save DIRECTORY writes that state\n",
		       outcome->points->events);
	if (outcome->levels > 1)
		print_depth(&outcome->depth);
	if (unstable)
		printf("%s not reported, because the checker did not fail again: is it deterministic?\n",
		       output_count(unstable, "failure is", "failures are"));
	if (unreduced)
		printf("%s not looked into\n",
		       output_count(unreduced, "failure of a further kind was",
				    "failures of further kinds were"));
	if (!outcome->findings.count && !outcome->depth.findings)
		puts("no finding");
}

/* ---- Both forms ---------------------------------------------------------------------- */

/* The JSON on standard output, or to a file. */
static int print_json(const struct explore_outcome *outcome, const struct trace_catalog *catalog,
		      struct output_file *output, struct message *message)
{
	struct json_object *object = NULL;
	int error = explore_json(outcome, catalog, &object, message);

	if (!error)
		error = explore_json_write(object, output, message);
	json_object_put(object);
	return error;
}

/* The findings at crashes of one recovery. */
static int print_recovery(const struct explore_outcome *outcome, struct trace_symbols *symbols,
			  const struct explore_second *second, size_t *number, struct message *message)
{
	struct trace_symbols *recovery;
	struct trace_reader *reader;
	int error = explore_open_definitions(second->trace, &reader, message);

	if (error)
		return error;
	recovery = trace_symbols_create(trace_reader_catalog(reader));
	for (size_t i = 0; i < second->findings.count; i++)
		print_second(outcome, symbols, second, recovery, &second->findings.items[i], ++*number);
	trace_symbols_destroy(recovery);
	trace_reader_destroy(reader);
	return 0;
}

static int print_text(const struct explore_outcome *outcome, const struct trace_catalog *catalog,
		      struct message *message)
{
	struct trace_symbols *symbols = trace_symbols_create(catalog);
	size_t number = 0;
	int error = 0;

	print_summary(outcome);
	for (size_t i = 0; i < outcome->findings.count; i++)
		print_finding(outcome, symbols, &outcome->findings.items[i], ++number);
	for (size_t i = 0; !error && i < outcome->depth.seconds.count; i++)
		error = print_recovery(outcome, symbols, &outcome->depth.seconds.items[i], &number, message);
	trace_symbols_destroy(symbols);
	return error;
}

int explore_print(const struct explore_outcome *outcome, int fd, bool json, struct output_file *output,
		  struct message *message)
{
	struct trace_reader *reader;
	int error = explore_read_definitions(fd, outcome->trace, &reader, message);

	if (error)
		return error;
	/* First what cannot fail for want of space: a long search must not be in vain. */
	if (json)
		error = print_json(outcome, trace_reader_catalog(reader), NULL, message);
	else
		error = print_text(outcome, trace_reader_catalog(reader), message);
	if (output && !error)
		error = print_json(outcome, trace_reader_catalog(reader), output, message);
	trace_reader_destroy(reader);
	return error;
}

void explore_print_replay(const char *name, const struct explore_verdict *verdict, unsigned timeout_ms,
			  bool json)
{
	CLEANUP_FREE char *utf8 = NULL;
	char text[128];
	bool changed;

	explore_verdict_text(verdict, timeout_ms, text, sizeof(text));
	if (json) {
		struct json_object *object = json_object_new_object();

		control_put_string(object, "state", name);
		control_put_string(object, "verdict", text);
		utf8 = text_utf8(verdict->output, &changed);
		control_put_string(object, "output", utf8 ? utf8 : "");
		output_object(object);
		json_object_put(object);
		return;
	}
	printf("state %s: the checker %s\n", name, text);
	if (*verdict->output) {
		print_safe(verdict->output);
		putchar('\n');
	}
}
