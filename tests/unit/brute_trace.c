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

#include "brute_world.h"
#include "common/rng.h"

static unsigned below(struct world *world, unsigned bound)
{
	return (unsigned)rng_below(&world->rng, bound);
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

/* The trace tells the mode of a file that has a name: the strongest one of the directories of its names. */
static void tell_mode(struct world *world, unsigned inode, unsigned one_more_dir)
{
	enum brute_mode mode = BRUTE_STRICT;
	bool named = false;

	if (world->feature != BRUTE_MODES || !world->file_of[inode])
		return;
	for (unsigned dir = BRUTE_ROOT; dir < world->inodes; dir++)
		for (unsigned name = 0; name < NAMES; name++)
			if (world->now.entries[dir][name] == inode || dir == one_more_dir) {
				named = true;
				if (world->history.modes[dir] < mode)
					mode = world->history.modes[dir];
			}
	if (named)
		fprintf(world->text, "rules file=%u metadata=%u\n", inode, (unsigned)mode + 1);
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
	tell_mode(world, step.inode, 0);
	if (!directory && world->feature >= BRUTE_SECTORS)
		fprintf(world->text, "rules file=%u sector=512\n", step.inode);
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
	tell_mode(world, step.inode, 0);
}

static bool is_named(const struct world *world, unsigned inode)
{
	for (unsigned dir = BRUTE_ROOT; dir < world->inodes; dir++)
		for (unsigned name = 0; name < NAMES; name++)
			if (world->now.entries[dir][name] == inode)
				return true;
	return false;
}

static void link_file(struct world *world)
{
	struct brute_step_names step = { .kind = BRUTE_LINK, .inode = some_file(world) };

	some_name(world, &step.dir, &step.name);
	if (!step.inode || world->now.entries[step.dir][step.name])
		return;
	/* link(2) gives no name to a file that has lost its last one: no mode is known for that. */
	if (world->feature == BRUTE_MODES && !is_named(world, step.inode))
		return;
	tell_mode(world, step.inode, step.dir);
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
	if (step.other && !exchange && world->feature == BRUTE_DA_ALLOC && world->mode != BRUTE_STRICT)
		sync_lines(world, step.inode, 0, FILE_BYTES);
	step_names(world, step);
	tell_mode(world, step.inode, 0);
	tell_mode(world, step.other, 0);
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
	brute_world_add_states(world);
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
		if (!step.size)
			world->truncated[step.inode] = true;
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

/* A descriptor that could write is closed. */
static void close_file(struct world *world)
{
	const unsigned inode = some_file(world);

	if (!inode)
		return;
	fprintf(world->text, "t%u close-last file=%u\n", world->thread + 1, inode);
	if (world->truncated[inode] && world->mode != BRUTE_STRICT)
		sync_lines(world, inode, 0, FILE_BYTES);
	world->truncated[inode] = false;
	step_names(world, (struct brute_step_names){ .kind = BRUTE_CLOSE, .inode = inode });
}

static void random_event(struct world *world)
{
	static void (*const events[])(struct world *) = {
		make,	   make,   make,	   take_away,	    link_file,	     move,	 move,
		change_mode, write_bytes, write_bytes, write_bytes, resize, store_to_memory,
		store_to_memory, sync_something, sync_something, sync_something,
	};

	world->thread = below(world, world->threads);
	if (world->feature == BRUTE_DA_ALLOC && !below(world, 8))
		close_file(world);
	else
		events[below(world, sizeof(events) / sizeof(events[0]))](world);
}

/* ---- Modes of directories -------------------------------------------------------------------- */

/* The root has the mode of the search; a directory `a` is there, with another one. */
static void begin_modes(struct world *world)
{
	const unsigned directory = world->inodes++;
	struct brute_history *history = &world->history;

	history->mixed = true;
	history->modes[BRUTE_ROOT] = world->mode;
	world->mode = BRUTE_STRICT;
	history->modes[directory] = (enum brute_mode)below(world, 3);
	history->before.directory[directory] = world->now.directory[directory] = true;
	history->before.attributes[directory] = world->now.attributes[directory] = 0755;
	history->before.entries[BRUTE_ROOT][0] = world->now.entries[BRUTE_ROOT][0] = directory;
	world->directories++;
	fprintf(world->text, "file file=%u mode=040755 path=\"/a\"\nrules file=%u metadata=%u\n", directory,
		directory, (unsigned)history->modes[directory] + 1);
	fprintf(world->text, "name file=%u parent=%d name=\"a\"\n", directory, BRUTE_ROOT);
}

/* ---- A whole trace ------------------------------------------------------------------------------ */

char *brute_trace_random(uint64_t seed, enum brute_mode mode, enum brute_names_rules rules,
			 enum brute_feature feature, struct trees *states)
{
	static const char *const properties[] = {
		"", "info key=\"auto-da-alloc\" value=\"yes\"\n", "info key=\"own-metadata\" value=\"yes\"\n",
		"", "",
	};
	struct world *world = malloc(sizeof(*world));
	char *text = NULL;
	size_t size;

	assert_non_null(world);
	*world = (struct world){ .rng = { seed }, .mode = mode, .rules = rules, .feature = feature };
	world->inodes = BRUTE_ROOT + 1;
	world->text = open_memstream(&text, &size);
	assert_non_null(world->text);
	brute_begin(&world->brute, BRUTE_RIGHT, false, false);
	world->threads = 1 + below(world, MAX_THREADS);
	world->now.directory[BRUTE_ROOT] = world->history.before.directory[BRUTE_ROOT] = true;
	fputs(properties[feature], world->text);
	fprintf(world->text, "file file=%d mode=0040755 path=\"/\"\n", BRUTE_ROOT);
	world->history.auto_da_alloc = feature == BRUTE_DA_ALLOC;
	if (feature == BRUTE_MODES)
		begin_modes(world);
	brute_world_add_states(world);
	for (unsigned event = 0; event < MAX_EVENTS && !world->too_large; event++) {
		if (world->history.count + 4 > BRUTE_STEPS)
			break;
		random_event(world);
		brute_world_add_states(world);
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
