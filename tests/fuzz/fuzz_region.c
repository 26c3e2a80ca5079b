/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fuzz target: the loader, the check, and operations on a loaded region whose metadata was corrupted on
 * purpose. Each change gets a correct checksum again, because otherwise only the checksum would be
 * tested.
 *
 * An input is a list of changes to the image of a region:
 *	what (1 byte, see `enum change`), which (1), offset (2, little endian), length (1), that many bytes
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/crc32c.h"
#include "fuzz.h"
#include "pool/format.h"
#include "pool/pool.h"
#include "region/region.h"

#define SPEC "memfd:2M"
#define SIZE (2u << 20)
#define BLOCKS (SIZE / BLOCK_BYTES)
#define ENTRIES 64

enum change {
	CHANGE_SLOT,	   /* `which` & 1: the copy; the rest: the entry */
	CHANGE_BOTH_SLOTS, /* the same in both copies */
	CHANGE_SUPERBLOCK, /* `which` & 1: the copy */
	CHANGE_BOTH_SUPERBLOCKS,
	CHANGE_MAP, /* `which`: number of the map block */
	CHANGE_RAW, /* a block, without a new checksum */
	COPY_SLOT,  /* copied over the entry that the first byte names, with its own index */
	CHANGES
};

struct image {
	unsigned char bytes[SIZE];
	uint32_t map_blocks[16];
	unsigned maps;
};

static void must(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "broken: %s\n", what);
	abort();
}

/* ---- The image every input starts from --------------------------------------- */

static struct pool *at(struct pools *pools, const char *path)
{
	struct pool *pool;

	must(pool_lookup_path(pools, path, &pool) == 0, "the image has its pools");
	return pool;
}

static void make(struct pools *pools, const char *directory, const char *name, mode_t mode, uint64_t size)
{
	struct pool *parent = at(pools, directory), *made;
	struct pool_new new = { .mode = mode, .size = size };

	must(pool_create(parent, name, &new, &made) == 0, "the image can be made");
	pool_unref(made, 1);
	pool_unref(parent, 1);
}

static void fill(struct pools *pools, const char *path, uint64_t offset, size_t length)
{
	struct pool *pool = at(pools, path);
	struct pool_handle *handle;
	char bytes[8192];

	memset(bytes, 'f', sizeof(bytes));
	must(pool_open(pool, &handle) == 0, "the image's pools open");
	must(pool_write(handle, bytes, length, offset, POOL_WRITE_FILE) == (ssize_t)length,
	     "they can be written");
	must(pool_sync(handle, false) == 0, "they can be synced");
	pool_close(handle);
	pool_unref(pool, 1);
}

/* More extents than fit into the slot or into one map block: every other page, without data. */
static void scatter(struct pools *pools, const char *path)
{
	struct pool *pool = at(pools, path);
	struct pool_handle *handle;

	must(pool_open(pool, &handle) == 0, "the image's pools open");
	for (uint64_t page = 0; page < 2 * 300; page += 2)
		must(pool_fallocate(handle, 0, page * 4096, 4096) == 0, "space can be reserved");
	pool_close(handle);
	pool_unref(pool, 1);
}

static void make_tree(struct pools *pools)
{
	struct pool *root = pool_root(pools), *pool, *directory;

	make(pools, "/", "directory", S_IFDIR | 0755, 0);
	make(pools, "/directory", "deep", S_IFDIR | 0700, 0);
	make(pools, "/directory/deep", "file", S_IFREG | 0644, 8192);
	make(pools, "/", "fifo", S_IFIFO | 0644, 0);
	make(pools, "/", "holes", S_IFREG | 0600, 0);
	scatter(pools, "/holes");
	make(pools, "/", "small", S_IFREG | 0644, 0);
	fill(pools, "/small", 0, 5000);
	must(pool_symlink(root, "link", "directory/deep", 0, 0, &pool) == 0, "a symlink");
	pool_unref(pool, 1);
	pool = at(pools, "/small");
	directory = at(pools, "/directory");
	must(pool_link(pool, directory, "hard") == 0, "a link");
	make(pools, "/", "over", S_IFREG | 0644, 0);
	make(pools, "/", "moved", S_IFREG | 0644, 0);
	must(pool_rename(root, "moved", root, "over", 0) == 0, "a rename");
	must(pool_rename(root, "over", directory, "deep", RENAME_EXCHANGE) == 0, "an exchange");
	pool_unref(directory, 1);
	pool_unref(pool, 1);
	pool_unref(root, 1);
}

static struct image *new_image(void)
{
	struct pools_format_options format = { .mode = POOL_MODE_FSDAX };
	struct pools_options options = { .domain = PERSISTENCE_MEMORY_CONTROLLER };
	struct image *image = calloc(1, sizeof(*image));
	struct region *region;
	struct pools *pools;

	must(region_open(SPEC, 0, &region, NULL) == 0, "a region");
	must(pools_format(region, &format, NULL) == 0, "formats");
	must(pools_open(region, &options, &pools, NULL) == 0, "and opens");
	make_tree(pools);
	pools_abandon(pools);
	must(media_read(region, 0, image->bytes, SIZE) == 0, "and is read");
	region_close(region);
	for (uint32_t block = 0; block < BLOCKS; block++) {
		struct map_block map;

		memcpy(&map, image->bytes + (size_t)block * BLOCK_BYTES, sizeof(map));
		if (map.magic == MAP_MAGIC && image->maps < 16)
			image->map_blocks[image->maps++] = block;
	}
	must(image->maps > 0, "the image has map blocks");
	return image;
}

/* ---- Changes -------------------------------------------------------------------- */

static uint32_t uuid_seed(const unsigned char *bytes)
{
	return crc32c(0, bytes + offsetof(struct superblock, uuid), 16);
}

static void seal(unsigned char *bytes, unsigned char *at_byte, size_t size)
{
	uint32_t checksum = crc32c(uuid_seed(bytes), at_byte + 4, size - 4);

	memcpy(at_byte, &checksum, sizeof(checksum));
}

static void seal_superblock(unsigned char *superblock)
{
	uint32_t checksum = crc32c(0, superblock, offsetof(struct superblock, checksum));

	memcpy(superblock + offsetof(struct superblock, checksum), &checksum, sizeof(checksum));
}

static unsigned char *slot_at(const struct image *image, unsigned char *bytes, uint32_t entry, unsigned copy)
{
	struct superblock superblock;
	uint64_t block;

	memcpy(&superblock, image->bytes, sizeof(superblock));
	block = superblock.chunks[0].block + copy * (superblock.chunks[0].blocks / 2) +
		entry / SLOTS_PER_BLOCK;
	return bytes + block * BLOCK_BYTES + entry % SLOTS_PER_BLOCK * SLOT_SIZE;
}

static void patch(unsigned char *at_byte, size_t size, unsigned offset, const uint8_t *change, size_t length)
{
	for (size_t i = 0; i < length; i++)
		at_byte[(offset + i) % size] = change[i];
}

static void apply(const struct image *image, unsigned char *bytes, unsigned what, unsigned which,
		  unsigned offset, const uint8_t *change, size_t length)
{
	unsigned entry = (which >> 1) % ENTRIES, copy = which & 1;
	unsigned char *target;

	switch (what % CHANGES) {
	case CHANGE_SLOT:
	case CHANGE_BOTH_SLOTS:
		for (unsigned i = 0; i < 2; i++) {
			if (what % CHANGES == CHANGE_SLOT && i != copy)
				continue;
			target = slot_at(image, bytes, entry, i);
			patch(target, SLOT_SIZE, offset, change, length);
			seal(bytes, target, SLOT_SIZE);
		}
		break;
	case CHANGE_SUPERBLOCK:
	case CHANGE_BOTH_SUPERBLOCKS:
		for (unsigned i = 0; i < 2; i++) {
			if (what % CHANGES == CHANGE_SUPERBLOCK && i != copy)
				continue;
			target = bytes + (i ? SIZE - BLOCK_BYTES : 0);
			/* All other checksums depend on the uuid. */
			if (offset % BLOCK_BYTES >= 40 && offset % BLOCK_BYTES < 56)
				continue;
			patch(target, BLOCK_BYTES, offset, change, length > 16 ? 16 : length);
			seal_superblock(target);
		}
		break;
	case CHANGE_MAP:
		target = bytes + (size_t)image->map_blocks[which % image->maps] * BLOCK_BYTES;
		patch(target, BLOCK_BYTES, offset, change, length);
		seal(bytes, target, BLOCK_BYTES);
		break;
	case CHANGE_RAW:
		patch(bytes + (size_t)(which % BLOCKS) * BLOCK_BYTES, BLOCK_BYTES, offset, change, length);
		break;
	default:
		if (length)
			memmove(slot_at(image, bytes, change[0] % ENTRIES, offset & 1),
				slot_at(image, bytes, entry, copy), SLOT_SIZE);
		break;
	}
}

static void apply_all(const struct image *image, unsigned char *bytes, const uint8_t *data, size_t size)
{
	while (size >= 5) {
		size_t length = data[4] < size - 5 ? data[4] : size - 5;

		apply(image, bytes, data[0], data[1], data[2] | (unsigned)data[3] << 8, data + 5, length);
		data += 5 + length;
		size -= 5 + length;
	}
}

/* ---- What must hold ---------------------------------------------------------------- */

static void wrote(void *context, uint64_t offset, const void *bytes, uint64_t length)
{
	must(false, "who only reads does not write");
}

static void zeroed(void *context, uint64_t offset, uint64_t length)
{
	must(false, "who only reads does not zero");
}

static void fenced(void *context)
{
}

struct visitor {
	struct pool *found[64];
	unsigned count;
};

static int visit(void *context, const char *name, struct pool *pool, uint64_t next)
{
	struct visitor *visitor = context;

	if (visitor->count == 64)
		return 1;
	visitor->found[visitor->count++] = pool;
	return 0;
}

static void read_ends(struct pool *pool, uint64_t size)
{
	struct pool_handle *handle;
	char bytes[8192];

	if (pool_open(pool, &handle) < 0)
		return;
	(void)pool_read(handle, bytes, sizeof(bytes), 0);
	(void)pool_read(handle, bytes, sizeof(bytes), size > 4096 ? size - 4096 : 0);
	(void)pool_seek(handle, 0, SEEK_HOLE);
	(void)pool_seek(handle, size / 2, SEEK_DATA);
	pool_close(handle);
}

static void look(struct pool *pool, unsigned depth)
{
	struct pool_attributes attributes;
	struct visitor visitor = { .count = 0 };
	char path[5000];

	if (pool_get_attributes(pool, &attributes) < 0)
		return;
	(void)pool_path(pool, path, sizeof(path));
	(void)pool_readlink(pool, path, sizeof(path));
	if (S_ISREG(attributes.mode))
		read_ends(pool, attributes.size);
	if (!S_ISDIR(attributes.mode) || depth == 8)
		return;
	(void)pool_readdir(pool, 0, visit, &visitor);
	while (visitor.count) {
		look(visitor.found[--visitor.count], depth + 1);
		pool_unref(visitor.found[visitor.count], 1);
	}
}

static void look_at_all(struct pools *pools)
{
	struct pool *root = pool_root(pools);
	struct pools_info info;

	pools_info(pools, &info);
	must(info.free <= info.size && info.size == SIZE, "free space is part of the region");
	look(root, 0);
	pool_unref(root, 1);
}

/* The results do not matter: the region must stay consistent whatever they are. */
static void change_all(struct pools *pools)
{
	static const char *const paths[] = { "/small", "/holes", "/directory/hard", "/directory/deep",
					     "/over" };
	const struct chooser chooser = { .policy = CHOOSER_RANDOM, .seed = 1 };
	const struct pools_outage outage = { .mappers_are_gone = false };
	struct pool *root = pool_root(pools), *pool;
	struct pool_new new = { .mode = S_IFREG | 0600, .size = 20000 };
	struct pool_handle *handle;

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		if (pool_lookup_path(pools, paths[i], &pool) < 0)
			continue;
		if (pool_open(pool, &handle) == 0) {
			(void)pool_write(handle, "changed", 7, 4093, POOL_WRITE_FILE);
			if (i % 2)
				(void)pool_sync(handle, false);
			(void)pool_truncate(pool, handle, 9000);
			(void)pool_fallocate(handle, 0, 0, 30000);
			pool_close(handle);
		}
		pool_unref(pool, 1);
	}
	if (pool_create(root, "new", &new, &pool) == 0)
		pool_unref(pool, 1);
	(void)pool_rename(root, "new", root, "small", 0);
	(void)pool_unlink(root, "link");
	pools_stop(pools);
	(void)pools_decide(pools, &chooser, &outage);
	pools_resume(pools);
	pool_unref(root, 1);
}

static int try_open(struct region *region, bool read_only, struct pools **pools, struct message *message)
{
	struct pools_options options = { .domain = PERSISTENCE_MEMORY_CONTROLLER, .read_only = read_only };

	return pools_open(region, &options, pools, message);
}

static void read_only_changes_nothing(struct region *region)
{
	const struct media_observer observer = { .wrote = wrote, .zeroed = zeroed, .fenced = fenced };
	struct pools *pools;

	media_observe(region, &observer);
	if (try_open(region, true, &pools, NULL) == 0) {
		look_at_all(pools);
		change_all(pools);
		(void)pools_close(pools, NULL);
	}
	media_observe(region, NULL);
}

static void test_region(struct region *region)
{
	struct pools_check_options options = { 0 };
	struct pools_check_result result;
	struct message message = { "" };
	struct pools *pools;
	int checked, opened, closed;

	(void)pools_probe(region);
	checked = pools_check(region, &options, &result, &message);
	read_only_changes_nothing(region);
	message.text[0] = '\0';
	opened = try_open(region, false, &pools, &message);
	if (opened < 0) {
		/* EROFS: consistent, but of a later version that this one must not write. */
		must(checked != 0 || opened == -EROFS, "what the check finds sound can be opened");
		must(message.text[0] != '\0', "who refuses says why");
		return;
	}
	must(checked == 0, "what the check finds damaged is not opened for writing");
	look_at_all(pools);
	change_all(pools);
	closed = pools_close(pools, &message);
	if (closed == -ENOSPC)
		return;
	must(closed == 0, "what could be opened can be closed");
	checked = pools_check(region, &options, &result, &message);
	if (checked)
		fprintf(stderr, "%s\n", message.text);
	must(checked == 0, "what was opened and closed is sound");
	must(result.leftovers == 0, "and nothing is left over");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const unsigned char nothing[BLOCK_BYTES];
	static struct image *image;
	unsigned char *bytes;
	struct region *region;

	if (!image)
		image = new_image();
	bytes = malloc(SIZE);
	memcpy(bytes, image->bytes, SIZE);
	apply_all(image, bytes, data, size);
	must(region_open(SPEC, 0, &region, NULL) == 0, "a region");
	/* The block is all zero, as most of the image. */
	for (uint64_t offset = 0; offset < SIZE; offset += BLOCK_BYTES)
		if (memcmp(bytes + offset, nothing, BLOCK_BYTES) != 0)
			must(media_write(region, offset, bytes + offset, BLOCK_BYTES) == 0, "is written");
	media_fence(region);
	free(bytes);
	test_region(region);
	region_close(region);
	return 0;
}
