/* SPDX-License-Identifier: BSD-3-Clause */
#include "trace/encode.h"

#include <errno.h>
#include <string.h>

#include "trace/schema.h"
#include "trace/varint.h"

static const struct trace_bytes *bytes_in(const struct trace_event *event, const struct trace_field *field)
{
	return (const void *)((const char *)event + field->offset);
}

size_t trace_encoded_bound(const struct trace_event *event)
{
	const struct trace_schema *schema = trace_schema_of(event->kind);
	size_t bound = 1;

	for (const struct trace_field *field = schema->fields; field->type != TRACE_FIELD_END; field++) {
		bound += 2 * VARINT_BYTES_MAX;
		switch (field->type) {
		case TRACE_FIELD_STRING:
		case TRACE_FIELD_REST:
		case TRACE_FIELD_OCTETS:
			bound += bytes_in(event, field)->length;
			break;
		case TRACE_FIELD_SEGMENTS:
			bound += (size_t)event->module.count * 3 * VARINT_BYTES_MAX;
			break;
		case TRACE_FIELD_FRAMES:
			bound += (size_t)event->stack.count * 2 * VARINT_BYTES_MAX;
			break;
		default:
			break;
		}
	}
	return bound;
}
_Static_assert(TRACE_ENCODED_MAX >= TRACE_BYTES_MAX + 4 * TRACE_PATH_MAX / 2 +
					    TRACE_SEGMENTS_MAX * 3 * VARINT_BYTES_MAX + 500,
	       "no event has more than two long strings");

/* ---- Encoding ----------------------------------------------------------------- */

static unsigned char *put_bytes(unsigned char *to, const void *bytes, size_t length)
{
	/* memcpy() must not be given NULL, which an empty string may have. */
	if (length)
		memcpy(to, bytes, length);
	return to + length;
}

static unsigned char *put_string(unsigned char *to, const struct trace_bytes *bytes)
{
	return put_bytes(varint_put(to, bytes->length), bytes->at, bytes->length);
}

static unsigned char *put_segments(unsigned char *to, const struct trace_event *event)
{
	to = varint_put(to, event->module.count);
	for (uint32_t i = 0; i < event->module.count; i++) {
		to = varint_put(to, event->module.segments[i].address);
		to = varint_put(to, event->module.segments[i].length);
		to = varint_put(to, event->module.segments[i].offset);
	}
	return to;
}

static unsigned char *put_frames(unsigned char *to, const struct trace_event *event)
{
	to = varint_put(to, event->stack.count);
	for (uint32_t i = 0; i < event->stack.count; i++) {
		to = varint_put(to, event->stack.frames[i].module);
		to = varint_put(to, event->stack.frames[i].offset);
	}
	return to;
}

static unsigned char *put_field(unsigned char *to, const struct trace_event *event,
				const struct trace_field *field)
{
	const void *at = (const char *)event + field->offset;

	switch (field->type) {
	case TRACE_FIELD_U32:
	case TRACE_FIELD_MODE:
	case TRACE_FIELD_OP:
	case TRACE_FIELD_FLAGS:
		return varint_put(to, *(const uint32_t *)at);
	case TRACE_FIELD_U64:
	case TRACE_FIELD_HEX:
		return varint_put(to, *(const uint64_t *)at);
	case TRACE_FIELD_I32:
		return varint_put(to, zigzag(*(const int32_t *)at));
	case TRACE_FIELD_I64:
		return varint_put(to, zigzag(*(const int64_t *)at));
	case TRACE_FIELD_PLACE:
		return varint_put(varint_put(to, event->file), *(const uint64_t *)at);
	case TRACE_FIELD_STRING:
	case TRACE_FIELD_OCTETS:
		return put_string(to, at);
	case TRACE_FIELD_REST:
		return put_bytes(to, ((const struct trace_bytes *)at)->at,
				 ((const struct trace_bytes *)at)->length);
	case TRACE_FIELD_UUID:
		return put_bytes(to, at, 16);
	case TRACE_FIELD_SEGMENTS:
		return put_segments(to, event);
	case TRACE_FIELD_FRAMES:
		return put_frames(to, event);
	case TRACE_FIELD_END:
		break;
	}
	return to;
}

/* Most of a trace: the same bytes as by the table, sooner. */
static size_t encode_store(const struct trace_event *event, unsigned char *to)
{
	unsigned char *at = to;

	*at++ = TRACE_STORE;
	at = varint_put(at, event->file);
	at = varint_put(at, event->store.offset);
	at = varint_put(at, event->flags);
	at = varint_put(at, event->store.mask);
	at = varint_put(at, event->site);
	return (size_t)(put_bytes(at, event->store.bytes.at, event->store.bytes.length) - to);
}

size_t trace_encode(const struct trace_event *event, unsigned char *to)
{
	unsigned char *at = to;

	if (event->kind == TRACE_STORE)
		return encode_store(event, to);
	*at++ = (unsigned char)event->kind;
	for (const struct trace_field *field = trace_schema_of(event->kind)->fields;
	     field->type != TRACE_FIELD_END; field++)
		at = put_field(at, event, field);
	return (size_t)(at - to);
}

/* ---- Decoding ----------------------------------------------------------------- */

struct cursor {
	const unsigned char *at, *end; /* at == NULL: something was wrong */
	struct trace_arrays *arrays;
};

static uint64_t get_number(struct cursor *cursor, uint64_t most)
{
	uint64_t value = 0;

	if (cursor->at)
		cursor->at = varint_get(cursor->at, cursor->end, &value);
	if (value > most)
		cursor->at = NULL;
	return value;
}

static struct trace_bytes get_bytes(struct cursor *cursor, uint64_t length)
{
	struct trace_bytes bytes = { 0 };

	if (!cursor->at || length > (uint64_t)(cursor->end - cursor->at)) {
		cursor->at = NULL;
		return bytes;
	}
	bytes.at = cursor->at;
	bytes.length = (uint32_t)length;
	cursor->at += length;
	return bytes;
}

static void get_segments(struct cursor *cursor, struct trace_event *event)
{
	struct trace_segment *segments = cursor->arrays->segments;

	event->module.count = (uint32_t)get_number(cursor, TRACE_SEGMENTS_MAX);
	event->module.segments = segments;
	for (uint32_t i = 0; cursor->at && i < event->module.count; i++) {
		segments[i].address = get_number(cursor, UINT64_MAX);
		segments[i].length = get_number(cursor, UINT64_MAX);
		segments[i].offset = get_number(cursor, UINT64_MAX);
	}
}

static void get_frames(struct cursor *cursor, struct trace_event *event)
{
	struct trace_frame *frames = cursor->arrays->frames;

	event->stack.count = (uint32_t)get_number(cursor, TRACE_FRAMES_MAX);
	event->stack.frames = frames;
	for (uint32_t i = 0; cursor->at && i < event->stack.count; i++) {
		frames[i].module = (uint32_t)get_number(cursor, UINT32_MAX);
		frames[i].offset = get_number(cursor, UINT64_MAX);
	}
}

static void get_field(struct cursor *cursor, struct trace_event *event, const struct trace_field *field)
{
	void *at = (char *)event + field->offset;
	struct trace_bytes uuid;

	switch (field->type) {
	case TRACE_FIELD_U32:
	case TRACE_FIELD_MODE:
	case TRACE_FIELD_OP:
	case TRACE_FIELD_FLAGS:
		*(uint32_t *)at = (uint32_t)get_number(cursor, UINT32_MAX);
		break;
	case TRACE_FIELD_U64:
	case TRACE_FIELD_HEX:
		*(uint64_t *)at = get_number(cursor, UINT64_MAX);
		break;
	case TRACE_FIELD_I32:
		*(int32_t *)at = (int32_t)unzigzag(get_number(cursor, UINT32_MAX));
		break;
	case TRACE_FIELD_I64:
		*(int64_t *)at = unzigzag(get_number(cursor, UINT64_MAX));
		break;
	case TRACE_FIELD_PLACE:
		event->file = get_number(cursor, UINT64_MAX);
		*(uint64_t *)at = get_number(cursor, UINT64_MAX);
		break;
	case TRACE_FIELD_STRING:
	case TRACE_FIELD_OCTETS:
		*(struct trace_bytes *)at = get_bytes(cursor, get_number(cursor, TRACE_PATH_MAX));
		break;
	case TRACE_FIELD_REST:
		*(struct trace_bytes *)at = get_bytes(cursor,
						      cursor->at ? (uint64_t)(cursor->end - cursor->at) : 0);
		break;
	case TRACE_FIELD_UUID:
		uuid = get_bytes(cursor, 16);
		if (cursor->at)
			memcpy(at, uuid.at, 16);
		break;
	case TRACE_FIELD_SEGMENTS:
		get_segments(cursor, event);
		break;
	case TRACE_FIELD_FRAMES:
		get_frames(cursor, event);
		break;
	case TRACE_FIELD_END:
		break;
	}
}

static bool decode_store(struct cursor *cursor, struct trace_event *event)
{
	event->file = get_number(cursor, UINT64_MAX);
	event->store.offset = get_number(cursor, UINT64_MAX);
	event->flags = (uint32_t)get_number(cursor, UINT32_MAX);
	event->store.mask = get_number(cursor, UINT64_MAX);
	event->site = (uint32_t)get_number(cursor, UINT32_MAX);
	event->store.bytes = get_bytes(cursor, cursor->at ? (uint64_t)(cursor->end - cursor->at) : 0);
	return cursor->at;
}

static bool decode_fields(struct cursor *cursor, const struct trace_schema *schema, struct trace_event *event)
{
	for (const struct trace_field *field = schema->fields; field->type != TRACE_FIELD_END; field++)
		get_field(cursor, event, field);
	return cursor->at && cursor->at == cursor->end;
}

int trace_decode(const unsigned char *from, size_t length, uint32_t thread, struct trace_arrays *arrays,
		 struct trace_event *event, const char **wrong)
{
	struct cursor cursor = { .at = from + 1, .end = from + length, .arrays = arrays };
	const struct trace_schema *schema = length && length <= TRACE_ENCODED_MAX ? trace_schema_of(*from) :
										    NULL;

	*wrong = "the kind is unknown";
	if (!schema)
		return -EBADMSG;
	/* A store is most of a trace, and sets what it has of the union. */
	if (from[0] != TRACE_STORE)
		memset(event, 0, sizeof(*event));
	trace_event_start(event, (enum trace_kind)from[0], thread);
	*wrong = "its fields do not fit its length";
	if (!(event->kind == TRACE_STORE ? decode_store(&cursor, event) :
					   decode_fields(&cursor, schema, event)))
		return -EBADMSG;
	*wrong = trace_event_wrong(event);
	return *wrong ? -EBADMSG : 0;
}
