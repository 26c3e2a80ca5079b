/* SPDX-License-Identifier: BSD-3-Clause */
#include "explore/walk_names.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/rng.h"
#include "common/vector.h"
#include "model/names_tree.h"
#include "trace/catalog.h"

#define TYPE_BITS 0170000
#define TYPE_DIRECTORY 0040000

struct walk_names {
	struct names_tree *tree; /* NULL until there is a root */
	uint64_t root;
	bool changed;
	/* As of explore_walk_names_settle(). */
	uint64_t hash;
	VECTOR(char *) directories;
};

struct walk_names *explore_walk_names_create(void)
{
	return calloc(1, sizeof(struct walk_names));
}

static void forget_directories(struct walk_names *names)
{
	for (size_t i = 0; i < names->directories.count; i++)
		free(names->directories.items[i]);
	names->directories.count = 0;
}

void explore_walk_names_destroy(struct walk_names *names)
{
	if (!names)
		return;
	forget_directories(names);
	vector_free(&names->directories);
	names_tree_destroy(names->tree);
	free(names);
}

/* ---- Events ---------------------------------------------------------------------------- */

/* Names in a trace end without a NUL. */
static void copy_name(const struct trace_bytes *name, char text[TRACE_NAME_MAX + 1])
{
	const size_t length = name->length < TRACE_NAME_MAX ? name->length : TRACE_NAME_MAX;

	memcpy(text, name->at, length);
	text[length] = '\0';
}

static int take_file(struct walk_names *names, const struct trace_event *event)
{
	const bool directory = (event->node.attributes.mode & TYPE_BITS) == TYPE_DIRECTORY;

	if (!names->tree && directory && event->node.path.length == 1 && event->node.path.at[0] == '/') {
		names->root = event->file;
		return names_tree_create(event->file, &names->tree);
	}
	return names->tree ? names_tree_inode(names->tree, event->file, directory, 0) : 0;
}

static int take_name(struct walk_names *names, const struct trace_event *event, enum names_kind kind)
{
	char text[TRACE_NAME_MAX + 1];
	const struct names_op op = {
		.kind = kind,
		.directory = event->kind == TRACE_MKDIR,
		.inode = event->file,
		.dir = event->name.parent,
		.name = text,
	};
	int error = 0;

	copy_name(&event->name.name, text);
	if (kind == NAMES_CREATE)
		error = names_tree_inode(names->tree, op.inode, op.directory, 0);
	return error ? error : names_tree_apply(names->tree, &op);
}

static int take_rename(struct walk_names *names, const struct trace_event *event)
{
	char from[TRACE_NAME_MAX + 1], to[TRACE_NAME_MAX + 1];
	const struct names_op op = {
		.kind = event->op & RENAME_EXCHANGE ? NAMES_EXCHANGE : NAMES_RENAME,
		.inode = event->file,
		.dir = event->rename.parent,
		.name = from,
		.to_dir = event->rename.new_parent,
		.to_name = to,
		.other = event->rename.replaced,
	};

	copy_name(&event->rename.name, from);
	copy_name(&event->rename.new_name, to);
	return names_tree_apply(names->tree, &op);
}

int explore_walk_names_take(struct walk_names *names, const struct trace_event *event)
{
	if (event->kind == TRACE_FILE)
		return take_file(names, event);
	if (!names->tree)
		return 0;
	switch (event->kind) {
	case TRACE_CREATE:
	case TRACE_MKDIR:
	case TRACE_MKFIFO:
	case TRACE_SYMLINK:
		names->changed = true;
		return take_name(names, event, NAMES_CREATE);
	case TRACE_NAME:
	case TRACE_LINK:
		names->changed = true;
		return take_name(names, event, NAMES_LINK);
	case TRACE_UNLINK:
		names->changed = true;
		return take_name(names, event, NAMES_UNLINK);
	case TRACE_RMDIR:
		names->changed = true;
		return take_name(names, event, NAMES_RMDIR);
	case TRACE_RENAME:
		names->changed = true;
		return take_rename(names, event);
	default:
		return 0;
	}
}

/* ---- Paths ----------------------------------------------------------------------------- */

bool explore_walk_names_changed(const struct walk_names *names)
{
	return names->changed;
}

struct listing {
	struct walk_names *names;
	struct names_entries entries; /* by ascending directory */
	void *context;
	int (*file)(void *context, const char *path, uint64_t id);
};

static uint64_t hash_of(const char *path, uint64_t id)
{
	uint64_t hash = id;

	for (; *path; path++)
		hash = rng_mix(hash ^ (unsigned char)*path);
	return hash;
}

static int list_entry(const struct listing *listing, const char *path, const struct names_entry *entry)
{
	struct walk_names *names = listing->names;
	char *copy;

	names->hash += hash_of(path, entry->inode);
	if (!entry->directory)
		return listing->file(listing->context, path, entry->inode);
	copy = strdup(path);
	if (copy && vector_append(&names->directories, copy) == 0)
		return 0;
	free(copy);
	return -ENOMEM;
}

/* `path` has the directory's, of `length` bytes. One that is too long is left out, and what is below it. */
static int list_directory(const struct listing *listing, uint64_t dir, char *path, size_t length)
{
	int error = 0;

	for (size_t i = names_entries_find(&listing->entries, dir);
	     !error && i < listing->entries.count; i++) {
		const struct names_entry *entry = &listing->entries.items[i];
		const size_t room = TRACE_PATH_MAX + 1 - length;
		size_t more;

		if (entry->dir != dir)
			break;
		more = (size_t)snprintf(path + length, room, "%s%s", length ? "/" : "", entry->name);
		if (more >= room)
			continue;
		error = list_entry(listing, path, entry);
		if (!error && entry->directory)
			error = list_directory(listing, entry->inode, path, length + more);
	}
	path[length] = '\0';
	return error;
}

int explore_walk_names_settle(struct walk_names *names, void *context,
			      int (*file)(void *context, const char *path, uint64_t id))
{
	struct listing listing = { .names = names, .context = context, .file = file };
	char path[TRACE_PATH_MAX + 1] = "";
	int error;

	names->changed = false;
	names->hash = 0;
	forget_directories(names);
	if (!names->tree)
		return 0;
	error = names_tree_list(names->tree, &listing.entries);
	if (!error)
		error = list_directory(&listing, names->root, path, 0);
	vector_free(&listing.entries);
	return error;
}

uint64_t explore_walk_names_hash(const struct walk_names *names)
{
	return names->hash;
}

size_t explore_walk_names_directories(const struct walk_names *names)
{
	return names->directories.count;
}

const char *explore_walk_names_directory(const struct walk_names *names, size_t index)
{
	return names->directories.items[index];
}
