/* SPDX-License-Identifier: BSD-3-Clause */
#include "treeset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void trees_add(struct trees *trees, const char *text)
{
	char *copy = strdup(text);

	assert_non_null(copy);
	assert_int_equal(vector_append(trees, copy), 0);
}

void trees_finish(struct trees *trees)
{
	size_t kept = 0;

	if (trees->count)
		qsort(trees->items, trees->count, sizeof(*trees->items), compare_texts);
	for (size_t i = 0; i < trees->count; i++)
		if (kept && strcmp(trees->items[i], trees->items[kept - 1]) == 0)
			free(trees->items[i]);
		else
			trees->items[kept++] = trees->items[i];
	trees->count = kept;
}

void trees_free(struct trees *trees)
{
	for (size_t i = 0; i < trees->count; i++)
		free(trees->items[i]);
	vector_free(trees);
}

bool trees_equal(const struct trees *a, const struct trees *b)
{
	for (size_t i = 0; i < a->count && i < b->count; i++)
		if (strcmp(a->items[i], b->items[i]) != 0)
			return false;
	return a->count == b->count;
}

bool trees_include(const struct trees *larger, const struct trees *smaller)
{
	size_t at = 0;

	for (size_t i = 0; i < smaller->count; i++, at++) {
		while (at < larger->count && strcmp(larger->items[at], smaller->items[i]) < 0)
			at++;
		if (at == larger->count || strcmp(larger->items[at], smaller->items[i]) != 0)
			return false;
	}
	return true;
}

bool trees_contain(const struct trees *trees, const char *text)
{
	return trees->count &&
	       bsearch(&text, trees->items, trees->count, sizeof(*trees->items), compare_texts) != NULL;
}
