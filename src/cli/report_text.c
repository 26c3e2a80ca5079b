/* SPDX-License-Identifier: BSD-3-Clause */

/* Texts of a report that are the same in all forms. */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/report.h"
#include "common/cleanup.h"
#include "trace/symbols.h"
#include "wire/text.h"

#define REPLACEMENT "\xef\xbf\xbd"

/*
 * Characters of UTF-8 that XML 1.0 forbids (section 2.2), or that turn the direction of what follows (Unicode
 * Technical Report 36): how many bytes; 0: it is none of them.
 */
static size_t forbidden(const char *at)
{
	const unsigned char *byte = (const unsigned char *)at;

	if (*byte < 0x20 && *byte != '\n' && *byte != '\t')
		return 1;
	if (*byte == 0x7f)
		return 1;
	if (byte[0] == 0xc2 && byte[1] >= 0x80 && byte[1] <= 0x9f)
		return 2;
	if (byte[0] == 0xe2 && byte[1] == 0x80 && (byte[2] == 0x8e || byte[2] == 0x8f))
		return 3;
	if (byte[0] == 0xe2 && byte[1] == 0x80 && byte[2] >= 0xaa && byte[2] <= 0xae)
		return 3;
	if (byte[0] == 0xe2 && byte[1] == 0x81 && byte[2] >= 0xa6 && byte[2] <= 0xa9)
		return 3;
	return byte[0] == 0xef && byte[1] == 0xbf && byte[2] >= 0xbe ? 3 : 0;
}

void report_escape(FILE *out, const char *text)
{
	CLEANUP_FREE char *utf8 = NULL;
	bool changed;

	utf8 = text_utf8(text, &changed);
	for (const char *at = utf8 ? utf8 : ""; *at; at++) {
		const size_t length = forbidden(at);

		if (length) {
			fputs(REPLACEMENT, out);
			at += length - 1;
			continue;
		}
		switch (*at) {
		case '&':
			fputs("&amp;", out);
			break;
		case '<':
			fputs("&lt;", out);
			break;
		case '>':
			fputs("&gt;", out);
			break;
		case '"':
			fputs("&quot;", out);
			break;
		case '\'':
			fputs("&#39;", out);
			break;
		case '\n':
			fputs("&#10;", out);
			break;
		case '\t':
			fputs("&#9;", out);
			break;
		default:
			putc(*at, out);
		}
	}
}

void report_plain(FILE *out, const char *text)
{
	fputs(text, out);
}

/* The functions that called the one of the site. The JSON form has all of them. */
static void put_callers(FILE *out, struct json_object *evidence, void (*put)(FILE *out, const char *text))
{
	for (size_t i = 1; i < report_count(evidence, "stack"); i++) {
		const char *frame = report_text(evidence, "stack", i);

		if (!trace_symbols_fit_line(frame, i))
			break;
		fputs(i == 1 ? ", called by " : ", ", out);
		put(out, frame);
	}
}

void report_evidence(FILE *out, struct json_object *evidence, void (*put)(FILE *out, const char *text))
{
	const char *operation = report_string(evidence, "operation"), *site = report_string(evidence, "site");
	const uint64_t offset = report_u64(evidence, "offset"), length = report_u64(evidence, "length");

	fputs(report_bool(evidence, "lost") ? "lost: " : "kept: ", out);
	put(out, *operation ? operation : report_string(evidence, "file"));
	if (!*operation)
		fprintf(out, ", bytes %" PRIu64 " to %" PRIu64, offset, offset + (length ? length - 1 : 0));
	fprintf(out, ", by event %" PRIu64, report_u64(evidence, "event"));
	if (report_u64(evidence, "thread"))
		fprintf(out, " of thread %" PRIu64, report_u64(evidence, "thread"));
	if (*site) {
		fputs(" at ", out);
		put(out, site);
		put_callers(out, evidence, put);
	}
}

bool report_is_without_checker(struct json_object *result)
{
	return report_bool(result, "without_checker");
}

struct json_object *report_first(struct json_object *finding)
{
	return report_object(finding, "first");
}

void report_title(FILE *out, struct json_object *finding, void (*put)(FILE *out, const char *text))
{
	if (*report_string(finding, "text")) {
		put(out, report_string(finding, "text"));
		fputs(", at ", out);
		put(out, report_string(finding, "at"));
		return;
	}
	fputs("the checker ", out);
	put(out, report_string(finding, "verdict"));
	if (report_first(finding))
		fputs(" if power fails again during recovery", out);
	if (report_count(finding, "evidence")) {
		fputs("; ", out);
		report_evidence(out, report_item(finding, "evidence", 0), put);
	}
	if (report_count(finding, "evidence") > 1)
		fprintf(out, " and %zu more", report_count(finding, "evidence") - 1);
}
