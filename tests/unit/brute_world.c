/* SPDX-License-Identifier: BSD-3-Clause */
#include "brute_world.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/align.h"

/* Traces with more combinations at one moment are left out. */
#define MAX_COMBINATIONS 3000

struct outcome {
	struct brute_tree tree;
	unsigned char bytes[FILES][FILE_BYTES];
};

static void print_directory(const struct outcome *outcome, const struct world *world, unsigned dir,
			    const char *prefix, FILE *out)
{
	for (unsigned name = 0; name < NAMES; name++) {
		const unsigned inode = outcome->tree.entries[dir][name];
		const unsigned file = inode ? world->file_of[inode] : 0;
		char path[16];

		if (!inode)
			continue;
		snprintf(path, sizeof(path), "%s%c", prefix, 'a' + (int)name);
		fprintf(out, "%s%s%s", ftell(out) ? "; " : "", path,
			outcome->tree.directory[inode] ? "/" : "");
		if (outcome->tree.attributes[inode])
			fprintf(out, " mode=0%o", outcome->tree.attributes[inode]);
		if (file) {
			const unsigned size = outcome->tree.size[inode];
			unsigned char bytes[FILE_BYTES] = { 0 };

			memcpy(bytes, outcome->bytes[file - 1], size);
			fprintf(out, " size=%u", size);
			for (unsigned at = 0; at < size; at += 8) {
				uint64_t word;

				memcpy(&word, bytes + at, 8);
				if (word)
					fprintf(out, " 0x%x=%llu", at, (unsigned long long)word);
			}
		}
		if (outcome->tree.directory[inode]) {
			char below_it[20];

			snprintf(below_it, sizeof(below_it), "%s/", path);
			print_directory(outcome, world, inode, below_it, out);
		}
	}
}

/* Give the bytes back that lost operations took, the newest first. */
static void restore_cuts(const struct world *world, unsigned lost, struct outcome *outcome)
{
	for (unsigned at = world->history.count; at-- > 0;) {
		const unsigned file = world->file_of[world->history.steps[at].inode];

		if ((lost >> at & 1) && world->cut_end[at])
			memcpy(outcome->bytes[file - 1] + world->cut_from[at],
			       world->cuts[at] + world->cut_from[at],
			       world->cut_end[at] - world->cut_from[at]);
	}
}

static void add_outcome(struct world *world, const struct brute_tree *tree, unsigned lost,
			const unsigned versions[BRUTE_LINES])
{
	struct outcome outcome = { .tree = *tree };
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	for (unsigned line = 0; line < BRUTE_LINES; line++)
		brute_content(&world->brute.lines[line], world->brute.lines[line].states[versions[line]],
			      &outcome.bytes[0][0] + (size_t)line * BRUTE_LINE_BYTES);
	restore_cuts(world, lost, &outcome);
	print_directory(&outcome, world, BRUTE_ROOT, "", out);
	fclose(out);
	trees_add(&world->states, text);
	free(text);
}

/* The event of the first piece that the line may lose and lacks, and of the last one that it has. */
static void find_ends(const struct brute_line *line, uint64_t state, unsigned *lost, unsigned *kept)
{
	uint64_t guaranteed = UINT64_MAX;

	for (unsigned i = 0; i < line->state_count; i++)
		guaranteed &= line->states[i];
	for (unsigned i = 0; i < line->piece_count; i++) {
		const unsigned event = line->pieces[i].store + 1;

		if (guaranteed >> i & 1)
			continue;
		if (state >> i & 1)
			*kept = event > *kept ? event : *kept;
		else
			*lost = event < *lost ? event : *lost;
	}
}

/* Are all lines of each file as they were after one of the pending writes, or before the first? */
static bool leaves_sectors_whole(const struct world *world, const unsigned versions[BRUTE_LINES])
{
	for (unsigned file = 0; file < FILES; file++) {
		const unsigned first = file * (BRUTE_LINES / FILES);
		unsigned lost = UINT_MAX, kept = 0;

		for (unsigned line = first; line < first + BRUTE_LINES / FILES; line++)
			find_ends(&world->brute.lines[line], world->brute.lines[line].states[versions[line]],
				  &lost, &kept);
		if (kept >= lost)
			return false;
	}
	return true;
}

static void add_lines(struct world *world, const struct brute_tree *tree, unsigned lost)
{
	unsigned versions[BRUTE_LINES] = { 0 }, line = 0;

	while (line < BRUTE_LINES) {
		if (world->feature != BRUTE_SECTORS || leaves_sectors_whole(world, versions))
			add_outcome(world, tree, lost, versions);
		for (line = 0; line < BRUTE_LINES; line++) {
			if (++versions[line] < world->brute.lines[line].state_count)
				break;
			versions[line] = 0;
		}
	}
}

static unsigned combinations_of_lines(const struct world *world)
{
	unsigned count = 1;

	for (unsigned line = 0; line < BRUTE_LINES; line++)
		count *= (unsigned)min_u64(world->brute.lines[line].state_count, 100);
	return count;
}

/* All that power failing now may leave. */
void brute_world_add_states(struct world *world)
{
	const unsigned all = 1u << world->history.count;
	unsigned legal = 0;
	struct brute_law law;

	brute_names_judge(&world->history, world->mode, world->rules, &law);
	for (unsigned survivors = 0; survivors < all; survivors++)
		legal += brute_names_legal(&law, survivors);
	if (legal * combinations_of_lines(world) > MAX_COMBINATIONS)
		world->too_large = true;
	for (unsigned survivors = 0; survivors < all && !world->too_large; survivors++) {
		struct brute_tree tree = world->history.before;

		if (!brute_names_legal(&law, survivors))
			continue;
		for (unsigned at = 0; at < world->history.count; at++)
			if (survivors >> at & 1)
				brute_apply(&tree, &world->history.steps[at]);
		add_lines(world, &tree, law.operations & ~survivors);
	}
}
