/* SPDX-License-Identifier: BSD-3-Clause */
#include "trace/value.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int values_reserve(struct values *values, size_t room)
{
	values->used = 0;
	if (room <= values->room)
		return 0;
	/* Nothing of it is kept: realloc() would copy it. */
	free(values->bytes);
	values->room = 0;
	values->bytes = malloc(2 * room);
	if (!values->bytes)
		return -ENOMEM;
	values->room = 2 * room;
	return 0;
}

void values_clear(struct values *values)
{
	free(values->bytes);
	free(values->zeros);
}

bool span_is(struct span span, const char *word)
{
	return strlen(word) == (size_t)(span.end - span.at) && memcmp(span.at, word, strlen(word)) == 0;
}

bool span_cut(struct span *span, char mark, struct span *before)
{
	const char *at = memchr(span->at, mark, (size_t)(span->end - span->at));

	if (!at)
		return false;
	*before = (struct span){ span->at, at };
	span->at = at + 1;
	return true;
}

bool value_number(struct span span, uint64_t most, uint64_t *value)
{
	char digits[32], *end;
	const size_t length = (size_t)(span.end - span.at);

	if (!length || length >= sizeof(digits) || span.at[0] < '0' || span.at[0] > '9')
		return false;
	memcpy(digits, span.at, length);
	digits[length] = 0;
	errno = 0;
	*value = strtoull(digits, &end, 0);
	return !errno && !*end && *value <= most;
}

static bool get_signed(struct span span, int64_t least, int64_t most, int64_t *value)
{
	const bool minus = span.at < span.end && *span.at == '-';
	uint64_t magnitude;

	span.at += minus;
	if (!value_number(span, minus ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX, &magnitude))
		return false;
	*value = minus ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
	return *value >= least && *value <= most;
}

static int digit_of(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	if (digit >= 'a' && digit <= 'f')
		return digit - 'a' + 10;
	if (digit >= 'A' && digit <= 'F')
		return digit - 'A' + 10;
	return -1;
}

/* The byte that two digits stand for, or -1. */
static int byte_of(struct span span)
{
	int high, low;

	if (span.end - span.at < 2)
		return -1;
	high = digit_of(span.at[0]);
	low = digit_of(span.at[1]);
	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

bool value_hex(struct values *values, struct span span, struct trace_bytes *bytes)
{
	unsigned char *to = values->bytes + values->used;

	bytes->at = to;
	for (; span.at < span.end; span.at += 2) {
		int byte = byte_of(span);

		if (byte < 0)
			return false;
		*to++ = (unsigned char)byte;
	}
	bytes->length = (uint32_t)(to - bytes->at);
	values->used += bytes->length;
	return true;
}

/* What follows a backslash; *at is moved to its last character. Negative: nothing that is known. */
static int get_escape(const char **at, const char *end)
{
	if (*at >= end)
		return -1;
	switch (**at) {
	case 'n':
		return '\n';
	case 't':
		return '\t';
	case '"':
	case '\\':
		return **at;
	case 'x':
		*at += 2;
		return *at < end ? byte_of((struct span){ *at - 1, end }) : -1;
	default:
		return -1;
	}
}

bool value_string(struct values *values, struct span span, struct trace_bytes *bytes)
{
	unsigned char *to = values->bytes + values->used;

	if (span.end - span.at < 2 || *span.at != '"' || span.end[-1] != '"')
		return false;
	bytes->at = to;
	span.end--;
	for (span.at++; span.at < span.end; span.at++) {
		int byte = (unsigned char)*span.at;

		if (byte == '"')
			return false;
		if (byte == '\\') {
			span.at++;
			byte = get_escape(&span.at, span.end);
		}
		if (byte < 0)
			return false;
		*to++ = (unsigned char)byte;
	}
	bytes->length = (uint32_t)(to - bytes->at);
	values->used += bytes->length;
	return true;
}

static bool get_segments(struct values *values, struct span span, struct trace_event *event)
{
	struct trace_segment *segments = values->arrays.segments;
	struct span part, piece;
	bool more = true;

	event->module.segments = segments;
	for (uint32_t i = 0; more; i++) {
		more = span_cut(&span, ',', &part);
		if (!more)
			part = span;
		if (i == TRACE_SEGMENTS_MAX || !span_cut(&part, ':', &piece) ||
		    !value_number(piece, UINT64_MAX, &segments[i].address) || !span_cut(&part, ':', &piece) ||
		    !value_number(piece, UINT64_MAX, &segments[i].length) ||
		    !value_number(part, UINT64_MAX, &segments[i].offset))
			return false;
		event->module.count = i + 1;
	}
	return true;
}

static bool get_frames(struct values *values, struct span span, struct trace_event *event)
{
	struct trace_frame *frames = values->arrays.frames;
	struct span part, piece;
	bool more = true;
	uint64_t module;

	event->stack.frames = frames;
	for (uint32_t i = 0; more; i++) {
		more = span_cut(&span, ',', &part);
		if (!more)
			part = span;
		if (i == TRACE_FRAMES_MAX || !span_cut(&part, '+', &piece) ||
		    !value_number(piece, UINT32_MAX, &module) ||
		    !value_number(part, UINT64_MAX, &frames[i].offset))
			return false;
		frames[i].module = (uint32_t)module;
		event->stack.count = i + 1;
	}
	return true;
}

bool value_get(struct values *values, struct span span, struct trace_event *event,
	       const struct trace_field *field)
{
	void *at = (char *)event + field->offset;
	struct trace_bytes bytes;
	struct span file;
	uint64_t number = 0;
	int64_t signed_number = 0;
	bool good;

	switch (field->type) {
	case TRACE_FIELD_U32:
	case TRACE_FIELD_MODE:
	case TRACE_FIELD_OP:
		good = value_number(span, UINT32_MAX, &number);
		*(uint32_t *)at = (uint32_t)number;
		return good;
	case TRACE_FIELD_U64:
	case TRACE_FIELD_HEX:
		return value_number(span, UINT64_MAX, at);
	case TRACE_FIELD_I32:
		good = get_signed(span, INT32_MIN, INT32_MAX, &signed_number);
		*(int32_t *)at = (int32_t)signed_number;
		return good;
	case TRACE_FIELD_I64:
		return get_signed(span, INT64_MIN, INT64_MAX, at);
	case TRACE_FIELD_PLACE:
		return span_cut(&span, '+', &file) && value_number(file, UINT64_MAX, &event->file) &&
		       value_number(span, UINT64_MAX, at);
	case TRACE_FIELD_STRING:
		return value_string(values, span, at);
	case TRACE_FIELD_REST:
	case TRACE_FIELD_OCTETS:
		return value_hex(values, span, at);
	case TRACE_FIELD_UUID:
		if (!value_hex(values, span, &bytes) || bytes.length != 16)
			return false;
		memcpy(at, bytes.at, 16);
		return true;
	case TRACE_FIELD_SEGMENTS:
		return get_segments(values, span, event);
	case TRACE_FIELD_FRAMES:
		return get_frames(values, span, event);
	case TRACE_FIELD_FLAGS:
	case TRACE_FIELD_END:
		break;
	}
	return false;
}

bool value_zeros(struct values *values, struct span span, struct trace_bytes *bytes)
{
	uint64_t number;

	if (!value_number(span, TRACE_BYTES_MAX, &number))
		return false;
	if (!values->zeros)
		values->zeros = calloc(1, TRACE_BYTES_MAX);
	bytes->at = values->zeros;
	bytes->length = (uint32_t)number;
	return values->zeros;
}
