/* SPDX-License-Identifier: BSD-3-Clause */
#include "explore/places.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/rng.h"
#include "explore/cut.h"

#define SALT_MARKS 3

static void describe_last(const struct explore_walk *walk, struct explore_place *place)
{
	enum { MOST = 64 };
	struct lines_pending pending[MOST];
	size_t count =
		lines_pending(explore_walk_lines(walk), place->address, place->versions - 1, pending, MOST);

	if (count > MOST || !count)
		return;
	place->last_event = pending[count - 1].id;
	place->last_length = (uint32_t)__builtin_popcountll(pending[count - 1].bytes);
}

/* Writes to the file leave sectors whole; stores through a mapping of a recorded program do not. */
static bool has_sectors(const struct explore_file *file)
{
	return file->sector && !file->mapped;
}

/* The place's versions count whole stores. */
static int collect_stores(const struct explore_walk *walk, struct explore_places *places,
			  struct explore_place *place)
{
	const struct lines *lines = explore_walk_lines(walk);
	const size_t count = lines_pending(lines, place->address, place->versions - 1, NULL, 0);
	CLEANUP_FREE struct lines_pending *pending = calloc(count + 1, sizeof(*pending));
	int error = pending ? 0 : -ENOMEM;

	if (!error)
		lines_pending(lines, place->address, place->versions - 1, pending, count);
	place->stores = (uint32_t)count;
	place->first_store = places->events.count;
	place->versions = count + 1;
	for (size_t i = 0; !error && i < count; i++)
		error = vector_append(&places->events, pending[i].id);
	return error;
}

/* ---- Collecting ------------------------------------------------------------------- */

/* Its content with all stores, of which `versions` is the line model's. There is room for it. */
static int add_newest(const struct explore_walk *walk, struct explore_places *places,
		      const struct explore_place *place)
{
	unsigned char *content = places->newest.items + places->newest.count;

	places->newest.count += places->place_size;
	explore_image_read(place->file->image, place->address - place->file->address, content,
			   places->place_size);
	return lines_apply(explore_walk_lines(walk), place->address, place->versions - 1, content);
}

static int collect_lines(const struct explore_walk *walk, struct explore_places *places)
{
	const struct lines *lines = explore_walk_lines(walk);
	const size_t count = lines_undetermined(lines, NULL, 0);
	CLEANUP_VECTOR VECTOR(uint64_t) addresses = { 0 };

	if (vector_reserve(&addresses, count + 1) != 0 || vector_reserve(places, count + 1) != 0 ||
	    vector_reserve(&places->newest, count * places->place_size + 1) != 0)
		return -ENOMEM;
	lines_undetermined(lines, addresses.items, count);
	for (size_t i = 0; i < count; i++) {
		struct explore_place place = { .kind = EXPLORE_PLACE_LINE, .address = addresses.items[i] };
		uint64_t offset;

		place.versions = lines_versions(lines, place.address);
		place.file = explore_walk_locate(walk, place.address, &offset);
		describe_last(walk, &place);
		if (add_newest(walk, places, &place) != 0 ||
		    (has_sectors(place.file) && collect_stores(walk, places, &place) != 0))
			return -ENOMEM;
		places->items[places->count++] = place;
	}
	places->lines = places->count;
	return 0;
}

struct grouping {
	const struct explore_walk *walk;
	struct explore_places *places;
};

/* Groups are numbered in the order in which their first operations come. */
static int add_operation(void *context, const struct names_op *op, size_t group)
{
	const struct grouping *grouping = context;
	struct explore_places *places = grouping->places;
	const bool is_size = op->kind == NAMES_RESIZE || op->kind == NAMES_APPEND;
	struct explore_file *file = is_size ? explore_walk_find_file(grouping->walk, op->inode) : NULL;
	const size_t at = places->lines + group;
	struct explore_place_operation operation = { .place = at };
	struct explore_place *place;

	if (at == places->count) {
		const struct explore_place added = {
			.kind = file ? EXPLORE_PLACE_SIZE : EXPLORE_PLACE_NAMES,
			.file = file,
			.address = op->id,
			.versions = 1,
		};

		if (vector_append(places, added) != 0)
			return -ENOMEM;
	}
	place = &places->items[at];
	if (place->file != file) {
		place->kind = EXPLORE_PLACE_NAMES;
		place->file = NULL;
	}
	operation.index = place->versions++ - 1;
	return vector_append(&places->operations, operation);
}

static void forget_trees(struct explore_places *places)
{
	for (size_t i = 0; places->trees && i < EXPLORE_TREE_SLOTS; i++) {
		explore_tree_destroy(places->trees[i].tree);
		places->trees[i].tree = NULL;
	}
}

int explore_places_collect(const struct explore_walk *walk, struct explore_places *places)
{
	struct grouping grouping = { .walk = walk, .places = places };
	int error;

	places->count = places->operations.count = places->ranges.count = places->events.count = 0;
	places->newest.count = 0;
	places->place_size = lines_place_size(explore_walk_lines(walk));
	places->mode = explore_walk_metadata(walk);
	forget_trees(places);
	if (!places->trees)
		places->trees = calloc(EXPLORE_TREE_SLOTS, sizeof(*places->trees));
	error = places->trees ? collect_lines(walk, places) : -ENOMEM;
	if (!error)
		error = names_groups(explore_walk_names_model(explore_walk_names(walk)), &grouping,
				     add_operation);
	for (size_t i = 0; !error && i < places->count; i++)
		error = vector_append(&places->ranges,
				      (struct chooser_range){ .last = places->items[i].versions - 1 });
	return error;
}

void explore_places_clear(struct explore_places *places)
{
	forget_trees(places);
	free(places->trees);
	places->trees = NULL;
	vector_free(places);
	vector_free(&places->newest);
	vector_free(&places->ranges);
	vector_free(&places->operations);
	vector_free(&places->events);
}

uint64_t explore_places_states(const struct explore_places *places)
{
	return chooser_combinations(places->ranges.items, places->count);
}

/* ---- Names ------------------------------------------------------------------------ */

struct choice {
	const struct explore_places *places;
	const uint64_t *versions;
	size_t next; /* operation */
};

static bool is_wanted(void *context, const struct names_op *op)
{
	struct choice *choice = context;
	const struct explore_place_operation *operation = &choice->places->operations.items[choice->next++];

	return operation->index < choice->versions[operation->place];
}

int explore_places_tree(const struct explore_walk *walk, const struct explore_places *places,
			const uint64_t *versions, const struct explore_tree **tree)
{
	struct choice choice = { .places = places, .versions = versions };
	struct explore_tree_slot *slot;
	uint64_t hash = rng_mix(places->mode);
	int error;

	for (size_t i = places->lines; i < places->count; i++)
		hash = rng_mix(hash ^ versions[i]);
	slot = &places->trees[hash % EXPLORE_TREE_SLOTS];
	if (!slot->tree || slot->hash != hash) {
		explore_tree_destroy(slot->tree);
		*slot = (struct explore_tree_slot){ .hash = hash };
		error = explore_tree_create(walk, places->mode, &choice, is_wanted, &slot->tree);
		if (error)
			return error;
	}
	*tree = slot->tree;
	return 0;
}

/* ---- Lines ------------------------------------------------------------------------ */

uint64_t explore_place_version(const struct explore_walk *walk, const struct explore_place *place,
			       uint64_t version)
{
	return place->stores ? lines_version_through(explore_walk_lines(walk), place->address, version) :
			       version;
}

static bool is_in_sector(const struct explore_places *places, size_t index, size_t first)
{
	const struct explore_place *one = &places->items[first], *place = &places->items[index];

	return index < places->lines && place->file == one->file && place->stores &&
	       place->address / one->file->sector == one->address / one->file->sector;
}

/* The sector whose first place is `index`; returns the place after it. */
static size_t settle_sector(const struct explore_walk *walk, const struct explore_places *places,
			    const uint64_t *versions, uint64_t *settled, size_t index)
{
	uint64_t lost = UINT64_MAX;
	size_t end;

	for (end = index; is_in_sector(places, end, index); end++) {
		const struct explore_place *place = &places->items[end];

		if (versions[end] < place->stores)
			lost = min_u64(lost, places->events.items[place->first_store + versions[end]]);
	}
	for (size_t i = index; i < end; i++) {
		const struct explore_place *place = &places->items[i];
		uint64_t kept = 0;

		while (kept < place->stores && places->events.items[place->first_store + kept] < lost)
			kept++;
		settled[i] = explore_place_version(walk, place, kept);
	}
	return end;
}

void explore_places_settle(const struct explore_walk *walk, const struct explore_places *places,
			   const uint64_t *versions, uint64_t *settled)
{
	for (size_t i = 0; i < places->lines;) {
		if (places->items[i].stores) {
			i = settle_sector(walk, places, versions, settled, i);
		} else {
			settled[i] = versions[i];
			i++;
		}
	}
}

static const unsigned char *newest_content(const struct explore_places *places, size_t index)
{
	return places->newest.items + index * places->place_size;
}

int explore_place_content(const struct explore_walk *walk, const struct explore_places *places, size_t index,
			  uint64_t version, unsigned char *content)
{
	const struct explore_place *place = &places->items[index];

	if (version == place->versions - 1) {
		memcpy(content, newest_content(places, index), places->place_size);
		return 0;
	}
	explore_image_read(place->file->image, place->address - place->file->address, content,
			   places->place_size);
	return lines_apply(explore_walk_lines(walk), place->address,
			   explore_place_version(walk, place, version), content);
}

/* The first line's place at or after an address. */
static size_t find_place(const struct explore_places *places, uint64_t address)
{
	size_t low = 0, high = places->lines;

	while (low < high) {
		const size_t middle = low + (high - low) / 2;

		if (places->items[middle].address < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_in_line(const struct explore_places *places, size_t index, uint64_t line)
{
	return index < places->lines && align_down(places->items[index].address, LINE_SIZE) == line;
}

/* What is called back for lines of one file. */
struct line_visit {
	const struct explore_walk *walk;
	const struct explore_places *places;
	const uint64_t *versions;
	const struct explore_file *file;
	const struct explore_tree *tree;
	int (*line)(void *context, uint64_t offset, const unsigned char *bytes);
	void *context;
};

/* The line whose first place is *index, or would be; *index moves past it. */
static int visit_line(const struct line_visit *visit, uint64_t offset, size_t *index)
{
	const uint64_t address = visit->file->address + offset;
	unsigned char bytes[LINE_SIZE];
	int error = 0;

	explore_image_read(visit->file->image, offset, bytes, LINE_SIZE);
	for (; !error && is_in_line(visit->places, *index, address); ++*index) {
		const struct explore_place *place = &visit->places->items[*index];
		unsigned char *content = bytes + (place->address - address);

		if (!place->stores && visit->versions[*index] == place->versions - 1)
			memcpy(content, newest_content(visit->places, *index), visit->places->place_size);
		else
			error = lines_apply(explore_walk_lines(visit->walk), place->address,
					    visit->versions[*index], content);
	}
	for (size_t i = 0; i < visit->tree->restored.count; i++)
		if (visit->tree->restored.items[i]->address == visit->file->address)
			explore_cut_restore(visit->tree->restored.items[i], offset, bytes);
	return error ? error : visit->line(visit->context, offset, bytes);
}

static int visit_places(const struct line_visit *visit)
{
	const struct explore_places *places = visit->places;
	size_t i = find_place(places, visit->file->address);
	int error = 0;

	while (!error && i < places->lines && places->items[i].file == visit->file) {
		const uint64_t line = align_down(places->items[i].address, LINE_SIZE);
		size_t next = i;
		bool newer = false;

		for (; is_in_line(places, next, line); next++)
			newer = newer || visit->versions[next];
		if (newer)
			error = visit_line(visit, line - visit->file->address, &i);
		i = next;
	}
	return error;
}

struct offsets {
	VECTOR_FIELDS(uint64_t);
};

static int add_page(struct offsets *offsets, uint64_t page)
{
	int error = 0;

	for (uint64_t at = 0; !error && at < PAGE_BYTES; at += LINE_SIZE)
		error = vector_append(offsets, page * PAGE_BYTES + at);
	return error;
}

/* The lines that a cut may change: where it has bytes, or the file has some now. */
static int add_cut(struct offsets *offsets, const struct explore_cut *cut, const struct explore_file *file)
{
	uint64_t page = cut->offset / PAGE_BYTES;
	int error = 0;

	for (size_t i = 0; !error && i < cut->pages.count; i++)
		error = add_page(offsets, cut->pages.items[i].page);
	for (; !error && (page = explore_image_next_page(file->image, page)) <
				 align_up(cut->end, PAGE_BYTES) / PAGE_BYTES;
	     page++)
		error = add_page(offsets, page);
	return error;
}

static int compare_offsets(const void *a, const void *b)
{
	const uint64_t one = *(const uint64_t *)a, other = *(const uint64_t *)b;

	return one < other ? -1 : one > other;
}

static int visit_restored(const struct line_visit *visit)
{
	const struct explore_places *places = visit->places;
	CLEANUP_VECTOR struct offsets offsets = { 0 };
	size_t first = find_place(places, visit->file->address);
	int error = 0;

	for (size_t i = first; !error && i < places->lines && places->items[i].file == visit->file; i++)
		error = vector_append(&offsets, align_down(places->items[i].address, LINE_SIZE) -
							visit->file->address);
	for (size_t i = 0; !error && i < visit->tree->restored.count; i++)
		if (visit->tree->restored.items[i]->address == visit->file->address)
			error = add_cut(&offsets, visit->tree->restored.items[i], visit->file);
	if (offsets.count)
		qsort(offsets.items, offsets.count, sizeof(*offsets.items), compare_offsets);
	for (size_t i = 0; !error && i < offsets.count; i++) {
		if (i && offsets.items[i] == offsets.items[i - 1])
			continue;
		first = find_place(places, visit->file->address + offsets.items[i]);
		error = visit_line(visit, offsets.items[i], &first);
	}
	return error;
}

int explore_places_lines(const struct explore_walk *walk, const struct explore_places *places,
			 const uint64_t *versions, const struct explore_file *file,
			 int (*line)(void *context, uint64_t offset, const unsigned char *bytes),
			 void *context)
{
	struct line_visit visit = {
		.walk = walk,
		.places = places,
		.versions = versions,
		.file = file,
		.line = line,
		.context = context,
	};
	CLEANUP_FREE uint64_t *settled = NULL;
	int error = explore_places_tree(walk, places, versions, &visit.tree);

	if (error)
		return error;
	if (has_sectors(file) && places->lines) {
		settled = calloc(places->lines, sizeof(*settled));
		if (!settled)
			return -ENOMEM;
		explore_places_settle(walk, places, versions, settled);
		visit.versions = settled;
	}
	for (size_t i = 0; i < visit.tree->restored.count; i++)
		if (visit.tree->restored.items[i]->address == file->address)
			return visit_restored(&visit);
	return visit_places(&visit);
}

/* ---- Digests ----------------------------------------------------------------------- */

/* Put what lies past the end of the file in a line to zero. */
static void cut_line(unsigned char line[LINE_SIZE], uint64_t offset, uint64_t size)
{
	if (offset + LINE_SIZE > size)
		memset(line + (size > offset ? size - offset : 0), 0,
		       LINE_SIZE - (size > offset ? (size_t)(size - offset) : 0));
}

/* The base content may have bytes past the end that the state has; those lines count cut. */
static struct explore_digest hidden_by_size(const struct explore_file *file, uint64_t size)
{
	struct explore_digest digest = { 0, 0 };
	uint64_t page = size / PAGE_BYTES;

	for (; (page = explore_image_next_page(file->image, page)) != UINT64_MAX; page++) {
		const unsigned char *bytes = explore_image_page(file->image, page);

		for (uint64_t at = 0; at < PAGE_BYTES; at += LINE_SIZE) {
			uint64_t offset = page * PAGE_BYTES + at;
			unsigned char line[LINE_SIZE];

			if (offset + LINE_SIZE <= size)
				continue;
			memcpy(line, bytes + at, LINE_SIZE);
			digest =
				explore_digest_add(digest, explore_digest_line(file->address + offset, line));
			cut_line(line, offset, size);
			digest = explore_digest_subtract(digest,
							 explore_digest_line(file->address + offset, line));
		}
	}
	return digest;
}

struct line_sum {
	const struct explore_file *file;
	uint64_t size;
	struct explore_digest digest;
};

static struct explore_digest line_difference(const struct line_sum *sum, uint64_t offset,
					     const unsigned char *bytes)
{
	const uint64_t address = sum->file->address + offset;
	struct explore_digest guaranteed;
	unsigned char line[LINE_SIZE];

	explore_image_read(sum->file->image, offset, line, LINE_SIZE);
	cut_line(line, offset, sum->size);
	guaranteed = explore_digest_line(address, line);
	memcpy(line, bytes, LINE_SIZE);
	cut_line(line, offset, sum->size);
	return explore_digest_subtract(explore_digest_line(address, line), guaranteed);
}

/* Put a line's content in place of the guaranteed one. */
static int exchange_line(void *context, uint64_t offset, const unsigned char *bytes)
{
	struct line_sum *sum = context;

	sum->digest = explore_digest_add(sum->digest, line_difference(sum, offset, bytes));
	return 0;
}

/* Do the lines of a file, each by itself, make the state, and does its size cut none of them? */
static bool lines_are_apart(const struct explore_places *places, const struct line_sum *sum,
			    const struct explore_tree *tree)
{
	const size_t end = find_place(places, sum->file->address + EXPLORE_IMAGE_MAX);

	if (places->place_size != LINE_SIZE || has_sectors(sum->file))
		return false;
	for (size_t i = 0; i < tree->restored.count; i++)
		if (tree->restored.items[i]->address == sum->file->address)
			return false;
	return !end || places->items[end - 1].file != sum->file ||
	       places->items[end - 1].address - sum->file->address + LINE_SIZE <= sum->size;
}

/* The same as exchange_line() of all lines, if they are apart. */
static int sum_lines(const struct explore_walk *walk, const struct explore_places *places,
		     const uint64_t *versions, struct line_sum *sum)
{
	for (size_t i = find_place(places, sum->file->address);
	     i < places->lines && places->items[i].file == sum->file; i++) {
		struct explore_place *place = &places->items[i];
		const bool newest = versions[i] == place->versions - 1;
		struct explore_digest difference = place->newest;
		unsigned char bytes[LINE_SIZE];
		int error = 0;

		if (!versions[i])
			continue;
		if (!newest || !place->newest_known) {
			error = explore_place_content(walk, places, i, versions[i], bytes);
			difference = line_difference(sum, place->address - sum->file->address, bytes);
		}
		if (error)
			return error;
		if (newest) {
			place->newest = difference;
			place->newest_known = true;
		}
		sum->digest = explore_digest_add(sum->digest, difference);
	}
	return 0;
}

int explore_places_digest(const struct explore_walk *walk, const struct explore_places *places,
			  const uint64_t *versions, struct explore_digest *digest)
{
	const struct explore_tree *tree = NULL;
	struct line_sum sum = { .digest = explore_digest_of(SALT_MARKS, explore_walk_marks(walk)) };
	int error = explore_places_tree(walk, places, versions, &tree);

	if (error)
		return error;
	sum.digest = explore_digest_add(sum.digest, tree->digest);
	for (size_t i = 0; !error && i < explore_walk_files(walk); i++) {
		if (!tree->present[i])
			continue;
		sum.file = explore_walk_file(walk, i);
		sum.size = tree->sizes[i];
		sum.digest = explore_digest_add(sum.digest, explore_image_digest(sum.file->image));
		sum.digest = explore_digest_subtract(sum.digest, hidden_by_size(sum.file, sum.size));
		error = lines_are_apart(places, &sum, tree) ?
				sum_lines(walk, places, versions, &sum) :
				explore_places_lines(walk, places, versions, sum.file, exchange_line, &sum);
	}
	*digest = sum.digest;
	return error;
}
