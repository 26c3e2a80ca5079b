/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BRUTE_WORLD_H
#define BRUTE_WORLD_H

/* Private to brute_trace.c and brute_world.c: what is known of a random trace while it is made up. */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "brute_lines.h"
#include "brute_trace.h"
#include "common/rng.h"

#define MAX_EVENTS 12
#define MAX_THREADS 3
#define FILES 2
#define FILE_BYTES (BRUTE_LINES / FILES * BRUTE_LINE_BYTES)
#define NAMES 2

/* A trace as far as it was made up, in both forms, and what programs see. */
struct world {
	struct rng rng;
	FILE *text;
	struct brute_history history;
	struct brute_tree now;
	struct brute brute;
	/* What a truncation or a punched hole took away, by its step; `cut_end` 0: nothing. */
	unsigned char cuts[BRUTE_STEPS][FILE_BYTES];
	unsigned cut_from[BRUTE_STEPS], cut_end[BRUTE_STEPS];
	unsigned inodes; /* the next one */
	unsigned file_of[BRUTE_INODES]; /* the number of a file + 1 */
	bool truncated[BRUTE_INODES]; /* to 0, and not closed since */
	unsigned files, directories, threads, thread;
	enum brute_mode mode;
	enum brute_names_rules rules;
	enum brute_feature feature;
	bool too_large;
	struct trees states;
};

/* All that power failing now may leave is put into world->states, unless that is too much. */
void brute_world_add_states(struct world *world);

#endif
