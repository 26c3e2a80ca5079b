/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Every metadata operation, cut at every fence: between two fences any of the
 * lines written may have reached the media. Whatever did, loading the region
 * gives the state before the operation or the one after it, never a third.
 */

#include <fcntl.h>
#include <linux/falloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/align.h"
#include "common/rng.h"
#include "mediatest.h"
#include "pool/pools.h"
#include "pooltest.h"

#define SPEC "memfd:2M"
#define SIZE ((uint64_t)2 << 20)

/* ---- What reached the media, in order ---------------------------------------------- */

struct piece {
	uint64_t offset;
	uint64_t length; /* within a line */
	unsigned char bytes[LINE_SIZE];
	bool fence;
};

struct record {
	struct piece *pieces;
	size_t count, room;
};

static struct piece *add_piece(struct record *record)
{
	if (record->count == record->room) {
		record->room = record->room ? 2 * record->room : 1024;
		record->pieces = realloc(record->pieces, record->room * sizeof(struct piece));
		assert_non_null(record->pieces);
	}
	record->pieces[record->count] = (struct piece){ 0 };
	return &record->pieces[record->count++];
}

/* bytes NULL: zeros. */
static void add_lines(struct record *record, uint64_t offset, const unsigned char *bytes, uint64_t length)
{
	while (length) {
		uint64_t piece_length = min_u64(length, LINE_SIZE - offset % LINE_SIZE);
		struct piece *piece = add_piece(record);

		piece->offset = offset;
		piece->length = piece_length;
		if (bytes) {
			memcpy(piece->bytes, bytes, piece_length);
			bytes += piece_length;
		}
		offset += piece_length;
		length -= piece_length;
	}
}

static void saw_write(void *context, uint64_t offset, const void *bytes, uint64_t length)
{
	add_lines(context, offset, bytes, length);
}

static void saw_zero(void *context, uint64_t offset, uint64_t length)
{
	add_lines(context, offset, NULL, length);
}

static void saw_fence(void *context)
{
	struct record *record = context;

	/* Fences with nothing before them change nothing. */
	if (record->count && !record->pieces[record->count - 1].fence)
		add_piece(record)->fence = true;
}

/* ---- The operations ------------------------------------------------------------------ */

static void prepare(struct pools *pools)
{
	const char *name;
	struct pool *parent, *pool = NULL;

	pooltest_make(pools, "/dir", S_IFDIR | 0755, 0);
	pooltest_make(pools, "/dir/sub", S_IFDIR | 0700, 0);
	pooltest_make(pools, "/a", S_IFREG | 0644, 0);
	pooltest_put(pools, "/a", "the first file", 0, true);
	pooltest_make(pools, "/b", S_IFREG | 0600, 0);
	pooltest_put(pools, "/b", "the second", 9000, true);
	pooltest_make(pools, "/dir/c", S_IFREG | 0600, 40960);
	/* More extents than the entry holds: every second page. */
	pooltest_make(pools, "/pieces", S_IFREG | 0600, 0);
	for (int i = 0; i < 15; i++)
		pooltest_put(pools, "/pieces", "piece", (uint64_t)i * 8192, true);
	parent = pooltest_parent(pools, "/link", &name);
	assert_int_equal(pool_symlink(parent, name, "dir/c", 1, 2, &pool), 0);
	pool_unref(pool, 1);
	pool_unref(parent, 1);
}

static struct pool *find(struct pools *pools, const char *path)
{
	struct pool *pool = NULL;

	assert_int_equal(pool_lookup_path(pools, path, &pool), 0);
	return pool;
}

static void do_create(struct pools *pools)
{
	pooltest_make(pools, "/dir/new", S_IFREG | 0640, 0);
}

static void do_create_with_size(struct pools *pools)
{
	pooltest_make(pools, "/dir/new", S_IFREG | 0640, 100000);
}

static void do_mkdir(struct pools *pools)
{
	pooltest_make(pools, "/dir/new", S_IFDIR | 0750, 0);
}

static void do_symlink(struct pools *pools)
{
	struct pool *dir = find(pools, "/dir"), *pool = NULL;

	assert_int_equal(pool_symlink(dir, "l", "../a", 3, 4, &pool), 0);
	pool_unref(pool, 1);
	pool_unref(dir, 1);
}

static void do_link(struct pools *pools)
{
	struct pool *dir = find(pools, "/dir"), *a = find(pools, "/a");

	assert_int_equal(pool_link(a, dir, "a-too"), 0);
	pool_unref(a, 1);
	pool_unref(dir, 1);
}

static void unlink_from(struct pools *pools, const char *path, const char *name)
{
	struct pool *dir = find(pools, path);

	assert_int_equal(pool_unlink(dir, name), 0);
	pool_unref(dir, 1);
}

static void do_unlink(struct pools *pools)
{
	unlink_from(pools, "/dir", "c");
}

static void do_unlink_pieces(struct pools *pools)
{
	unlink_from(pools, "/", "pieces");
}

static void do_rmdir(struct pools *pools)
{
	struct pool *dir = find(pools, "/dir");

	assert_int_equal(pool_rmdir(dir, "sub"), 0);
	pool_unref(dir, 1);
}

static void rename_from_root(struct pools *pools, const char *from, const char *directory, const char *to,
			     unsigned flags)
{
	struct pool *root = find(pools, "/"), *dir = find(pools, directory);

	assert_int_equal(pool_rename(root, from, dir, to, flags), 0);
	pool_unref(dir, 1);
	pool_unref(root, 1);
}

static void do_rename(struct pools *pools)
{
	rename_from_root(pools, "a", "/dir", "elsewhere", 0);
}

static void do_rename_over(struct pools *pools)
{
	rename_from_root(pools, "a", "/dir", "c", 0);
}

static void do_rename_over_beside(struct pools *pools)
{
	rename_from_root(pools, "a", "/", "b", 0);
}

static void do_exchange(struct pools *pools)
{
	rename_from_root(pools, "a", "/dir", "c", RENAME_EXCHANGE);
}

static void do_chmod(struct pools *pools)
{
	const struct pool_attributes attributes = {
		.mode = 0711, .uid = 99, .gid = 98, .mtime = { .tv_sec = 12345 }
	};
	struct pool *pool = find(pools, "/pieces");

	assert_int_equal(pool_set_attributes(pool,
					     POOL_SET_MODE | POOL_SET_UID | POOL_SET_GID | POOL_SET_MTIME,
					     &attributes),
			 0);
	pool_unref(pool, 1);
}

static void truncate_to(struct pools *pools, const char *path, uint64_t size)
{
	struct pool *pool = find(pools, path);

	assert_int_equal(pool_truncate(pool, NULL, size), 0);
	pool_unref(pool, 1);
}

static void do_shrink(struct pools *pools)
{
	truncate_to(pools, "/pieces", 5000);
}

static void do_shrink_a_little(struct pools *pools)
{
	truncate_to(pools, "/pieces", 13 * 8192 + 2);
}

static void do_grow(struct pools *pools)
{
	truncate_to(pools, "/a", 123456);
}

static void fallocate_pieces(struct pools *pools, int mode, uint64_t offset, uint64_t length)
{
	struct pool_handle *handle = pooltest_handle(pools, "/pieces");

	assert_int_equal(pool_fallocate(handle, mode, offset, length), 0);
	pool_close(handle);
}

static void do_allocate(struct pools *pools)
{
	fallocate_pieces(pools, 0, 0, 200000);
}

static void do_punch(struct pools *pools)
{
	fallocate_pieces(pools, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 8192, 65536);
}

static void do_zero(struct pools *pools)
{
	fallocate_pieces(pools, FALLOC_FL_ZERO_RANGE, 8192, 65536);
}

static void do_append_and_sync(struct pools *pools)
{
	char text[9001];

	memset(text, 'q', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	pooltest_put(pools, "/a", text, 14, true);
}

static void do_write_reserved(struct pools *pools)
{
	/* In what reads as zero already, so that either state has the same old bytes. */
	pooltest_put(pools, "/dir/c", "x", 20000, true);
}

static void prepare_sectors(struct pools *pools)
{
	const struct pool_attributes sector = { .pool_mode = POOL_MODE_SECTOR_4096 };
	struct pool *pool;

	prepare(pools);
	pool = find(pools, "/pieces");
	assert_int_equal(pool_set_attributes(pool, POOL_SET_POOL_MODE, &sector), 0);
	pool_unref(pool, 1);
}

/* In sector mode not even a copy that a killed daemon left half done shows: all of a sync, or nothing. */
static void do_overwrite_sectors(struct pools *pools)
{
	char text[30000];

	memset(text, 'o', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	pooltest_put(pools, "/pieces", text, 3000, true);
}

static void do_grow_the_table(struct pools *pools)
{
	const struct pool_new attributes = { .mode = S_IFREG | 0600 };
	struct pool *dir = find(pools, "/dir"), *pool;

	/* 48 entries are there at first; the one that makes the table grow is the measured one. */
	assert_int_equal(pool_create(dir, "last", &attributes, &pool), 0);
	pool_unref(pool, 1);
	pool_unref(dir, 1);
}

static void fill_the_table(struct pools *pools)
{
	prepare(pools);
	for (int i = 0; i < 17; i++) {
		char path[32];

		snprintf(path, sizeof(path), "/fill-%d", i);
		pooltest_make(pools, path, S_IFREG | 0600, 0);
	}
}

static void fill_the_table_and_more(struct pools *pools)
{
	fill_the_table(pools);
	do_grow_the_table(pools);
	assert_true(pools->superblock.table_chunks > 1);
	pooltest_put(pools, "/dir/last", "bytes of a file in the last chunk of the table", 70000, true);
	for (int i = 0; i < 17; i++) {
		char path[32];

		snprintf(path, sizeof(path), "fill-%d", i);
		unlink_from(pools, "/", path);
	}
}

/* What is given back must not be part of the old state, whatever of it a crash leaves. */
static void do_unlink_and_trim(struct pools *pools)
{
	unlink_from(pools, "/dir", "last");
	for (unsigned i = 0; i < POOLS_TRIM_REST + 2; i++)
		pools_trim(pools);
	assert_int_equal(pools->superblock.table_chunks, 1);
	media_fence(pools->region);
}

static void set_attribute(struct pools *pools, const char *path, const char *value)
{
	struct pool *pool = find(pools, path);

	assert_int_equal(pool_xattr_set(pool, "user.name", value, strlen(value), 0), 0);
	pool_unref(pool, 1);
}

static void prepare_attributes(struct pools *pools)
{
	prepare(pools);
	set_attribute(pools, "/a", "old");
	set_attribute(pools, "/dir", "of a directory");
}

static void do_set_attribute(struct pools *pools)
{
	set_attribute(pools, "/a", "new");
}

static void do_remove_attribute(struct pools *pools)
{
	struct pool *pool = find(pools, "/a");

	assert_int_equal(pool_xattr_remove(pool, "user.name"), 0);
	pool_unref(pool, 1);
}

static void do_unlink_with_attributes(struct pools *pools)
{
	unlink_from(pools, "/", "a");
}

struct operation {
	const char *name;
	void (*prepare)(struct pools *pools);
	void (*run)(struct pools *pools);
};

static const struct operation operations[] = {
	{ "create", prepare, do_create },
	{ "create with a size", prepare, do_create_with_size },
	{ "mkdir", prepare, do_mkdir },
	{ "symlink", prepare, do_symlink },
	{ "link", prepare, do_link },
	{ "unlink", prepare, do_unlink },
	{ "unlink of many extents", prepare, do_unlink_pieces },
	{ "rmdir", prepare, do_rmdir },
	{ "rename to another directory", prepare, do_rename },
	{ "rename over a name in another directory", prepare, do_rename_over },
	{ "rename over a name", prepare, do_rename_over_beside },
	{ "exchange", prepare, do_exchange },
	{ "attributes", prepare, do_chmod },
	{ "shrink", prepare, do_shrink },
	{ "shrink, many extents left", prepare, do_shrink_a_little },
	{ "grow", prepare, do_grow },
	{ "allocate", prepare, do_allocate },
	{ "punch", prepare, do_punch },
	{ "zero range", prepare, do_zero },
	{ "append and sync", prepare, do_append_and_sync },
	{ "first write into reserved space", prepare, do_write_reserved },
	{ "overwrite in sector mode", prepare_sectors, do_overwrite_sectors },
	{ "create that grows the table", fill_the_table, do_grow_the_table },
	{ "the first attribute of a region", prepare, do_set_attribute },
	{ "set attribute", prepare_attributes, do_set_attribute },
	{ "remove attribute", prepare_attributes, do_remove_attribute },
	{ "unlink of a file with attributes", prepare_attributes, do_unlink_with_attributes },
	{ "unlink, then a trim", fill_the_table_and_more, do_unlink_and_trim },
};

/* ---- The cuts ---------------------------------------------------------------------------- */

struct trial {
	const struct operation *operation;
	unsigned char *image; /* the media up to the last fence passed */
	struct region *scratch;
	char *before, *after;
	uint64_t states, old_states, new_states;
	bool wrong_allowed; /* the negative control counts instead of failing */
	uint64_t wrong;
};

static void apply_piece(unsigned char *image, const struct piece *piece)
{
	memcpy(image + piece->offset, piece->bytes, piece->length);
}

static void try_state(struct trial *trial, const unsigned char *image)
{
	const struct pools_check_options quiet = { 0 };
	struct pools_check_result result;
	struct pools *pools;
	char *found;

	mediatest_write(trial->scratch, 0, image, SIZE);
	if (trial->wrong_allowed && pools_check(trial->scratch, &quiet, &result, NULL) != 0) {
		trial->wrong++;
		return;
	}
	pools = pooltest_open(trial->scratch);
	found = pooltest_fingerprint(pools);
	pools_abandon(pools);
	trial->states++;
	if (strcmp(found, trial->before) == 0)
		trial->old_states++;
	else if (strcmp(found, trial->after) == 0)
		trial->new_states++;
	else if (trial->wrong_allowed)
		trial->wrong++;
	else
		fail_msg("%s: a third state:\n%s\nbefore:\n%s\nafter:\n%s", trial->operation->name, found,
			 trial->before, trial->after);
	assert_int_equal(pools_check(trial->scratch, &quiet, &result, NULL), 0);
	assert_int_equal(result.leftovers + result.redundant, 0);
	free(found);
}

/* The lines between two fences: none, all, each alone, each missing, and some random mixtures. */
static void cut_between(struct trial *trial, const struct piece *pieces, size_t count, struct rng *rng)
{
	const size_t most = 40;
	unsigned char *image = malloc(SIZE);

	assert_non_null(image);
	for (size_t choice = 0; choice < 2 * min_u64(count, most) + 10; choice++) {
		memcpy(image, trial->image, SIZE);
		for (size_t i = 0; i < count; i++) {
			size_t special = count > most ? rng_below(rng, count) : choice / 2;
			bool in = choice == 2 * min_u64(count, most) ? false
				  : choice > 2 * min_u64(count, most) ? rng_next(rng) & 1
				  : choice & 1			      ? i != special
								      : i == special;

			if (in)
				apply_piece(image, &pieces[i]);
		}
		try_state(trial, image);
	}
	free(image);
}

static void cut_everywhere(struct trial *trial, const struct record *record)
{
	struct rng rng = { .state = 1 };
	size_t start = 0;

	for (size_t end = 0; end < record->count; end++) {
		if (!record->pieces[end].fence)
			continue;
		cut_between(trial, &record->pieces[start], end - start, &rng);
		for (size_t i = start; i < end; i++)
			apply_piece(trial->image, &record->pieces[i]);
		start = end + 1;
	}
	try_state(trial, trial->image);
}

static void run_trial(struct trial *trial, const struct operation *operation,
		      void (*spoil)(struct record *record))
{
	struct record record = { 0 };
	const struct media_observer observer = { saw_write, saw_zero, saw_fence, &record };
	struct region *region = pooltest_region(SPEC);
	struct pools *pools = pooltest_open(region);

	trial->operation = operation;
	trial->scratch = pooltest_region(SPEC);
	trial->image = malloc(SIZE);
	operation->prepare(pools);
	mediatest_read(region, 0, trial->image, SIZE);
	trial->before = pooltest_fingerprint(pools);
	media_observe(region, &observer);
	operation->run(pools);
	media_observe(region, NULL);
	trial->after = pooltest_fingerprint(pools);
	assert_string_not_equal(trial->before, trial->after);
	/* The observer saw all writes. */
	pools_abandon(pools);
	if (spoil)
		spoil(&record);
	cut_everywhere(trial, &record);
	if (!spoil)
		assert_int_equal(media_compare(region, 0, trial->image, SIZE), 0);
	region_close(region);
	region_close(trial->scratch);
	free(trial->image);
	free(trial->before);
	free(trial->after);
	free(record.pieces);
}

static void operation_leaves_the_old_or_the_new_state(void **state)
{
	struct trial trial = { 0 };

	run_trial(&trial, *state, NULL);
	assert_true(trial.old_states > 0 && trial.new_states > 0);
	print_message("# %llu states: %llu old, %llu new\n", (unsigned long long)trial.states,
		      (unsigned long long)trial.old_states, (unsigned long long)trial.new_states);
}

/* The negative control: without its fences, the same operation leaves other states than the two. */
static void drop_fences(struct record *record)
{
	size_t kept = 0;

	for (size_t i = 0; i < record->count; i++)
		if (!record->pieces[i].fence || i + 1 == record->count)
			record->pieces[kept++] = record->pieces[i];
	record->count = kept;
}

static void without_its_fences_an_operation_leaves_other_states(void **state)
{
	static const struct operation rename_over = { "rename over", prepare, do_rename_over };
	struct trial trial = { .wrong_allowed = true };

	run_trial(&trial, &rename_over, drop_fences);
	assert_true(trial.wrong > 0);
}

int main(void)
{
	enum { COUNT = sizeof(operations) / sizeof(operations[0]) };
	static char names[COUNT][96];
	struct CMUnitTest tests[COUNT + 1];

	memset(tests, 0, sizeof(tests));
	for (int i = 0; i < COUNT; i++) {
		snprintf(names[i], sizeof(names[i]), "%s leaves the old or the new state",
			 operations[i].name);
		tests[i] = (struct CMUnitTest){
			.name = names[i],
			.test_func = operation_leaves_the_old_or_the_new_state,
			.initial_state = (void *)(uintptr_t)&operations[i],
		};
	}
	tests[COUNT] =
		(struct CMUnitTest)cmocka_unit_test(without_its_fences_an_operation_leaves_other_states);
	return cmocka_run_group_tests_name("atomicity", tests, NULL, NULL);
}
