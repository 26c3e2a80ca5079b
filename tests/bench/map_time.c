/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * map_time KIND POOL [COUNT]: insertions per second into a map of PMDK's examples. Keys are random, each
 * has a value of 64 bytes, and each insertion is a transaction. Creates a pool of 256 MiB. Built together
 * with the examples by bench.sh.
 */

#include <ex_common.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "map.h"
#include "map_btree.h"
#include "map_ctree.h"
#include "map_hashmap_tx.h"

#define POOL_BYTES ((size_t)256 << 20)
#define VALUE_BYTES 64

struct root {
	TOID(struct map) map;
};

static const struct kind {
	const char *name;
	const struct map_ops *ops;
} kinds[] = { { "btree", MAP_BTREE }, { "ctree", MAP_CTREE }, { "hashmap_tx", MAP_HASHMAP_TX } };

static const struct map_ops *ops_of(const char *name)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (strcmp(kinds[i].name, name) == 0)
			return kinds[i].ops;
	return NULL;
}

static void die(const char *what)
{
	fprintf(stderr, "map_time: %s: %s\n", what, pmemobj_errormsg());
	exit(1);
}

/* The same keys in each run, without duplicates. */
static uint64_t key_of(uint64_t i)
{
	return (i + 1) * 0x9e3779b97f4a7c15u;
}

/* Key and value become durable together. */
static void insert(struct map_ctx *context, TOID(struct map) map, uint64_t from, uint64_t to)
{
	for (uint64_t i = from; i < to; i++) {
		TX_BEGIN(context->pop) {
			PMEMoid value = pmemobj_tx_alloc(VALUE_BYTES, 1);

			memset(pmemobj_direct(value), (int)i, VALUE_BYTES);
			if (map_insert(context, map, key_of(i), value) != 0)
				die("insert");
		} TX_ONABORT {
			die("transaction");
		} TX_END
	}
}

int main(int argc, char **argv)
{
	const struct map_ops *ops = argc >= 3 ? ops_of(argv[1]) : NULL;
	uint64_t count = argc > 3 ? strtoull(argv[3], NULL, 10) : 100000;
	struct timespec from, to;
	struct map_ctx *context;
	PMEMobjpool *pool;
	struct root *root;
	double taken;

	if (!ops) {
		fprintf(stderr, "usage: map_time btree|ctree|hashmap_tx POOL [COUNT]\n");
		return 2;
	}
	pool = pmemobj_create(argv[2], "map_time", POOL_BYTES, CREATE_MODE_RW);
	if (!pool)
		die(argv[2]);
	root = pmemobj_direct(pmemobj_root(pool, sizeof(*root)));
	context = map_ctx_init(ops, pool);
	if (!context || map_create(context, &root->map, NULL) != 0)
		die("create");
	/* The first chunks of the allocator would distort the result. */
	insert(context, root->map, 0, count / 8);
	clock_gettime(CLOCK_MONOTONIC, &from);
	insert(context, root->map, count / 8, count);
	clock_gettime(CLOCK_MONOTONIC, &to);
	for (uint64_t i = 0; i < count; i++)
		if (!map_lookup(context, root->map, key_of(i)))
			die("a key is not there");
	taken = (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
	printf("%.0f\n", (double)(count - count / 8) / taken);
	map_ctx_free(context);
	pmemobj_close(pool);
	return 0;
}
