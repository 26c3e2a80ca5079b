/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRACE_CATALOG_H
#define TRACE_CATALOG_H

/*
 * What a trace has defined so far, by id: files, processes, threads, modules, sites.
 * It also is the check that events follow each other as they must; the reader,
 * the writer and the parser of the text form all use it. No thread safety.
 */

#include <stddef.h>
#include <stdint.h>

#include "trace/event.h"

struct trace_catalog;

/* NULL: no memory. */
struct trace_catalog *trace_catalog_create(void);
void trace_catalog_destroy(struct trace_catalog *catalog);

/*
 * Take the next event of the trace, for which trace_event_wrong() returned NULL. Returns 0, -ENOMEM, or
 * -EBADMSG with the reason in *wrong and the catalog unchanged:
 * - an id is used before it is defined, or defined twice;
 * - the stamp does not exceed the one before it, or a definition has a stamp or a thread;
 * - something follows the end, or the end states another number of events.
 */
int trace_catalog_add(struct trace_catalog *catalog, const struct trace_event *event, const char **wrong);

/* How many events were taken; the last one's stamp; whether the last one was TRACE_END. */
uint64_t trace_catalog_events(const struct trace_catalog *catalog);
uint64_t trace_catalog_stamp(const struct trace_catalog *catalog);
bool trace_catalog_ended(const struct trace_catalog *catalog);

/*
 * The event that defined the id, or NULL if none has. It belongs to the catalog, and stays until that is
 * destroyed; strings are followed by a NUL.
 */
const struct trace_event *trace_catalog_file(const struct trace_catalog *catalog, uint64_t file);
const struct trace_event *trace_catalog_process(const struct trace_catalog *catalog, uint32_t process);
const struct trace_event *trace_catalog_thread(const struct trace_catalog *catalog, uint32_t thread);
const struct trace_event *trace_catalog_module(const struct trace_catalog *catalog, uint32_t module);
const struct trace_event *trace_catalog_site(const struct trace_catalog *catalog, uint32_t site);

/*
 * The path of a file: that of its definition, else its name, else "file 12". Returns buffer. The bytes are
 * those of the trace: escape them before they are printed.
 */
const char *trace_catalog_path(const struct trace_catalog *catalog, uint64_t file, char *buffer,
			       size_t buffer_size);

#endif
