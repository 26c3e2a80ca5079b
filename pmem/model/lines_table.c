/* SPDX-License-Identifier: BSD-3-Clause */
#include "model/lines_table.h"

#include <errno.h>
#include <string.h>

/* How many bytes of data fit into a store of each class. */
static const uint8_t class_room[STORE_CLASSES] = { 8, 16, 32, LINE_SIZE };

/* ---- Lines -------------------------------------------------------------------- */

static size_t home(const struct lines *lines, uint64_t number)
{
	/* Fibonacci hashing: the upper half of the product depends on all bits of the number. */
	return (size_t)((number * 0x9e3779b97f4a7c15u) >> 32) & (lines->capacity - 1);
}

/* The slot of the line, or the empty one where it would be. */
static size_t slot_of(const struct lines *lines, uint64_t number)
{
	size_t slot = home(lines, number);

	while (lines->slots[slot] && lines->slots[slot]->number != number)
		slot = (slot + 1) & (lines->capacity - 1);
	return slot;
}

struct line *lines_find(const struct lines *lines, uint64_t number)
{
	return lines->slots[slot_of(lines, number)];
}

/* The table stays at most half full. */
static int grow(struct lines *lines)
{
	const size_t capacity = lines->capacity * 2;
	struct line **slots = calloc(capacity, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	free(lines->slots);
	lines->slots = slots;
	lines->capacity = capacity;
	for (size_t i = 0; i < lines->live.count; i++)
		slots[slot_of(lines, lines->live.items[i]->number)] = lines->live.items[i];
	return 0;
}

struct line *lines_find_or_add(struct lines *lines, uint64_t number)
{
	struct line *line = lines_find(lines, number);

	if (line)
		return line;
	if (vector_reserve(&lines->live, 1) != 0)
		return NULL;
	if (lines->live.count == lines->capacity / 2 && grow(lines) != 0)
		return NULL;
	line = slab_take(&lines->line_slab);
	if (!line)
		return NULL;
	*line = (struct line){
		.number = number,
		.merge_above = lines->options.stores_per_line,
		.index = lines->live.count,
	};
	lines->live.items[lines->live.count++] = line;
	lines->slots[slot_of(lines, number)] = line;
	return line;
}

/* Move later lines of the probe sequence up, so that no search ends at the gap. */
static void close_gap(struct lines *lines, size_t gap)
{
	const size_t mask = lines->capacity - 1;

	for (size_t slot = (gap + 1) & mask; lines->slots[slot]; slot = (slot + 1) & mask) {
		const size_t wanted = home(lines, lines->slots[slot]->number);

		if (((slot - wanted) & mask) < ((slot - gap) & mask))
			continue;
		lines->slots[gap] = lines->slots[slot];
		gap = slot;
	}
	lines->slots[gap] = NULL;
}

void lines_remove(struct lines *lines, struct line *line)
{
	struct line *last = lines->live.items[--lines->live.count];

	close_gap(lines, slot_of(lines, line->number));
	last->index = line->index;
	lines->live.items[line->index] = last;
	slab_give(&lines->line_slab, line);
}

/* ---- Stores and flushes ---------------------------------------------------------- */

struct line_store *lines_take_store(struct lines *lines, size_t length)
{
	struct line_store *store;
	uint8_t class = 0;

	while (class_room[class] < length)
		class++;
	store = slab_take(&lines->store_slabs[class]);
	if (store)
		store->class = class;
	return store;
}

void lines_give_store(struct lines *lines, struct line_store *store)
{
	slab_give(&lines->store_slabs[store->class], store);
}

static struct lines_thread *thread_of(struct lines *lines, uint32_t number)
{
	while (lines->threads.count <= number)
		if (!vector_append_zero(&lines->threads))
			return NULL;
	return &lines->threads.items[number];
}

struct line_flush *lines_flush_of(struct lines *lines, struct line *line, uint32_t number)
{
	struct lines_thread *thread;
	struct line_flush *flush;

	for (flush = line->flushes; flush; flush = flush->next)
		if (flush->thread == number)
			return flush;
	thread = thread_of(lines, number);
	if (!thread || vector_reserve(thread, 1) != 0)
		return NULL;
	flush = slab_take(&lines->flush_slab);
	if (!flush)
		return NULL;
	*flush = (struct line_flush){ .next = line->flushes, .line = line, .thread = number };
	line->flushes = flush;
	thread->items[thread->count++] = flush;
	return flush;
}

/* ---- The model as a whole ---------------------------------------------------------- */

int lines_create(const struct lines_options *options, struct lines **out)
{
	const size_t capacity = 1024;
	struct lines *lines;

	if (options->mode != LINES_MODE_LINE && options->mode != LINES_MODE_WORD)
		return -EINVAL;
	if (options->domain != PERSISTENCE_MEMORY_CONTROLLER && options->domain != PERSISTENCE_CPU_CACHE)
		return -EINVAL;
	if (!options->commit || (options->stores_per_line && options->stores_per_line < 4))
		return -EINVAL;
	lines = calloc(1, sizeof(*lines));
	if (!lines)
		return -ENOMEM;
	lines->options = *options;
	slab_init(&lines->line_slab, sizeof(struct line));
	slab_init(&lines->flush_slab, sizeof(struct line_flush));
	for (unsigned i = 0; i < STORE_CLASSES; i++)
		slab_init(&lines->store_slabs[i], offsetof(struct line_store, data) + class_room[i]);
	lines->capacity = capacity;
	lines->slots = calloc(capacity, sizeof(struct line *));
	if (!lines->slots) {
		lines_destroy(lines);
		return -ENOMEM;
	}
	*out = lines;
	return 0;
}

void lines_destroy(struct lines *lines)
{
	if (!lines)
		return;
	for (size_t i = 0; i < lines->threads.count; i++)
		vector_free(&lines->threads.items[i]);
	vector_free(&lines->threads);
	vector_free(&lines->live);
	slab_destroy(&lines->line_slab);
	slab_destroy(&lines->flush_slab);
	for (unsigned i = 0; i < STORE_CLASSES; i++)
		slab_destroy(&lines->store_slabs[i]);
	free(lines->slots);
	free(lines);
}
