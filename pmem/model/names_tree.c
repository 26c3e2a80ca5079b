/* SPDX-License-Identifier: BSD-3-Clause */
#include "model/names_tree.h"

#include <errno.h>

#include "model/keys.h"

struct tree_entry {
	struct keys_node key;
	uint64_t inode; /* 0: the name is free */
	char name[];
};

struct tree_inode {
	struct keys_node key;
	uint64_t size, attributes;
	bool directory;
};

struct names_tree {
	uint64_t root;
	struct keys entries, inodes;
};

static void free_all(struct keys *keys)
{
	struct keys_node *node;
	size_t bucket = 0;

	while ((node = keys_take_any(keys, &bucket)))
		free(node);
	keys_free(keys);
}

void names_tree_destroy(struct names_tree *tree)
{
	if (!tree)
		return;
	free_all(&tree->entries);
	free_all(&tree->inodes);
	free(tree);
}

int names_tree_create(uint64_t root, struct names_tree **out)
{
	struct names_tree *tree = calloc(1, sizeof(*tree));

	if (!tree)
		return -ENOMEM;
	tree->root = root;
	if (names_tree_inode(tree, root, true, 0) != 0) {
		names_tree_destroy(tree);
		return -ENOMEM;
	}
	*out = tree;
	return 0;
}

/* ---- Inodes and names ------------------------------------------------------------ */

static struct tree_inode *find_inode(const struct names_tree *tree, uint64_t inode)
{
	return (struct tree_inode *)keys_find(&tree->inodes, inode, "");
}

static struct tree_inode *get_inode(struct names_tree *tree, uint64_t number)
{
	struct tree_inode *inode = find_inode(tree, number);

	if (inode)
		return inode;
	if (!keys_reserve(&tree->inodes))
		return NULL;
	inode = calloc(1, sizeof(*inode));
	if (inode)
		keys_add(&tree->inodes, &inode->key, number, "");
	return inode;
}

int names_tree_inode(struct names_tree *tree, uint64_t number, bool directory, uint64_t attributes)
{
	struct tree_inode *inode = find_inode(tree, number);

	if (inode)
		return 0;
	inode = get_inode(tree, number);
	if (!inode)
		return -ENOMEM;
	inode->directory = directory;
	inode->attributes = attributes;
	return 0;
}

uint64_t names_tree_lookup(const struct names_tree *tree, uint64_t dir, const char *name)
{
	const struct tree_entry *entry = (struct tree_entry *)keys_find(&tree->entries, dir, name);

	return entry ? entry->inode : 0;
}

/* The name is the inode's from now on, or nobody's if that is 0. */
static int set_name(struct names_tree *tree, uint64_t dir, const char *name, uint64_t inode)
{
	struct tree_entry *entry = (struct tree_entry *)keys_find(&tree->entries, dir, name);
	const size_t size = strlen(name) + 1;

	if (entry && !inode) {
		keys_remove(&tree->entries, &entry->key);
		free(entry);
		return 0;
	}
	if (entry) {
		entry->inode = inode;
		return 0;
	}
	if (!inode)
		return 0;
	if (!keys_reserve(&tree->entries))
		return -ENOMEM;
	entry = malloc(sizeof(*entry) + size);
	if (!entry)
		return -ENOMEM;
	memcpy(entry->name, name, size);
	entry->inode = inode;
	keys_add(&tree->entries, &entry->key, dir, entry->name);
	return 0;
}

static int set_size(struct names_tree *tree, uint64_t number, uint64_t size)
{
	struct tree_inode *inode = get_inode(tree, number);

	if (!inode)
		return -ENOMEM;
	inode->size = size;
	return 0;
}

static int set_attributes(struct names_tree *tree, uint64_t number, uint64_t attributes)
{
	struct tree_inode *inode = get_inode(tree, number);

	if (!inode)
		return -ENOMEM;
	inode->attributes = attributes;
	return 0;
}

int names_tree_apply(struct names_tree *tree, const struct names_op *op)
{
	int error = 0;

	switch (op->kind) {
	case NAMES_CREATE:
	case NAMES_TMPFILE:
		error = names_tree_inode(tree, op->inode, op->directory, op->attributes);
		if (!error && op->kind == NAMES_CREATE)
			error = set_name(tree, op->dir, op->name, op->inode);
		break;
	case NAMES_LINK:
		error = set_name(tree, op->dir, op->name, op->inode);
		break;
	case NAMES_UNLINK:
	case NAMES_RMDIR:
		error = set_name(tree, op->dir, op->name, 0);
		break;
	case NAMES_RENAME:
	case NAMES_EXCHANGE:
		error = set_name(tree, op->dir, op->name, op->kind == NAMES_EXCHANGE ? op->other : 0);
		if (!error)
			error = set_name(tree, op->to_dir, op->to_name, op->inode);
		break;
	case NAMES_RESIZE:
	case NAMES_APPEND:
		error = set_size(tree, op->inode, op->size);
		break;
	case NAMES_SETATTR:
		error = set_attributes(tree, op->inode, op->attributes);
		break;
	case NAMES_BIND:
		break;
	}
	return error;
}

/* ---- The whole tree -------------------------------------------------------------- */

int names_tree_copy(const struct names_tree *tree, struct names_tree **out)
{
	struct names_tree *copy = NULL;
	int error = names_tree_create(tree->root, &copy);

	for (size_t i = 0; !error && i < tree->inodes.capacity; i++)
		for (struct keys_node *node = tree->inodes.buckets[i]; !error && node; node = node->next) {
			const struct tree_inode *inode = (struct tree_inode *)node;

			error = names_tree_inode(copy, node->number, inode->directory, inode->attributes);
			if (!error)
				error = set_size(copy, node->number, inode->size);
			if (!error)
				error = set_attributes(copy, node->number, inode->attributes);
		}
	for (size_t i = 0; !error && i < tree->entries.capacity; i++)
		for (struct keys_node *node = tree->entries.buckets[i]; !error && node; node = node->next)
			error = set_name(copy, node->number, node->name, ((struct tree_entry *)node)->inode);
	if (error)
		names_tree_destroy(copy);
	else
		*out = copy;
	return error;
}

static int compare_entries(const void *a, const void *b)
{
	const struct names_entry *left = a, *right = b;

	if (left->dir != right->dir)
		return left->dir < right->dir ? -1 : 1;
	return strcmp(left->name, right->name);
}

static int add_all(const struct names_tree *tree, struct names_entries *all)
{
	if (vector_reserve(all, tree->entries.count) != 0)
		return -ENOMEM;
	for (size_t i = 0; i < tree->entries.capacity; i++)
		for (struct keys_node *node = tree->entries.buckets[i]; node; node = node->next) {
			const uint64_t number = ((struct tree_entry *)node)->inode;
			const struct tree_inode *inode = find_inode(tree, number);

			all->items[all->count++] = (struct names_entry){
				.dir = node->number,
				.inode = number,
				.name = node->name,
				.size = inode ? inode->size : 0,
				.attributes = inode ? inode->attributes : 0,
				.directory = inode && inode->directory,
			};
		}
	if (all->count)
		qsort(all->items, all->count, sizeof(*all->items), compare_entries);
	return 0;
}

size_t names_entries_find(const struct names_entries *all, uint64_t dir)
{
	size_t low = 0, high = all->count;

	while (low < high) {
		const size_t middle = low + (high - low) / 2;

		if (all->items[middle].dir < dir)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Add the entries of a directory, and below; a directory that contains itself is entered once. */
static int add_reachable(const struct names_tree *tree, const struct names_entries *all,
			 struct names_entries *entries)
{
	CLEANUP_VECTOR VECTOR(uint64_t) dirs = { 0 };
	struct keys seen = { 0 };
	int error = vector_append(&dirs, tree->root);

	while (!error && dirs.count) {
		const uint64_t dir = dirs.items[--dirs.count];
		struct keys_node *node;

		if (keys_find(&seen, dir, ""))
			continue;
		node = keys_reserve(&seen) ? malloc(sizeof(*node)) : NULL;
		if (!node) {
			error = -ENOMEM;
			break;
		}
		keys_add(&seen, node, dir, "");
		for (size_t i = names_entries_find(all, dir);
		     !error && i < all->count && all->items[i].dir == dir; i++) {
			error = vector_append(entries, all->items[i]);
			if (!error && all->items[i].directory)
				error = vector_append(&dirs, all->items[i].inode);
		}
	}
	free_all(&seen);
	return error;
}

int names_tree_list(const struct names_tree *tree, struct names_entries *entries)
{
	struct names_entries all = { 0 };
	int error = add_all(tree, &all);

	if (!error)
		error = add_reachable(tree, &all, entries);
	if (!error && entries->count)
		qsort(entries->items, entries->count, sizeof(*entries->items), compare_entries);
	vector_free(&all);
	return error;
}
