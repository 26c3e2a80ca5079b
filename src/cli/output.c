/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/output.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/size.h"
#include "wire/frame.h"
#include "wire/text.h"

/* A request that takes less time prints no progress. */
#define PROGRESS_AFTER_MS 1000

/* ---- JSON ---------------------------------------------------------------------- */

/* JSON is UTF-8, and names may not be: such a name gets a second member with its bytes escaped. */
static void make_utf8(struct json_object *object, const char *key, const char *escaped_key)
{
	const char *text = output_string(object, key);
	CLEANUP_FREE char *escaped = NULL;
	CLEANUP_FREE char *utf8 = NULL;
	bool changed;

	utf8 = text_utf8(text, &changed);
	if (!utf8 || !changed)
		return;
	escaped = text_escape(text);
	if (escaped)
		control_put_string(object, escaped_key, escaped);
	control_put_string(object, key, utf8);
}

static void print_indented(struct json_object *object, const char *indent)
{
	const char *text = json_object_to_json_string_ext(object, JSON_C_TO_STRING_PRETTY |
									  JSON_C_TO_STRING_NOSLASHESCAPE);

	while (*text) {
		size_t length = strcspn(text, "\n");

		printf("%s%.*s", indent, (int)length, text);
		text += length;
		if (*text)
			putchar(*text++);
	}
}

static void make_all_utf8(struct json_object *object)
{
	make_utf8(object, "path", "path_escaped");
	make_utf8(object, "mark", "mark_escaped");
	make_utf8(object, "text", "text_escaped");
	make_utf8(object, "mount", "mount_escaped");
	make_utf8(object, "region", "region_escaped");
	make_utf8(object, "label", "label_escaped");
	make_utf8(object, "comm", "comm_escaped");
	make_utf8(object, "name", "name_escaped");
}

void output_array_item(struct output_array *array, struct json_object *item)
{
	fputs(array->begun ? ",\n" : "[\n", stdout);
	array->begun = true;
	make_all_utf8(item);
	print_indented(item, "  ");
}

void output_array_end(struct output_array *array, bool complete)
{
	if (array->begun)
		fputs("\n]\n", stdout);
	else if (complete)
		fputs("[]\n", stdout);
}

static void prepare(struct json_object *object)
{
	json_object_object_foreach (object, key, value) {
		if (json_object_is_type(value, json_type_array))
			for (size_t i = 0; i < json_object_array_length(value); i++)
				make_all_utf8(json_object_array_get_idx(value, i));
		(void)key;
	}
	make_all_utf8(object);
}

void output_object(struct json_object *object)
{
	prepare(object);
	print_indented(object, "");
	putchar('\n');
}

void output_line(struct json_object *object)
{
	prepare(object);
	puts(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
}

/* ---- Tables --------------------------------------------------------------------- */

uint64_t output_u64(struct json_object *object, const char *key)
{
	uint64_t value = 0;

	control_get_u64(object, key, &value);
	return value;
}

const char *output_string(struct json_object *object, const char *key)
{
	const char *value;

	return control_get_string(object, key, &value) == 0 ? value : "";
}

const char *output_size(struct json_object *object, const char *key)
{
	static char texts[4][24];
	static unsigned next;

	next = (next + 1) % 4;
	return size_format(output_u64(object, key), texts[next], sizeof(texts[next]));
}

const char *output_count(uint64_t count, const char *one, const char *many)
{
	static char texts[4][96];
	static unsigned next;
	char *text;

	next = (next + 1) % 4;
	text = texts[next];
	snprintf(text, sizeof(texts[0]), "%llu %s%s", (unsigned long long)count,
		 count != 1 && many ? many : one, count != 1 && !many ? "s" : "");
	return text;
}

const char *output_mode(struct json_object *object)
{
	return output_u64(object, "sector_size") == 512 ? "sector:512" : output_string(object, "mode");
}

void output_name(const char *name, const char *end)
{
	CLEANUP_FREE char *escaped = text_escape(name);

	printf("%s%s", escaped ? escaped : "?", end);
}

/* ---- Progress -------------------------------------------------------------------- */

void output_progress_start(struct output_progress *progress, bool verbose)
{
	bool tty = isatty(STDERR_FILENO);

	*progress = (struct output_progress){ .enabled = tty || verbose, .tty = tty, .started = clock_ms() };
}

void output_progress(void *context, const char *what, uint64_t done, uint64_t total)
{
	struct output_progress *progress = context;
	uint64_t now = clock_ms();

	if (!progress->enabled || now - progress->started < PROGRESS_AFTER_MS || now - progress->last < 200)
		return;
	progress->last = now;
	progress->shown = true;
	fprintf(stderr, "%ssoftpmem: %.64s: %llu", progress->tty ? "\r" : "", what, (unsigned long long)done);
	if (total)
		fprintf(stderr, " of %llu (%u%%)", (unsigned long long)total,
			(unsigned)(100 * (double)(done < total ? done : total) / (double)total));
	fputs(progress->tty ? "\033[K" : "\n", stderr);
}

void output_progress_end(struct output_progress *progress)
{
	if (progress->shown && progress->tty)
		fputs("\r\033[K", stderr);
	progress->shown = false;
}
