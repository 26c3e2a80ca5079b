/* SPDX-License-Identifier: BSD-3-Clause */

/* Compares the names in memory with a model that is a list of names. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/rng.h"
#include "pool/directory_names.h"
#include "pool/inode.h"
#include "pool/pools.h"

#define DIRECTORIES 5u
#define TEXTS 400u
#define STEPS 20000u

struct tree {
	struct pools *pools;
	struct pool *directories[DIRECTORIES], *file;
	struct name *names[DIRECTORIES][TEXTS]; /* NULL: there is none */
};

static struct pool *make_directory(struct pools *pools, uint32_t index)
{
	struct pool *pool = pool_inode_alloc(pools, index);

	assert_non_null(pool);
	pool->directory = calloc(1, sizeof(*pool->directory));
	assert_non_null(pool->directory);
	return pool;
}

/* Some names share their beginning, or the first word that is hashed. */
static size_t text_of(unsigned number, char text[32])
{
	return (size_t)snprintf(text, 32, number % 3 ? "segment-%u" : "%u", number);
}

static int setup(void **state)
{
	struct tree *tree = calloc(1, sizeof(*tree));

	/* The tests of names need no media. */
	tree->pools = calloc(1, sizeof(*tree->pools));
	for (uint32_t i = 0; i < DIRECTORIES; i++)
		tree->directories[i] = make_directory(tree->pools, i);
	tree->file = pool_inode_alloc(tree->pools, DIRECTORIES);
	*state = tree;
	return 0;
}

static int teardown(void **state)
{
	struct tree *tree = *state;

	for (uint32_t i = 0; i < DIRECTORIES; i++) {
		for (unsigned text = 0; text < TEXTS; text++)
			free(tree->names[i][text]);
		pool_inode_free(tree->directories[i]);
	}
	pool_inode_free(tree->file);
	free(tree->pools->hash);
	free(tree->pools);
	free(tree);
	return 0;
}

static void link_one(struct tree *tree, uint32_t directory, unsigned number)
{
	char text[32];
	size_t length = text_of(number, text);
	struct name *name = pool_name_alloc(text, length);

	assert_non_null(name);
	assert_int_equal(pool_names_link(tree->pools, name, tree->directories[directory], tree->file), 0);
	tree->names[directory][number] = name;
}

static void unlink_one(struct tree *tree, uint32_t directory, unsigned number)
{
	struct name *name = tree->names[directory][number];

	tree->names[directory][number] = NULL;
	pool_names_unlink(tree->pools, name);
	free(name);
}

static void assert_found(const struct tree *tree, uint32_t directory, unsigned number)
{
	char text[32];
	size_t length = text_of(number, text);

	assert_ptr_equal(pool_names_find(tree->pools, tree->directories[directory], text, length),
			 tree->names[directory][number]);
}

/* Assert that the items of a directory are its names, once each, in the order of cookies. */
static void assert_listed(const struct tree *tree, uint32_t directory)
{
	const struct directory *list = tree->directories[directory]->directory;
	size_t listed = 0, expected = 0;
	uint64_t cookie = 0;

	for (size_t at = pool_names_after(list, 0); at < list->count; at++) {
		if (!list->items[at].name)
			continue;
		assert_true(list->items[at].cookie > cookie);
		cookie = list->items[at].cookie;
		assert_int_equal(pool_names_after(list, cookie), at + 1);
		listed++;
	}
	for (unsigned number = 0; number < TEXTS; number++)
		expected += tree->names[directory][number] != NULL;
	assert_int_equal(listed, expected);
	assert_int_equal(pool_directory_is_empty(tree->directories[directory]), expected == 0);
}

/* Assert that the file's list has so many names, all of them its own. */
static void assert_names_of_file(const struct tree *tree, uint64_t expected)
{
	uint64_t count = 0;

	for (const struct name *name = tree->file->names; name; name = name->same_file) {
		assert_ptr_equal(name->file, tree->file);
		assert_ptr_equal(*name->same_file_place, name);
		count++;
	}
	assert_int_equal(count, expected);
}

static void random_changes_agree_with_a_list_of_names(void **state)
{
	struct tree *tree = *state;
	struct rng rng = { .state = 40 };
	uint64_t count = 0;

	for (unsigned step = 0; step < STEPS; step++) {
		const uint32_t directory = (uint32_t)rng_below(&rng, DIRECTORIES);
		const unsigned number = (unsigned)rng_below(&rng, TEXTS);

		if (tree->names[directory][number]) {
			unlink_one(tree, directory, number);
			count--;
		} else {
			link_one(tree, directory, number);
			count++;
		}
		assert_found(tree, directory, number);
		assert_found(tree, (uint32_t)rng_below(&rng, DIRECTORIES), (unsigned)rng_below(&rng, TEXTS));
		assert_int_equal(tree->pools->name_count, count);
		assert_int_equal(tree->file->links, count);
		if (step % 100 == 0) {
			assert_listed(tree, directory);
			assert_names_of_file(tree, count);
		}
	}
}

/* The cost of removing a name then does not grow with the number of names that the file has. */
static void removing_a_name_looks_at_no_other_name_of_the_file_but_its_neighbours(void **state)
{
	struct tree *tree = *state;
	struct name *newest;

	for (unsigned number = 0; number < 4; number++)
		link_one(tree, 0, number);
	newest = tree->file->names;
	/* Whoever walks the list from its start now falls off its end. */
	newest->same_file = NULL;
	unlink_one(tree, 0, 1);
	newest->same_file = tree->names[0][2];
	assert_names_of_file(tree, 3);
	unlink_one(tree, 0, 0);
	assert_names_of_file(tree, 2);
	unlink_one(tree, 0, 3);
	unlink_one(tree, 0, 2);
	assert_names_of_file(tree, 0);
}

static void a_directory_counts_its_subdirectories(void **state)
{
	struct tree *tree = *state;
	struct name *name = pool_name_alloc("sub", 3);

	assert_int_equal(pool_names_link(tree->pools, name, tree->directories[0], tree->directories[1]), 0);
	link_one(tree, 0, 1);
	assert_int_equal(tree->directories[0]->directory->subdirectories, 1);
	pool_names_unlink(tree->pools, name);
	assert_int_equal(tree->directories[0]->directory->subdirectories, 0);
	free(name);
}

static void names_that_no_file_may_have_are_refused(void **state)
{
	char text[POOL_NAME_MAX + 1];

	(void)state;
	memset(text, 'x', sizeof(text));
	assert_int_equal(pool_name_check(text, POOL_NAME_MAX), 0);
	assert_int_equal(pool_name_check(text, POOL_NAME_MAX + 1), -ENAMETOOLONG);
	assert_int_equal(pool_name_check("", 0), -ENOENT);
	assert_int_equal(pool_name_check(".", 1), -EEXIST);
	assert_int_equal(pool_name_check("..", 2), -EEXIST);
	assert_int_equal(pool_name_check("...", 3), 0);
	assert_int_equal(pool_name_check("a/b", 3), -EINVAL);
	assert_int_equal(pool_name_check("a\0b", 3), -EINVAL);
}

static void a_slot_holds_the_name_with_its_directory_and_file(void **state)
{
	struct tree *tree = *state;
	union slot slot;

	link_one(tree, 3, 7);
	pool_name_encode(tree->names[3][7], &slot);
	assert_int_equal(slot.head.kind, SLOT_NAME);
	assert_int_equal(slot.name.parent, 3);
	assert_int_equal(slot.name.file, DIRECTORIES);
	assert_int_equal(slot.name.action, NAME_ALONE);
	assert_int_equal(slot.name.length, strlen("segment-7"));
	assert_string_equal(slot.name.name, "segment-7");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(random_changes_agree_with_a_list_of_names, setup, teardown),
		cmocka_unit_test_setup_teardown(
			removing_a_name_looks_at_no_other_name_of_the_file_but_its_neighbours, setup,
			teardown),
		cmocka_unit_test_setup_teardown(a_directory_counts_its_subdirectories, setup, teardown),
		cmocka_unit_test_setup_teardown(a_slot_holds_the_name_with_its_directory_and_file, setup,
						teardown),
		cmocka_unit_test(names_that_no_file_may_have_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
