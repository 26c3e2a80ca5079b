/* SPDX-License-Identifier: BSD-3-Clause */
#include "exercise_model.h"

#include <stdlib.h>
#include <string.h>

static void line_settle(struct model *model, size_t line)
{
	struct model_line *state = &model->lines[line];

	memcpy(model->durable + line * LINE_SIZE, model->now + line * LINE_SIZE, LINE_SIZE);
	state->count = 0;
	state->uncertain = false;
	state->mixed = false;
}

static void line_changed(struct model *model, size_t line)
{
	struct model_line *state = &model->lines[line];

	if (state->count == state->room) {
		state->room = state->room ? state->room * 2 : 4;
		state->versions = realloc(state->versions, state->room * sizeof(*state->versions));
		if (!state->versions)
			abort();
	}
	memcpy(state->versions[state->count++], model->now + line * LINE_SIZE, LINE_SIZE);
}

static size_t end_page(size_t end)
{
	return (end + PAGE_BYTES - 1) / PAGE_BYTES;
}

static void change(struct model *model, size_t offset, const void *bytes, size_t length, bool mapped)
{
	size_t line;

	if (!length)
		return;
	memcpy(model->now + offset, bytes, length);
	if (offset + length > model->size)
		model->size = offset + length;
	for (line = offset / LINE_SIZE; line <= (offset + length - 1) / LINE_SIZE; line++) {
		struct model_line *state = &model->lines[line];

		if (mapped ? state->count : model->mapped_dirty[line * LINE_SIZE / PAGE_BYTES])
			state->mixed = true;
		line_changed(model, line);
	}
}

void model_write(struct model *model, size_t offset, const void *bytes, size_t length)
{
	change(model, offset, bytes, length, false);
}

void model_store(struct model *model, size_t offset, const void *bytes, size_t length)
{
	size_t page;

	change(model, offset, bytes, length, true);
	for (page = offset / PAGE_BYTES; page < end_page(offset + length); page++)
		model->mapped_dirty[page] = true;
}

/* An operation that makes part of a page durable may make all of it durable. */
static void page_uncertain(struct model *model, size_t page)
{
	size_t line;

	for (line = page * LINES_PER_PAGE; line < (page + 1) * LINES_PER_PAGE; line++)
		if (model->lines[line].count)
			model->lines[line].uncertain = true;
}

static void zero_line(struct model *model, size_t line, size_t from, size_t to)
{
	struct model_line *state = &model->lines[line];
	size_t base = line * LINE_SIZE;
	unsigned i;

	memset(model->now + base + from, 0, to - from);
	memset(model->durable + base + from, 0, to - from);
	for (i = 0; i < state->count; i++)
		memset(state->versions[i] + from, 0, to - from);
	if (from == 0 && to == LINE_SIZE)
		line_settle(model, line);
}

static void zero_durably(struct model *model, size_t offset, size_t end)
{
	size_t line;

	if (offset >= end)
		return;
	for (line = offset / LINE_SIZE; line <= (end - 1) / LINE_SIZE; line++) {
		size_t base = line * LINE_SIZE;

		zero_line(model, line, offset > base ? offset - base : 0,
			  end < base + LINE_SIZE ? end - base : LINE_SIZE);
	}
	page_uncertain(model, offset / PAGE_BYTES);
	page_uncertain(model, (end - 1) / PAGE_BYTES);
}

/* A durable change of size also decides the bytes of the page behind the old size. */
static void ends_uncertain(struct model *model)
{
	page_uncertain(model, min_u64(model->size / PAGE_BYTES, MODEL_PAGES - 1));
	page_uncertain(model, min_u64(model->durable_size / PAGE_BYTES, MODEL_PAGES - 1));
}

void model_reset(struct model *model)
{
	zero_durably(model, 0, MODEL_MAX);
	memset(model->mapped_dirty, 0, sizeof(model->mapped_dirty));
	model->size = model->durable_size = model->other_size = 0;
}

void model_truncate(struct model *model, size_t size)
{
	size_t page;

	ends_uncertain(model);
	zero_durably(model, size, MODEL_MAX);
	for (page = end_page(size); page < MODEL_PAGES; page++)
		model->mapped_dirty[page] = false;
	if (size)
		page_uncertain(model, (size - 1) / PAGE_BYTES);
	model->size = model->durable_size = model->other_size = size;
}

void model_allocate(struct model *model, size_t offset, size_t length)
{
	ends_uncertain(model);
	model->size = max_u64(model->size, offset + length);
	model->durable_size = max_u64(model->durable_size, offset + length);
	model->other_size = model->size;
}

/*
 * The parts of pages at the ends of a zeroed range are zeroed as by write(2); nobody says how soon they are
 * durable.
 */
static void zero_edge(struct model *model, size_t offset, size_t end)
{
	static const unsigned char zeros[PAGE_BYTES];

	end = min_u64(end, model->size);
	if (offset >= end)
		return;
	change(model, offset, zeros, end - offset, false);
	page_uncertain(model, offset / PAGE_BYTES);
}

void model_zero(struct model *model, size_t offset, size_t length, bool grow)
{
	size_t end = offset + length;
	size_t first = min_u64(align_up(offset, PAGE_BYTES), end),
	       last = max_u64(align_down(end, PAGE_BYTES), first);

	if (grow)
		model_allocate(model, offset, length);
	zero_edge(model, offset, first);
	zero_durably(model, first, min_u64(last, MODEL_MAX));
	zero_edge(model, last, end);
	model->other_size = model->size;
}

void model_sync(struct model *model, size_t offset, size_t length)
{
	size_t page, line;

	for (page = 0; page < MODEL_PAGES; page++) {
		bool covered = length && page >= offset / PAGE_BYTES && page < end_page(offset + length);

		if (model->mapped_dirty[page] && !covered) {
			page_uncertain(model, page);
			continue;
		}
		model->mapped_dirty[page] = false;
		for (line = page * LINES_PER_PAGE; line < (page + 1) * LINES_PER_PAGE; line++)
			if (model->lines[line].count)
				line_settle(model, line);
	}
	model->durable_size = model->other_size = model->size;
}

static bool is_version(const struct model *model, size_t line, const unsigned char *bytes, size_t length)
{
	const struct model_line *state = &model->lines[line];
	unsigned i;

	if (!memcmp(bytes, model->durable + line * LINE_SIZE, length))
		return true;
	for (i = 0; i < state->count; i++)
		if (!memcmp(bytes, state->versions[i], length))
			return true;
	return false;
}

static bool is_blend(const struct model *model, size_t line, const unsigned char *bytes, size_t length)
{
	const struct model_line *state = &model->lines[line];
	unsigned i;
	size_t at;

	for (at = 0; at < length; at++) {
		bool found = bytes[at] == model->durable[line * LINE_SIZE + at];

		for (i = 0; i < state->count && !found; i++)
			found = bytes[at] == state->versions[i][at];
		if (!found)
			return false;
	}
	return true;
}

static const char *check_line(const struct model *model, enum model_policy policy, size_t line,
			      const unsigned char *bytes, size_t length)
{
	const struct model_line *state = &model->lines[line];

	if (policy == MODEL_KEEP)
		return memcmp(bytes, model->now + line * LINE_SIZE, length) ? "stored bytes are missing" :
									      NULL;
	if (policy == MODEL_LOSE && !state->uncertain)
		return memcmp(bytes, model->durable + line * LINE_SIZE, length) ?
			       "not what the last sync left" :
			       NULL;
	if (state->mixed ? is_blend(model, line, bytes, length) : is_version(model, line, bytes, length))
		return NULL;
	return "a line with bytes that were never written to it";
}

/* A sector that only write(2) changed is whole: the old one or the new one. */
static const char *check_sector(const struct model *model, size_t sector, size_t base,
				const unsigned char *bytes, size_t length)
{
	size_t line;

	for (line = base / LINE_SIZE; line < (base + sector) / LINE_SIZE; line++)
		if (model->lines[line].uncertain || model->lines[line].mixed)
			return NULL;
	if (model->mapped_dirty[base / PAGE_BYTES])
		return NULL;
	if (!memcmp(bytes, model->durable + base, length) || !memcmp(bytes, model->now + base, length))
		return NULL;
	return "a torn sector";
}

static bool size_is_legal(const struct model *model, enum model_policy policy, size_t size)
{
	if (policy == MODEL_KEEP)
		return size == model->size;
	return size == model->durable_size || size == model->other_size ||
	       (policy == MODEL_RANDOM && size == model->size);
}

const char *model_power_failure(struct model *model, enum model_policy policy, size_t sector,
				const unsigned char *bytes, size_t size, size_t *where)
{
	const char *wrong = NULL;
	size_t at;

	*where = size;
	if (!size_is_legal(model, policy, size))
		return "a size that was not there";
	for (at = 0; at < size && !wrong; at += LINE_SIZE) {
		*where = at;
		wrong = check_line(model, policy, at / LINE_SIZE, bytes + at, min_u64(LINE_SIZE, size - at));
	}
	for (at = 0; sector && at < size && !wrong; at += sector) {
		*where = at;
		wrong = check_sector(model, sector, at, bytes + at, min_u64(sector, size - at));
	}
	if (wrong)
		return wrong;
	model_reset(model);
	memcpy(model->now, bytes, size);
	memcpy(model->durable, bytes, size);
	model->size = model->durable_size = model->other_size = size;
	return NULL;
}
