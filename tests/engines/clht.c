/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The cache-line hash table with locks in its buckets (David, Guerraoui, Trigonakis: Asynchronized
 * Concurrency, ASPLOS 2015), made persistent as in RECIPE (Lee and others, SOSP 2019). A bucket is one
 * line: a lock, three keys, three values, and the next bucket. An insertion stores the value, then the
 * key, and flushes the line once: a line becomes durable in the order of its stores. A removal stores a
 * key of 0. A chain that becomes long has the whole table copied to one twice as large, to which one
 * store to the root changes.
 */

#include <err.h>
#include <pthread.h>
#include <string.h>

#include "indexes.h"

#define ENTRIES 3u
#define FIRST_BUCKETS 16u
#define CHAIN_MAX 3u /* buckets of a chain that do not yet make the table grow */

struct bucket {
	uint64_t lock; /* 1: taken. After a crash it means nothing */
	uint64_t keys[ENTRIES];
	uint64_t values[ENTRIES];
	uint64_t next;
};
_Static_assert(sizeof(struct bucket) == INDEX_LINE, "one line");

struct table {
	uint64_t buckets; /* a power of two */
	uint64_t padding[7];
	struct bucket first[]; /* of each chain */
};

struct root {
	uint64_t table;
};

/* Shared by operations on the table, exclusive to replace it. */
static pthread_rwlock_t growth = PTHREAD_RWLOCK_INITIALIZER;

static struct root *root_of(struct index_pool *pool)
{
	return (struct root *)(void *)pool->root;
}

static struct table *table_of(struct index_pool *pool)
{
	return index_at(pool, index_load(&root_of(pool)->table));
}

static struct bucket *chain_of(struct table *table, uint64_t key)
{
	return &table->first[index_hash(key, 3) & (table->buckets - 1)];
}

static struct bucket *next_of(struct index_pool *pool, const struct bucket *bucket)
{
	const uint64_t next = index_load(&bucket->next);

	return next ? index_at(pool, next) : NULL;
}

static void take(struct bucket *chain)
{
	uint64_t is_free = 0;

	while (!__atomic_compare_exchange_n(&chain->lock, &is_free, 1, false, __ATOMIC_ACQUIRE,
					    __ATOMIC_RELAXED)) {
		is_free = 0;
		__builtin_ia32_pause();
	}
}

static void give(struct bucket *chain)
{
	__atomic_store_n(&chain->lock, 0, __ATOMIC_RELEASE);
}

/* Where a key is, or, for key 0, where one can be put. */
static uint64_t *entry_of(struct index_pool *pool, struct bucket *chain, uint64_t key, struct bucket **in)
{
	for (*in = chain; *in; *in = next_of(pool, *in))
		for (unsigned i = 0; i < ENTRIES; i++)
			if (index_load(&(*in)->keys[i]) == key)
				return &(*in)->keys[i];
	return NULL;
}

static void put_into(struct bucket *bucket, unsigned entry, uint64_t key, uint64_t value)
{
	index_store(&bucket->values[entry], value);
	index_store(&bucket->keys[entry], key);
	index_persist(bucket, sizeof(*bucket));
}

/* With the chain's lock. Returns how many buckets the chain has. */
static unsigned put(struct index_pool *pool, struct bucket *chain, uint64_t key, uint64_t value)
{
	struct bucket *in, *last = chain, *fresh;
	uint64_t *entry = entry_of(pool, chain, 0, &in), at;
	unsigned length = 1;

	for (; last->next; last = next_of(pool, last))
		length++;
	if (entry) {
		put_into(in, (unsigned)(entry - in->keys), key, value);
		return length;
	}
	at = index_allocate(pool, sizeof(*fresh));
	fresh = index_at(pool, at);
	put_into(fresh, 0, key, value);
	index_store(&last->next, at);
	index_persist(&last->next, sizeof(last->next));
	return length + 1;
}

/* ---- Growth -------------------------------------------------------------------------------- */

static uint64_t allocate_table(struct index_pool *pool, uint64_t buckets)
{
	const uint64_t at = index_allocate(pool, sizeof(struct table) + buckets * sizeof(struct bucket));
	struct table *table = index_at(pool, at);

	table->buckets = buckets;
	index_persist(table, sizeof(*table));
	return at;
}

static void copy_chain(struct index_pool *pool, const struct bucket *chain, struct table *to)
{
	for (const struct bucket *bucket = chain; bucket; bucket = next_of(pool, bucket))
		for (unsigned i = 0; i < ENTRIES; i++)
			if (bucket->keys[i])
				put(pool, chain_of(to, bucket->keys[i]), bucket->keys[i], bucket->values[i]);
}

/* A crash before the last store leaves a table that nothing points to. */
static void grow(struct index_pool *pool, const struct table *seen)
{
	struct table *table;
	uint64_t at;

	pthread_rwlock_wrlock(&growth);
	table = table_of(pool);
	if (table == seen) {
		at = allocate_table(pool, 4 * table->buckets);
		if (index_mistakes("growth")) {
			index_store(&root_of(pool)->table, at);
			index_persist(root_of(pool), sizeof(struct root));
		}
		for (uint64_t i = 0; i < table->buckets; i++)
			copy_chain(pool, &table->first[i], index_at(pool, at));
		index_store(&root_of(pool)->table, at);
		index_persist(root_of(pool), sizeof(struct root));
	}
	pthread_rwlock_unlock(&growth);
}

/* ---- The index -------------------------------------------------------------------------------- */

static void create(struct index_pool *pool)
{
	root_of(pool)->table = allocate_table(pool, FIRST_BUCKETS);
	index_persist(root_of(pool), sizeof(struct root));
}

static void recover(struct index_pool *pool)
{
	struct table *table = table_of(pool);

	for (uint64_t i = 0; i < table->buckets; i++)
		table->first[i].lock = 0;
}

static bool insert(struct index_pool *pool, uint64_t key, uint64_t value)
{
	struct table *table;
	struct bucket *chain, *in;
	unsigned length = 0;
	bool is_new;

	pthread_rwlock_rdlock(&growth);
	table = table_of(pool);
	chain = chain_of(table, key);
	take(chain);
	is_new = !entry_of(pool, chain, key, &in);
	if (is_new)
		length = put(pool, chain, key, value);
	give(chain);
	pthread_rwlock_unlock(&growth);
	if (length > CHAIN_MAX)
		grow(pool, table);
	return is_new;
}

static uint64_t find(struct index_pool *pool, uint64_t key)
{
	struct bucket *in;
	uint64_t *entry, value = 0;

	pthread_rwlock_rdlock(&growth);
	entry = entry_of(pool, chain_of(table_of(pool), key), key, &in);
	/* No key is inserted twice, so the entry that was found can only have been emptied meanwhile. */
	if (entry)
		value = index_load(&in->values[entry - in->keys]);
	if (entry && index_load(entry) != key)
		value = 0;
	pthread_rwlock_unlock(&growth);
	return value;
}

static bool remove_key(struct index_pool *pool, uint64_t key)
{
	struct bucket *chain, *in;
	uint64_t *entry;

	pthread_rwlock_rdlock(&growth);
	chain = chain_of(table_of(pool), key);
	take(chain);
	entry = entry_of(pool, chain, key, &in);
	if (entry) {
		index_store(entry, 0);
		index_persist(entry, sizeof(*entry));
	}
	give(chain);
	pthread_rwlock_unlock(&growth);
	return entry;
}

const struct index_type index_clht = {
	.name = "clht",
	.magic = 0x315448436c50,
	.create = create,
	.recover = recover,
	.insert = insert,
	.find = find,
	.remove = remove_key,
};
