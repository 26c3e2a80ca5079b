/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

/* Output of softpmem: tables for people, JSON for programs, progress on stderr. */

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

/* ---- JSON, as ndctl prints it --------------------------------------------- */

/* A JSON array that is printed element by element. */
struct output_array {
	bool begun;
};
void output_array_item(struct output_array *array, struct json_object *item);
/* `complete` is false after a failure: then nothing is printed for an array without elements. */
void output_array_end(struct output_array *array, bool complete);
/* Print one object. */
void output_object(struct json_object *object);
/* Print one object on one line. */
void output_line(struct json_object *object);

/* ---- Tables ----------------------------------------------------------------- */

/* Get a member of an object; 0 or "" if there is none. */
uint64_t output_u64(struct json_object *object, const char *key);
const char *output_string(struct json_object *object, const char *key);
/* Format a size as "64M"; the result is valid until the fourth call after this one. */
const char *output_size(struct json_object *object, const char *key);
/*
 * "1 state", "2 states"; `many` is the plural, or NULL if an s is added. The result is valid until the fourth
 * call after this one.
 */
const char *output_count(uint64_t count, const char *one, const char *many);
/* The mode of an object: "fsdax", "sector" or "sector:512". */
const char *output_mode(struct json_object *object);
/* Print a name, escaped (text_escape()), followed by `end`. */
void output_name(const char *name, const char *end);

/* ---- Progress, on stderr ------------------------------------------------------ */

struct output_progress {
	bool enabled, tty, shown;
	uint64_t started, last; /* milliseconds */
};
/* Print progress, if stderr is a terminal or with `verbose`. */
void output_progress_start(struct output_progress *progress, bool verbose);
void output_progress(void *progress, const char *what, uint64_t done, uint64_t total);
/* Erase the progress line, before anything else is printed. */
void output_progress_end(struct output_progress *progress);

#endif
