/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Level hashing (Zuo, Hua, Wu: Write-Optimized and High-Performance Hashing Index Scheme for Persistent
 * Memory, OSDI 2018). Two levels: the top one has N buckets, the bottom one N/2. A key has two buckets
 * in each. An item is written to a free slot and made durable; then one store to the bucket's word of
 * tokens makes it valid. Where no slot is free, one item of a bucket is moved to its other bucket of
 * the level. Where that does not help, a level of 2N buckets becomes the top, the old top the bottom,
 * and the items of the old bottom are inserted anew: one at a time, so that a crash leaves each item in
 * one place or in two.
 */

#include <err.h>
#include <pthread.h>
#include <string.h>

#include "indexes.h"

#define SLOTS 7u
#define FIRST_BITS 3u /* log2 of the buckets of the first top level */

struct item {
	uint64_t key, value;
};

struct bucket {
	uint64_t tokens; /* bit i: slot i is valid */
	struct item slots[SLOTS];
	uint64_t padding;
};
_Static_assert(sizeof(struct bucket) == 2 * INDEX_LINE, "two lines");

struct levels {
	uint64_t top, bottom; /* arrays of buckets */
	uint64_t bits;	      /* log2 of the buckets of the top */
};

struct root {
	struct levels versions[2];
	uint64_t current; /* which of them is valid */
	uint64_t interim; /* the next top level while it is filled; or 0 */
};
_Static_assert(sizeof(struct root) <= sizeof(((struct index_pool *)0)->root), "it fits");

/* The paper has a lock a slot. Which is taken is of no interest to what is durable. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct root *root_of(struct index_pool *pool)
{
	return (struct root *)(void *)pool->root;
}

static const struct levels *levels_of(struct index_pool *pool)
{
	return &root_of(pool)->versions[root_of(pool)->current];
}

/* The `which`-th bucket (0 or 1) of a key in a level. */
static struct bucket *bucket_of(struct index_pool *pool, uint64_t level, uint64_t bits, uint64_t key,
				unsigned which)
{
	return (struct bucket *)index_at(pool, level) +
	       (index_hash(key, which + 1) & (((uint64_t)1 << bits) - 1));
}

static bool is_valid(const struct bucket *bucket, unsigned slot)
{
	return bucket->tokens >> slot & 1;
}

static void set_token(struct bucket *bucket, unsigned slot, bool valid)
{
	const uint64_t bit = (uint64_t)1 << slot;

	index_store(&bucket->tokens, valid ? bucket->tokens | bit : bucket->tokens & ~bit);
	index_persist(&bucket->tokens, sizeof(bucket->tokens));
}

/* False: no slot is free. */
static bool put(struct bucket *bucket, const struct item *item)
{
	for (unsigned i = 0; i < SLOTS; i++) {
		if (is_valid(bucket, i))
			continue;
		bucket->slots[i] = *item;
		if (index_mistakes("token"))
			set_token(bucket, i, true);
		index_persist(&bucket->slots[i], sizeof(bucket->slots[i]));
		if (!index_mistakes("token"))
			set_token(bucket, i, true);
		return true;
	}
	return false;
}

/* In the emptier of its two buckets. */
static bool put_in_level(struct index_pool *pool, uint64_t level, uint64_t bits, const struct item *item)
{
	struct bucket *one = bucket_of(pool, level, bits, item->key, 0);
	struct bucket *other = bucket_of(pool, level, bits, item->key, 1);

	if (__builtin_popcountll(other->tokens) < __builtin_popcountll(one->tokens))
		return put(other, item) || put(one, item);
	return put(one, item) || put(other, item);
}

/* Move an item of the bucket to its other bucket of the level. */
static bool move_one(struct index_pool *pool, uint64_t level, uint64_t bits, struct bucket *bucket)
{
	for (unsigned i = 0; i < SLOTS; i++) {
		const struct item item = bucket->slots[i];

		for (unsigned which = 0; is_valid(bucket, i) && which < 2; which++) {
			struct bucket *to = bucket_of(pool, level, bits, item.key, which);

			if (to == bucket || !put(to, &item))
				continue;
			set_token(bucket, i, false);
			return true;
		}
	}
	return false;
}

static bool make_room(struct index_pool *pool, uint64_t level, uint64_t bits, uint64_t key)
{
	return move_one(pool, level, bits, bucket_of(pool, level, bits, key, 0)) ||
	       move_one(pool, level, bits, bucket_of(pool, level, bits, key, 1));
}

static struct item *find_in_level(struct index_pool *pool, uint64_t level, uint64_t bits, uint64_t key,
				  struct bucket **in)
{
	for (unsigned which = 0; which < 2; which++) {
		*in = bucket_of(pool, level, bits, key, which);
		for (unsigned i = 0; i < SLOTS; i++)
			if (is_valid(*in, i) && (*in)->slots[i].key == key)
				return &(*in)->slots[i];
	}
	return NULL;
}

static struct item *find_item(struct index_pool *pool, uint64_t key, struct bucket **in)
{
	const struct levels *levels = levels_of(pool);
	struct item *item = find_in_level(pool, levels->top, levels->bits, key, in);

	return item ? item : find_in_level(pool, levels->bottom, levels->bits - 1, key, in);
}

/* ---- Growth ------------------------------------------------------------------------------------ */

static void empty_bucket(struct index_pool *pool, struct bucket *bucket, uint64_t interim, uint64_t bits)
{
	struct bucket *in;

	for (unsigned i = 0; i < SLOTS; i++) {
		if (!is_valid(bucket, i))
			continue;
		/* A crash may have come between the two. */
		if (!find_in_level(pool, interim, bits, bucket->slots[i].key, &in) &&
		    !put_in_level(pool, interim, bits, &bucket->slots[i]))
			errx(1, "a new level is full");
		set_token(bucket, i, false);
	}
}

static void fill_interim(struct index_pool *pool)
{
	struct root *root = root_of(pool);
	const struct levels old = root->versions[root->current];
	struct levels *new = &root->versions[!root->current];
	struct bucket *bottom = index_at(pool, old.bottom);

	for (uint64_t i = 0; i < (uint64_t)1 << (old.bits - 1); i++)
		empty_bucket(pool, &bottom[i], root->interim, old.bits + 1);
	*new = (struct levels){ .top = root->interim, .bottom = old.top, .bits = old.bits + 1 };
	index_persist(new, sizeof(*new));
	index_store(&root->current, !root->current);
	index_persist(&root->current, sizeof(root->current));
	index_store(&root->interim, 0);
	index_persist(&root->interim, sizeof(root->interim));
}

static void grow(struct index_pool *pool)
{
	struct root *root = root_of(pool);
	const uint64_t buckets = (uint64_t)2 << levels_of(pool)->bits;

	index_store(&root->interim, index_allocate(pool, buckets * sizeof(struct bucket)));
	index_persist(&root->interim, sizeof(root->interim));
	fill_interim(pool);
}

/* ---- The index ------------------------------------------------------------------------------------ */

static void create(struct index_pool *pool)
{
	struct root *root = root_of(pool);

	root->versions[0] = (struct levels){
		.top = index_allocate(pool, sizeof(struct bucket) << FIRST_BITS),
		.bottom = index_allocate(pool, sizeof(struct bucket) << (FIRST_BITS - 1)),
		.bits = FIRST_BITS,
	};
	index_persist(root, sizeof(*root));
}

static void recover(struct index_pool *pool)
{
	struct root *root = root_of(pool);

	if (!root->interim)
		return;
	if (root->interim != levels_of(pool)->top) {
		fill_interim(pool);
		return;
	}
	index_store(&root->interim, 0);
	index_persist(&root->interim, sizeof(root->interim));
}

static void insert_new(struct index_pool *pool, const struct item *item)
{
	for (;;) {
		const struct levels levels = *levels_of(pool);

		if (put_in_level(pool, levels.top, levels.bits, item) ||
		    put_in_level(pool, levels.bottom, levels.bits - 1, item))
			return;
		if (!make_room(pool, levels.top, levels.bits, item->key) &&
		    !make_room(pool, levels.bottom, levels.bits - 1, item->key))
			grow(pool);
	}
}

static bool insert(struct index_pool *pool, uint64_t key, uint64_t value)
{
	const struct item item = { key, value };
	struct bucket *in;
	bool is_new;

	pthread_mutex_lock(&lock);
	is_new = !find_item(pool, key, &in);
	if (is_new)
		insert_new(pool, &item);
	pthread_mutex_unlock(&lock);
	return is_new;
}

static uint64_t find(struct index_pool *pool, uint64_t key)
{
	struct bucket *in;
	struct item *item;
	uint64_t value;

	pthread_mutex_lock(&lock);
	item = find_item(pool, key, &in);
	value = item ? item->value : 0;
	pthread_mutex_unlock(&lock);
	return value;
}

static bool remove_key(struct index_pool *pool, uint64_t key)
{
	struct bucket *in;
	struct item *item;
	bool found = false;

	pthread_mutex_lock(&lock);
	/* An item that was moved when a crash came is there twice. */
	while ((item = find_item(pool, key, &in))) {
		set_token(in, (unsigned)(item - in->slots), false);
		found = true;
	}
	pthread_mutex_unlock(&lock);
	return found;
}

const struct index_type index_level_hash = {
	.name = "level_hash",
	.magic = 0x6873614876654c31,
	.create = create,
	.recover = recover,
	.insert = insert,
	.find = find,
	.remove = remove_key,
};
