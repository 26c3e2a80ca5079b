/* SPDX-License-Identifier: BSD-3-Clause */
#include "explore/places.h"

#include <errno.h>
#include <string.h>

#include "explore/walk_names.h"

#define SALT_SIZE 1
#define SALT_REMOVED 2
#define SALT_MARKS 3
#define SALT_NAMES 4

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

int explore_places_collect(const struct explore_walk *walk, struct explore_places *places)
{
	const struct lines *lines = explore_walk_lines(walk);
	size_t count = lines_undetermined(lines, NULL, 0), files = explore_walk_files(walk);
	VECTOR(uint64_t) addresses = { 0 };
	int error = vector_reserve(&addresses, count + 1);

	places->count = 0;
	places->place_size = lines_place_size(lines);
	places->ranges.count = 0;
	if (!error)
		error = vector_reserve(places, count + files);
	if (!error)
		error = vector_reserve(&places->ranges, count + files);
	if (error) {
		vector_free(&addresses);
		return error;
	}
	lines_undetermined(lines, addresses.items, count);
	for (size_t i = 0; i < count; i++) {
		struct explore_place place = { .kind = EXPLORE_PLACE_LINE, .address = addresses.items[i] };
		uint64_t offset;

		place.versions = lines_versions(lines, place.address);
		place.file = explore_walk_locate(walk, place.address, &offset);
		describe_last(walk, &place);
		places->items[places->count++] = place;
	}
	vector_free(&addresses);
	for (size_t i = 0; i < files; i++) {
		struct explore_file *file = explore_walk_file(walk, i);

		if (file->sizes.count > 1)
			places->items[places->count++] = (struct explore_place){
				.kind = EXPLORE_PLACE_SIZE,
				.file = file,
				.address = file->address,
				.versions = file->sizes.count,
			};
	}
	for (size_t i = 0; i < places->count; i++)
		places->ranges.items[places->ranges.count++] =
			(struct chooser_range){ .last = places->items[i].versions - 1 };
	return 0;
}

void explore_places_clear(struct explore_places *places)
{
	vector_free(places);
	vector_free(&places->ranges);
}

uint64_t explore_places_states(const struct explore_places *places)
{
	return chooser_combinations(places->ranges.items, places->count);
}

int explore_place_content(const struct explore_walk *walk, const struct explore_places *places, size_t index,
			  uint64_t version, unsigned char *content)
{
	const struct explore_place *place = &places->items[index];

	explore_image_read(place->file->image, place->address - place->file->address, content,
			   places->place_size);
	return lines_apply(explore_walk_lines(walk), place->address, version, content);
}

/* Put what lies past the end of the file in a line to zero. */
static void cut_line(unsigned char line[LINE_SIZE], uint64_t offset, uint64_t size)
{
	if (offset + LINE_SIZE > size)
		memset(line + (size > offset ? size - offset : 0), 0,
		       LINE_SIZE - (size > offset ? (size_t)(size - offset) : 0));
}

uint64_t explore_places_size(const struct explore_places *places, const uint64_t *versions,
			     const struct explore_file *file)
{
	for (size_t i = places->count; i-- && places->items[i].kind == EXPLORE_PLACE_SIZE;)
		if (places->items[i].file == file)
			return file->sizes.items[versions[i]];
	return file->sizes.items[0];
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

int explore_places_line(const struct explore_walk *walk, const struct explore_places *places,
			const uint64_t *versions, size_t *index, unsigned char line[LINE_SIZE])
{
	const struct explore_file *file = places->items[*index].file;
	uint64_t address = align_down(places->items[*index].address, LINE_SIZE);
	int error = 0;

	explore_image_read(file->image, address - file->address, line, LINE_SIZE);
	for (; !error && *index < places->count && places->items[*index].kind == EXPLORE_PLACE_LINE &&
	       align_down(places->items[*index].address, LINE_SIZE) == address;
	     ++*index)
		error = lines_apply(explore_walk_lines(walk), places->items[*index].address, versions[*index],
				    line + (places->items[*index].address - address));
	return error;
}

/* The change that a line's places make to the digest of the base content; *index moves past them. */
static int line_change(const struct explore_walk *walk, const struct explore_places *places,
		       const uint64_t *versions, size_t *index, struct explore_digest *digest)
{
	const struct explore_file *file = places->items[*index].file;
	uint64_t address = align_down(places->items[*index].address, LINE_SIZE);
	uint64_t offset = address - file->address;
	uint64_t size = explore_places_size(places, versions, file);
	unsigned char line[LINE_SIZE];
	int error;

	explore_image_read(file->image, offset, line, LINE_SIZE);
	cut_line(line, offset, size);
	*digest = explore_digest_subtract(*digest, explore_digest_line(address, line));
	error = explore_places_line(walk, places, versions, index, line);
	cut_line(line, offset, size);
	*digest = explore_digest_add(*digest, explore_digest_line(address, line));
	return error;
}

int explore_places_digest(const struct explore_walk *walk, const struct explore_places *places,
			  const uint64_t *versions, struct explore_digest *digest)
{
	struct explore_digest sum = explore_digest_of(SALT_MARKS, explore_walk_marks(walk));
	int error = 0;

	sum = explore_digest_add(
		sum, explore_digest_of(SALT_NAMES, explore_walk_names_hash(explore_walk_names(walk))));
	for (size_t i = 0; i < explore_walk_files(walk); i++) {
		const struct explore_file *file = explore_walk_file(walk, i);
		uint64_t size = explore_places_size(places, versions, file);

		sum = explore_digest_add(sum, explore_image_digest(file->image));
		sum = explore_digest_subtract(sum, hidden_by_size(file, size));
		sum = explore_digest_add(sum, explore_digest_of(SALT_SIZE ^ file->address, size));
		if (file->removed)
			sum = explore_digest_add(sum, explore_digest_of(SALT_REMOVED, file->address));
	}
	for (size_t i = 0; !error && i < places->count && places->items[i].kind == EXPLORE_PLACE_LINE;)
		error = line_change(walk, places, versions, &i, &sum);
	*digest = sum;
	return error;
}
