/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLI_EXPLORE_SITE_H
#define CLI_EXPLORE_SITE_H

/* Texts of a trace, and places in the recorded program, in the JSON of explore. */

#include <json-c/json.h>

#include "trace/catalog.h"
#include "trace/symbols.h"

/* Add a text, of which bytes that are no UTF-8 are replaced, to an object or to an array. */
void explore_put_text(struct json_object *object, const char *key, const char *text);
void explore_add_text(struct json_object *array, const char *text);

/*
 * "site": where; its call stack, its source, and the lines around, as far as they are known. Without symbols
 * (NULL), or if the site is 0, nothing is added.
 */
void explore_put_site(struct json_object *object, const struct trace_catalog *catalog,
		      struct trace_symbols *symbols, uint32_t site);

#endif
