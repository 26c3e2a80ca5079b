/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/size.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char suffixes[] = "KMGT";

static int suffix_shift(const char *text)
{
	const char *found;

	if (!*text)
		return 0;
	found = strchr(suffixes, toupper((unsigned char)*text));
	if (!found)
		return -1;
	if (text[1] && strcasecmp(text + 1, "iB") && strcasecmp(text + 1, "B"))
		return -1;
	return 10 * (int)(found - suffixes + 1);
}

int size_parse(const char *text, uint64_t *out)
{
	unsigned long long value;
	char *end;
	int shift;

	/* strtoull takes signs and blanks; a size has neither. */
	if (!isdigit((unsigned char)text[0]))
		return -EINVAL;
	errno = 0;
	value = strtoull(text, &end, strncasecmp(text, "0x", 2) == 0 ? 16 : 10);
	if (errno)
		return -ERANGE;
	shift = suffix_shift(end);
	if (shift < 0)
		return -EINVAL;
	if (shift && value > (UINT64_MAX >> shift))
		return -ERANGE;
	*out = (uint64_t)value << shift;
	return 0;
}

char *size_format(uint64_t bytes, char *buffer, size_t buffer_size)
{
	int unit = -1;
	double value = (double)bytes;

	while (value >= 1024 && unit < 3) {
		value /= 1024;
		unit++;
	}
	if (unit < 0)
		snprintf(buffer, buffer_size, "%llu", (unsigned long long)bytes);
	else if (value == (double)(uint64_t)value)
		snprintf(buffer, buffer_size, "%llu%c", (unsigned long long)value, suffixes[unit]);
	else
		snprintf(buffer, buffer_size, "%.1f%c", value, suffixes[unit]);
	return buffer;
}
