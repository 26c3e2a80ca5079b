/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLI_EXPLORE_JSON_H
#define CLI_EXPLORE_JSON_H

/* The result of `softpmem explore` as JSON, which `softpmem report` reads. */

#include <json-c/json.h>

#include "cli/explore_print.h"
#include "trace/catalog.h"

/* The version of the form: readers refuse a higher one. */
#define EXPLORE_JSON_VERSION 1u

/* For the caller to put; the catalog has all definitions of the trace. NULL without memory. */
struct json_object *explore_json(const struct explore_outcome *outcome, const struct trace_catalog *catalog);

#endif
