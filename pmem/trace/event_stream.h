/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRACE_EVENT_STREAM_H
#define TRACE_EVENT_STREAM_H

/*
 * The events of a trace, whether it is a trace file or in the text form. For more than reading
 * them one after the other, reader.h. No thread safety.
 */

#include <stdbool.h>
#include <stdint.h>

#include "common/message.h"
#include "trace/event.h"

struct trace_catalog;
struct trace_events;

/* Open a file. 0, -ESPIPE: it is a pipe, or another negative errno, with a message. */
int trace_events_open(const char *path, struct trace_events **out, struct message *message);
void trace_events_close(struct trace_events *events);

/* As trace_reader_next(), or trace_text_next(), where a trace without TRACE_END has ended in order. */
int trace_events_next(struct trace_events *events, struct trace_event *event, struct message *message);

/* What was defined so far. */
const struct trace_catalog *trace_events_catalog(const struct trace_events *events);

/* What is before the first event, once trace_events_next() was called: an id (all 0: none), and a time. */
const unsigned char *trace_events_uuid(const struct trace_events *events);
uint64_t trace_events_created(const struct trace_events *events);
bool trace_events_are_text(const struct trace_events *events);

#endif
