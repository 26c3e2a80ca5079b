/* SPDX-License-Identifier: BSD-3-Clause */
#include "explore/timeline.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"

#define ROWS_MAX 16u
#define MOMENTS_MAX 80u

const char *explore_fate_name(enum explore_fate fate)
{
	static const char *const names[] = {
		[EXPLORE_FATE_NONE] = "",
		[EXPLORE_FATE_GUARANTEED] = "guaranteed",
		[EXPLORE_FATE_KEPT] = "kept",
		[EXPLORE_FATE_LOST] = "lost",
	};

	return names[fate];
}

static void row_clear(struct explore_row *row)
{
	free(row->path);
	free(row->operation);
}

void explore_timeline_clear(struct explore_timeline *timeline)
{
	for (size_t i = 0; i < timeline->rows.count; i++)
		row_clear(&timeline->rows.items[i]);
	vector_free(&timeline->rows);
	vector_free(&timeline->moments);
}

static int add_row(struct explore_timeline *timeline, struct explore_row *row)
{
	int error = row->path && (row->is_line || row->operation) ? 0 : -ENOMEM;

	if (!error && timeline->rows.count == ROWS_MAX) {
		timeline->left_out++;
		row_clear(row);
		return 0;
	}
	if (!error)
		error = vector_append(&timeline->rows, *row);
	if (error)
		row_clear(row);
	return error;
}

int explore_timeline_add_line(struct explore_timeline *timeline, const struct explore_file *file,
			      uint64_t offset)
{
	struct explore_row row = { .is_line = true, .file = file->id };

	row.offset = align_down(offset, LINE_SIZE);
	for (size_t i = 0; i < timeline->rows.count; i++) {
		const struct explore_row *other = &timeline->rows.items[i];

		if (other->is_line && other->file == row.file && other->offset == row.offset)
			return 0;
	}
	row.path = strdup(file->path);
	return add_row(timeline, &row);
}

int explore_timeline_add_operation(struct explore_timeline *timeline, const char *operation, const char *path,
				   uint64_t event)
{
	struct explore_row row = { .operation = strdup(operation), .path = strdup(path), .event = event };

	return add_row(timeline, &row);
}

/* ---- What became of the stores -------------------------------------------------------- */

struct fill {
	struct explore_timeline *timeline;
	const struct explore_trial *trial;
	const struct explore_tree *tree;
	uint64_t *versions; /* of the line model, of all lines' places */
	const struct trace_event *event;
	uint64_t number;
};

/* The store of this event to the line: pending, and then kept or not; or guaranteed. */
static int fate_of_store(const struct fill *fill, const struct explore_row *row, enum explore_fate *fate)
{
	const struct explore_places *places = explore_trial_places(fill->trial);
	const struct explore_walk *walk = explore_trial_walk(fill->trial);
	const struct lines *lines = explore_walk_lines(walk);
	const struct explore_file *file = explore_walk_find_file(walk, row->file);

	*fate = EXPLORE_FATE_GUARANTEED;
	for (size_t i = 0; file && i < places->lines; i++) {
		const uint64_t address = places->items[i].address;
		CLEANUP_FREE struct lines_pending *pending = NULL;
		size_t count;

		if (align_down(address, LINE_SIZE) != file->address + row->offset)
			continue;
		count = lines_pending(lines, address, fill->versions[i], NULL, 0);
		pending = calloc(count + 1, sizeof(*pending));
		if (!pending)
			return -ENOMEM;
		lines_pending(lines, address, fill->versions[i], pending, count);
		for (size_t k = 0; k < count; k++) {
			if (pending[k].id != fill->number)
				continue;
			if (pending[k].kept != pending[k].bytes)
				*fate = EXPLORE_FATE_LOST;
			else if (*fate != EXPLORE_FATE_LOST)
				*fate = EXPLORE_FATE_KEPT;
		}
	}
	return 0;
}

static enum explore_fate fate_of_operation(const struct fill *fill, uint64_t event)
{
	for (size_t i = 0; i < fill->tree->operations.count; i++)
		if (fill->tree->operations.items[i].id == event)
			return fill->tree->operations.items[i].survives ? EXPLORE_FATE_KEPT :
									   EXPLORE_FATE_LOST;
	return EXPLORE_FATE_GUARANTEED;
}

static bool touches(const struct explore_row *row, uint64_t file, uint64_t offset, uint64_t length)
{
	return row->is_line && row->file == file && offset < row->offset + LINE_SIZE &&
	       offset + length > row->offset;
}

static int add_moment(const struct fill *fill, size_t row, enum explore_fate fate)
{
	struct explore_timeline *timeline = fill->timeline;
	const struct explore_moment moment = {
		.event = fill->number,
		.name = trace_event_name(fill->event),
		.thread = fill->event->thread,
		.site = fill->event->site,
		.row = row,
		.fate = fate,
	};

	if (timeline->moments.count == MOMENTS_MAX) {
		memmove(timeline->moments.items, timeline->moments.items + 1,
			(MOMENTS_MAX - 1) * sizeof(moment));
		timeline->moments.count--;
		timeline->left_out++;
	}
	return vector_append(&timeline->moments, moment);
}

/* An event about bytes of a file, in each row that it touches. */
static int take_bytes(const struct fill *fill, uint64_t offset, uint64_t length, bool stores)
{
	const struct explore_timeline *timeline = fill->timeline;
	int error = 0;

	for (size_t i = 0; !error && i < timeline->rows.count; i++) {
		enum explore_fate fate = EXPLORE_FATE_NONE;

		if (!touches(&timeline->rows.items[i], fill->event->file, offset, length))
			continue;
		if (stores)
			error = fate_of_store(fill, &timeline->rows.items[i], &fate);
		if (!error)
			error = add_moment(fill, i, fate);
	}
	return error;
}

/* Does a row concern a file, or a directory as far as is known? */
static bool syncs_a_row(const struct fill *fill)
{
	const struct explore_walk *walk = explore_trial_walk(fill->trial);
	const bool directory = !explore_walk_find_file(walk, fill->event->file);

	for (size_t i = 0; i < fill->timeline->rows.count; i++)
		if (directory || fill->timeline->rows.items[i].operation ||
		    fill->timeline->rows.items[i].file == fill->event->file)
			return true;
	return false;
}

/* Has a row had an event yet? Fences before that are of no interest. */
static bool has_begun(const struct fill *fill)
{
	return fill->timeline->moments.count > 0;
}

static int take_moment(const struct fill *fill)
{
	const struct trace_event *event = fill->event;

	switch (event->kind) {
	case TRACE_STORE:
	case TRACE_WRITE:
		return take_bytes(fill, event->store.offset, event->store.bytes.length, true);
	case TRACE_FLUSH:
		return take_bytes(fill, event->flush.offset, event->flush.length, false);
	case TRACE_FENCE:
	case TRACE_MARK:
	case TRACE_SYNC:
		return has_begun(fill) ? add_moment(fill, EXPLORE_ALL_ROWS, EXPLORE_FATE_NONE) : 0;
	case TRACE_FSYNC:
	case TRACE_FDATASYNC:
		return syncs_a_row(fill) ? add_moment(fill, EXPLORE_ALL_ROWS, EXPLORE_FATE_NONE) : 0;
	default:
		return 0;
	}
}

static int take_event(const struct fill *fill)
{
	int error = take_moment(fill);

	for (size_t i = 0; !error && i < fill->timeline->rows.count; i++)
		if (fill->timeline->rows.items[i].operation &&
		    fill->timeline->rows.items[i].event == fill->number)
			error = add_moment(fill, i, fate_of_operation(fill, fill->number));
	return error;
}

int explore_timeline_fill(struct explore_timeline *timeline, int fd, const char *name,
			  const struct explore_trial *trial, uint64_t after, const uint64_t *versions,
			  struct message *message)
{
	const struct explore_places *places = explore_trial_places(trial);
	CLEANUP_FREE uint64_t *settled = calloc(places->lines + 1, sizeof(*settled));
	struct fill fill = { .timeline = timeline, .trial = trial, .versions = settled };
	struct trace_reader *reader;
	struct trace_event event;
	int error = settled ? explore_places_tree(explore_trial_walk(trial), places, versions, &fill.tree) :
			      -ENOMEM;

	if (!error)
		explore_places_settle(explore_trial_walk(trial), places, versions, settled);
	after &= ~EXPLORE_BEFORE_SYNC;
	if (!error && lseek(fd, 0, SEEK_SET) < 0)
		error = -errno;
	if (!error)
		error = trace_reader_create(fd, name, &reader, message);
	if (error)
		return error;
	fill.event = &event;
	while (!error && fill.number < after && trace_reader_next(reader, &event, message) == 1) {
		fill.number++;
		error = take_event(&fill);
	}
	trace_reader_destroy(reader);
	return error;
}
