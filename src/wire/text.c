/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/text.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The number of bytes of the UTF-8 character at `text`; 0 if it is not one (RFC 3629). */
static size_t utf8_length(const unsigned char *text)
{
	static const struct {
		unsigned char mask, lead;
		uint32_t least;
	} forms[] = {
		{ 0x80, 0x00, 0 }, { 0xe0, 0xc0, 0x80 }, { 0xf0, 0xe0, 0x800 }, { 0xf8, 0xf0, 0x10000 }
	};

	for (size_t extra = 0; extra < 4; extra++) {
		uint32_t value = text[0] & (unsigned char)~forms[extra].mask;

		if ((text[0] & forms[extra].mask) != forms[extra].lead)
			continue;
		for (size_t i = 1; i <= extra; i++) {
			if ((text[i] & 0xc0) != 0x80)
				return 0;
			value = value << 6 | (text[i] & 0x3f);
		}
		if (value < forms[extra].least || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
			return 0;
		return extra + 1;
	}
	return 0;
}

static bool is_control(const unsigned char *text, size_t length)
{
	/* Escape C1 controls too: some terminals interpret them. */
	return (length == 1 && (text[0] < 0x20 || text[0] == 0x7f)) ||
	       (length == 2 && text[0] == 0xc2 && text[1] < 0xa0);
}

static char *escape(const char *text, bool backslash)
{
	const unsigned char *from = (const unsigned char *)text;
	char *result = malloc(4 * strlen(text) + 1);
	char *to = result;

	if (!result)
		return NULL;
	while (*from) {
		size_t length = utf8_length(from);

		if (length && !is_control(from, length) && !(backslash && *from == '\\')) {
			memcpy(to, from, length);
			to += length;
			from += length;
		} else if (*from == '\\') {
			memcpy(to, "\\\\", 2);
			to += 2;
			from++;
		} else {
			to += sprintf(to, "\\%03o", *from++);
		}
	}
	*to = '\0';
	return result;
}

char *text_printable(const char *text)
{
	return escape(text, false);
}

char *text_escape(const char *text)
{
	return escape(text, true);
}

char *text_utf8(const char *text, bool *changed)
{
	const unsigned char *from = (const unsigned char *)text;
	char *result = malloc(3 * strlen(text) + 1);
	char *to = result;

	*changed = false;
	if (!result)
		return NULL;
	while (*from) {
		size_t length = utf8_length(from);

		if (length) {
			memcpy(to, from, length);
			to += length;
			from += length;
		} else {
			memcpy(to, "\xef\xbf\xbd", 3);
			to += 3;
			from++;
			*changed = true;
		}
	}
	*to = '\0';
	return result;
}
