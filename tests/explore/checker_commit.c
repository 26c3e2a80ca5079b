/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A checker for a log of numbers: the word at 0 says how many records are valid, and record i, in line i,
 * must hold the number i. A mark "done N" acknowledges that N records are durable. Words after the shared
 * object make it misbehave, for tests of what becomes of that. Linked with libsoftpmem_checker.a it is a fork
 * server.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "explore/softpmem_checker.h"

static const char *trick = "";

int softpmem_checker_start(int argc, char **argv)
{
	if (argc > 1)
		trick = argv[1];
	return strcmp(trick, "refuse") == 0;
}

static uint64_t acknowledged(const struct softpmem_state *state)
{
	unsigned long long most = 0, number;

	for (uint64_t i = 0; i < state->mark_count; i++)
		if (sscanf(state->marks[i].text, "done %llu", &number) == 1 && number > most)
			most = number;
	return most;
}

/* What an earlier state has left behind would change the result of a later one. */
static int leak(void)
{
	static char *leaked;

	if (leaked)
		return 9;
	leaked = malloc(1 << 16);
	return leaked ? 0 : 8;
}

int softpmem_checker_check(const struct softpmem_state *state)
{
	uint64_t *words = state->files[0].bytes;
	uint64_t lines = state->files[0].size / 64;

	if (strcmp(trick, "leak") == 0)
		return leak();
	if (words[0] >= lines)
		return 2;
	for (uint64_t i = 1; i <= words[0]; i++) {
		if (words[8 * i] == i)
			continue;
		if (strcmp(trick, "crash") == 0)
			abort();
		if (strcmp(trick, "hang") == 0)
			for (;;)
				pause();
		if (strcmp(trick, "exit") == 0)
			_exit(7);
		if (strcmp(trick, "succeed") == 0)
			_exit(0);
		if (strcmp(trick, "print") == 0)
			puts("a record is missing");
		return 1;
	}
	if (words[0] < acknowledged(state))
		return 3;
	/* A recovery changes bytes; the next state must not see that. */
	memset(words, 0xff, 128);
	return 0;
}
