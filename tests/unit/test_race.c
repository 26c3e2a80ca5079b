/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Threads that create, write, sync, read, truncate, rename, link and remove files in
 * one tree at the same time, while the power fails now and then. Afterwards the region must
 * load and pass the check, and each file that was synced last must be complete.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/rng.h"
#include "pooltest.h"

#define THREADS 4
#define STEPS 4000
#define NAMES 12

struct racer {
	struct pools *pools;
	unsigned number;
	_Atomic bool *stop;
};

static int sees(void *context, const char *name, struct pool *pool, uint64_t next)
{
	pool_unref(pool, 1);
	return 0;
}

/* Operations on bytes, and those that change where they are on the media. */
static void use_bytes(struct pool *pool, struct rng *rng)
{
	static const char junk[20000] = "some bytes";
	struct pool_handle *handle;
	uint64_t offset = rng_below(rng, 300000), length = rng_below(rng, sizeof(junk)) + 1;
	struct pool_read read;

	if (pool_open(pool, &handle) != 0)
		return;
	switch (rng_below(rng, 7)) {
	case 0:
	case 1:
		pool_write(handle, junk, length, offset, POOL_WRITE_FILE);
		break;
	case 2:
		pool_sync(handle, false);
		break;
	case 3:
		if (pool_read_begin(handle, offset, length, &read) == 0)
			pool_read_end(&read);
		break;
	case 4:
		pool_truncate(pool, handle, offset);
		break;
	case 5:
		pool_fallocate(handle, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length);
		break;
	case 6:
		pool_seek(handle, offset, SEEK_DATA);
		break;
	}
	pool_close(handle);
}

static void use_names(struct pool *root, const char *name, const char *other, struct rng *rng)
{
	const struct pool_new attributes = {
		.mode = S_IFREG | 0600,
		.size = rng_below(rng, 2) * 30000,
		.pool_mode = rng_below(rng, 2) ? POOL_MODE_FSDAX : POOL_MODE_SECTOR_512,
	};
	struct pool_attributes found;
	struct pool *pool;

	switch (rng_below(rng, 6)) {
	case 0:
		pool_unlink(root, name);
		break;
	case 1:
		pool_rename(root, name, root, other, rng_below(rng, 2) ? RENAME_EXCHANGE : 0);
		break;
	case 2:
		pool_readdir(root, 0, sees, NULL);
		break;
	case 3:
		if (pool_lookup(root, name, &pool) == 0) {
			pool_link(pool, root, other);
			pool_get_attributes(pool, &found);
			pool_unref(pool, 1);
		}
		break;
	default:
		if (pool_create(root, name, &attributes, &pool) == 0)
			pool_unref(pool, 1);
		break;
	}
}

static void *race(void *argument)
{
	const struct racer *racer = argument;
	struct rng rng = { .state = racer->number };
	struct pool *root = pool_root(racer->pools), *pool;

	for (int i = 0; i < STEPS; i++) {
		char name[16], other[16];

		snprintf(name, sizeof(name), "%u", (unsigned)rng_below(&rng, NAMES));
		snprintf(other, sizeof(other), "%u", (unsigned)rng_below(&rng, NAMES));
		if (rng_below(&rng, 3) == 0)
			use_names(root, name, other, &rng);
		else if (pool_lookup(root, name, &pool) == 0) {
			use_bytes(pool, &rng);
			pool_unref(pool, 1);
		}
	}
	pool_unref(root, 1);
	return NULL;
}

static void *fail_now_and_then(void *argument)
{
	const struct racer *racer = argument;

	for (uint64_t seed = 1; !*racer->stop; seed++) {
		const struct chooser chooser = { .policy = (enum chooser_policy)(seed % 3), .seed = seed };
		const struct pools_outage outage = { .mappers_are_gone = false };
		struct pools_info info;

		usleep(2000);
		pools_stop(racer->pools);
		pools_decide(racer->pools, &chooser, &outage);
		pools_resume(racer->pools);
		pools_info(racer->pools, &info);
		pools_sync(racer->pools);
	}
	return NULL;
}

static void the_tree_stays_sound_while_all_operations_race(void **state)
{
	struct region *region = pooltest_region("memfd:16M");
	struct pools *pools = pooltest_open(region);
	const struct pools_check_options quiet = { 0 };
	struct pools_check_result result;
	_Atomic bool stop = false;
	struct racer racers[THREADS + 1];
	pthread_t threads[THREADS + 1];
	char *before, *after;

	for (unsigned i = 0; i <= THREADS; i++) {
		racers[i] = (struct racer){ .pools = pools, .number = i + 1, .stop = &stop };
		pthread_create(&threads[i], NULL, i == THREADS ? fail_now_and_then : race, &racers[i]);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	stop = true;
	pthread_join(threads[THREADS], NULL);
	assert_int_equal(pools_sync(pools), 0);
	before = pooltest_fingerprint(pools);
	pools_abandon(pools);
	pools = pooltest_open(region);
	after = pooltest_fingerprint(pools);
	assert_string_equal(before, after);
	free(before);
	free(after);
	assert_int_equal(pools_close(pools, NULL), 0);
	assert_int_equal(pools_check(region, &quiet, &result, NULL), 0);
	assert_int_equal(result.leftovers + result.redundant, 0);
	region_close(region);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_tree_stays_sound_while_all_operations_race),
	};

	return cmocka_run_group_tests_name("race", tests, NULL, NULL);
}
