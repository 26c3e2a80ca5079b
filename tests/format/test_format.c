/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Compares docs/format.md with the loader. The loader and a reader that was written from the document
 * must see the same tree in golden images of version 1, and in what a crash may leave at any write of an
 * operation.
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

static char *read_by_document(const unsigned char *image, uint64_t size, int *damaged)
{
	char *text = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&text, &length);

	assert_non_null(out);
	*damaged = reader_print(image, size, out);
	fclose(out);
	return text;
}

/* Read the tree with the loader, which may repair it. *result is the result of a check afterwards. */
static char *read_by_loader(struct region *scratch, const unsigned char *image, uint64_t size, bool read_only,
			    struct pools_check_result *result)
{
	const struct pools_options options = { .read_only = read_only };
	const struct pools_check_options quiet = { 0 };
	struct message message = { "" };
	struct pools *pools = NULL;
	char *text;

	mediatest_write(scratch, 0, image, size);
	if (pools_open(scratch, &options, &pools, &message) != 0)
		fail_msg("%s", message.text);
	text = pooltest_fingerprint(pools);
	pools_abandon(pools);
	assert_int_equal(pools_check(scratch, &quiet, result, NULL), 0);
	return text;
}

static void assert_same_text(const char *what, const char *a, const char *b)
{
	if (strcmp(a, b) != 0)
		fail_msg("%s:\n%s\nbut:\n%s", what, a, b);
}

static void compare(struct region *scratch, const char *what, const unsigned char *image)
{
	struct pools_check_result result;
	char *loaded = read_by_loader(scratch, image, SCENE_SIZE, true, &result), *read;
	int damaged;

	read = read_by_document(image, SCENE_SIZE, &damaged);
	assert_int_equal(damaged, 0);
	assert_same_text(what, loaded, read);
	free(loaded);
	free(read);
}

/* ---- Crash states -------------------------------------------------------------- */

struct watch {
	struct region *region, *scratch;
	const char *what;
	unsigned char *image;
	uint64_t states;
};

/* The states before this write, and with only its first half: the media hold whole lines. */
static void saw_write(void *context, uint64_t offset, const void *bytes, uint64_t length)
{
	struct watch *watch = context;

	mediatest_read(watch->region, 0, watch->image, SCENE_SIZE);
	compare(watch->scratch, watch->what, watch->image);
	memcpy(watch->image + offset, bytes, length / 2 / 64 * 64);
	compare(watch->scratch, watch->what, watch->image);
	watch->states += 2;
}

static void saw_zero(void *context, uint64_t offset, uint64_t length)
{
	saw_write(context, offset, "", 0);
}

static void saw_fence(void *context)
{
}

static void the_document_and_the_loader_agree_at_each_write_of_an_operation(void **state)
{
	struct region *region = pooltest_region(SCENE_SPEC);
	struct pools *pools = pooltest_open(region);
	struct watch watch = { .region = region, .scratch = pooltest_region(SCENE_SPEC),
			       .image = malloc(SCENE_SIZE) };
	const struct media_observer observer = { saw_write, saw_zero, saw_fence, &watch };

	scene_prepare(pools);
	media_observe(region, &observer);
	for (const struct scene_operation *operation = scene_operations; operation->name; operation++) {
		watch.what = operation->name;
		operation->run(pools);
	}
	watch.what = "stop";
	assert_int_equal(pools_close(pools, NULL), 0);
	media_observe(region, NULL);
	mediatest_read(region, 0, watch.image, SCENE_SIZE);
	compare(watch.scratch, "stopped", watch.image);
	assert_true(watch.states > 200);
	print_message("# %llu states\n", (unsigned long long)watch.states);
	region_close(watch.scratch);
	region_close(region);
	free(watch.image);
}

/* ---- Golden images ------------------------------------------------------------------- */

static char *output_of(const char *program, const char *file, size_t most, size_t *length)
{
	const char *root = getenv("abs_top_srcdir");
	char command[4096], *bytes = calloc(1, most + 1);
	FILE *pipe;

	assert_non_null(bytes);
	snprintf(command, sizeof(command), "%s '%s/tests/data/format/%s'", program, root ? root : ".", file);
	pipe = popen(command, "re");
	assert_non_null(pipe);
	*length = fread(bytes, 1, most, pipe);
	assert_int_equal(pclose(pipe), 0);
	return bytes;
}

/* The loader and the reader of today both read what version 1 wrote. */
static void golden(const char *image_name, const char *tree_name, bool whole)
{
	size_t length, tree_length;
	unsigned char *image = (unsigned char *)output_of("gzip -dc", image_name, SCENE_SIZE, &length);
	char *tree = output_of("cat", tree_name, 65536, &tree_length), *read, *seen, *mended;
	struct region *scratch = pooltest_region(SCENE_SPEC);
	struct pools_check_result result, after;
	int damaged;

	assert_int_equal(length, SCENE_SIZE);
	read = read_by_document(image, SCENE_SIZE, &damaged);
	assert_int_equal(damaged, 0);
	assert_same_text("the tree that the reader of the document reads", tree, read);
	seen = read_by_loader(scratch, image, SCENE_SIZE, true, &result);
	assert_same_text("the tree that the loader reads", tree, seen);
	assert_true(whole ? result.leftovers + result.redundant == 0 :
			    result.leftovers >= 4 && result.redundant >= 3);
	mended = read_by_loader(scratch, image, SCENE_SIZE, false, &after);
	assert_same_text("the tree after a repair", tree, mended);
	assert_int_equal(after.leftovers + after.redundant, 0);
	region_close(scratch);
	free(image);
	free(tree);
	free(read);
	free(seen);
	free(mended);
}

static void the_clean_golden_image_is_read(void **state)
{
	golden("v1-clean.img.gz", "v1-clean.tree", true);
}

static void the_cut_golden_image_is_read_and_repaired(void **state)
{
	golden("v1-cut.img.gz", "v1-cut.tree", false);
}

/*
 * Negative control: an entry that both copies have lost is missing, and a changed byte of a file is
 * noticed.
 */
static void damage_of_the_golden_image_is_noticed(void **state)
{
	size_t length;
	unsigned char *image = (unsigned char *)output_of("gzip -dc", "v1-clean.img.gz", SCENE_SIZE, &length);
	char *before, *after;
	int damaged;

	before = read_by_document(image, SCENE_SIZE, &damaged);
	for (uint64_t at = 0; at + 14 < SCENE_SIZE; at++)
		if (memcmp(image + at, "the first file", 14) == 0)
			image[at] ^= 1;
	after = read_by_document(image, SCENE_SIZE, &damaged);
	assert_int_equal(damaged, 0);
	assert_string_not_equal(before, after);
	free(after);
	/* Entry 0 is the root. Its slot 0 is in block 1, its slot 1 in block 9. */
	image[4096 + 100] ^= 1;
	image[9 * 4096 + 100] ^= 1;
	after = read_by_document(image, SCENE_SIZE, &damaged);
	assert_true(damaged > 0);
	free(after);
	free(before);
	free(image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_document_and_the_loader_agree_at_each_write_of_an_operation),
		cmocka_unit_test(the_clean_golden_image_is_read),
		cmocka_unit_test(the_cut_golden_image_is_read_and_repaired),
		cmocka_unit_test(damage_of_the_golden_image_is_noticed),
	};

	return cmocka_run_group_tests_name("format", tests, NULL, NULL);
}
