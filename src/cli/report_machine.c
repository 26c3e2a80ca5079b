/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Reports for CI systems: JUnit XML (the form that Jenkins and GitLab read;
 * https://github.com/testmoapp/junitxml), and SARIF 2.1.0 (OASIS standard, 2020).
 */

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/report.h"
#include "common/cleanup.h"
#include "wire/frame.h"
#include "wire/text.h"

/* ---- JUnit ------------------------------------------------------------------------------ */

static void put_crash(FILE *out, struct json_object *crash)
{
	for (size_t i = 0; i < report_count(crash, "evidence"); i++) {
		report_evidence(out, report_item(crash, "evidence", i), report_escape);
		putc('\n', out);
	}
	fprintf(out, "power fails after event %" PRIu64 "\n", report_u64(crash, "after_event"));
}

/* What costs time alone fails no test. */
static bool fails(struct json_object *finding)
{
	return !*report_string(finding, "text") || report_bool(finding, "durability");
}

static void put_durability(FILE *out, struct json_object *finding)
{
	const char *element = fails(finding) ? "failure" : "system-out";

	if (fails(finding)) {
		fputs("      <failure message=\"", out);
		report_title(out, finding, report_escape);
		fputs("\" type=\"never-durable\">", out);
	} else {
		fprintf(out, "      <%s>", element);
		report_title(out, finding, report_escape);
		putc('\n', out);
	}
	for (size_t i = 0; i < report_count(finding, "stack"); i++) {
		report_escape(out, report_text(finding, "stack", i));
		putc('\n', out);
	}
	fprintf(out, "</%s>\n    </testcase>\n", element);
}

static void put_case(FILE *out, struct json_object *result, struct json_object *finding)
{
	fputs("    <testcase classname=\"", out);
	report_escape(out, report_string(result, "trace"));
	fputs("\" name=\"", out);
	report_title(out, finding, report_escape);
	fputs("\">\n", out);
	if (*report_string(finding, "text")) {
		put_durability(out, finding);
		return;
	}
	fputs("      <failure message=\"", out);
	report_title(out, finding, report_escape);
	fputs("\" type=\"crash-state\">", out);
	if (report_first(finding)) {
		put_crash(out, report_first(finding));
		fputs("which leaves the state ", out);
		report_escape(out, report_string(report_first(finding), "state"));
		fputs(". Then, during the recovery from that:\n", out);
	}
	put_crash(out, finding);
	report_escape(out, report_string(finding, "output"));
	fputs("\nreplay: ", out);
	report_escape(out, report_string(finding, "replay"));
	fputs("</failure>\n    </testcase>\n", out);
}

void report_junit(FILE *out, struct json_object *result)
{
	const size_t findings = report_count(result, "findings");
	const size_t missing = report_count(result, "missing_shards");
	const double seconds = (double)report_u64(result, "milliseconds") / 1000;
	const size_t tests = findings + (missing > 0) + (!findings && !missing);
	size_t failures = 0;

	for (size_t i = 0; i < findings; i++)
		failures += fails(report_item(result, "findings", i));

	fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n", out);
	fprintf(out, "<testsuites tests=\"%zu\" failures=\"%zu\" errors=\"%d\" time=\"%.3f\">\n", tests,
		failures, missing > 0, seconds);
	fputs("  <testsuite name=\"softpmem explore ", out);
	report_escape(out, report_string(result, "trace"));
	fprintf(out, "\" tests=\"%zu\" failures=\"%zu\" errors=\"%d\" time=\"%.3f\">\n", tests, failures,
		missing > 0, seconds);
	for (size_t i = 0; i < findings; i++)
		put_case(out, result, report_item(result, "findings", i));
	if (missing) {
		fputs("    <testcase classname=\"", out);
		report_escape(out, report_string(result, "trace"));
		fputs("\" name=\"all shards\">", out);
		fprintf(out, "<error message=\"%zu shards are missing\"/></testcase>\n", missing);
	} else if (!findings) {
		fputs("    <testcase classname=\"", out);
		report_escape(out, report_string(result, "trace"));
		if (report_is_without_checker(result))
			fputs("\" name=\"all that was stored was made durable\"/>\n", out);
		else
			fprintf(out, "\" name=\"%" PRIu64 " crash states\"/>\n",
				report_u64(result, "states_checked"));
	}
	fputs("  </testsuite>\n</testsuites>\n", out);
}

/* ---- SARIF ------------------------------------------------------------------------------- */

static void put_text(struct json_object *object, const char *key, const char *text)
{
	CLEANUP_FREE char *utf8 = NULL;
	bool changed;

	utf8 = text_utf8(text, &changed);
	control_put_string(object, key, utf8 ? utf8 : "");
}

/* {"text": ...}, as SARIF has messages. */
static struct json_object *message_of(const char *text)
{
	struct json_object *object = json_object_new_object();

	put_text(object, "text", text);
	return object;
}

/* A path as a URI reference (RFC 3986): other bytes than those of paths are percent-encoded. */
static char *uri_of(const char *path)
{
	char *uri = malloc(3 * strlen(path) + sizeof("file://")), *at = uri;

	if (!uri)
		return NULL;
	if (*path == '/')
		at = stpcpy(at, "file://");
	for (; *path; path++) {
		const unsigned char byte = (unsigned char)*path;

		if (isalnum(byte) || strchr("/-._~", byte))
			*at++ = *path;
		else
			at += sprintf(at, "%%%02X", byte);
	}
	*at = '\0';
	return uri;
}

/* Where a store or operation of the evidence was made: its source line, or else only the trace. */
static struct json_object *location_of(struct json_object *result, struct json_object *evidence)
{
	struct json_object *location = json_object_new_object(), *physical = json_object_new_object();
	struct json_object *artifact = json_object_new_object();
	const char *source = report_string(evidence, "source");
	CLEANUP_FREE char *uri = uri_of(*source ? source : report_string(result, "trace"));

	control_put_string(artifact, "uri", uri ? uri : "");
	json_object_object_add(physical, "artifactLocation", artifact);
	if (*source && report_u64(evidence, "line")) {
		struct json_object *region = json_object_new_object();

		control_put_u64(region, "startLine", report_u64(evidence, "line"));
		json_object_object_add(physical, "region", region);
	}
	json_object_object_add(location, "physicalLocation", physical);
	return location;
}

/* Where the first power failure falls, and what it loses. */
static void describe_first(FILE *out, struct json_object *first)
{
	fprintf(out, " First, power fails after event %" PRIu64 " of the run",
		report_u64(first, "after_event"));
	for (size_t i = 0; i < report_count(first, "evidence"); i++) {
		fputs(i ? "; " : ": ", out);
		report_evidence(out, report_item(first, "evidence", i), report_plain);
	}
	fprintf(out, ", which leaves the state %s. Then, during the recovery from that:",
		report_string(first, "state"));
}

static char *describe(struct json_object *finding)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	report_title(out, finding, report_plain);
	putc('.', out);
	if (*report_string(finding, "text")) {
		fclose(out);
		return text;
	}
	if (report_first(finding))
		describe_first(out, report_first(finding));
	fprintf(out, " Power fails after event %" PRIu64 ".", report_u64(finding, "after_event"));
	for (size_t i = 1; i < report_count(finding, "evidence"); i++) {
		fputs(" Also ", out);
		report_evidence(out, report_item(finding, "evidence", i), report_plain);
		putc('.', out);
	}
	fprintf(out, " Check it again: %s", report_string(finding, "replay"));
	fclose(out);
	return text;
}

/* The order of `rules`. */
enum rule { RULE_CRASH_STATE, RULE_NEVER_DURABLE, RULE_IN_VAIN };

static const struct {
	const char *id, *level, *text;
} rules[] = {
	[RULE_CRASH_STATE] = { "crash-state", "error",
			       "A power failure may leave a state on which the checker fails" },
	[RULE_NEVER_DURABLE] = { "never-durable", "error",
				 "What was stored or changed was not made durable until the end of the run" },
	[RULE_IN_VAIN] = { "flush-in-vain", "note", "Lines were flushed that had nothing to write back" },
};

static enum rule rule_of(struct json_object *finding)
{
	if (!*report_string(finding, "text"))
		return RULE_CRASH_STATE;
	return report_bool(finding, "durability") ? RULE_NEVER_DURABLE : RULE_IN_VAIN;
}

/* Findings of the same checker result at the same sites have the same fingerprint, whatever the trace. */
static struct json_object *fingerprints_of(struct json_object *finding)
{
	struct json_object *object = json_object_new_object();
	uint64_t hash = 0xcbf29ce484222325u + !!report_first(finding);
	const char *place = report_string(finding, "at");
	char text[20];

	for (size_t i = 0; i < report_count(finding, "evidence"); i++) {
		struct json_object *evidence = report_item(finding, "evidence", i);
		const char *site = report_string(evidence, "site");

		for (const char *at = *site ? site : report_string(evidence, "file"); *at; at++)
			hash = (hash ^ (unsigned char)*at) * 0x100000001b3u;
		hash = (hash ^ report_bool(evidence, "lost")) * 0x100000001b3u;
	}
	for (const char *at = report_string(finding, "kind"); *at; at++)
		hash = (hash ^ (unsigned char)*at) * 0x100000001b3u;
	for (; *place; place++)
		hash = (hash ^ (unsigned char)*place) * 0x100000001b3u;
	snprintf(text, sizeof(text), "%016" PRIx64, hash);
	control_put_string(object, "evidence/v1", text);
	return object;
}

static struct json_object *sarif_result(struct json_object *result, struct json_object *finding)
{
	struct json_object *object = json_object_new_object(), *locations = json_object_new_array();
	struct json_object *related = json_object_new_array(), *properties = json_object_new_object();
	const size_t count = report_count(finding, "evidence");
	const enum rule rule = rule_of(finding);
	CLEANUP_FREE char *text = describe(finding);

	control_put_string(object, "ruleId", rules[rule].id);
	control_put_u64(object, "ruleIndex", rule);
	control_put_string(object, "level", rules[rule].level);
	json_object_object_add(object, "message", message_of(text ? text : ""));
	json_object_array_add(locations, location_of(result, rule == RULE_CRASH_STATE ?
								     report_item(finding, "evidence", 0) :
								     finding));
	for (size_t i = 1; i < count; i++)
		json_object_array_add(related, location_of(result, report_item(finding, "evidence", i)));
	for (size_t i = 0; i < report_count(report_first(finding), "evidence"); i++)
		json_object_array_add(
			related, location_of(result, report_item(report_first(finding), "evidence", i)));
	json_object_object_add(object, "locations", locations);
	json_object_object_add(object, "relatedLocations", related);
	json_object_object_add(object, "partialFingerprints", fingerprints_of(finding));
	if (rule == RULE_CRASH_STATE) {
		put_text(properties, "state", report_string(finding, "state"));
		control_put_u64(properties, "powerFailures", report_first(finding) ? 2 : 1);
		put_text(properties, "weakestMetadata", report_string(finding, "weakest_metadata"));
		put_text(properties, "weakestPersistency", report_string(finding, "weakest_persistency"));
	} else {
		put_text(properties, "kind", report_string(finding, "kind"));
		control_put_u64(properties, "count", report_u64(finding, "count"));
	}
	json_object_object_add(object, "properties", properties);
	return object;
}

static struct json_object *sarif_tool(void)
{
	struct json_object *tool = json_object_new_object(), *driver = json_object_new_object();
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		struct json_object *rule = json_object_new_object();

		control_put_string(rule, "id", rules[i].id);
		json_object_object_add(rule, "shortDescription", message_of(rules[i].text));
		json_object_array_add(list, rule);
	}
	control_put_string(driver, "name", "softpmem");
	control_put_string(driver, "version", PACKAGE_VERSION);
	json_object_object_add(driver, "rules", list);
	json_object_object_add(tool, "driver", driver);
	return tool;
}

struct json_object *report_sarif(struct json_object *result)
{
	struct json_object *log = json_object_new_object(), *runs = json_object_new_array();
	struct json_object *run = json_object_new_object(), *results = json_object_new_array();
	struct json_object *invocations = json_object_new_array(), *invocation = json_object_new_object();

	control_put_string(log, "$schema", "https://json.schemastore.org/sarif-2.1.0.json");
	control_put_string(log, "version", "2.1.0");
	json_object_object_add(run, "tool", sarif_tool());
	control_put_bool(invocation, "executionSuccessful", !report_count(result, "missing_shards"));
	json_object_array_add(invocations, invocation);
	json_object_object_add(run, "invocations", invocations);
	for (size_t i = 0; i < report_count(result, "findings"); i++)
		json_object_array_add(results, sarif_result(result, report_item(result, "findings", i)));
	json_object_object_add(run, "results", results);
	json_object_array_add(runs, run);
	json_object_object_add(log, "runs", runs);
	return log;
}
