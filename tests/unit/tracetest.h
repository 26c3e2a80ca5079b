/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_TRACETEST_H
#define TESTS_TRACETEST_H

/* What tests of traces share. */

#include <stdbool.h>
#include <stddef.h>

#include "trace/event.h"

struct trace_merge;
struct trace_writer;

/* A small legal trace that has every kind of event at least once, TRACE_END last. Constant. */
const struct trace_event *tracetest_events(size_t *count);

/* Are the two the same to the last field? */
bool tracetest_same(const struct trace_event *one, const struct trace_event *other);

/* An anonymous file to write a trace to. */
int tracetest_file(void);

/* A writer with a fixed id, so that the same events give the same bytes; it writes to `fd`. */
struct trace_writer *tracetest_writer(int fd, int level);

/* Write the events of tracetest_events(), a block for each `block` of them, to a new file. Returns it. */
int tracetest_write(int level, size_t block);

/* Call `visit` for each event of the text, after the header and a definition of file 1 with 4096 bytes. */
void tracetest_visit(const char *lines, void (*visit)(const struct trace_event *event, void *context),
		     void *context);

/* End a recording whose trace is in the file, and call `visit` for each event of the trace. */
void tracetest_finish(struct trace_merge *merge, struct trace_writer *writer, int fd,
		      void (*visit)(const struct trace_event *event, void *context), void *context);

/* All bytes of a file; free() them. */
unsigned char *tracetest_bytes(int fd, size_t *length);

#endif
