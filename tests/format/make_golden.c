/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * make_golden DIRECTORY: writes the images of tests/data/format, as this version of the format has them.
 * It is run once for each version; a committed image is never regenerated. The cut image is a state that
 * concurrent operations can leave when all of them are cut at once, with one copy of some structures
 * damaged in addition.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../unit/mediatest.h"
#include "../unit/pooltest.h"
#include "document_reader.h"
#include "scene.h"

static const char *directory;

static void write_out(const char *name, const unsigned char *image)
{
	char path[4096];
	FILE *file;

	snprintf(path, sizeof(path), "gzip -9n >'%s/%s.img.gz'", directory, name);
	file = popen(path, "we");
	assert_non_null(file);
	assert_int_equal(fwrite(image, 1, SCENE_SIZE, file), SCENE_SIZE);
	assert_int_equal(pclose(file), 0);
	snprintf(path, sizeof(path), "%s/%s.tree", directory, name);
	file = fopen(path, "we");
	assert_non_null(file);
	assert_int_equal(reader_print(image, SCENE_SIZE, file), 0);
	assert_int_equal(fclose(file), 0);
}

static void clean_image(void **state)
{
	struct region *region = pooltest_region(SCENE_SPEC);
	struct pools *pools = pooltest_open(region);
	unsigned char *image;

	scene_prepare(pools);
	for (const struct scene_operation *operation = scene_operations; operation->name; operation++)
		operation->run(pools);
	assert_int_equal(pools_close(pools, NULL), 0);
	image = malloc(SCENE_SIZE);
	mediatest_read(region, 0, image, SCENE_SIZE);
	write_out("v1-clean", image);
	free(image);
	region_close(region);
}

/* ---- The cut image ------------------------------------------------------------ */

struct cut {
	struct region *region;
	unsigned char *image;
	unsigned fences;
};

static void saw_write(void *context, uint64_t offset, const void *bytes, uint64_t length)
{
}

static void saw_zero(void *context, uint64_t offset, uint64_t length)
{
}

/* The first fence of an exchange: slot 0 of one of the two names has been written. */
static void saw_fence(void *context)
{
	struct cut *cut = context;

	if (cut->fences++ == 0)
		mediatest_read(cut->region, 0, cut->image, SCENE_SIZE);
}

/* Find slot `copy` of an entry. No other structure in the image has its number and a valid kind. */
static unsigned char *slot_of(unsigned char *image, uint32_t index, unsigned copy)
{
	for (uint64_t block = 1; block < SCENE_SIZE / 4096 - 1; block++)
		for (uint64_t at = block * 4096; at + 320 <= (block + 1) * 4096; at += 320) {
			uint32_t own;

			memcpy(&own, image + at + 16, 4);
			if (image[at + 4] >= 1 && image[at + 4] <= 3 && image[at + 5] == 0 && own == index &&
			    copy-- == 0)
				return image + at;
		}
	fail_msg("no entry %u", index);
	return NULL;
}

/* Undo the writes of this entry. */
static void put_back(unsigned char *image, unsigned char *before, uint32_t index)
{
	for (unsigned copy = 0; copy < 2; copy++)
		memcpy(slot_of(image, index, copy), slot_of(before, index, copy), 320);
}

static uint32_t name_entry(const unsigned char *image, const char *text)
{
	for (uint64_t at = 4096; at + 320 <= SCENE_SIZE; at++)
		if (memcmp(image + at, text, strlen(text) + 1) == 0) {
			uint32_t index;

			memcpy(&index, image + at - 52 + 16, 4);
			return index;
		}
	fail_msg("no name %s", text);
	return 0;
}

static uint32_t file_entry(struct pools *pools, const char *path)
{
	struct pool_attributes attributes;
	struct pool *pool = NULL;

	assert_int_equal(pool_lookup_path(pools, path, &pool), 0);
	assert_int_equal(pool_get_attributes(pool, &attributes), 0);
	pool_unref(pool, 1);
	return (uint32_t)attributes.ino - 1;
}

static void exchange_cut(struct pools *pools, struct cut *cut)
{
	const struct media_observer observer = { saw_write, saw_zero, saw_fence, cut };
	struct pool *root = pool_root(pools), *dir = NULL;

	assert_int_equal(pool_lookup(root, "dir", &dir), 0);
	media_observe(cut->region, &observer);
	assert_int_equal(pool_rename(root, "a", dir, "pieces", RENAME_EXCHANGE), 0);
	media_observe(cut->region, NULL);
	pool_unref(dir, 1);
	pool_unref(root, 1);
}

static void damage_copies(struct cut *cut, uint32_t fifo, uint32_t pieces)
{
	uint64_t map;

	cut->image[SCENE_SIZE - 4096 + 100] ^= 1;
	slot_of(cut->image, fifo, 1)[30] ^= 1;
	memcpy(&map, slot_of(cut->image, pieces, 0) + 120, 8);
	cut->image[map * 4096 + 50] ^= 1;
}

static void cut_image(void **state)
{
	struct region *region = pooltest_region(SCENE_SPEC);
	struct pools *pools = pooltest_open(region);
	struct cut cut = { .region = region, .image = malloc(SCENE_SIZE) };
	unsigned char *before = malloc(SCENE_SIZE);
	uint32_t target, fifo, pieces;
	struct pool *root;

	scene_prepare(pools);
	target = file_entry(pools, "/target");
	fifo = file_entry(pools, "/fifo");
	pieces = file_entry(pools, "/dir/pieces");
	mediatest_read(region, 0, before, SCENE_SIZE);
	pooltest_make(pools, "/nameless", S_IFREG | 0600, 8192);
	root = pool_root(pools);
	assert_int_equal(pool_rename(root, "b", root, "target", 0), 0);
	pool_unref(root, 1);
	exchange_cut(pools, &cut);
	/* Cut a create before its name is written, and a rename before the replaced name is freed. */
	put_back(cut.image, before, name_entry(cut.image, "nameless"));
	put_back(cut.image, before, name_entry(before, "target"));
	put_back(cut.image, before, target);
	damage_copies(&cut, fifo, pieces);
	write_out("v1-cut", cut.image);
	pools_abandon(pools);
	region_close(region);
	free(cut.image);
	free(before);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest images[] = { cmocka_unit_test(clean_image), cmocka_unit_test(cut_image) };

	if (argc != 2) {
		fputs("usage: make_golden DIRECTORY\n", stderr);
		return 2;
	}
	directory = argv[1];
	return cmocka_run_group_tests_name("golden", images, NULL, NULL);
}
