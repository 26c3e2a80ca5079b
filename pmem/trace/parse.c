/* SPDX-License-Identifier: BSD-3-Clause */
/* Text to events. */
#include "trace/text_form.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "trace/catalog.h"
#include "trace/encode.h"
#include "trace/schema.h"
#include "trace/value.h"

#define LINE_BYTES_START 256u
/* Longer lines stand for no event. */
#define LINE_BYTES_MAX (2 * TRACE_BYTES_MAX + (64u << 10))

struct trace_text {
	FILE *in;
	char *name;
	struct trace_catalog *catalog;
	unsigned char uuid[16];
	uint64_t created;

	char *line;
	size_t line_room, line_length;
	uint64_t number; /* of the line */
	struct values values;
	bool started; /* the first line was read */
	int result;   /* 1: it goes on */
	struct message message;
};

int trace_text_create(FILE *in, const char *name, struct trace_text **out, struct message *message)
{
	struct trace_text *text = calloc(1, sizeof(*text));

	if (text) {
		text->in = in;
		text->result = 1;
		text->name = strdup(name);
		text->catalog = trace_catalog_create();
		text->line_room = LINE_BYTES_START;
		text->line = malloc(LINE_BYTES_START);
	}
	if (!text || !text->name || !text->catalog || !text->line) {
		trace_text_destroy(text);
		return message_fail(message, -ENOMEM, "%s: out of memory", name);
	}
	*out = text;
	return 0;
}

void trace_text_destroy(struct trace_text *text)
{
	if (!text)
		return;
	trace_catalog_destroy(text->catalog);
	free(text->name);
	free(text->line);
	values_clear(&text->values);
	free(text);
}

/* ---- Words of a line -------------------------------------------------------------- */

/* The next word: up to a space that is not in quotes. False: the line has no more. */
static bool next_word(struct span *line, struct span *word)
{
	bool quoted = false;

	while (line->at < line->end && (*line->at == ' ' || *line->at == '\t'))
		line->at++;
	/* A comment takes the rest of the line. */
	if (line->at < line->end && *line->at == '#')
		line->at = line->end;
	word->at = line->at;
	for (; line->at < line->end && (quoted || (*line->at != ' ' && *line->at != '\t')); line->at++) {
		if (quoted && *line->at == '\\' && line->at + 1 < line->end)
			line->at++;
		else if (*line->at == '"')
			quoted = !quoted;
	}
	word->end = line->at;
	return word->at < word->end;
}

/* Bytes by another name: u8=, u16=, u32=, u64= (little-endian), zero= (so many) and text="". */
static bool get_other_bytes(struct values *values, struct span key, struct span value,
			    struct trace_bytes *bytes)
{
	static const char *const names[] = { "u8", "u16", "u32", "u64" };
	uint64_t number;

	bytes->at = values->bytes + values->used;
	if (span_is(key, "text"))
		return value_string(values, value, bytes);
	if (span_is(key, "zero"))
		return value_zeros(values, value, bytes);
	for (unsigned i = 0; i < 4; i++) {
		const unsigned bits = 8u << i;

		if (!span_is(key, names[i]))
			continue;
		if (!value_number(value, UINT64_MAX >> (64 - bits), &number))
			return false;
		memcpy(values->bytes + values->used, &number, bits / 8);
		bytes->length = bits / 8;
		values->used += bits / 8;
		return true;
	}
	return false;
}

/* Is the word a value of this field? Its key may have been cut off; `key` is empty if it had none. */
static bool field_matches(const struct trace_field *field, struct span key, struct span value)
{
	if (field->name)
		return span_is(key, field->name);
	if (key.at)
		return false;
	if (field->type == TRACE_FIELD_PLACE)
		return *value.at >= '0' && *value.at <= '9';
	return field->type == TRACE_FIELD_STRING && *value.at == '"';
}

static bool get_flag(const struct trace_schema *schema, struct span word, uint32_t *flags)
{
	for (uint32_t bit = 0; schema->flag_names && schema->flag_names[bit]; bit++) {
		if (!*schema->flag_names[bit] || !span_is(word, schema->flag_names[bit]))
			continue;
		*flags |= 1u << bit;
		return true;
	}
	return false;
}

/* key=value or a value alone; an '=' within quotes is none. */
static void split_word(struct span word, struct span *key, struct span *value)
{
	*key = (struct span){ NULL, NULL };
	*value = word;
	if (*word.at != '"')
		span_cut(value, '=', key);
}

static const char *get_word(struct trace_text *text, struct span word, const struct trace_schema *schema,
			    struct trace_event *event, uint32_t *seen)
{
	struct span key, value;

	split_word(word, &key, &value);
	if (!key.at && get_flag(schema, word, &event->flags))
		return NULL;
	for (unsigned i = 0; schema->fields[i].type != TRACE_FIELD_END; i++) {
		const struct trace_field *field = &schema->fields[i];
		const bool other = field->type == TRACE_FIELD_REST && key.at && !span_is(key, field->name);

		if (schema->op_names && field->type == TRACE_FIELD_OP)
			continue;
		if (!other && !field_matches(field, key, value))
			continue;
		if (*seen & 1u << i)
			return "the same field is there twice";
		if (other ? !get_other_bytes(&text->values, key, value,
					     (struct trace_bytes *)((char *)event + field->offset)) :
			    !value_get(&text->values, value, event, field))
			return "this is no value of the field";
		*seen |= 1u << i;
		return NULL;
	}
	return "an event of this kind has no such field";
}

/* ---- Lines ------------------------------------------------------------------------- */

/* What fields are when they are left out, if not 0. A mark's length follows from its text. */
static void preset_fields(struct trace_event *event)
{
	if (event->kind == TRACE_FLUSH)
		event->flush.length = TRACE_TEXT_FLUSH_LENGTH;
	if (event->kind == TRACE_MARK) {
		event->mark.fd = TRACE_TEXT_MARK_FD;
		event->mark.length = UINT64_MAX;
	}
}

static const char *get_event(struct trace_text *text, struct span line, struct trace_event *event,
			     struct span *word)
{
	const struct trace_schema *schema;
	uint64_t stamp = 0, thread = 0;
	uint32_t seen = 0;
	const char *wrong;

	if (!next_word(&line, word))
		return "there is no event";
	if (*word->at == '@') {
		if (!value_number((struct span){ word->at + 1, word->end }, UINT64_MAX, &stamp) || !stamp)
			return "this is no stamp";
		if (!next_word(&line, word))
			return "there is no event";
	}
	if (*word->at == 't' && value_number((struct span){ word->at + 1, word->end }, UINT32_MAX, &thread) &&
	    !next_word(&line, word))
		return "there is no event";
	memset(event, 0, sizeof(*event));
	schema = trace_schema_named(word->at, (size_t)(word->end - word->at), &event->kind, &event->op);
	if (!schema)
		return "no event has this name";
	preset_fields(event);
	event->thread = (uint32_t)thread;
	if (stamp || !trace_kind_is_definition(event->kind))
		event->stamp = stamp ? stamp : trace_catalog_stamp(text->catalog) + 1;
	while (next_word(&line, word)) {
		wrong = get_word(text, *word, schema, event, &seen);
		if (wrong)
			return wrong;
	}
	if (event->kind == TRACE_MARK && event->mark.length == UINT64_MAX)
		event->mark.length = event->mark.text.length;
	*word = (struct span){ NULL, NULL };
	return trace_event_wrong(event);
}

static int fail_line(struct trace_text *text, int result, const char *wrong, struct span word)
{
	char shown[64];

	text->result = result;
	if (!word.at)
		return message_fail(&text->message, result, "%s:%" PRIu64 ": %s", text->name, text->number,
				    wrong);
	return message_fail(&text->message, result, "%s:%" PRIu64 ": '%s': %s", text->name, text->number,
			    trace_text_shown(word.at, (size_t)(word.end - word.at), shown, sizeof(shown)),
			    wrong);
}

static const char *get_header(struct trace_text *text, struct span line, struct span *word)
{
	struct span key, value;
	struct trace_bytes uuid;

	if (!next_word(&line, word) || !span_is(*word, "softpmem-trace"))
		return "the first line of a trace is 'softpmem-trace 1'";
	if (!next_word(&line, word) || !span_is(*word, "1"))
		return "this version of the text form is not known";
	while (next_word(&line, word)) {
		split_word(*word, &key, &value);
		if (key.at && span_is(key, "uuid") && value_hex(&text->values, value, &uuid) &&
		    uuid.length == 16)
			memcpy(text->uuid, uuid.at, 16);
		else if (!key.at || !span_is(key, "created") ||
			 !value_number(value, UINT64_MAX, &text->created))
			return "the first line may have uuid= and created=";
	}
	return NULL;
}

/* Read a line without its end. 1, 0 at the end of the file, or negative errno. */
static int read_line(struct trace_text *text)
{
	int byte;

	text->line_length = 0;
	text->number++;
	while ((byte = getc_unlocked(text->in)) != EOF && byte != '\n') {
		if (text->line_length == text->line_room) {
			const size_t room = 2 * text->line_room;
			char *line = realloc(text->line, room);

			if (!line)
				return -ENOMEM;
			text->line = line;
			text->line_room = room;
		}
		if (text->line_length == LINE_BYTES_MAX)
			return -E2BIG;
		text->line[text->line_length++] = (char)byte;
	}
	if (byte == EOF && ferror(text->in))
		return -EIO;
	return byte == '\n' || text->line_length;
}

/* Read up to the next line that is no comment. 1, 0 at the end of the file, or negative errno. */
static int next_line(struct trace_text *text, struct span *line)
{
	for (;;) {
		struct span rest, word;
		int result = read_line(text);

		if (result != 1)
			return result;
		*line = rest = (struct span){ text->line, text->line + text->line_length };
		/* No string is longer than its word; u64= may be by 8 bytes. */
		if (next_word(&rest, &word))
			return values_reserve(&text->values, text->line_length + 8) ? -ENOMEM : 1;
	}
}

static int next_event(struct trace_text *text, struct trace_event *event)
{
	struct span line, word = { NULL, NULL };
	const char *wrong = NULL;
	int result = next_line(text, &line);

	if (result == 1 && !text->started) {
		wrong = get_header(text, line, &word);
		if (wrong)
			return fail_line(text, -EBADMSG, wrong, word);
		text->started = true;
		result = next_line(text, &line);
	}
	if (result < 0)
		return fail_line(text, result,
				 result == -E2BIG ? "a line of the text form is not so long" :
						    strerror(-result),
				 word);
	if (result == 0)
		return text->result = text->started ? 0 :
						      fail_line(text, -EBADMSG, "the file is empty", word);
	wrong = get_event(text, line, event, &word);
	if (wrong)
		return fail_line(text, -EBADMSG, wrong, word);
	result = trace_catalog_add(text->catalog, event, &wrong);
	if (result)
		return fail_line(text, result, wrong ? wrong : strerror(-result), word);
	return 1;
}

int trace_text_next(struct trace_text *text, struct trace_event *event, struct message *message)
{
	int result = text->result == 1 ? next_event(text, event) : text->result;

	if (result < 0 && message)
		*message = text->message;
	return result;
}

const struct trace_catalog *trace_text_catalog(const struct trace_text *text)
{
	return text->catalog;
}

const unsigned char *trace_text_uuid(const struct trace_text *text)
{
	return text->uuid;
}

uint64_t trace_text_created(const struct trace_text *text)
{
	return text->created;
}
