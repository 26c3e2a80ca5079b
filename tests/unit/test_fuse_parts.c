/* SPDX-License-Identifier: BSD-3-Clause */

/* The parts of fuse/ that work without a mount: parked requests, deferred replies, nodes, shadows. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "abi/line.h"
#include "common/align.h"
#include "cached_pages.h"
#include "deferral.h"
#include "node.h"
#include "parking.h"
#include "pooltest.h"
#include "shadow.h"

/* ---- Parked requests ---------------------------------------------------------- */

static void parked_requests_come_back_once_and_in_order(void **state)
{
	struct parked_request *parked, *next;
	struct parking parking;
	unsigned count = 0;

	fusefs_parking_init(&parking);
	assert_null(fusefs_parking_take(&parking));
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(fusefs_parking_add(&parking, &i, sizeof(i)), 0);
	for (parked = fusefs_parking_take(&parking); parked; parked = next) {
		next = parked->next;
		assert_int_equal(parked->size, sizeof(count));
		assert_memory_equal(parked->bytes, &count, sizeof(count));
		count++;
		free(parked);
	}
	assert_int_equal(count, 3);
	assert_null(fusefs_parking_take(&parking));
	assert_int_equal(fusefs_parking_add(&parking, "dropped", 7), 0);
	fusefs_parking_destroy(&parking);
}

/* ---- Deferred replies --------------------------------------------------------- */

static void a_deferred_reply_takes_the_token_of_the_handled_request(void **state)
{
	struct request_gate gate;
	struct gate_token token, deferred;

	fusefs_gate_init(&gate);
	fusefs_gate_enter(&gate, &token);
	fusefs_deferral_begin(&token);
	deferred = fusefs_defer_reply();
	fusefs_deferral_end();
	fusefs_gate_leave(&token);
	assert_int_equal(atomic_load(&gate.inside[0]), 1);
	fusefs_gate_leave(&deferred);
	assert_int_equal(atomic_load(&gate.inside[0]), 0);
	fusefs_gate_destroy(&gate);
}

/* ---- What the kernel may cache of a file ---------------------------------------- */

struct cached_bench {
	struct cached_pages pages;
	uint64_t from, end;
};

static bool drops(struct cached_bench *bench, uint64_t offset, uint64_t length)
{
	bench->from = bench->end = 0;
	return fusefs_cached_begin_drop(&bench->pages, offset, length, &bench->from, &bench->end);
}

static void a_range_that_was_read_is_cached_until_it_is_dropped(void **state)
{
	struct cached_bench bench;

	fusefs_cached_init(&bench.pages);
	assert_false(fusefs_cached_overlaps(&bench.pages, 0, UINT64_C(1) << 43));
	fusefs_cached_add(&bench.pages, 70000, 1);
	assert_true(fusefs_cached_overlaps(&bench.pages, 69999, 2));
	assert_false(fusefs_cached_overlaps(&bench.pages, 0, 65536));
	assert_false(fusefs_cached_overlaps(&bench.pages, 131072, 1));
	assert_false(drops(&bench, 0, 65536));
	assert_true(drops(&bench, 70000, 1));
	assert_true(bench.from <= 70000 && bench.end > 70000);
	/* Another direct write must wait for the drop. */
	assert_true(fusefs_cached_overlaps(&bench.pages, 70000, 1));
	fusefs_cached_end_drop(&bench.pages);
	assert_false(fusefs_cached_overlaps(&bench.pages, 70000, 1));
	fusefs_cached_destroy(&bench.pages);
}

static void what_is_read_during_a_drop_is_cached_after_it(void **state)
{
	struct cached_bench bench;

	fusefs_cached_init(&bench.pages);
	fusefs_cached_add(&bench.pages, 0, 4096);
	assert_true(drops(&bench, 0, 4096));
	fusefs_cached_add(&bench.pages, 0, 4096);
	fusefs_cached_end_drop(&bench.pages);
	assert_true(fusefs_cached_overlaps(&bench.pages, 0, 4096));
	fusefs_cached_destroy(&bench.pages);
}

static void a_range_stays_cached_while_the_file_grows(void **state)
{
	struct cached_bench bench;

	fusefs_cached_init(&bench.pages);
	fusefs_cached_add(&bench.pages, 3 * 65536, 65536);
	for (unsigned shift = 22; shift < 44; shift++) {
		fusefs_cached_add(&bench.pages, UINT64_C(1) << shift, 1);
		assert_true(fusefs_cached_overlaps(&bench.pages, 4 * 65536 - 1, 1));
		assert_true(fusefs_cached_overlaps(&bench.pages, UINT64_C(1) << shift, 1));
	}
	/* Negative control: a part in which nothing was read, and one behind the last part. */
	assert_false(fusefs_cached_overlaps(&bench.pages, UINT64_C(3) << 42, 1));
	assert_false(fusefs_cached_overlaps(&bench.pages, UINT64_C(1) << 60, 4096));
	assert_true(drops(&bench, 3 * 65536, 65536));
	assert_true(bench.from <= 3 * 65536 && bench.end >= 4 * 65536);
	fusefs_cached_destroy(&bench.pages);
}

/* ---- Nodes and shadows, over real pools --------------------------------------- */

struct bench {
	struct region *region;
	struct pools *pools;
	struct tree tree;
	struct shadows shadows;
};

static int setup(void **state)
{
	static struct bench bench;

	memset(&bench, 0, sizeof(bench));
	bench.region = pooltest_region("memfd:16M");
	bench.pools = pooltest_open(bench.region);
	bench.tree.pools = bench.pools;
	assert_int_equal(fusefs_nodes_init(&bench.tree.nodes), 0);
	bench.tree.root = (struct node){ .tree = &bench.tree, .pool = pool_root(bench.pools) };
	fusefs_shadows_init(&bench.shadows);
	*state = &bench;
	return 0;
}

static int teardown(void **state)
{
	struct bench *bench = *state;
	struct message message;

	fusefs_shadows_destroy(&bench->shadows);
	fusefs_nodes_destroy(&bench->tree.nodes);
	pool_unref(bench->tree.root.pool, 1);
	assert_int_equal(pools_close(bench->pools, &message), 0);
	region_close(bench->region);
	return 0;
}

static struct pool *look_up(struct bench *bench, const char *path)
{
	struct pool *pool;

	assert_int_equal(pool_lookup_path(bench->pools, path, &pool), 0);
	return pool;
}

static void a_pool_has_one_node_until_its_lookups_are_forgotten(void **state)
{
	struct bench *bench = *state;
	struct node *node;

	pooltest_make(bench->pools, "/file", S_IFREG | 0644, 0);
	node = fusefs_node_take(&bench->tree, look_up(bench, "/file"), true);
	assert_ptr_equal(fusefs_node_take(&bench->tree, look_up(bench, "/file"), true), node);
	assert_ptr_equal(fusefs_node_find(&bench->tree, node->pool), node);
	assert_false(fusefs_node_forget(node, 1));
	assert_ptr_equal(fusefs_node_find(&bench->tree, node->pool), node);
	struct pool *pool = node->pool;
	assert_true(fusefs_node_forget(node, 1));
	assert_null(fusefs_node_find(&bench->tree, pool));
	fusefs_node_free(node);
}

static void the_root_is_no_lookup(void **state)
{
	struct bench *bench = *state;
	struct node *root = fusefs_node_take(&bench->tree, pool_root(bench->pools), false);

	assert_ptr_equal(root, &bench->tree.root);
	assert_true(fusefs_node_is_root(root));
	assert_int_equal(root->lookups, 0);
}

static void a_regular_file_has_a_new_node_in_the_next_generation(void **state)
{
	struct bench *bench = *state;
	struct node *old, *new, *directory;

	pooltest_make(bench->pools, "/file", S_IFREG | 0644, 0);
	pooltest_make(bench->pools, "/directory", S_IFDIR | 0755, 0);
	old = fusefs_node_take(&bench->tree, look_up(bench, "/file"), true);
	directory = fusefs_node_take(&bench->tree, look_up(bench, "/directory"), false);
	fusefs_nodes_end_generation(&bench->tree.nodes);
	assert_true(old->dead);
	assert_false(directory->dead);
	new = fusefs_node_take(&bench->tree, look_up(bench, "/file"), true);
	assert_ptr_not_equal(new, old);
	assert_ptr_equal(fusefs_node_take(&bench->tree, look_up(bench, "/directory"), false), directory);
	assert_true(fusefs_node_forget(old, 1));
	fusefs_node_free(old);
}

static void many_nodes_are_found_again(void **state)
{
	enum { FILES = 3000 };
	struct bench *bench = *state;
	static struct node *nodes[FILES];
	char path[16];

	for (int i = 0; i < FILES; i++) {
		snprintf(path, sizeof(path), "/f%d", i);
		pooltest_make(bench->pools, path, S_IFREG | 0644, 0);
		nodes[i] = fusefs_node_take(&bench->tree, look_up(bench, path), true);
	}
	for (int i = 0; i < FILES; i++)
		assert_ptr_equal(fusefs_node_find(&bench->tree, nodes[i]->pool), nodes[i]);
}

/* A page that the kernel was given, stores of others to the pool since, and the page as it comes back. */
struct page {
	struct bench *bench;
	struct node *node;
	struct pool_handle *handle;
	unsigned char given[PAGE_BYTES], back[PAGE_BYTES], pool[PAGE_BYTES];
};

static void page_begin(struct page *page, struct bench *bench)
{
	memset(page, 0, sizeof(*page));
	page->bench = bench;
	pooltest_make(bench->pools, "/file", S_IFREG | 0644, PAGE_BYTES);
	page->node = fusefs_node_take(&bench->tree, look_up(bench, "/file"), true);
	page->handle = pooltest_handle(bench->pools, "/file");
	memset(page->given, 'g', sizeof(page->given));
	assert_int_equal(pool_write(page->handle, page->given, PAGE_BYTES, 0, POOL_WRITE_FILE), PAGE_BYTES);
	memcpy(page->back, page->given, PAGE_BYTES);
}

static void page_store_elsewhere(struct page *page, size_t at)
{
	assert_int_equal(pool_write(page->handle, "newer!!!", 8, at, POOL_WRITE_FILE), 8);
}

static void page_write_back(struct page *page)
{
	bool drop;

	assert_int_equal(fusefs_shadow_write_back(&page->bench->shadows, page->node, page->handle, page->back,
						  PAGE_BYTES, 0, &drop),
			 PAGE_BYTES);
	assert_false(drop);
	assert_int_equal(pool_read(page->handle, page->pool, PAGE_BYTES, 0), PAGE_BYTES);
	pool_close(page->handle);
}

static void write_back_stores_only_what_differs_from_what_the_kernel_was_given(void **state)
{
	struct page page;

	page_begin(&page, *state);
	assert_false(fusefs_shadow_note(&page.bench->shadows, page.node, 0, page.given, PAGE_BYTES));
	page_store_elsewhere(&page, 128);
	memcpy(page.back + 64, "mapped..", 8);
	page_write_back(&page);
	assert_memory_equal(page.pool + 64, "mapped..", 8);
	assert_memory_equal(page.pool + 128, "newer!!!", 8);
}

static void without_a_note_write_back_overwrites_newer_bytes(void **state)
{
	struct page page;

	/* Negative control. */
	page_begin(&page, *state);
	page_store_elsewhere(&page, 128);
	page_write_back(&page);
	assert_memory_equal(page.pool + 128, "gggggggg", 8);
}

static void a_line_is_compared_with_the_version_most_like_it(void **state)
{
	struct page page;
	unsigned char other[PAGE_BYTES];

	page_begin(&page, *state);
	assert_false(fusefs_shadow_note(&page.bench->shadows, page.node, 0, page.given, PAGE_BYTES));
	/* A reader that is not the page cache was given a newer version since. */
	memcpy(other, page.given, PAGE_BYTES);
	memcpy(other + 128, "newer!!!", 8);
	page_store_elsewhere(&page, 128);
	assert_false(fusefs_shadow_note(&page.bench->shadows, page.node, 0, other, PAGE_BYTES));
	page_write_back(&page);
	assert_memory_equal(page.pool + 128, "newer!!!", 8);
}

static void a_write_through_the_cache_changes_what_is_remembered(void **state)
{
	struct page page;

	page_begin(&page, *state);
	assert_false(fusefs_shadow_note(&page.bench->shadows, page.node, 0, page.given, PAGE_BYTES));
	fusefs_shadow_overlay(&page.bench->shadows, page.node, 200, "written.", 8);
	memcpy(page.back + 200, "written.", 8);
	assert_int_equal(pool_write(page.handle, "written.", 8, 200, POOL_WRITE_FILE), 8);
	page_store_elsewhere(&page, 200);
	page_write_back(&page);
	assert_memory_equal(page.pool + 200, "newer!!!", 8);
}

static void a_drop_forgets_what_was_noted_before_it_began(void **state)
{
	struct page page;
	uint64_t epoch;

	page_begin(&page, *state);
	assert_false(fusefs_shadow_note(&page.bench->shadows, page.node, 0, page.given, PAGE_BYTES));
	epoch = fusefs_shadow_begin_drop(&page.bench->shadows);
	fusefs_shadow_end_drop(&page.bench->shadows, page.node, epoch);
	assert_int_equal(page.bench->shadows.count, 0);
	epoch = fusefs_shadow_begin_drop(&page.bench->shadows);
	/* Read anew while the kernel drops its pages. */
	assert_false(fusefs_shadow_note(&page.bench->shadows, page.node, 0, page.given, PAGE_BYTES));
	fusefs_shadow_end_drop(&page.bench->shadows, page.node, epoch);
	assert_int_equal(page.bench->shadows.count, 1);
	fusefs_shadow_forget(&page.bench->shadows, page.node);
	assert_int_equal(page.bench->shadows.count, 0);
	pool_close(page.handle);
}

static void too_many_pages_ask_for_one_drop(void **state)
{
	struct bench *bench = *state;
	unsigned char page[PAGE_BYTES] = "page";
	unsigned asked = 0;

	for (uint64_t i = 0; i < 20000; i++)
		asked += fusefs_shadow_note(&bench->shadows, &bench->tree.root, i * PAGE_BYTES, page,
					    PAGE_BYTES);
	assert_int_equal(asked, 1);
	fusefs_shadow_forget(&bench->shadows, NULL);
	assert_int_equal(bench->shadows.count, 0);
}

#define bench_test(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parked_requests_come_back_once_and_in_order),
		cmocka_unit_test(a_deferred_reply_takes_the_token_of_the_handled_request),
		cmocka_unit_test(a_range_that_was_read_is_cached_until_it_is_dropped),
		cmocka_unit_test(what_is_read_during_a_drop_is_cached_after_it),
		cmocka_unit_test(a_range_stays_cached_while_the_file_grows),
		bench_test(a_pool_has_one_node_until_its_lookups_are_forgotten),
		bench_test(the_root_is_no_lookup),
		bench_test(a_regular_file_has_a_new_node_in_the_next_generation),
		bench_test(many_nodes_are_found_again),
		bench_test(write_back_stores_only_what_differs_from_what_the_kernel_was_given),
		bench_test(without_a_note_write_back_overwrites_newer_bytes),
		bench_test(a_line_is_compared_with_the_version_most_like_it),
		bench_test(a_write_through_the_cache_changes_what_is_remembered),
		bench_test(a_drop_forgets_what_was_noted_before_it_began),
		bench_test(too_many_pages_ask_for_one_drop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
