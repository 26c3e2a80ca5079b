/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/explore_site.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "wire/frame.h"
#include "wire/text.h"

/* Lines of source before and after the one of a site. */
#define EXCERPT_AROUND 3

void explore_put_text(struct json_object *object, const char *key, const char *text)
{
	CLEANUP_FREE char *utf8 = NULL;
	bool changed;

	utf8 = text_utf8(text, &changed);
	control_put_string(object, key, utf8 ? utf8 : "");
}

void explore_add_text(struct json_object *array, const char *text)
{
	CLEANUP_FREE char *utf8 = NULL;
	bool changed;

	utf8 = text_utf8(text, &changed);
	json_object_array_add(array, json_object_new_string(utf8 ? utf8 : ""));
}

/*
 * Paths come from the debug information of a module that the trace names. An excerpt of whatever file they
 * name must not end up in a report: only of what is called as source is.
 */
static bool is_source(const char *path)
{
	static const char *const endings[] = { ".c", ".h", ".cc", ".cpp", ".cxx", ".hpp", ".hh", ".inl",
					       ".rs", ".go", ".zig" };
	const char *dot = strrchr(path, '.');
	struct stat st;

	for (size_t i = 0; dot && *path == '/' && i < sizeof(endings) / sizeof(endings[0]); i++)
		if (strcmp(dot, endings[i]) == 0)
			return stat(path, &st) == 0 && S_ISREG(st.st_mode);
	return false;
}

/* The lines around one line of a file; nothing if it cannot be read. */
static void put_excerpt(struct json_object *object, const char *path, int line)
{
	FILE *in = is_source(path) ? fopen(path, "re") : NULL;
	struct json_object *lines;
	char text[512];
	int number = 0;

	if (!in)
		return;
	lines = json_object_new_array();
	while (number < line + EXCERPT_AROUND && fgets(text, sizeof(text), in)) {
		number++;
		if (number < line - EXCERPT_AROUND)
			continue;
		text[strcspn(text, "\n")] = '\0';
		explore_add_text(lines, text);
	}
	fclose(in);
	control_put_u64(object, "first_line", (uint64_t)(line > EXCERPT_AROUND ? line - EXCERPT_AROUND : 1));
	json_object_object_add(object, "excerpt", lines);
}

void explore_put_site(struct json_object *object, const struct trace_catalog *catalog,
		      struct trace_symbols *symbols, uint32_t site)
{
	const struct trace_event *event = site ? trace_catalog_site(catalog, site) : NULL;
	struct json_object *stack;
	const char *path;
	int line = 0;

	if (!event || !symbols)
		return;
	explore_put_text(object, "site", trace_symbols_frame(symbols, site, 0));
	stack = json_object_new_array();
	for (uint32_t i = 0; i < event->stack.count; i++)
		explore_add_text(stack, trace_symbols_frame(symbols, site, i));
	json_object_object_add(object, "stack", stack);
	path = trace_symbols_source(symbols, site, 0, &line);
	if (!path || line < 1)
		return;
	explore_put_text(object, "source", path);
	control_put_u64(object, "line", (uint64_t)line);
	put_excerpt(object, path, line);
}
