/* SPDX-License-Identifier: BSD-3-Clause */

/* The mistakes of published.h that are on libpmemobj. */

#include <err.h>
#include <libpmemobj.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "published.h"

#define LAYOUT "published"
#define BUCKETS 8u
#define LINE 64u

/* The arrays keep what is before and after them in different lines. */
struct map {
	uint64_t multiplier; /* of the hash function; odd */
	unsigned char apart[2 * LINE];
	PMEMoid buckets;
	unsigned char apart_too[2 * LINE];
	uint64_t count, count_is_dirty;
};

struct root {
	PMEMoid tree;
	struct map map;
};

static PMEMobjpool *pool;
static PMEMoid root_oid;

static struct root *root(void)
{
	return pmemobj_direct(root_oid);
}

static void take_root(void)
{
	root_oid = pmemobj_root(pool, sizeof(struct root));
	if (OID_IS_NULL(root_oid))
		errx(2, "no root: %s", pmemobj_errormsg());
}

static void create_pool(const char *path)
{
	pool = pmemobj_create(path, LAYOUT, PMEMOBJ_MIN_POOL, 0600);
	if (!pool)
		errx(2, "%s: %s", path, pmemobj_errormsg());
	take_root();
}

static void create(const char *path)
{
	create_pool(path);
	pmemobj_close(pool);
}

static bool open_pool(const char *path)
{
	pool = pmemobj_open(path, LAYOUT);
	if (!pool)
		return false;
	take_root();
	return true;
}

static void open_whole(const char *path)
{
	if (!open_pool(path))
		errx(1, "%s: %s", path, pmemobj_errormsg());
}

/* ---- Transactions ------------------------------------------------------------------------- */

static void begin(void)
{
	if (pmemobj_tx_begin(pool, NULL, TX_PARAM_NONE) != 0)
		errx(2, "no transaction: %s", pmemobj_errormsg());
}

static void commit(void)
{
	pmemobj_tx_commit();
	if (pmemobj_tx_end() != 0)
		errx(2, "the transaction is aborted: %s", pmemobj_errormsg());
}

static void snapshot(PMEMoid oid, size_t size)
{
	if (pmemobj_tx_add_range(oid, 0, size) != 0)
		errx(2, "no snapshot: %s", pmemobj_errormsg());
}

static PMEMoid allocate(size_t size)
{
	const PMEMoid oid = pmemobj_tx_zalloc(size, 1);

	if (OID_IS_NULL(oid))
		errx(2, "no memory: %s", pmemobj_errormsg());
	return oid;
}

static void set_tree(PMEMoid tree)
{
	snapshot(root_oid, sizeof(PMEMoid));
	root()->tree = tree;
}

/* Each step is a transaction that inserts a key. */
static void insert_all(const char *path, void (*insert)(uint64_t key), const uint64_t *keys,
		       void (*done)(unsigned step))
{
	open_whole(path);
	for (unsigned step = 1; step <= published_steps; step++) {
		begin();
		insert(keys[step - 1]);
		commit();
		done(step);
	}
	pmemobj_close(pool);
}

/* The number of steps, if those are the keys that they insert. */
static unsigned steps_of(uint64_t seen, const uint64_t *keys)
{
	const unsigned count = (unsigned)__builtin_popcountll(seen);

	for (unsigned i = 0; i < count; i++)
		if (!(seen >> keys[i] & 1))
			errx(1, "key %u is lost", (unsigned)keys[i]);
	return count;
}

/* A key of the tree, in ascending order. */
static void see(uint64_t key, uint64_t *seen)
{
	if (!key || key > PUBLISHED_STEPS)
		errx(1, "the tree has a key that was never inserted");
	if (*seen >> key)
		errx(1, "key %u is there twice, or out of order", (unsigned)key);
	*seen |= (uint64_t)1 << key;
}

/* ---- split: a B-tree whose nodes have up to three keys ------------------------------------- */

#define KEYS 3u

struct node {
	uint64_t count, keys[KEYS];
	PMEMoid children[KEYS + 1];
};

static struct node *node_at(PMEMoid oid)
{
	return pmemobj_direct(oid);
}

static void insert_at(PMEMoid oid, unsigned at, uint64_t key, PMEMoid right)
{
	struct node *node = node_at(oid);

	snapshot(oid, sizeof(*node));
	for (unsigned i = (unsigned)node->count; i > at; i--) {
		node->keys[i] = node->keys[i - 1];
		node->children[i + 1] = node->children[i];
	}
	node->keys[at] = key;
	node->children[at + 1] = right;
	node->count++;
}

/* The full child goes into two, and its middle key into the parent. */
static void split_child(PMEMoid parent, unsigned at)
{
	const PMEMoid full = node_at(parent)->children[at], right = allocate(sizeof(struct node));
	struct node *from = node_at(full), *to = node_at(right);

	if (published_mended)
		snapshot(full, sizeof(struct node));
	to->keys[0] = from->keys[2];
	to->children[0] = from->children[2];
	to->children[1] = from->children[3];
	to->count = 1;
	from->count = 1;
	insert_at(parent, at, from->keys[1], right);
}

static void split_insert(uint64_t key)
{
	PMEMoid at = root()->tree;

	if (OID_IS_NULL(at)) {
		at = allocate(sizeof(struct node));
		set_tree(at);
	}
	if (node_at(at)->count == KEYS) {
		const PMEMoid top = allocate(sizeof(struct node));

		node_at(top)->children[0] = at;
		split_child(top, 0);
		set_tree(top);
		at = top;
	}
	for (;;) {
		unsigned i = 0;

		while (i < node_at(at)->count && node_at(at)->keys[i] < key)
			i++;
		if (OID_IS_NULL(node_at(at)->children[0])) {
			insert_at(at, i, key, OID_NULL);
			return;
		}
		if (node_at(node_at(at)->children[i])->count == KEYS) {
			split_child(at, i);
			i += node_at(at)->keys[i] < key;
		}
		at = node_at(at)->children[i];
	}
}

static void split_walk(PMEMoid oid, uint64_t *seen)
{
	const struct node *node = node_at(oid);

	if (!node)
		return;
	for (unsigned i = 0; i < node->count; i++) {
		split_walk(node->children[i], seen);
		see(node->keys[i], seen);
	}
	split_walk(node->children[node->count], seen);
}

static const uint64_t ascending[PUBLISHED_STEPS] = { 1, 2, 3, 4, 5, 6, 7, 8 };

static void split_work(const char *path, void (*done)(unsigned step))
{
	insert_all(path, split_insert, ascending, done);
}

static unsigned split_check(const char *path)
{
	uint64_t seen = 0;

	open_whole(path);
	split_walk(root()->tree, &seen);
	return steps_of(seen, ascending);
}

const struct published published_split = { "split", create, split_work, split_check };

/* ---- slot: a binary tree with parents, without the colours -------------------------------- */

struct leaf {
	uint64_t key;
	PMEMoid parent, slots[2];
};

static struct leaf *leaf_at(PMEMoid oid)
{
	return pmemobj_direct(oid);
}

static void slot_insert(uint64_t key)
{
	const PMEMoid added = allocate(sizeof(struct leaf));
	PMEMoid parent = OID_NULL, next = root()->tree;

	while (!OID_IS_NULL(next)) {
		parent = next;
		next = leaf_at(parent)->slots[leaf_at(parent)->key < key];
	}
	leaf_at(added)->key = key;
	leaf_at(added)->parent = parent;
	if (OID_IS_NULL(parent)) {
		set_tree(added);
		return;
	}
	if (published_mended)
		snapshot(parent, sizeof(struct leaf));
	leaf_at(parent)->slots[leaf_at(parent)->key < key] = added;
}

static void slot_walk(PMEMoid oid, PMEMoid parent, uint64_t *seen)
{
	const struct leaf *leaf = leaf_at(oid);

	if (!leaf)
		return;
	if (!OID_EQUALS(leaf->parent, parent))
		errx(1, "a leaf has another parent");
	slot_walk(leaf->slots[0], oid, seen);
	see(leaf->key, seen);
	slot_walk(leaf->slots[1], oid, seen);
}

static const uint64_t mixed[PUBLISHED_STEPS] = { 5, 2, 8, 1, 4, 7, 3, 6 };

static void slot_work(const char *path, void (*done)(unsigned step))
{
	insert_all(path, slot_insert, mixed, done);
}

static unsigned slot_check(const char *path)
{
	uint64_t seen = 0;

	open_whole(path);
	slot_walk(root()->tree, OID_NULL, &seen);
	return steps_of(seen, mixed);
}

const struct published published_slot = { "slot", create, slot_work, slot_check };

/* ---- A hash map of atomic allocations ----------------------------------------------------- */

struct buckets {
	PMEMoid heads[BUCKETS];
};

struct entry {
	uint64_t key;
	PMEMoid next;
};

static struct map *map(void)
{
	return &root()->map;
}

static void persist(const void *at, size_t size)
{
	pmemobj_persist(pool, at, size);
}

static unsigned bucket_of(uint64_t key)
{
	return (unsigned)(key * map()->multiplier >> 61) % BUCKETS;
}

/* The allocator publishes the buckets. */
static void create_map(bool numbers_first)
{
	map()->multiplier = 0x9e3779b97f4a7c15u;
	if (numbers_first)
		persist(&map()->multiplier, sizeof(map()->multiplier));
	if (pmemobj_zalloc(pool, &map()->buckets, sizeof(struct buckets), 2) != 0)
		errx(2, "no buckets: %s", pmemobj_errormsg());
	if (!numbers_first)
		persist(&map()->multiplier, sizeof(map()->multiplier));
}

static int construct(PMEMobjpool *in, void *object, void *argument)
{
	*(struct entry *)object = *(const struct entry *)argument;
	pmemobj_persist(in, object, sizeof(struct entry));
	return 0;
}

static void count_as_dirty(uint64_t is_dirty)
{
	map()->count_is_dirty = is_dirty;
	persist(&map()->count_is_dirty, sizeof(map()->count_is_dirty));
}

static void add_entry(uint64_t key)
{
	struct buckets *buckets = pmemobj_direct(map()->buckets);
	PMEMoid *head = &buckets->heads[bucket_of(key)];
	struct entry entry = { key, *head };

	count_as_dirty(1);
	if (pmemobj_alloc(pool, head, sizeof(entry), 3, construct, &entry) != 0)
		errx(2, "no entry: %s", pmemobj_errormsg());
	map()->count++;
	persist(&map()->count, sizeof(map()->count));
	count_as_dirty(0);
}

static unsigned count_entries(void)
{
	const struct buckets *buckets = pmemobj_direct(map()->buckets);
	uint64_t seen = 0;

	for (unsigned i = 0; buckets && i < BUCKETS; i++) {
		const struct entry *entry = pmemobj_direct(buckets->heads[i]);

		for (; entry; entry = pmemobj_direct(entry->next)) {
			if (entry->key > PUBLISHED_STEPS || bucket_of(entry->key) != i)
				errx(1, "an entry is in the wrong bucket");
			seen |= (uint64_t)1 << entry->key;
		}
	}
	return steps_of(seen, ascending);
}

static void recount(void)
{
	if (!map()->count_is_dirty)
		return;
	map()->count = count_entries();
	persist(&map()->count, sizeof(map()->count));
	count_as_dirty(0);
}

static void add_all(void (*done)(unsigned step))
{
	for (unsigned step = 1; step <= published_steps; step++) {
		add_entry(step);
		done(step);
	}
}

static void map_work(const char *path, void (*done)(unsigned step), bool numbers_first)
{
	open_whole(path);
	create_map(numbers_first);
	add_all(done);
	pmemobj_close(pool);
}

/* create: the map that it leaves may be used, so it must be whole. */

static void create_work(const char *path, void (*done)(unsigned step))
{
	map_work(path, done, published_mended);
}

static unsigned create_check(const char *path)
{
	open_whole(path);
	recount();
	if (!OID_IS_NULL(map()->buckets) && !map()->multiplier)
		errx(1, "the map has buckets, and no hash function");
	return count_entries();
}

const struct published published_create = { "create", create, create_work, create_check };

/* recount: who opens the map does not recover it. */

static void recount_work(const char *path, void (*done)(unsigned step))
{
	map_work(path, done, true);
}

static unsigned recount_check(const char *path)
{
	unsigned count;

	open_whole(path);
	if (published_mended)
		recount();
	count = count_entries();
	if (count != map()->count)
		errx(1, "the map has %u entries, and counts %u", count, (unsigned)map()->count);
	return count;
}

const struct published published_recount = { "recount", create, recount_work, recount_check };

/*
 * open: the recorded run creates the pool. The check creates it again if it cannot be opened, or if the file
 * is empty: pmemobj_open() of 1.12.1 does not refuse an empty file, it dies of SIGBUS.
 */

static void open_work(const char *path, void (*done)(unsigned step))
{
	create_pool(path);
	create_map(true);
	add_all(done);
	pmemobj_close(pool);
}

static unsigned open_check(const char *path)
{
	struct stat status;

	if (stat(path, &status) != 0 || !status.st_size || !open_pool(path))
		return 0;
	if (published_mended && OID_IS_NULL(map()->buckets))
		create_map(true);
	recount();
	if (OID_IS_NULL(map()->buckets))
		errx(1, "the pool can be opened, and has no buckets");
	return count_entries();
}

const struct published published_open = { "open", NULL, open_work, open_check };
