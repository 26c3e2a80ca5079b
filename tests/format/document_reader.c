/* SPDX-License-Identifier: BSD-3-Clause */
#include "document_reader.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Every number in this file is from docs/format.md. No header of the pools is included. */

#define BLOCK 4096u
#define SLOT 320u
#define SLOTS_IN_BLOCK 12u

struct file {
	bool there;
	uint32_t links, subdirectories;
	const unsigned char *slot;
};

struct name {
	bool there;
	uint64_t sequence;
	uint32_t file;
	const unsigned char *slot;
};

struct reader {
	const unsigned char *image, *super;
	uint64_t size;
	uint32_t seed, entries;
	struct file *files;
	struct name *names;
	int damaged;
	FILE *out;
};

static uint64_t number(const unsigned char *at, unsigned bytes)
{
	uint64_t value = 0;

	while (bytes--)
		value = value << 8 | at[bytes];
	return value;
}

static uint16_t u16(const unsigned char *at)
{
	return (uint16_t)number(at, 2);
}

static uint32_t u32(const unsigned char *at)
{
	return (uint32_t)number(at, 4);
}

static uint64_t u64(const unsigned char *at)
{
	return number(at, 8);
}

static uint32_t crc32c_of(uint32_t seed, const unsigned char *bytes, uint64_t length)
{
	uint32_t crc = ~seed;

	while (length--) {
		crc ^= *bytes++;
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ 0x82f63b78u : crc >> 1;
	}
	return ~crc;
}

/* ---- "The superblock" ---------------------------------------------------------- */

static const unsigned char *valid_super(const unsigned char *at, uint64_t size)
{
	if (memcmp(at, "SOFTPMEM", 8) != 0 || u32(at + 4092) != crc32c_of(0, at, 4092))
		return NULL;
	if (u32(at + 12) != 4096 || u32(at + 64) != 4096 || u32(at + 68) != 320)
		return NULL;
	if (u64(at + 56) < 2u << 20 || u64(at + 56) % BLOCK || u64(at + 56) > size)
		return NULL;
	return at;
}

static bool find_super(struct reader *reader)
{
	const unsigned char *first = valid_super(reader->image, reader->size), *last;
	uint64_t end = first ? u64(first + 56) : reader->size;

	last = valid_super(reader->image + end - BLOCK, reader->size);
	reader->super = first;
	if (last && (!first || u64(last + 72) > u64(first + 72)))
		reader->super = last;
	if (!reader->super || u32(reader->super + 8) != 1 || u64(reader->super + 32) != 0)
		return false;
	reader->seed = crc32c_of(0, reader->super + 40, 16);
	return true;
}

/* ---- "The table" ----------------------------------------------------------------- */

static const unsigned char *slot_at(const struct reader *reader, uint32_t index, unsigned copy)
{
	uint64_t at = index;

	for (uint32_t chunk = 0; chunk < u32(reader->super + 108); chunk++) {
		const unsigned char *record = reader->super + 888 + 16 * (uint64_t)chunk;
		uint64_t half = u64(record + 8) / 2, entries = half * SLOTS_IN_BLOCK;

		if (at < entries)
			return reader->image + (u64(record) + copy * half + at / SLOTS_IN_BLOCK) * BLOCK +
			       at % SLOTS_IN_BLOCK * SLOT;
		at -= entries;
	}
	return NULL;
}

static uint32_t count_entries(const struct reader *reader)
{
	uint64_t entries = 0;

	for (uint32_t chunk = 0; chunk < u32(reader->super + 108); chunk++)
		entries += u64(reader->super + 888 + 16 * (uint64_t)chunk + 8) / 2 * SLOTS_IN_BLOCK;
	return (uint32_t)entries;
}

static bool slot_is_valid(const struct reader *reader, const unsigned char *slot, uint32_t index)
{
	return u32(slot) == crc32c_of(reader->seed, slot + 4, SLOT - 4) && u32(slot + 16) == index &&
	       u16(slot + 4) >= 1 && u16(slot + 4) <= 3;
}

static const unsigned char *current_slot(struct reader *reader, uint32_t index)
{
	const unsigned char *slots[2] = { slot_at(reader, index, 0), slot_at(reader, index, 1) };
	bool valid[2] = { slot_is_valid(reader, slots[0], index), slot_is_valid(reader, slots[1], index) };

	if (valid[0] && (!valid[1] || u64(slots[0] + 8) >= u64(slots[1] + 8)))
		return slots[0];
	if (valid[1])
		return slots[1];
	reader->damaged++;
	return NULL;
}

/* The section "Renames": apply the action of a valid name to its peer. */
static void apply_peer(struct reader *reader, const struct name *name)
{
	uint32_t peer = u32(name->slot + 40);
	unsigned action = name->slot[48];

	if (!action || peer >= reader->entries || !reader->names[peer].there ||
	    reader->names[peer].sequence != u64(name->slot + 32))
		return;
	if (action == 1)
		reader->names[peer].there = false;
	else
		reader->names[peer].file = u32(name->slot + 44);
}

static void read_table(struct reader *reader)
{
	for (uint32_t index = 0; index < reader->entries; index++) {
		const unsigned char *slot = current_slot(reader, index);

		if (slot && u16(slot + 4) == 2)
			reader->files[index] = (struct file){ .there = true, .slot = slot };
		if (slot && u16(slot + 4) == 3)
			reader->names[index] = (struct name){
				.there = true, .slot = slot, .sequence = u64(slot + 8), .file = u32(slot + 28)
			};
	}
	for (uint32_t index = 0; index < reader->entries; index++)
		if (reader->names[index].there)
			apply_peer(reader, &reader->names[index]);
	for (uint32_t index = 0; index < reader->entries; index++) {
		const struct name *name = &reader->names[index];
		uint32_t parent;

		if (!name->there)
			continue;
		parent = u32(name->slot + 24);
		if (name->file >= reader->entries || !reader->files[name->file].there ||
		    parent >= reader->entries || !reader->files[parent].there) {
			reader->names[index].there = false;
			reader->damaged++;
			continue;
		}
		reader->files[name->file].links++;
		if ((u32(reader->files[name->file].slot + 24) & 0170000) == 0040000)
			reader->files[parent].subdirectories++;
	}
}

/* ---- "Extents" and "Map blocks" ----------------------------------------------------- */

struct extents {
	const unsigned char *inline_list; /* or NULL, and */
	const unsigned char *map;
	uint32_t owner, number, left, at;
};

static const unsigned char *map_block(struct reader *reader, const unsigned char *two, uint32_t owner,
				      uint32_t number)
{
	for (unsigned copy = 0; copy < 2; copy++) {
		uint64_t block = u64(two + 8 * copy);
		const unsigned char *map = reader->image + block * BLOCK;

		if (block && block < reader->size / BLOCK && u32(map + 4) == 0x50414d53 &&
		    u32(map + 8) == owner && u32(map + 12) == number && u32(map + 16) <= 253 &&
		    u32(map) == crc32c_of(reader->seed, map + 4, BLOCK - 4))
			return map;
	}
	reader->damaged++;
	return NULL;
}

static struct extents extents_of(struct reader *reader, const unsigned char *slot)
{
	struct extents extents = { .owner = u32(slot + 16), .left = u32(slot + 112) };

	if (u32(slot + 116))
		extents.map = map_block(reader, slot + 120, extents.owner, 0);
	else
		extents.inline_list = slot + 144;
	return extents;
}

/* The 16 bytes of the next extent; NULL after the last one. */
static const unsigned char *next_extent(struct reader *reader, struct extents *extents)
{
	if (!extents->left)
		return NULL;
	if (!extents->inline_list && extents->map && extents->at == u32(extents->map + 16)) {
		extents->map = map_block(reader, extents->map + 24, extents->owner, ++extents->number);
		extents->at = 0;
	}
	if (!extents->inline_list && !extents->map)
		return NULL;
	extents->left--;
	return (extents->inline_list ? extents->inline_list : extents->map + 40) +
	       16 * (uint64_t)extents->at++;
}

/*
 * The content of a file, `size` bytes long, for the caller to free. *pages is the number of allocated
 * pages.
 */
static unsigned char *content(struct reader *reader, const unsigned char *slot, uint64_t *pages)
{
	uint64_t size = u64(slot + 56);
	unsigned char *bytes = calloc(1, size + 1);
	struct extents extents = extents_of(reader, slot);
	const unsigned char *extent;

	*pages = 0;
	while (bytes && (extent = next_extent(reader, &extents))) {
		uint64_t start = (uint64_t)u32(extent) * BLOCK, length = u32(extent + 4) & 0x7fffffffu;

		*pages += length;
		length *= BLOCK;
		if (start >= size || u32(extent + 4) & 0x80000000u)
			continue;
		if (length > size - start)
			length = size - start;
		memcpy(bytes + start, reader->image + u64(extent + 8) * BLOCK, length);
	}
	return bytes;
}

/* ---- The tree ------------------------------------------------------------------------ */

/* The section "Extended attributes". */
static void print_xattrs(struct reader *reader, const unsigned char *slot)
{
	const uint64_t block = u64(slot + 136);
	const unsigned char *area = reader->image + block * BLOCK, *record = area + 24;

	if (!(u64(reader->super + 24) & 1) || !block)
		return;
	if (block + 2 > reader->size / BLOCK || u32(area + 4) != 0x54415853 ||
	    u32(area + 8) != u32(slot + 16) ||
	    u32(area) != crc32c_of(reader->seed, area + 4, 2 * BLOCK - 4)) {
		reader->damaged++;
		return;
	}
	for (uint32_t left = u32(area + 16); left > 0; left--) {
		const uint32_t length = record[0], size = u16(record + 2);

		fprintf(reader->out, " %.*s %u %08x", (int)length, (const char *)record + 4, size,
			crc32c_of(0, record + 4 + length, size));
		record += 4 + length + size;
	}
}

static void print_file(struct reader *reader, const char *path, const struct file *file)
{
	const unsigned char *slot = file->slot, *uuid = slot + 40;
	uint32_t mode = u32(slot + 24), type = mode & 0170000;
	uint64_t pages = 0;
	unsigned char *bytes = content(reader, slot, &pages);

	fprintf(reader->out, "%s mode %o owner %u:%u links %u size %" PRIu64, path, mode, u32(slot + 28),
		u32(slot + 32), type == 0040000 ? 2 + file->subdirectories : file->links, u64(slot + 56));
	fprintf(reader->out, " pool-mode %u mtime %" PRId64 " uuid %02x%02x%02x%02x", u32(slot + 36),
		type == 0040000 ? 0 : (int64_t)u64(slot + 72), uuid[0], uuid[1], uuid[2], uuid[3]);
	if (type == 0100000)
		fprintf(reader->out, " allocated %" PRIu64 " content %08x", pages * BLOCK,
			crc32c_of(0, bytes, u64(slot + 56)));
	if (type == 0120000)
		fprintf(reader->out, " to %s", (const char *)bytes);
	if (type == 0040000 && u32(slot + 20))
		fprintf(reader->out, " metadata %u", u32(slot + 20));
	print_xattrs(reader, slot);
	fputc('\n', reader->out);
	free(bytes);
}

static const struct name *next_name(const struct reader *reader, uint32_t directory, const char *after)
{
	const struct name *best = NULL;

	for (uint32_t index = 0; index < reader->entries; index++) {
		const struct name *name = &reader->names[index];

		if (!name->there || u32(name->slot + 24) != directory ||
		    (after && strcmp((const char *)name->slot + 52, after) <= 0))
			continue;
		if (!best || strcmp((const char *)name->slot + 52, (const char *)best->slot + 52) < 0)
			best = name;
	}
	return best;
}

static void print_directory(struct reader *reader, const char *path, uint32_t directory)
{
	const struct name *name = NULL;

	while ((name = next_name(reader, directory, name ? (const char *)name->slot + 52 : NULL))) {
		const struct file *file = &reader->files[name->file];
		char child[4096];

		snprintf(child, sizeof(child), "%s/%.*s", path, name->slot[49],
			 (const char *)name->slot + 52);
		print_file(reader, child, file);
		if ((u32(file->slot + 24) & 0170000) == 0040000)
			print_directory(reader, child, name->file);
	}
}

int reader_print(const unsigned char *image, uint64_t size, FILE *out)
{
	struct reader reader = { .image = image, .size = size, .out = out };

	if (size < 2 * BLOCK || !find_super(&reader))
		return -1;
	reader.entries = count_entries(&reader);
	reader.files = calloc(reader.entries, sizeof(*reader.files));
	reader.names = calloc(reader.entries, sizeof(*reader.names));
	if (reader.files && reader.names)
		read_table(&reader);
	if (reader.files && reader.files[0].there) {
		print_file(&reader, "/", &reader.files[0]);
		print_directory(&reader, "", 0);
	} else {
		reader.damaged++;
	}
	free(reader.files);
	free(reader.names);
	return reader.damaged;
}
