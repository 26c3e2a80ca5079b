/* SPDX-License-Identifier: BSD-3-Clause */
/* Events to text. */
#include "trace/text_form.h"

#include <inttypes.h>
#include <string.h>

#include "trace/schema.h"

static void put_hex(FILE *out, const unsigned char *bytes, size_t length)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < length; i++) {
		putc_unlocked(digits[bytes[i] >> 4], out);
		putc_unlocked(digits[bytes[i] & 15], out);
	}
}

void trace_text_quote(FILE *out, struct trace_bytes bytes)
{
	putc('"', out);
	for (uint32_t i = 0; i < bytes.length; i++) {
		const unsigned char byte = bytes.at[i];

		if (byte == '"' || byte == '\\')
			fprintf(out, "\\%c", byte);
		else if (byte == '\n')
			fputs("\\n", out);
		else if (byte == '\t')
			fputs("\\t", out);
		else if (byte < ' ' || byte > '~')
			fprintf(out, "\\x%02x", byte);
		else
			putc(byte, out);
	}
	putc('"', out);
}

const char *trace_text_shown(const char *bytes, size_t length, char *buffer, size_t buffer_size)
{
	const size_t shown = length < buffer_size ? length : buffer_size - 4;

	for (size_t i = 0; i < shown; i++)
		buffer[i] = bytes[i] >= ' ' && bytes[i] <= '~' ? bytes[i] : '?';
	strcpy(buffer + shown, shown < length ? "..." : "");
	return buffer;
}

void trace_text_print_header(FILE *out, const unsigned char *uuid, uint64_t created)
{
	fprintf(out, "softpmem-trace %d", TRACE_TEXT_VERSION);
	if (uuid) {
		fputs(" uuid=", out);
		put_hex(out, uuid, 16);
	}
	if (created)
		fprintf(out, " created=%" PRIu64, created);
	putc('\n', out);
}

static void put_flags(FILE *out, const struct trace_schema *schema, uint32_t flags)
{
	for (uint32_t bit = 0; schema->flag_names[bit]; bit++)
		if (flags >> bit & 1)
			fprintf(out, " %s", schema->flag_names[bit]);
}

static void put_segments(FILE *out, const struct trace_event *event)
{
	for (uint32_t i = 0; i < event->module.count; i++) {
		const struct trace_segment *segment = &event->module.segments[i];

		fprintf(out, "%s0x%" PRIx64 ":0x%" PRIx64 ":0x%" PRIx64, i ? "," : "", segment->address,
			segment->length, segment->offset);
	}
}

static void put_frames(FILE *out, const struct trace_event *event)
{
	for (uint32_t i = 0; i < event->stack.count; i++)
		fprintf(out, "%s%" PRIu32 "+0x%" PRIx64, i ? "," : "", event->stack.frames[i].module,
			event->stack.frames[i].offset);
}

/* The value that a field has when it is left out. */
static int64_t preset(const struct trace_event *event, const struct trace_field *field)
{
	if (event->kind == TRACE_FLUSH && field->type == TRACE_FIELD_U64)
		return TRACE_TEXT_FLUSH_LENGTH;
	if (event->kind == TRACE_MARK && field->type == TRACE_FIELD_I32)
		return TRACE_TEXT_MARK_FD;
	if (event->kind == TRACE_MARK && field->type == TRACE_FIELD_U64)
		return event->mark.text.length;
	return 0;
}

static bool is_left_out(const struct trace_event *event, const struct trace_schema *schema,
			const struct trace_field *field)
{
	static const unsigned char no_uuid[16];
	const void *at = (const char *)event + field->offset;

	switch (field->type) {
	case TRACE_FIELD_OP:
		return schema->op_names || !event->op;
	case TRACE_FIELD_U32:
	case TRACE_FIELD_MODE:
		return !*(const uint32_t *)at;
	case TRACE_FIELD_U64:
		return *(const uint64_t *)at == (uint64_t)preset(event, field);
	case TRACE_FIELD_HEX:
		return !*(const uint64_t *)at;
	case TRACE_FIELD_I32:
		return *(const int32_t *)at == preset(event, field);
	case TRACE_FIELD_I64:
		return !*(const int64_t *)at;
	case TRACE_FIELD_STRING:
	case TRACE_FIELD_REST:
	case TRACE_FIELD_OCTETS:
		return field->name && !((const struct trace_bytes *)at)->length;
	case TRACE_FIELD_UUID:
		return memcmp(at, no_uuid, sizeof(no_uuid)) == 0;
	case TRACE_FIELD_SEGMENTS:
		return !event->module.count;
	default:
		return false;
	}
}

static void put_value(FILE *out, const struct trace_event *event, const struct trace_field *field)
{
	const void *at = (const char *)event + field->offset;
	const struct trace_bytes *bytes = at;

	switch (field->type) {
	case TRACE_FIELD_U32:
		fprintf(out, "%" PRIu32, *(const uint32_t *)at);
		break;
	case TRACE_FIELD_U64:
		fprintf(out, "%" PRIu64, *(const uint64_t *)at);
		break;
	case TRACE_FIELD_HEX:
		fprintf(out, "0x%" PRIx64, *(const uint64_t *)at);
		break;
	case TRACE_FIELD_I32:
		fprintf(out, "%" PRId32, *(const int32_t *)at);
		break;
	case TRACE_FIELD_I64:
		fprintf(out, "%" PRId64, *(const int64_t *)at);
		break;
	case TRACE_FIELD_MODE:
		fprintf(out, "0%" PRIo32, *(const uint32_t *)at);
		break;
	case TRACE_FIELD_OP:
		fprintf(out, "0x%" PRIx32, *(const uint32_t *)at);
		break;
	case TRACE_FIELD_PLACE:
		fprintf(out, "%" PRIu64 "+0x%" PRIx64, event->file, *(const uint64_t *)at);
		break;
	case TRACE_FIELD_STRING:
		trace_text_quote(out, *bytes);
		break;
	case TRACE_FIELD_REST:
	case TRACE_FIELD_OCTETS:
		put_hex(out, bytes->at, bytes->length);
		break;
	case TRACE_FIELD_UUID:
		put_hex(out, at, 16);
		break;
	case TRACE_FIELD_SEGMENTS:
		put_segments(out, event);
		break;
	case TRACE_FIELD_FRAMES:
		put_frames(out, event);
		break;
	case TRACE_FIELD_FLAGS:
	case TRACE_FIELD_END:
		break;
	}
}

void trace_text_print(FILE *out, const struct trace_event *event, uint64_t before)
{
	const struct trace_schema *schema = trace_schema_of(event->kind);

	if (event->stamp && event->stamp != before + 1)
		fprintf(out, "@%" PRIu64 " ", event->stamp);
	if (event->thread)
		fprintf(out, "t%" PRIu32 " ", event->thread);
	fputs(trace_event_name(event), out);
	for (const struct trace_field *field = schema->fields; field->type != TRACE_FIELD_END; field++) {
		if (is_left_out(event, schema, field))
			continue;
		if (field->type == TRACE_FIELD_FLAGS) {
			put_flags(out, schema, event->flags);
			continue;
		}
		putc(' ', out);
		if (field->name)
			fprintf(out, "%s=", field->name);
		put_value(out, event, field);
	}
}
