/* SPDX-License-Identifier: BSD-3-Clause */
#include "explore/state_tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "explore/cut.h"

#define SALT_NAME 4
#define SALT_SIZE 1

struct build {
	const struct explore_walk *walk;
	struct explore_tree *tree;
	struct names_tree *names; /* NULL without a root */
	int error;
};

void explore_tree_destroy(struct explore_tree *tree)
{
	if (!tree)
		return;
	for (size_t i = 0; i < tree->count; i++)
		free(tree->items[i].path);
	free(tree->sizes);
	free(tree->present);
	vector_free(&tree->restored);
	vector_free(&tree->operations);
	vector_free(tree);
	free(tree);
}

static void take_operation(void *context, const struct names_op *op, bool survives)
{
	struct build *build = context;
	const bool is_size = op->kind == NAMES_RESIZE || op->kind == NAMES_APPEND;
	const struct explore_file *file = is_size ? explore_walk_find_file(build->walk, op->inode) : NULL;
	const struct explore_survivor one = { .id = op->id, .survives = survives };

	if (vector_append(&build->tree->operations, one) != 0)
		build->error = -ENOMEM;
	if (!survives && op->note && vector_append(&build->tree->restored, op->note) != 0)
		build->error = -ENOMEM;
	if (!survives)
		return;
	if (file)
		build->tree->sizes[file->index] = op->size;
	else if (build->names && names_tree_apply(build->names, op) != 0)
		build->error = -ENOMEM;
}

static struct explore_digest digest_of_name(const char *path, uint64_t inode, uint64_t attributes)
{
	uint64_t hash = inode;

	for (; *path; path++)
		hash = (hash ^ (unsigned char)*path) * 0x100000001b3u;
	return explore_digest_of(SALT_NAME ^ hash, attributes);
}

static int add_entry(struct explore_tree *tree, const struct explore_tree_entry *entry, const char *path,
		     uint64_t xattrs)
{
	struct explore_tree_entry owned = *entry;

	owned.path = strdup(path);
	if (!owned.path || vector_append(tree, owned) != 0) {
		free(owned.path);
		return -ENOMEM;
	}
	if (entry->file)
		tree->present[entry->file->index] = true;
	tree->digest = explore_digest_add(tree->digest,
					  digest_of_name(path, entry->inode,
							 entry->permissions | xattrs << 12));
	return 0;
}

static int take_name(void *context, const struct walk_names_entry *name)
{
	const struct build *build = context;
	struct explore_tree_entry entry = {
		.kind = name->kind,
		.inode = name->inode,
		.permissions = name->permissions,
		.target = name->target,
		.xattrs = explore_walk_names_xattrs(explore_walk_names(build->walk), name->xattrs),
	};

	if (name->kind == WALK_FILE)
		entry.file = explore_walk_find_file(build->walk, name->inode);
	if (name->kind == WALK_FILE && !entry.file)
		entry.kind = WALK_OTHER;
	return add_entry(build->tree, &entry, name->path, name->xattrs);
}

/* Without a root each file has the path of its definition. */
static int take_files(const struct explore_walk *walk, struct explore_tree *tree)
{
	int error = 0;

	for (size_t i = 0; !error && i < explore_walk_files(walk); i++) {
		struct explore_file *file = explore_walk_file(walk, i);
		const struct explore_tree_entry entry = {
			.kind = WALK_FILE, .inode = file->id, .file = file
		};

		if (!file->removed)
			error = add_entry(tree, &entry, file->path, 0);
	}
	return error;
}

static void take_sizes(const struct explore_walk *walk, struct explore_tree *tree)
{
	for (size_t i = 0; i < explore_walk_files(walk); i++)
		if (tree->present[i])
			tree->digest = explore_digest_add(
				tree->digest,
				explore_digest_of(SALT_SIZE ^ explore_walk_file(walk, i)->address,
						  tree->sizes[i]));
}

/* The newest operation that is lost gives its bytes back first. */
static void reverse_restored(struct explore_tree *tree)
{
	const size_t count = tree->restored.count;

	for (size_t i = 0; i < count / 2; i++) {
		const struct explore_cut *cut = tree->restored.items[i];

		tree->restored.items[i] = tree->restored.items[count - 1 - i];
		tree->restored.items[count - 1 - i] = cut;
	}
}

static int fill(struct build *build)
{
	const struct explore_walk *walk = build->walk;
	const struct walk_names *names = explore_walk_names(walk);
	struct explore_tree *tree = build->tree;
	int error = explore_walk_names_has_root(names) ?
			    names_tree_copy(explore_walk_names_base(names), &build->names) :
			    0;

	for (size_t i = 0; i < explore_walk_files(walk); i++)
		tree->sizes[i] = explore_walk_file(walk, i)->size;
	if (error)
		return error;
	names_visit(explore_walk_names_model(names), build, take_operation);
	reverse_restored(tree);
	error = build->error;
	if (!error && build->names)
		error = explore_walk_names_list(names, build->names, build, take_name);
	else if (!error)
		error = take_files(walk, tree);
	take_sizes(walk, tree);
	names_tree_destroy(build->names);
	return error;
}

int explore_tree_create(const struct explore_walk *walk, enum metadata_mode mode, void *context,
			bool (*wanted)(void *context, const struct names_op *op), struct explore_tree **out)
{
	struct names *model = explore_walk_names_model(explore_walk_names(walk));
	struct build build = { .walk = walk, .tree = calloc(1, sizeof(*build.tree)) };
	struct explore_tree *tree = build.tree;
	int error = tree ? names_choose_wanted(model, mode, context, wanted) : -ENOMEM;

	if (!error) {
		tree->sizes = calloc(explore_walk_files(walk) + 1, sizeof(*tree->sizes));
		tree->present = calloc(explore_walk_files(walk) + 1, sizeof(*tree->present));
		error = tree->sizes && tree->present ? fill(&build) : -ENOMEM;
	}
	if (error)
		explore_tree_destroy(tree);
	else
		*out = tree;
	return error;
}
