/* SPDX-License-Identifier: BSD-3-Clause */
#include "brute_trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "brute_lines.h"
#include "common/align.h"
#include "common/rng.h"

#define MAX_EVENTS 12
#define MAX_THREADS 3
#define FILES 2
#define FILE_BYTES (BRUTE_LINES / FILES * BRUTE_LINE_BYTES)
#define NAMES 2
/* Traces with more combinations at one moment are left out. */
#define MAX_COMBINATIONS 3000

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
	unsigned files, directories, threads, thread;
	enum brute_mode mode;
	enum brute_names_rules rules;
	bool too_large;
	struct trees states;
};

static unsigned below(struct world *world, unsigned bound)
{
	return (unsigned)rng_below(&world->rng, bound);
}

/* ---- The states after the last event ------------------------------------------------------- */

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

static void add_lines(struct world *world, const struct brute_tree *tree, unsigned lost)
{
	unsigned versions[BRUTE_LINES] = { 0 }, line = 0;

	while (line < BRUTE_LINES) {
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
static void add_states(struct world *world)
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

/* ---- Events about bytes -------------------------------------------------------------------- */

static void step_lines(struct world *world, const struct brute_event *event)
{
	if (!brute_step(&world->brute, event))
		world->too_large = true;
}

static void step_names(struct world *world, struct brute_step_names step)
{
	if (step.kind < BRUTE_CLOSE)
		brute_apply(&world->now, &step);
	world->history.steps[world->history.count++] = step;
}

static unsigned address_of(const struct world *world, unsigned inode, unsigned offset)
{
	return (world->file_of[inode] - 1) * FILE_BYTES + offset;
}

/* The lines of the file in [from, end) are durable, whichever thread stored. The thread fences as well. */
static void sync_lines(struct world *world, unsigned inode, unsigned from, unsigned end)
{
	struct brute_event event = { .kind = BRUTE_FENCE, .thread = world->thread };

	step_lines(world, &event);
	event.kind = BRUTE_CLFLUSH;
	for (unsigned at = from / BRUTE_LINE_BYTES * BRUTE_LINE_BYTES; at < end; at += BRUTE_LINE_BYTES) {
		event.address = address_of(world, inode, at);
		step_lines(world, &event);
	}
}

static void store(struct world *world, unsigned inode, unsigned offset, unsigned length, unsigned value)
{
	struct brute_event event = {
		.kind = BRUTE_STORE,
		.thread = world->thread,
		.length = length,
	};

	event.address = address_of(world, inode, offset);
	memset(event.stored, true, length);
	memset(event.bytes, (int)value, length);
	step_lines(world, &event);
}

/* The newest content of a file. */
static void newest_bytes(const struct world *world, unsigned inode, unsigned char bytes[FILE_BYTES])
{
	for (unsigned at = 0; at < FILE_BYTES; at += BRUTE_LINE_BYTES) {
		const struct brute_line *line =
			&world->brute.lines[address_of(world, inode, at) / BRUTE_LINE_BYTES];

		brute_content(line, UINT64_MAX >> (64 - BRUTE_PIECES), bytes + at);
	}
}

/* Zero [from, end) of the file for good; the step that comes next can give the bytes back. */
static void cut(struct world *world, unsigned inode, unsigned from, unsigned end)
{
	const unsigned at = world->history.count;

	if (from >= end)
		return;
	sync_lines(world, inode, from, end);
	newest_bytes(world, inode, world->cuts[at]);
	world->cut_from[at] = from;
	world->cut_end[at] = end;
	for (unsigned offset = from, next; offset < end; offset = next) {
		next = (offset / BRUTE_LINE_BYTES + 1) * BRUTE_LINE_BYTES;
		store(world, inode, offset, (next < end ? next : end) - offset, 0);
	}
	sync_lines(world, inode, from, end);
}

/* ---- Events --------------------------------------------------------------------------------- */

/* A file that has a name, or had one; 0: there is none. */
static unsigned some_file(struct world *world)
{
	for (unsigned tries = 0; tries < 4; tries++) {
		const unsigned inode = BRUTE_ROOT + below(world, world->inodes);

		if (world->file_of[inode])
			return inode;
	}
	return 0;
}

static void some_name(struct world *world, unsigned *dir, unsigned *name)
{
	*dir = BRUTE_ROOT;
	*name = below(world, NAMES);
	if (world->now.directory[world->now.entries[*dir][*name]] && below(world, 2)) {
		*dir = world->now.entries[*dir][*name];
		*name = below(world, NAMES);
	}
}

static void make(struct world *world)
{
	const bool directory = !world->directories && !below(world, 3);
	struct brute_step_names step = { .kind = directory ? BRUTE_MKDIR : BRUTE_CREATE };
	const unsigned mode = directory ? 0755 : 0644;

	some_name(world, &step.dir, &step.name);
	if (world->now.entries[step.dir][step.name] || (!directory && world->files == FILES))
		return;
	step.inode = world->inodes++;
	world->history.before.directory[step.inode] = world->now.directory[step.inode] = directory;
	world->history.before.attributes[step.inode] = world->now.attributes[step.inode] = mode;
	if (directory)
		world->directories++;
	else
		world->file_of[step.inode] = ++world->files;
	fprintf(world->text, "%s file=%u parent=%u name=\"%c\" mode=0%o\n", directory ? "mkdir" : "create",
		step.inode, step.dir, 'a' + (int)step.name, (directory ? 0040000u : 0100000u) | mode);
	step_names(world, step);
}

static bool is_empty(const struct world *world, unsigned dir)
{
	return !world->now.entries[dir][0] && !world->now.entries[dir][1];
}

static void take_away(struct world *world)
{
	struct brute_step_names step = { .kind = BRUTE_UNLINK };

	some_name(world, &step.dir, &step.name);
	step.inode = world->now.entries[step.dir][step.name];
	if (!step.inode)
		return;
	if (world->now.directory[step.inode]) {
		if (!is_empty(world, step.inode))
			return;
		step.kind = BRUTE_RMDIR;
	}
	fprintf(world->text, "%s file=%u parent=%u name=\"%c\"\n",
		step.kind == BRUTE_RMDIR ? "rmdir" : "unlink", step.inode, step.dir, 'a' + (int)step.name);
	step_names(world, step);
}

static void link_file(struct world *world)
{
	struct brute_step_names step = { .kind = BRUTE_LINK, .inode = some_file(world) };

	some_name(world, &step.dir, &step.name);
	if (!step.inode || world->now.entries[step.dir][step.name])
		return;
	fprintf(world->text, "link file=%u parent=%u name=\"%c\"\n", step.inode, step.dir,
		'a' + (int)step.name);
	step_names(world, step);
}

static void move(struct world *world)
{
	struct brute_step_names step = { .kind = BRUTE_RENAME };
	bool directory, exchange;

	some_name(world, &step.dir, &step.name);
	some_name(world, &step.to_dir, &step.to_name);
	step.inode = world->now.entries[step.dir][step.name];
	step.other = world->now.entries[step.to_dir][step.to_name];
	directory = world->now.directory[step.inode];
	exchange = step.other && !below(world, 3);
	if (!step.inode || step.inode == step.other || step.inode == step.to_dir || step.other == step.dir)
		return;
	if (step.other && !exchange && (directory || world->now.directory[step.other]))
		return;
	if (exchange)
		step.kind = BRUTE_EXCHANGE;
	fprintf(world->text,
		"rename op=%d file=%u parent=%u name=\"%c\" new-parent=%u new-name=\"%c\" replaced=%u\n",
		exchange ? 2 : 0, step.inode, step.dir, 'a' + (int)step.name, step.to_dir,
		'a' + (int)step.to_name, step.other);
	step_names(world, step);
}

static void change_mode(struct world *world)
{
	struct brute_step_names step = { .kind = BRUTE_SETATTR, .inode = some_file(world) };

	if (!step.inode)
		return;
	step.attributes = 0600 + below(world, 64);
	fprintf(world->text, "setattr op=1 file=%u mode=0%o\n", step.inode, 0100000 | step.attributes);
	step_names(world, step);
}

static void write_bytes(struct world *world)
{
	static const char *const flags[] = { "", "", "", " sync", " dsync" };
	const unsigned inode = some_file(world), kind = below(world, 5), length = 1 + below(world, 12);
	struct brute_step_names step = { .kind = BRUTE_OVERWRITE, .inode = inode };
	/* In words that meet; sometimes across the end of a line, or far from the end of the file. */
	const unsigned offset = below(world, 4) ? below(world, 3) * 8 : 52 + below(world, 60);
	const unsigned value = 1 + world->history.count + below(world, 2) * 16;

	if (!inode)
		return;
	fprintf(world->text, "t%u write %u+0x%x%s bytes=", world->thread + 1, inode, offset, flags[kind]);
	for (unsigned i = 0; i < length; i++)
		fprintf(world->text, "%02x", value);
	fputc('\n', world->text);
	store(world, inode, offset, length, value);
	if (offset + length > world->now.size[inode]) {
		step.kind = BRUTE_APPEND;
		step.size = offset + length;
	}
	step_names(world, step);
	if (kind < 3)
		return;
	add_states(world);
	sync_lines(world, inode, 0, FILE_BYTES);
	step_names(world, (struct brute_step_names){ .kind = kind == 3 ? BRUTE_FSYNC : BRUTE_FDATASYNC,
						     .inode = inode });
}

static void resize(struct world *world)
{
	struct brute_step_names step = { .kind = BRUTE_RESIZE, .inode = some_file(world) };
	const unsigned before = step.inode ? world->now.size[step.inode] : 0, way = below(world, 4);
	const unsigned from = below(world, 4) ? below(world, 3) * 8 : below(world, FILE_BYTES);

	if (!step.inode)
		return;
	if (way < 2) {
		step.size = way ? from : 0;
		fprintf(world->text, "t%u truncate file=%u size=%u\n", world->thread + 1, step.inode,
			step.size);
		if (step.size < before)
			cut(world, step.inode, step.size, FILE_BYTES);
	} else {
		const unsigned length = 1 + below(world, FILE_BYTES - from);

		/* Punch a hole, or allocate. */
		fprintf(world->text, "t%u fallocate %u+0x%x op=%d length=%u\n", world->thread + 1, step.inode,
			from, way == 2 ? 3 : 0, length);
		step.size = way == 2 || from + length < before ? before : from + length;
		if (way == 2)
			cut(world, step.inode, from, from + length);
	}
	step_names(world, step);
}

static void store_to_memory(struct world *world)
{
	const unsigned inode = some_file(world), offset = below(world, 10) * 8, kind = below(world, 5);
	struct brute_event event = { .thread = world->thread };

	if (!inode)
		return;
	event.address = address_of(world, inode, offset);
	if (kind < 2) {
		const unsigned value = 1 + below(world, 200);

		fprintf(world->text, "t%u store %u+0x%x u64=%llu\n", world->thread + 1, inode, offset,
			0x0101010101010101ull * value);
		store(world, inode, offset, 8, value);
		return;
	}
	event.kind = kind == 2 ? BRUTE_CLWB : kind == 3 ? BRUTE_CLFLUSH : BRUTE_FENCE;
	if (kind == 4)
		fprintf(world->text, "t%u sfence\n", world->thread + 1);
	else
		fprintf(world->text, "t%u %s %u+0x%x\n", world->thread + 1, kind == 2 ? "clwb" : "clflush",
			inode, offset / BRUTE_LINE_BYTES * BRUTE_LINE_BYTES);
	step_lines(world, &event);
}

static void sync_one(struct world *world, unsigned inode, bool data_only)
{
	if (world->file_of[inode])
		sync_lines(world, inode, 0, FILE_BYTES);
	step_names(world, (struct brute_step_names){ .kind = data_only ? BRUTE_FDATASYNC : BRUTE_FSYNC,
						     .inode = inode });
}

static void sync_something(struct world *world)
{
	const unsigned inode = BRUTE_ROOT + below(world, world->inodes - 1);
	const bool data_only = below(world, 3) == 0;

	if (below(world, 8) == 0 && world->history.count + world->inodes + 4 < BRUTE_STEPS) {
		fprintf(world->text, "t%u sync\n", world->thread + 1);
		for (unsigned each = BRUTE_ROOT; each < world->inodes; each++)
			sync_one(world, each, false);
		return;
	}
	fprintf(world->text, "t%u %s file=%u\n", world->thread + 1, data_only ? "fdatasync" : "fsync", inode);
	sync_one(world, inode, data_only);
}

static void random_event(struct world *world)
{
	static void (*const events[])(struct world *) = {
		make,	   make,   make,	   take_away,	    link_file,	     move,	 move,
		change_mode, write_bytes, write_bytes, write_bytes, resize, store_to_memory,
		store_to_memory, sync_something, sync_something, sync_something,
	};

	world->thread = below(world, world->threads);
	events[below(world, sizeof(events) / sizeof(events[0]))](world);
}

/* ---- A whole trace ------------------------------------------------------------------------------ */

char *brute_trace_random(uint64_t seed, enum brute_mode mode, enum brute_names_rules rules,
			 struct trees *states)
{
	struct world *world = malloc(sizeof(*world));
	char *text = NULL;
	size_t size;

	assert_non_null(world);
	*world = (struct world){ .rng = { seed }, .mode = mode, .rules = rules, .inodes = BRUTE_ROOT + 1 };
	world->text = open_memstream(&text, &size);
	assert_non_null(world->text);
	brute_begin(&world->brute, BRUTE_RIGHT, false, false);
	world->threads = 1 + below(world, MAX_THREADS);
	world->now.directory[BRUTE_ROOT] = world->history.before.directory[BRUTE_ROOT] = true;
	fprintf(world->text, "file file=%d mode=0040755 path=\"/\"\n", BRUTE_ROOT);
	add_states(world);
	for (unsigned event = 0; event < MAX_EVENTS && !world->too_large; event++) {
		if (world->history.count + 4 > BRUTE_STEPS)
			break;
		random_event(world);
		add_states(world);
	}
	fclose(world->text);
	trees_finish(&world->states);
	*states = world->states;
	if (world->too_large) {
		free(text);
		text = NULL;
	}
	free(world);
	return text;
}
