/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRACE_TEXT_FORM_H
#define TRACE_TEXT_FORM_H

/*
 * The text form of a trace: one event a line, which a person can read and write.
 * docs/trace-format.md has its grammar. What is printed is parsed to the same events, to
 * the last field, and printed again as the same text.
 *
 *	softpmem-trace 1
 *	file file=1 size=4096
 *	t1 store 1+0x40 u64=1
 *	t1 clwb 1+0x40
 *	t1 sfence
 *	t1 mark "acknowledged"
 */

#include <stdio.h>

#include "common/message.h"
#include "trace/event.h"

struct trace_catalog;

#define TRACE_TEXT_VERSION 1

/* What fields are when they are left out, if not 0: of a flush, and of a mark. */
#define TRACE_TEXT_FLUSH_LENGTH 64
#define TRACE_TEXT_MARK_FD (-1)

/* The first line. `uuid` (16 bytes) and `created` are those of the trace's file; NULL and 0 are left out. */
void trace_text_print_header(FILE *out, const unsigned char *uuid, uint64_t created);

/*
 * Print a legal event (trace_event_wrong() returned NULL) without the end of line. `before` is the last
 * event's stamp that is not 0: a stamp that follows it directly is left out. Errors are left in `out`.
 */
void trace_text_print(FILE *out, const struct trace_event *event, uint64_t before);

/* Print bytes in double quotes; what is not printable ASCII is escaped, so that a terminal is safe. */
void trace_text_quote(FILE *out, struct trace_bytes bytes);

/*
 * The start of some bytes for a message: as many as fit, what is not printable ASCII as '?'. The buffer
 * has 4 bytes or more. Returns it.
 */
const char *trace_text_shown(const char *bytes, size_t length, char *buffer, size_t buffer_size);

/* Parses a text as a stream. No thread safety. */
struct trace_text;

/* `name` is for messages. The caller closes `in` after trace_text_destroy(). 0 or negative errno. */
int trace_text_create(FILE *in, const char *name, struct trace_text **out, struct message *message);
void trace_text_destroy(struct trace_text *text);

/*
 * The next event. It and what it points to are valid until the next call. 1: there is one. 0: the text has
 * ended; TRACE_END may be missing. -EBADMSG: a line is wrong; the message has its number and the reason, and
 * later calls return the same. Other negative errno: reading failed.
 */
int trace_text_next(struct trace_text *text, struct trace_event *event, struct message *message);

/* What was defined so far; it belongs to the parser. */
const struct trace_catalog *trace_text_catalog(const struct trace_text *text);

/* What the first line says, once trace_text_next() was called. All 0: nothing. */
const unsigned char *trace_text_uuid(const struct trace_text *text);
uint64_t trace_text_created(const struct trace_text *text);

#endif
