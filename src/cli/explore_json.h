/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLI_EXPLORE_JSON_H
#define CLI_EXPLORE_JSON_H

/* The result of `softpmem explore` as JSON, which `softpmem report` reads. */

#include <json-c/json.h>

#include "cli/explore_print.h"
#include "trace/catalog.h"

/* The version of the form: readers refuse a higher one. */
#define EXPLORE_JSON_VERSION 1u

/*
 * *out is for the caller to put; the catalog has all definitions of the trace. 0 or a negative errno with a
 * message: the trace of a recovery cannot be read.
 */
int explore_json(const struct explore_outcome *outcome, const struct trace_catalog *catalog,
		 struct json_object **out, struct message *message);

/*
 * Write it to a file and commit that, or to standard output if `output` is NULL. 0 or a negative errno with a
 * message.
 */
int explore_json_write(struct json_object *object, struct output_file *output, struct message *message);

#endif
