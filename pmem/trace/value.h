/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRACE_VALUE_H
#define TRACE_VALUE_H

/* The values of the text form, for parse.c only: parts of a line to fields of an event. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trace/encode.h"
#include "trace/schema.h"

/* Part of a line; no NUL follows it. */
struct span {
	const char *at, *end;
};

bool span_is(struct span span, const char *word);
/* Cut off what comes before the first `mark`. False: there is none, and nothing was changed. */
bool span_cut(struct span *span, char mark, struct span *before);

/* Where the strings and arrays of one line are kept. */
struct values {
	unsigned char *bytes;
	size_t room, used;
	unsigned char *zeros; /* TRACE_BYTES_MAX of them, once some were asked for */
	struct trace_arrays arrays;
};

/* Forget what was kept and make room for strings of so many bytes in all. 0 or -ENOMEM. */
int values_reserve(struct values *values, size_t room);
void values_clear(struct values *values);

/* Each returns false if the span is no such value. Strings never are longer than the span. */

/* Decimal, 0x and hexadecimal, or 0 and octal digits, of at most 31 characters. */
bool value_number(struct span span, uint64_t most, uint64_t *value);
/* So many zeros, at most TRACE_BYTES_MAX. */
bool value_zeros(struct values *values, struct span span, struct trace_bytes *bytes);
/* Pairs of hexadecimal digits. */
bool value_hex(struct values *values, struct span span, struct trace_bytes *bytes);
/* A string in double quotes, with escapes. */
bool value_string(struct values *values, struct span span, struct trace_bytes *bytes);
/* A value of the field, into the event. */
bool value_get(struct values *values, struct span span, struct trace_event *event,
	       const struct trace_field *field);

#endif
