/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRACE_SCHEMA_H
#define TRACE_SCHEMA_H

/*
 * Which fields an event of each kind has, in the order in which they are encoded
 * (encode.h) and printed (text_form.h). One table serves both, so that they cannot differ.
 */

#include <stddef.h>
#include <stdint.h>

#include "trace/event.h"

/*
 * How a field is kept in struct trace_event, encoded and printed. "Number" is an unsigned LEB128
 * number; signed ones are zigzag-coded first.
 */
enum trace_field_type {
	TRACE_FIELD_END,      /* of the table's row */
	TRACE_FIELD_U32,      /* uint32_t; a number; decimal */
	TRACE_FIELD_U64,      /* uint64_t; a number; decimal */
	TRACE_FIELD_HEX,      /* uint64_t; a number; hexadecimal */
	TRACE_FIELD_I32,      /* int32_t; a signed number; decimal */
	TRACE_FIELD_I64,      /* int64_t; a signed number; decimal */
	TRACE_FIELD_MODE,     /* uint32_t; a number; octal */
	TRACE_FIELD_OP,	      /* uint32_t; a number; part of the event's name, or hexadecimal */
	TRACE_FIELD_FLAGS,    /* uint32_t; a number; a word a bit */
	TRACE_FIELD_PLACE,    /* file and the uint64_t field: two numbers; FILE+0xOFFSET */
	TRACE_FIELD_STRING,   /* struct trace_bytes; a number, so many bytes; "quoted" */
	TRACE_FIELD_REST,     /* struct trace_bytes; all bytes to the event's end; hexadecimal digits */
	TRACE_FIELD_OCTETS,   /* struct trace_bytes; a number, so many bytes; hexadecimal digits */
	TRACE_FIELD_UUID,     /* 16 bytes; the same; hexadecimal digits */
	TRACE_FIELD_SEGMENTS, /* segments and count: a number, three each; address:length:offset,... */
	TRACE_FIELD_FRAMES,   /* frames and count: a number, two each; module+0xoffset,... */
};

struct trace_field {
	const char *name; /* in text: name=value; NULL: the value alone */
	enum trace_field_type type;
	uint16_t offset; /* in struct trace_event */
};

#define TRACE_FIELDS_MAX 12

struct trace_schema {
	const char *name;	       /* NULL: there is no such kind. By `op` where op_names is set */
	const char *const *op_names;   /* for each value of `op` that is legal, then NULL */
	const char *const *flag_names; /* for each bit of `flags` that is legal, "" for others, then NULL */
	struct trace_field fields[TRACE_FIELDS_MAX];
};

/* The row of a kind; NULL if there is no such kind. Any number may be given. */
const struct trace_schema *trace_schema_of(unsigned kind);

/*
 * The kind and `op` whose name this is; NULL if none has it. Every name belongs to one kind.
 * `op` is 0 for kinds that have no op_names.
 */
const struct trace_schema *trace_schema_named(const char *name, size_t length, enum trace_kind *kind,
					      uint32_t *op);

/*
 * Is each value of the event legal by itself: known kind, op and flags, lengths and offsets in range, names
 * that a directory can have? Returns NULL, or what is wrong with it in a few words. Ids are not looked
 * up: the catalog does.
 */
const char *trace_event_wrong(const struct trace_event *event);

#endif
