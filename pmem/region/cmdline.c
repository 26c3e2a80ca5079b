/* SPDX-License-Identifier: BSD-3-Clause */
#include "region/cmdline.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/align.h"

/* COMMAND_LINE_SIZE of x86 is 2048; /proc/cmdline may add the boot loader's own words. */
#define LINE_MAX_BYTES (16u << 10)

void kernel_options_free(struct kernel_options *options)
{
	phys_ranges_free(&options->memmaps);
}

/* Parse a number as the kernel's memparse() does. */
static uint64_t parse_number(const char **text)
{
	static const char units[] = "KMGTPE";
	char *rest;
	uint64_t number = strtoull(*text, &rest, 0);
	const char *unit = *rest ? strchr(units, toupper((unsigned char)*rest)) : NULL;

	if (unit) {
		number <<= 10 * (unit - units + 1);
		rest++;
	}
	*text = rest;
	return number;
}

/* Parse a value such as "1G$5G". False for values that take no RAM away, such as "1G@5G" and "exactmap". */
static bool parse_memmap(const char *text, struct phys_range *range)
{
	uint64_t size = parse_number(&text);

	range->name[0] = *text;
	if (*text == '\0' || !strchr("$!%", *text) || size == 0)
		return false;
	text++;
	range->start = parse_number(&text);
	range->last = range->start + size - 1;
	return range->last >= range->start;
}

static int take_memmaps(char *values, struct kernel_options *out)
{
	char *save = NULL;

	for (char *value = strtok_r(values, ",", &save); value; value = strtok_r(NULL, ",", &save)) {
		struct phys_range range = { 0 };

		if (strcmp(value, "exactmap") == 0 || strchr(value, '@'))
			out->exact_map = true;
		else if (parse_memmap(value, &range) && phys_ranges_append(&out->memmaps, &range) < 0)
			return -ENOMEM;
	}
	return 0;
}

static bool lists(const char *values, const char *value)
{
	size_t length = strlen(value);

	for (; values; values = strchr(values, ',') ? strchr(values, ',') + 1 : NULL) {
		if (strncmp(values, value, length) == 0 && (values[length] == '\0' || values[length] == ','))
			return true;
	}
	return false;
}

/* mem=nopentium sets no limit. */
static void take_mem(const char *value, struct kernel_options *out)
{
	uint64_t limit = parse_number(&value);

	if (limit)
		out->mem_limit = min_u64(out->mem_limit, limit);
}

static int take(char *name, char *value, struct kernel_options *out, uint64_t *ramoops_size)
{
	const char *number = value;

	/* The kernel treats "-" and "_" in names as equal. */
	for (char *dash = name; (dash = strchr(dash, '-'));)
		*dash = '_';
	if (strcmp(name, "memmap") == 0)
		return take_memmaps(value, out);
	if (strcmp(name, "mem") == 0)
		take_mem(value, out);
	else if (strcmp(name, "pci") == 0)
		out->pci_nocrs |= lists(value, "nocrs");
	else if (strcmp(name, "iomem") == 0)
		out->iomem_relaxed = lists(value, "relaxed");
	else if (strcmp(name, "crashkernel") == 0)
		snprintf(out->crashkernel, sizeof(out->crashkernel), "%.*s",
			 (int)sizeof(out->crashkernel) - 1, value);
	else if (strcmp(name, "ramoops.mem_address") == 0)
		out->ramoops.start = parse_number(&number);
	else if (strcmp(name, "ramoops.mem_size") == 0)
		*ramoops_size = parse_number(&number);
	return 0;
}

/*
 * The next NAME[=VALUE], split as the kernel's next_arg() does: quotes keep blanks together. NULL at the
 * end, or at the "--" that precedes the parameters of init.
 */
static char *next_word(char **line)
{
	char *word, *at;
	bool quoted = false;

	*line += strspn(*line, " \t\n");
	word = at = *line;
	while (*at && (quoted || !strchr(" \t\n", *at)))
		quoted ^= *at++ == '"';
	*line = *at ? at + 1 : at;
	*at = '\0';
	return *word == '\0' || strcmp(word, "--") == 0 ? NULL : word;
}

static char *unquote(char *value)
{
	size_t length = strlen(value);

	if (*value == '"') {
		value++;
		if (length >= 2 && value[length - 2] == '"')
			value[length - 2] = '\0';
	}
	return value;
}

int kernel_options_read(const char *root, struct kernel_options *out, struct message *message)
{
	char line[LINE_MAX_BYTES], *at = line, *word;
	uint64_t ramoops_size = 0;
	int error = physmap_read_text(root, "/proc/cmdline", line, sizeof(line), message);

	*out = (struct kernel_options){ .mem_limit = UINT64_MAX,
					.ramoops = { .start = 1, .name = "ramoops" } };
	while (!error && (word = next_word(&at))) {
		char *equals = strchr(word, '=');

		if (!equals)
			continue;
		*equals = '\0';
		error = take(word, unquote(equals + 1), out, &ramoops_size);
	}
	/* An end past the last address is cut off there. */
	if (ramoops_size)
		out->ramoops.last =
			out->ramoops.start + min_u64(ramoops_size - 1, UINT64_MAX - out->ramoops.start);
	if (!error)
		return 0;
	kernel_options_free(out);
	return error == -ENOMEM ? message_fail(message, error, "out of memory") : error;
}
