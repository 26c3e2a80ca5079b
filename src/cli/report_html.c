/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A report as one HTML file. It has no scripts and loads nothing, which its content security policy says as
 * well: a text that were not escaped could still do nothing. What is stored, flushed, lost or kept is told by
 * words, not by colour alone.
 */

#include <inttypes.h>
#include <string.h>

#include "cli/report.h"

static const char head[] =
	"<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
	"<meta http-equiv=\"Content-Security-Policy\" "
	"content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
	"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
	"<meta name=\"color-scheme\" content=\"light dark\">\n";

static const char style[] =
	"<style>\n"
	":root{color-scheme:light dark;--back:#fff;--text:#1b1f24;--soft:#59636e;"
	"--line:#d1d9e0;--panel:#f6f8fa;--lost:#a40e26;--lost-back:#ffebe9;--kept:#0a3069;"
	"--kept-back:#ddf4ff;--safe:#116329;--safe-back:#dafbe1;--mark:#fff8c5;--link:#0550ae}\n"
	"@media (prefers-color-scheme:dark){:root{--back:#0d1117;--text:#e6edf3;--soft:#9198a1;"
	"--line:#3d444d;--panel:#161b22;--lost:#ffa198;--lost-back:#490202;--kept:#a5d6ff;"
	"--kept-back:#0c2d6b;--safe:#7ee787;--safe-back:#04260f;--mark:#3b2300;--link:#79c0ff}}\n"
	"*{box-sizing:border-box}\n"
	"body{margin:0 auto;max-width:72rem;padding:1rem;background:var(--back);color:var(--text);"
	"font:1rem/1.5 system-ui,sans-serif;overflow-wrap:anywhere}\n"
	"h1{font-size:1.5rem}h2{font-size:1.2rem;margin-top:2rem}h3{font-size:1rem;margin:1.25rem 0 .5rem}\n"
	"a{color:var(--link)}:focus-visible{outline:3px solid var(--link);outline-offset:2px}\n"
	".skip{position:absolute;left:-999rem}.skip:focus{position:static}\n"
	".soft{color:var(--soft)}code,pre,td,th{font-family:ui-monospace,monospace;font-size:.875rem}\n"
	".summary{border-left:.4rem solid var(--safe);padding:.5rem 1rem;background:var(--panel)}\n"
	".summary.found{border-color:var(--lost)}\n"
	"article{border:1px solid var(--line);border-radius:.5rem;margin:1rem 0;padding:0 1rem 1rem}\n"
	"dl{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1rem}"
	"dt{color:var(--soft)}dd{margin:0}\n"
	".scroll{overflow-x:auto;border:1px solid var(--line);border-radius:.25rem}\n"
	"table{border-collapse:collapse;min-width:100%}\n"
	"td,th{border:1px solid var(--line);padding:.25rem .5rem;text-align:left;white-space:nowrap;"
	"font-weight:normal;overflow-wrap:normal}\n"
	"thead th{background:var(--panel);vertical-align:bottom}\n"
	"tbody th{position:sticky;left:0;background:var(--panel);max-width:45vw;white-space:normal;"
	"overflow-wrap:anywhere}\n"
	".lost{background:var(--lost-back);color:var(--lost)}"
	".kept{background:var(--kept-back);color:var(--kept)}\n"
	".guaranteed{background:var(--safe-back);color:var(--safe)}\n"
	"pre{overflow-x:auto;background:var(--panel);padding:.5rem;border-radius:.25rem;margin:.5rem 0;"
	"white-space:pre}\n"
	"pre mark{background:var(--mark);color:inherit;display:block}\n"
	"pre.wrap{white-space:pre-wrap}li{margin:.25rem 0}\n"
	"@media (max-width:40rem){dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:.5rem}}\n"
	"@media print{article{break-inside:avoid}.scroll{overflow:visible}}\n"
	"</style>\n";

static void put_number(FILE *out, const char *what, uint64_t number)
{
	fprintf(out, "<dt>%s</dt><dd>%" PRIu64 "</dd>\n", what, number);
}

static void put_text(FILE *out, const char *what, const char *text)
{
	if (!*text)
		return;
	fprintf(out, "<dt>%s</dt><dd>", what);
	report_escape(out, text);
	fputs("</dd>\n", out);
}

/* ---- The beginning --------------------------------------------------------------------- */

static void put_missing(FILE *out, struct json_object *result)
{
	struct json_object *missing = NULL;
	size_t count = report_count(result, "missing_shards");

	if (!count)
		return;
	json_object_object_get_ex(result, "missing_shards", &missing);
	fputs("<p role=\"alert\"><strong>Shards are missing:</strong>", out);
	for (size_t i = 0; i < count; i++)
		fprintf(out, " %" PRIi64, json_object_get_int64(json_object_array_get_idx(missing, i)));
	fprintf(out, " of %" PRIu64 ". What they would have found is not here.</p>\n",
		report_u64(result, "shards"));
}

static const char *subject_of(struct json_object *result)
{
	return report_is_without_checker(result) ? "Durability" : "Crash states";
}

static void put_verdict(FILE *out, struct json_object *result)
{
	struct json_object *depth = report_object(result, "depth");

	fprintf(out, "the checker failed on %" PRIu64 " of %" PRIu64 " crash states",
		report_u64(result, "states_failed"), report_u64(result, "states_checked"));
	if (depth)
		fprintf(out,
			", and on %" PRIu64 " of %" PRIu64 " that a power failure during recovery leaves",
			report_u64(depth, "states_failed"), report_u64(depth, "states_checked"));
	fprintf(out, "%s.</p>\n", report_bool(result, "complete") ? ", which are all that there are" : "");
}

static void put_summary(FILE *out, struct json_object *result)
{
	const size_t count = report_count(result, "findings");

	fputs("<a class=\"skip\" href=\"#findings\">Skip to the findings</a>\n<header>\n", out);
	fprintf(out, "<h1>%s of ", subject_of(result));
	report_escape(out, report_string(result, "trace"));
	fprintf(out, "</h1>\n<div class=\"summary%s\" role=\"status\">\n<p><strong>", count ? " found" : "");
	if (count)
		fprintf(out, "%zu finding%s", count, count == 1 ? "" : "s");
	else
		fputs("No finding", out);
	fputs("</strong>: ", out);
	if (report_is_without_checker(result))
		fprintf(out,
			"%" PRIu64 " places or files with something that was never made durable, and %" PRIu64
			" places with flushes in vain. No crash states were checked.</p>\n",
			report_u64(result, "never_durable"), report_u64(result, "in_vain"));
	else
		put_verdict(out, result);
	put_missing(out, result);
	fputs("</div>\n</header>\n", out);
}

static void put_contents(FILE *out, struct json_object *result)
{
	if (!report_count(result, "findings"))
		return;
	fputs("<nav aria-label=\"Findings\">\n<ol>\n", out);
	for (size_t i = 0; i < report_count(result, "findings"); i++) {
		fprintf(out, "<li><a href=\"#finding-%zu\">", i + 1);
		report_title(out, report_item(result, "findings", i), report_escape);
		fputs("</a></li>\n", out);
	}
	fputs("</ol>\n</nav>\n", out);
}

/* ---- A finding --------------------------------------------------------------------------- */

static void put_row_name(FILE *out, struct json_object *row)
{
	const char *operation = report_string(row, "operation");
	const uint64_t offset = report_u64(row, "offset");

	fputs("<th scope=\"row\">", out);
	report_escape(out, *operation ? operation : report_string(row, "file"));
	if (!*operation)
		fprintf(out, "<br><span class=\"soft\">bytes %" PRIu64 " to %" PRIu64 "</span>", offset,
			offset + 63);
	fputs("</th>", out);
}

/* Is the event in this row? Events without a row are in all of them. */
static bool is_in_row(struct json_object *event, size_t row)
{
	struct json_object *value = NULL;

	if (!event || !json_object_object_get_ex(event, "row", &value))
		return true;
	return report_u64(event, "row") == row;
}

/* One of the words that the style knows; "" for any other. */
static const char *fate_of(struct json_object *event)
{
	static const char *const fates[] = { "lost", "kept", "guaranteed" };

	for (size_t i = 0; i < sizeof(fates) / sizeof(fates[0]); i++)
		if (strcmp(report_string(event, "fate"), fates[i]) == 0)
			return fates[i];
	return "";
}

static void put_row(FILE *out, struct json_object *timeline, size_t row)
{
	fputs("<tr>", out);
	put_row_name(out, report_item(timeline, "rows", row));
	for (size_t i = 0; i < report_count(timeline, "events"); i++) {
		struct json_object *event = report_item(timeline, "events", i);
		const char *fate = fate_of(event);

		if (!is_in_row(event, row)) {
			fputs("<td></td>", out);
			continue;
		}
		fprintf(out, "<td class=\"%s\">", fate);
		report_escape(out, report_string(event, "kind"));
		if (*fate)
			fprintf(out, "<br><strong>%s</strong>", fate);
		fputs("</td>", out);
	}
	fputs("</tr>\n", out);
}

/* `name`: what tells its heading from those of other crashes. */
static void put_timeline(FILE *out, struct json_object *crash, const char *name, size_t number)
{
	struct json_object *timeline = NULL;

	if (!json_object_object_get_ex(crash, "timeline", &timeline) ||
	    !report_count(timeline, "rows") || !report_count(timeline, "events"))
		return;
	fprintf(out,
		"<h3 id=\"%s-%zu\">What happened, and what the power failure left of it</h3>\n"
		"<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-labelledby=\"%s-%zu\">\n"
		"<table>\n<thead><tr><th scope=\"col\">line or name</th>",
		name, number, name, number);
	for (size_t i = 0; i < report_count(timeline, "events"); i++) {
		struct json_object *event = report_item(timeline, "events", i);

		fprintf(out, "<th scope=\"col\" title=\"");
		report_escape(out, report_string(event, "site"));
		fprintf(out, "\">event %" PRIu64, report_u64(event, "event"));
		if (report_u64(event, "thread"))
			fprintf(out, "<br><span class=\"soft\">thread %" PRIu64 "</span>",
				report_u64(event, "thread"));
		fputs("</th>", out);
	}
	fputs("</tr></thead>\n<tbody>\n", out);
	for (size_t row = 0; row < report_count(timeline, "rows"); row++)
		put_row(out, timeline, row);
	fputs("</tbody>\n</table>\n</div>\n", out);
	if (report_u64(timeline, "left_out"))
		fprintf(out, "<p class=\"soft\">%" PRIu64 " older events or more lines are left out.</p>\n",
			report_u64(timeline, "left_out"));
}

static void put_excerpt(FILE *out, struct json_object *evidence)
{
	const uint64_t first = report_u64(evidence, "first_line"), line = report_u64(evidence, "line");

	if (!report_count(evidence, "excerpt"))
		return;
	fputs("<details open><summary>", out);
	report_escape(out, report_string(evidence, "source"));
	fprintf(out, ", line %" PRIu64 "</summary>\n<pre>", line);
	for (size_t i = 0; i < report_count(evidence, "excerpt"); i++) {
		const bool is_line = first + i == line;

		fputs(is_line ? "<mark>" : "", out);
		fprintf(out, "%5" PRIu64 "  ", first + i);
		report_escape(out, report_text(evidence, "excerpt", i));
		fputs(is_line ? "</mark>" : "\n", out);
	}
	fputs("</pre></details>\n", out);
}

static void put_evidence(FILE *out, struct json_object *crash, const char *heading)
{
	if (!report_count(crash, "evidence"))
		return;
	fprintf(out, "<h3>%s</h3>\n<ul>\n", heading);
	for (size_t i = 0; i < report_count(crash, "evidence"); i++) {
		struct json_object *evidence = report_item(crash, "evidence", i);

		fputs("<li>", out);
		report_evidence(out, evidence, report_escape);
		put_excerpt(out, evidence);
		fputs("</li>\n", out);
	}
	fputs("</ul>\n", out);
}

static const char *passes_text(const char *passes)
{
	if (strcmp(passes, "newest") == 0)
		return "if everything else that was stored is durable";
	if (strcmp(passes, "guaranteed") == 0)
		return "if only what is guaranteed is durable";
	return "on neither everything that was stored nor only what is guaranteed";
}

static void put_moment(FILE *out, struct json_object *crash, const char *what)
{
	fprintf(out, "<dt>%s</dt><dd>after event %" PRIu64 ", at the next ", what,
		report_u64(crash, "after_event"));
	report_escape(out, report_string(crash, "before"));
	fputs("</dd>\n", out);
}

/* Where in the program it was, whatever a checker says. */
static void put_durability(FILE *out, struct json_object *finding)
{
	fputs("<dl>\n", out);
	put_text(out, "what it costs",
		 report_bool(finding, "durability") ?
			 "data: a power failure after the end of the trace may lose it" :
			 "time: it makes nothing durable");
	put_text(out, "where", report_string(finding, "at"));
	fputs("</dl>\n", out);
	put_excerpt(out, finding);
	if (!report_count(finding, "stack"))
		return;
	fputs("<h3>Call stack</h3>\n<ol>\n", out);
	for (size_t i = 0; i < report_count(finding, "stack"); i++) {
		fputs("<li>", out);
		report_escape(out, report_text(finding, "stack", i));
		fputs("</li>\n", out);
	}
	fputs("</ol>\n", out);
}

/* The power failure of the run, if power fails again during the recovery from it. */
static void put_first(FILE *out, struct json_object *finding, size_t number)
{
	struct json_object *first = report_first(finding);

	if (!first)
		return;
	put_evidence(out, first, "What the first power failure lost or kept");
	put_timeline(out, first, "first-timeline", number);
	fputs("<p>From the state that the first one leaves the checker recovers, if power does not fail "
	      "again.</p>\n",
	      out);
}

static void put_finding(FILE *out, struct json_object *finding, size_t number)
{
	fprintf(out, "<article id=\"finding-%zu\" aria-labelledby=\"title-%zu\">\n", number, number);
	fprintf(out, "<h2 id=\"title-%zu\">Finding %zu: ", number, number);
	report_title(out, finding, report_escape);
	fputs("</h2>\n", out);
	if (*report_string(finding, "text")) {
		put_durability(out, finding);
		fputs("</article>\n", out);
		return;
	}
	fputs("<dl>\n", out);
	if (report_first(finding)) {
		put_moment(out, report_first(finding), "first, power fails");
		put_text(out, "the state that this leaves", report_string(report_first(finding), "state"));
		if (!report_count(report_first(finding), "evidence"))
			put_text(out, "lost by it", "nothing");
	}
	put_moment(out, finding, report_first(finding) ? "then, during recovery" : "power fails");
	put_text(out, "the checker passes", passes_text(report_string(finding, "passes")));
	put_text(out, "weakest metadata mode", report_string(finding, "weakest_metadata"));
	put_text(out, "weakest persistency mode", report_string(finding, "weakest_persistency"));
	put_number(out, "crash states with this cause", report_u64(finding, "states"));
	if (report_u64(finding, "marks"))
		put_number(out, "acknowledged before", report_u64(finding, "marks"));
	put_text(out, "the last of that", report_string(finding, "last_mark"));
	fputs("</dl>\n", out);
	put_first(out, finding, number);
	put_evidence(out, finding, "What makes the difference");
	put_timeline(out, finding, "timeline", number);
	if (*report_string(finding, "output")) {
		fputs("<h3>The checker printed</h3>\n<pre class=\"wrap\">", out);
		report_escape(out, report_string(finding, "output"));
		fputs("</pre>\n", out);
	}
	fputs("<h3>Check it again</h3>\n<pre class=\"wrap\">", out);
	report_escape(out, report_string(finding, "replay"));
	fputs("</pre>\n</article>\n", out);
}

/* ---- Coverage ------------------------------------------------------------------------------ */

/* Of power failures in recoveries. */
static void put_depth(FILE *out, struct json_object *depth)
{
	if (!depth)
		return;
	put_number(out, "states that are recovered by different changes", report_u64(depth, "recovered"));
	put_number(out, "recoveries recorded", report_u64(depth, "recorded"));
	put_number(out, "of these, like another one", report_u64(depth, "equal"));
	if (report_u64(depth, "not_repeated"))
		put_number(out, "of these, failed when they were recorded",
			   report_u64(depth, "not_repeated"));
	if (report_u64(depth, "reordered"))
		put_number(out, "failures whose recovery, recorded again, stored in another order",
			   report_u64(depth, "reordered"));
	put_number(out, "recoveries left out by a limit", report_u64(depth, "left_out"));
	put_number(out, "states of power failures in recoveries checked",
		   report_u64(depth, "states_checked"));
	put_number(out, "of these, the checker failed", report_u64(depth, "states_failed"));
}

/* `limit`: what ended the search, or NULL. */
static const char *why_incomplete(const char *limit)
{
	static const char *const reasons[][2] = {
		{ "states", "the rest of the points and states: the limit of states ended the search" },
		{ "time", "the rest of the points and states: the time was over" },
		{ "failures", "the rest of the points and states: so many failed that the search ended" },
		{ "chance", "some combinations: random choices came to no other states any more" },
	};

	for (size_t i = 0; limit && i < sizeof(reasons) / sizeof(*reasons); i++)
		if (strcmp(limit, reasons[i][0]) == 0)
			return reasons[i][1];
	return "the rest of the points and states: a limit of states or time ended the search";
}

static void put_coverage(FILE *out, struct json_object *result)
{
	const uint64_t points = report_u64(result, "crash_points");
	const uint64_t checked = report_u64(result, "points_checked");

	fputs("<section aria-labelledby=\"coverage\">\n<h2 id=\"coverage\">Coverage</h2>\n<dl>\n", out);
	put_number(out, "events", report_u64(result, "events"));
	if (report_is_without_checker(result)) {
		put_text(out, "persistence domain", report_string(result, "domain"));
		fputs("</dl>\n</section>\n", out);
		return;
	}
	put_number(out, "crash points", points);
	put_number(out, "points of which a state was checked", checked);
	put_number(out, "points with all states checked", report_u64(result, "points_exhausted"));
	if (report_u64(result, "states_legal"))
		put_number(out, "combinations that are possible at these points",
			   report_u64(result, "states_legal"));
	else
		put_text(out, "combinations that are possible at these points", "more than can be counted");
	put_number(out, "combinations tried", report_u64(result, "states_generated"));
	put_number(out, "left out, equal to one before", report_u64(result, "states_equal"));
	put_number(out, "states checked", report_u64(result, "states_checked"));
	put_number(out, "states on which the checker failed", report_u64(result, "states_failed"));
	put_depth(out, report_object(result, "depth"));
	if (!report_bool(result, "complete"))
		put_text(out, "not tried", why_incomplete(report_string(result, "limit")));
	put_text(out, "persistency", report_string(result, "persistency"));
	put_text(out, "persistence domain", report_string(result, "domain"));
	put_text(out, "metadata mode", report_string(result, "metadata"));
	put_text(out, "what is wrong with the trace", report_string(result, "cut"));
	put_number(out, "milliseconds", report_u64(result, "milliseconds"));
	if (report_u64(result, "unstable"))
		put_number(out, "failures that did not repeat", report_u64(result, "unstable"));
	fputs("</dl>\n</section>\n", out);
}

void report_html(FILE *out, struct json_object *result)
{
	fputs(head, out);
	fprintf(out, "<title>%s of ", subject_of(result));
	report_escape(out, report_string(result, "trace"));
	fputs("</title>\n", out);
	fputs(style, out);
	fputs("</head>\n<body>\n", out);
	put_summary(out, result);
	put_contents(out, result);
	fputs("<main id=\"findings\">\n", out);
	for (size_t i = 0; i < report_count(result, "findings"); i++)
		put_finding(out, report_item(result, "findings", i), i + 1);
	put_coverage(out, result);
	fputs("</main>\n"
	      "<footer class=\"soft\"><p>Made by softpmem explore and softpmem report.</p></footer>\n"
	      "</body>\n</html>\n",
	      out);
}
