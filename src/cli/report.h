/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

/*
 * Reports of what `softpmem explore` found. The input is its JSON, as explore_json.h makes it, but any file
 * may be given: whatever is missing or of another type counts as empty, and every text is escaped.
 */

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/message.h"

/* ---- Input (report_merge.c) ------------------------------------------------------------- */

/* The largest file of findings, in bytes. */
#define REPORT_INPUT_MAX (256u << 20)
#define REPORT_DEPTH_MAX 16
/* The most shards of one search. */
#define REPORT_SHARDS_MAX 65536u

/*
 * Read the files and make one object of them: the shards of one search, or a single result. It is for the
 * caller to put. *missing: how many shards there are no files of; the object has "missing_shards" then.
 * A negative errno with a message: a file is no result of explore, or not of the same search, or there twice.
 */
int report_merge(char *const *paths, struct json_object **out, unsigned *missing, struct message *message);

/* A member; "", 0, false or an array without elements if it is not there or has another type. */
const char *report_string(struct json_object *object, const char *key);
uint64_t report_u64(struct json_object *object, const char *key);
bool report_bool(struct json_object *object, const char *key);
size_t report_count(struct json_object *object, const char *key);
/* Element `index` of an array, below its count; an object or NULL. */
struct json_object *report_item(struct json_object *object, const char *key, size_t index);
/* A member that is an object; NULL if it is not there or has another type. */
struct json_object *report_object(struct json_object *object, const char *key);
/* As report_item(), if the elements are strings. */
const char *report_text(struct json_object *object, const char *key, size_t index);

/* ---- Output ------------------------------------------------------------------------------ */

/*
 * Print a text so that it is data in HTML and XML, in an element or in a quoted attribute. What these
 * forbid, and characters that turn the direction of writing, become U+FFFD.
 */
void report_escape(FILE *out, const char *text);

/* Write the report. Errors of writing are those of `out`. */
void report_html(FILE *out, struct json_object *result);
void report_junit(FILE *out, struct json_object *result);
/* For the caller to put; NULL without memory. */
struct json_object *report_sarif(struct json_object *result);

/* "the checker failed with status 1; lost: create of wal": one line that names a finding. */
void report_title(FILE *out, struct json_object *finding, void (*put)(FILE *out, const char *text));
/* "lost: db/wal, bytes 64 to 71, stored by event 12". */
void report_evidence(FILE *out, struct json_object *evidence, void (*put)(FILE *out, const char *text));
/* Is it what explore --checker none found: no crash states, but what was never made durable? */
bool report_is_without_checker(struct json_object *result);
/* The first power failure of a finding of which power fails again during recovery; NULL: it fails once. */
struct json_object *report_first(struct json_object *finding);
/* A text as it is. */
void report_plain(FILE *out, const char *text);

#endif
