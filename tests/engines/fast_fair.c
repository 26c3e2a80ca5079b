/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The b+tree FAST&FAIR (Hwang, Kim, Won, Nam: Endurable Transient Inconsistency in Byte-Addressable
 * Persistent B+-Tree, FAST 2018). Entries of a node are sorted and shifted in place by stores of 8
 * bytes. An entry whose pointer is that of the entry before it does not count: so each store leaves a
 * node that can be read. (Before the first entry of a leaf is 0, so there 0 is not the end.) A line is
 * flushed before a shift goes on to the next one. A node that is full gives its upper half to a
 * sibling, which is linked before the parent knows it: a search for a key that the sibling has goes
 * right.
 *
 * There is neither a log nor a count of entries. Readers of the paper take no lock; here they do.
 */

#include <pthread.h>

#include "indexes.h"

#define ENTRIES 30u
#define FULL (ENTRIES - 1) /* behind the last one is a pointer of 0 */

struct entry {
	uint64_t key, pointer; /* of a leaf: the value; else a node with keys from `key` on. 0: the end */
};

struct node {
	uint64_t leftmost; /* a node with the keys before those of the first entry; 0 in a leaf */
	uint64_t sibling;  /* the next node of the level, or 0 */
	uint64_t level;	   /* of a leaf 0 */
	uint64_t low;	   /* keys of this node and those right of it are not less */
	struct entry entries[ENTRIES];
};
_Static_assert(sizeof(struct node) == 8 * INDEX_LINE && offsetof(struct node, entries) % 16 == 0,
	       "no entry is in two lines");

struct root {
	uint64_t node;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct root *root_of(struct index_pool *pool)
{
	return (struct root *)(void *)pool->root;
}

static struct node *node_at(struct index_pool *pool, uint64_t offset)
{
	return index_at(pool, offset);
}

static uint64_t offset_of(struct index_pool *pool, const struct node *node)
{
	return (uint64_t)((const unsigned char *)node - (const unsigned char *)pool);
}

/* ---- Entries --------------------------------------------------------------------------------- */

/* The pointer before entry `i`. */
static uint64_t before(const struct node *node, unsigned i)
{
	return i ? node->entries[i - 1].pointer : node->leftmost;
}

/* Are there no entries from the `i`-th on? */
static bool ends_at(const struct node *node, unsigned i)
{
	return i == ENTRIES || (!node->entries[i].pointer && (i || !node->entries[1].pointer));
}

static bool is_valid(const struct node *node, unsigned i)
{
	return node->entries[i].pointer != before(node, i);
}

static unsigned count_of(const struct node *node)
{
	unsigned count = 0;

	while (!ends_at(node, count))
		count++;
	return count;
}

static bool begins_line(const struct entry *entry)
{
	return (uintptr_t)entry % INDEX_LINE == 0;
}

static bool ends_line(const struct entry *entry)
{
	return begins_line(entry + 1);
}

/* Behind the node's own entries; it is not full. */
static void insert_entry(struct node *node, uint64_t key, uint64_t pointer)
{
	unsigned i = count_of(node);

	if (i + 1 < ENTRIES) {
		index_store(&node->entries[i + 1].pointer, 0);
		if (begins_line(&node->entries[i + 1]))
			index_persist(&node->entries[i + 1], sizeof(struct entry));
	}
	for (; i && node->entries[i - 1].key > key; i--) {
		index_store(&node->entries[i].pointer, node->entries[i - 1].pointer);
		index_store(&node->entries[i].key, node->entries[i - 1].key);
		if (begins_line(&node->entries[i]))
			index_persist(&node->entries[i], sizeof(struct entry));
	}
	index_store(&node->entries[i].pointer, before(node, i));
	index_store(&node->entries[i].key, key);
	index_store(&node->entries[i].pointer, pointer);
	index_persist(&node->entries[i], sizeof(struct entry));
}

static void remove_entry(struct node *node, unsigned i)
{
	const unsigned count = count_of(node);

	index_store(&node->entries[i].pointer, before(node, i));
	for (; i + 1 < count; i++) {
		index_store(&node->entries[i].key, node->entries[i + 1].key);
		index_store(&node->entries[i].pointer, node->entries[i + 1].pointer);
		if (ends_line(&node->entries[i]))
			index_persist(&node->entries[i], sizeof(struct entry));
	}
	index_store(&node->entries[i].pointer, 0);
	index_persist(&node->entries[i], sizeof(struct entry));
}

/* ---- Searches ----------------------------------------------------------------------------------- */

/* The node itself, or one of its siblings. */
static struct node *right_to(struct index_pool *pool, struct node *node, uint64_t key)
{
	while (node->sibling && node_at(pool, node->sibling)->low <= key)
		node = node_at(pool, node->sibling);
	return node;
}

static uint64_t child_of(const struct node *node, uint64_t key)
{
	uint64_t child = node->leftmost;

	for (unsigned i = 0; !ends_at(node, i); i++)
		if (is_valid(node, i) && node->entries[i].key <= key)
			child = node->entries[i].pointer;
	return child;
}

static struct node *descend(struct index_pool *pool, uint64_t key, uint64_t level)
{
	struct node *node = right_to(pool, node_at(pool, root_of(pool)->node), key);

	while (node->level > level)
		node = right_to(pool, node_at(pool, child_of(node, key)), key);
	return node;
}

/* ENTRIES: it is not there. */
static unsigned position_of(const struct node *leaf, uint64_t key)
{
	for (unsigned i = 0; !ends_at(leaf, i); i++)
		if (leaf->entries[i].key == key && is_valid(leaf, i))
			return i;
	return ENTRIES;
}

/* ---- Splits --------------------------------------------------------------------------------------- */

static struct node *new_node(struct index_pool *pool, uint64_t level, uint64_t low)
{
	struct node *node = node_at(pool, index_allocate(pool, sizeof(*node)));

	node->level = level;
	node->low = low;
	return node;
}

/* The upper half, in a node of its own that is linked. */
static struct node *split(struct index_pool *pool, struct node *node)
{
	unsigned middle = count_of(node) / 2, from = middle;
	struct node *upper = new_node(pool, node->level, node->entries[middle].key);

	if (node->level)
		upper->leftmost = node->entries[from++].pointer;
	for (unsigned i = from; !ends_at(node, i); i++)
		upper->entries[i - from] = node->entries[i];
	upper->sibling = node->sibling;
	index_persist(upper, sizeof(*upper));
	index_store(&node->sibling, offset_of(pool, upper));
	index_persist(&node->sibling, sizeof(node->sibling));
	index_store(&node->entries[middle].pointer, 0);
	index_persist(&node->entries[middle], sizeof(struct entry));
	return upper;
}

static void insert_in_level(struct index_pool *pool, uint64_t level, uint64_t key, uint64_t pointer);

static void tell_parent(struct index_pool *pool, struct node *node, struct node *upper)
{
	struct node *root;

	if (node_at(pool, root_of(pool)->node)->level > node->level) {
		insert_in_level(pool, node->level + 1, upper->low, offset_of(pool, upper));
		return;
	}
	root = new_node(pool, node->level + 1, 0);
	/* The first node of the level: a crash may have left siblings that no parent knows. */
	root->leftmost = root_of(pool)->node;
	root->entries[0] = (struct entry){ upper->low, offset_of(pool, upper) };
	index_persist(root, sizeof(*root));
	index_store(&root_of(pool)->node, offset_of(pool, root));
	index_persist(root_of(pool), sizeof(struct root));
}

static void insert_in_level(struct index_pool *pool, uint64_t level, uint64_t key, uint64_t pointer)
{
	struct node *node = descend(pool, key, level), *upper;

	if (count_of(node) < FULL) {
		insert_entry(node, key, pointer);
		return;
	}
	upper = split(pool, node);
	insert_entry(key < upper->low ? node : upper, key, pointer);
	tell_parent(pool, node, upper);
}

/* ---- The index ------------------------------------------------------------------------------------ */

static void create(struct index_pool *pool)
{
	struct node *leaf = new_node(pool, 0, 0);

	if (!index_mistakes("constructor"))
		index_persist(leaf, sizeof(*leaf));
	root_of(pool)->node = offset_of(pool, leaf);
	if (!index_mistakes("constructor"))
		index_persist(root_of(pool), sizeof(struct root));
}

/* What the paper's writers repair when they come across it. */
static void repair(struct index_pool *pool, struct node *node)
{
	const uint64_t end = node->sibling ? node_at(pool, node->sibling)->low : UINT64_MAX;
	unsigned i = 0;

	while (!ends_at(node, i)) {
		if (!is_valid(node, i)) {
			remove_entry(node, i);
		} else if (node->entries[i].key < end) {
			i++;
		} else {
			/* A split was not finished. */
			index_store(&node->entries[i].pointer, 0);
			index_persist(&node->entries[i], sizeof(struct entry));
			return;
		}
	}
}

static void recover(struct index_pool *pool)
{
	struct node *first = node_at(pool, root_of(pool)->node);

	for (;;) {
		for (struct node *node = first;; node = node_at(pool, node->sibling)) {
			repair(pool, node);
			if (!node->sibling)
				break;
		}
		if (!first->level)
			return;
		first = node_at(pool, first->leftmost);
	}
}

static bool insert(struct index_pool *pool, uint64_t key, uint64_t value)
{
	bool is_new;

	pthread_mutex_lock(&lock);
	is_new = position_of(descend(pool, key, 0), key) == ENTRIES;
	if (is_new)
		insert_in_level(pool, 0, key, value);
	pthread_mutex_unlock(&lock);
	return is_new;
}

static uint64_t find(struct index_pool *pool, uint64_t key)
{
	const struct node *leaf;
	uint64_t value;
	unsigned i;

	pthread_mutex_lock(&lock);
	leaf = descend(pool, key, 0);
	i = position_of(leaf, key);
	value = i == ENTRIES ? 0 : leaf->entries[i].pointer;
	pthread_mutex_unlock(&lock);
	return value;
}

static bool remove_key(struct index_pool *pool, uint64_t key)
{
	struct node *leaf;
	unsigned i;

	pthread_mutex_lock(&lock);
	leaf = descend(pool, key, 0);
	i = position_of(leaf, key);
	if (i != ENTRIES)
		remove_entry(leaf, i);
	pthread_mutex_unlock(&lock);
	return i != ENTRIES;
}

const struct index_type index_fast_fair = {
	.name = "fast_fair",
	.magic = 0x7269616674736166,
	.create = create,
	.recover = recover,
	.insert = insert,
	.find = find,
	.remove = remove_key,
};
