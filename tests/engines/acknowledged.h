/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ENGINES_ACKNOWLEDGED_H
#define ENGINES_ACKNOWLEDGED_H

/* How far a load got before the power failed. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The number in the last line of a file that a load's output went to; 0 without one. */
static inline uint64_t acknowledged_in(const char *path)
{
	FILE *file = path ? fopen(path, "r") : NULL;
	unsigned long long number = 0;
	char line[64];

	while (file && fgets(line, sizeof(line), file))
		number = strtoull(line, NULL, 10);
	if (file)
		fclose(file);
	return number;
}

/* A number, or "-": what softpmem torture passes to a check. */
static inline uint64_t acknowledged_of(const char *word)
{
	return strcmp(word, "-") == 0 ? acknowledged_in(getenv("SOFTPMEM_ACKNOWLEDGED")) :
					strtoull(word, NULL, 10);
}

#endif
