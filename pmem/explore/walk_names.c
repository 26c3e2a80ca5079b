/* SPDX-License-Identifier: BSD-3-Clause */
#include "explore/walk_names.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "explore/xattr_sets.h"
#include "trace/catalog.h"
#include "trace/idmap.h"

#define TYPE_BITS 0170000
#define TYPE_DIRECTORY 0040000
#define TYPE_REGULAR 0100000
#define TYPE_SYMLINK 0120000
#define PERMISSIONS 0777
/* The model's attributes of a file: its permissions, and above them the number of its extended ones. */
#define XATTRS_SHIFT 12
_Static_assert(EXPLORE_XATTRS_BITS + XATTRS_SHIFT <= 64, "they fit");

/* What an inode is. It never changes, but for the permissions and the extended attributes. */
struct walk_inode {
	uint32_t type;
	uint32_t permissions; /* as programs see them */
	uint64_t xattrs;      /* the same; the number of a set */
	uint32_t metadata;    /* its mode by TRACE_RULES */
	char *target;
};

struct walk_names {
	struct walk_names_options options;
	struct names *model;
	struct names_tree *now, *base; /* NULL until there is a root */
	uint64_t root;
	uint64_t generation;
	struct idmap inodes; /* struct walk_inode */
	struct explore_xattr_sets xattrs;
	int failed;	     /* of a commit */
	bool da_alloc;	     /* TRACE_INFO_DA_ALLOC */
	bool regions;	     /* TRACE_INFO_REGIONS */
	bool unrooted;	     /* there were names, and no root before them */
	bool own_modes; /* TRACE_INFO_OWN_METADATA: the model is of METADATA_STRICT, operations have modes */
};

static void commit(void *context, const struct names_op *op)
{
	struct walk_names *names = context;

	names->generation++;
	names->options.commit(names->options.context, op);
	if (names->base && op->kind != NAMES_RESIZE && op->kind != NAMES_APPEND &&
	    names_tree_apply(names->base, op) != 0)
		names->failed = -ENOMEM;
}

enum metadata_mode explore_walk_names_mode(const struct walk_names *names)
{
	return names->own_modes ? METADATA_STRICT : names->options.mode;
}

static int create_model(struct walk_names *names)
{
	const struct names_options options = { .mode = explore_walk_names_mode(names),
					       .auto_da_alloc = names->da_alloc,
					       .commit = commit,
					       .context = names };

	return names_create(&options, &names->model);
}

int explore_walk_names_create(const struct walk_names_options *options, struct walk_names **out)
{
	struct walk_names *names = calloc(1, sizeof(*names));
	int error;

	if (!names)
		return -ENOMEM;
	names->options = *options;
	error = create_model(names);
	if (error)
		free(names);
	else
		*out = names;
	return error;
}

static void inode_free(void *value)
{
	struct walk_inode *inode = value;

	free(inode->target);
	free(inode);
}

void explore_walk_names_destroy(struct walk_names *names)
{
	if (!names)
		return;
	names_destroy(names->model);
	names_tree_destroy(names->now);
	names_tree_destroy(names->base);
	idmap_clear(&names->inodes, inode_free);
	explore_xattrs_clear(&names->xattrs);
	free(names);
}

/* ---- Modes ------------------------------------------------------------------------------ */

static enum metadata_mode mode_of(const struct walk_names *names, uint64_t number)
{
	const struct walk_inode *inode = idmap_get(&names->inodes, number);

	return inode && inode->metadata ? (enum metadata_mode)(inode->metadata - 1) : names->options.mode;
}

/* Of what directories promise, the stronger one counts; of a link, that of the file after it. */
static enum metadata_mode mode_of_operation(const struct walk_names *names, const struct names_op *op)
{
	if (!op->dir || op->kind == NAMES_LINK)
		return mode_of(names, op->inode);
	return op->to_dir ? metadata_mode_stronger(mode_of(names, op->dir), mode_of(names, op->to_dir)) :
			    mode_of(names, op->dir);
}

static int add(struct walk_names *names, const struct names_op *op)
{
	struct names_op with_mode = *op;

	with_mode.has_mode = names->own_modes;
	if (names->own_modes)
		with_mode.mode = mode_of_operation(names, op);
	return names_add(names->model, &with_mode);
}

static bool is_property(const struct trace_event *event, const char *key)
{
	return event->info.key.length == strlen(key) &&
	       memcmp(event->info.key.at, key, event->info.key.length) == 0 &&
	       event->info.value.length == 3 && memcmp(event->info.value.at, "yes", 3) == 0;
}

/* Properties come before all files, so that the model has nothing yet. */
static int take_property(struct walk_names *names, const struct trace_event *event)
{
	const bool da_alloc = is_property(event, TRACE_INFO_DA_ALLOC);
	const bool own_modes = is_property(event, TRACE_INFO_OWN_METADATA);

	names->regions |= is_property(event, TRACE_INFO_REGIONS);
	if (!da_alloc && !own_modes)
		return 0;
	if (names->now)
		return -EINVAL;
	names->da_alloc |= da_alloc;
	names->own_modes |= own_modes;
	names_destroy(names->model);
	names->model = NULL;
	return create_model(names);
}

static int take_rules(struct walk_names *names, const struct trace_event *event)
{
	struct walk_inode *inode = idmap_get(&names->inodes, event->file);

	if (event->rules.metadata && !names->own_modes)
		return -EINVAL;
	if (inode)
		inode->metadata = event->rules.metadata;
	return 0;
}

bool explore_walk_names_own_mode(const struct walk_names *names, uint64_t number, enum metadata_mode *mode)
{
	const struct walk_inode *inode = idmap_get(&names->inodes, number);

	if (!inode || !inode->metadata)
		return false;
	*mode = (enum metadata_mode)(inode->metadata - 1);
	return true;
}

bool explore_walk_names_has_da_alloc(const struct walk_names *names)
{
	return names->da_alloc;
}

bool explore_walk_names_allocates(const struct walk_names *names, uint64_t inode)
{
	return names->da_alloc && mode_of(names, inode) != METADATA_STRICT;
}

/* ---- Events ---------------------------------------------------------------------------- */

/* Names in a trace end without a NUL. */
static void copy_name(const struct trace_bytes *name, char text[TRACE_NAME_MAX + 1])
{
	const size_t length = name->length < TRACE_NAME_MAX ? name->length : TRACE_NAME_MAX;

	memcpy(text, name->at, length);
	text[length] = '\0';
}

/* A new inode. Both trees have it at once: see names_tree_inode(). */
static int add_inode(struct walk_names *names, uint64_t number, uint32_t type, uint32_t mode,
		     const struct trace_bytes *target)
{
	struct walk_inode *inode = idmap_make(&names->inodes, number, sizeof(*inode));
	const bool directory = type == TYPE_DIRECTORY;
	int error;

	if (!inode)
		return -ENOMEM;
	names->generation++;
	inode->type = type;
	inode->permissions = mode & PERMISSIONS;
	if (type == TYPE_SYMLINK && !inode->target) {
		inode->target = strndup(target->length ? (const char *)target->at : "", target->length);
		if (!inode->target)
			return -ENOMEM;
	}
	error = names_tree_inode(names->now, number, directory, inode->permissions);
	return error ? error : names_tree_inode(names->base, number, directory, inode->permissions);
}

static int take_file(struct walk_names *names, const struct trace_event *event)
{
	const uint32_t mode = event->node.attributes.mode;
	const uint32_t type = mode & TYPE_BITS;
	int error = 0;

	if (!names->now && type == TYPE_DIRECTORY && event->node.path.length == 1 &&
	    event->node.path.at[0] == '/') {
		names->root = event->file;
		error = names_tree_create(event->file, &names->now);
		if (!error)
			error = names_tree_create(event->file, &names->base);
	}
	if (error || !names->base)
		return error;
	return add_inode(names, event->file, type ? type : TYPE_REGULAR, mode, &event->node.target);
}

static int operate(struct walk_names *names, const struct names_op *op)
{
	int error = names_tree_apply(names->now, op);

	names->generation++;
	return error ? error : add(names, op);
}

/* What is created, by the kind of its event; 0: nothing is. */
static uint32_t created_type(enum trace_kind kind)
{
	switch (kind) {
	case TRACE_CREATE:
		return TYPE_REGULAR;
	case TRACE_MKDIR:
		return TYPE_DIRECTORY;
	case TRACE_SYMLINK:
		return TYPE_SYMLINK;
	case TRACE_MKFIFO:
		return 0010000;
	default:
		return 0;
	}
}

static int take_name(struct walk_names *names, const struct trace_event *event, enum names_kind kind,
		     uint64_t id)
{
	const uint32_t type = created_type(event->kind), mode = event->name.attributes.mode;
	char text[TRACE_NAME_MAX + 1];
	struct names_op op = {
		.kind = kind,
		.id = id,
		.directory = event->kind == TRACE_MKDIR,
		.inode = event->file,
		.dir = event->name.parent,
		.name = text,
		.attributes = mode & PERMISSIONS,
	};
	int error = 0;

	copy_name(&event->name.name, text);
	if (kind == NAMES_CREATE && !*text)
		op.kind = NAMES_TMPFILE;
	if (type)
		error = add_inode(names, op.inode, type, mode, &event->name.target);
	return error ? error : operate(names, &op);
}

/* A name that was there when the recording began. */
static int take_old_name(struct walk_names *names, const struct trace_event *event)
{
	char text[TRACE_NAME_MAX + 1];
	const struct names_op op = {
		.kind = NAMES_LINK, .inode = event->file, .dir = event->name.parent, .name = text
	};
	int error;

	copy_name(&event->name.name, text);
	names->generation++;
	error = names_tree_apply(names->now, &op);
	return error ? error : names_tree_apply(names->base, &op);
}

static int take_rename(struct walk_names *names, const struct trace_event *event, uint64_t id)
{
	char from[TRACE_NAME_MAX + 1], to[TRACE_NAME_MAX + 1];
	const struct names_op op = {
		.kind = event->op & RENAME_EXCHANGE ? NAMES_EXCHANGE : NAMES_RENAME,
		.id = id,
		.inode = event->file,
		.dir = event->rename.parent,
		.name = from,
		.to_dir = event->rename.new_parent,
		.to_name = to,
		.other = event->rename.replaced,
	};

	copy_name(&event->rename.name, from);
	copy_name(&event->rename.new_name, to);
	return operate(names, &op);
}

static uint64_t attributes_of(const struct walk_inode *inode)
{
	return inode->permissions | inode->xattrs << XATTRS_SHIFT;
}

static int take_attributes(struct walk_names *names, const struct trace_event *event, uint64_t id)
{
	struct walk_inode *inode = idmap_get(&names->inodes, event->file);
	struct names_op op = { .kind = NAMES_SETATTR, .id = id, .inode = event->file };

	if (!inode)
		return 0;
	if (event->op & TRACE_SET_MODE)
		inode->permissions = event->attributes.mode & PERMISSIONS;
	op.attributes = attributes_of(inode);
	return operate(names, &op);
}

static int take_xattr(struct walk_names *names, const struct trace_event *event, uint64_t id)
{
	const struct trace_bytes *value = event->kind == TRACE_REMOVEXATTR ? NULL : &event->xattr.value;
	struct walk_inode *inode = idmap_get(&names->inodes, event->file);
	struct names_op op = { .kind = NAMES_SETATTR, .id = id, .inode = event->file };
	uint64_t number;
	int error;

	if (!inode)
		return 0;
	error = explore_xattrs_change(&names->xattrs, inode->xattrs, &event->xattr.name, value, &number);
	if (error)
		return error;
	inode->xattrs = number;
	op.attributes = attributes_of(inode);
	if (event->kind != TRACE_XATTR)
		return operate(names, &op);
	names->generation++;
	error = names_tree_apply(names->now, &op);
	return error ? error : names_tree_apply(names->base, &op);
}

static int take(struct walk_names *names, const struct trace_event *event, uint64_t id)
{
	switch (event->kind) {
	case TRACE_CREATE:
	case TRACE_MKDIR:
	case TRACE_MKFIFO:
	case TRACE_SYMLINK:
		return take_name(names, event, NAMES_CREATE, id);
	case TRACE_NAME:
		return take_old_name(names, event);
	case TRACE_LINK:
		return take_name(names, event, NAMES_LINK, id);
	case TRACE_UNLINK:
		return take_name(names, event, NAMES_UNLINK, id);
	case TRACE_RMDIR:
		return take_name(names, event, NAMES_RMDIR, id);
	case TRACE_RENAME:
		return take_rename(names, event, id);
	case TRACE_SETATTR:
		return take_attributes(names, event, id);
	case TRACE_SETXATTR:
	case TRACE_REMOVEXATTR:
	case TRACE_XATTR:
		return take_xattr(names, event, id);
	case TRACE_RULES:
		return take_rules(names, event);
	default:
		return 0;
	}
}

static bool is_about_names(enum trace_kind kind)
{
	return (kind >= TRACE_CREATE && kind <= TRACE_RENAME) || kind == TRACE_NAME;
}

int explore_walk_names_take(struct walk_names *names, const struct trace_event *event, uint64_t id)
{
	int error;

	if (event->kind == TRACE_INFO)
		return take_property(names, event);
	if (event->kind == TRACE_FILE)
		return take_file(names, event);
	if (!names->base) {
		names->unrooted |= is_about_names(event->kind);
		return 0;
	}
	error = take(names, event, id);
	return error ? error : names->failed;
}

int explore_walk_names_size(struct walk_names *names, const struct names_op *op)
{
	int error = add(names, op);

	names->generation++;
	return error ? error : names->failed;
}

int explore_walk_names_overwrite(struct walk_names *names, uint64_t inode)
{
	return names_overwrite(names->model, inode,
			       names->own_modes ? mode_of(names, inode) : METADATA_STRICT);
}

int explore_walk_names_close(struct walk_names *names, uint64_t inode, uint64_t id, bool last)
{
	int error = names_close(names->model, inode, id,
				names->own_modes ? mode_of(names, inode) : METADATA_STRICT, last);

	names->generation++;
	return error ? error : names->failed;
}

bool explore_walk_names_is_unrooted(const struct walk_names *names)
{
	return names->unrooted;
}

bool explore_walk_names_joins_regions(const struct walk_names *names)
{
	return names->regions && names->options.mode == METADATA_ORDERED;
}

struct names *explore_walk_names_model(const struct walk_names *names)
{
	return names->model;
}

bool explore_walk_names_has_root(const struct walk_names *names)
{
	return names->base;
}

uint64_t explore_walk_names_root(const struct walk_names *names)
{
	return names->root;
}

uint64_t explore_walk_names_generation(const struct walk_names *names)
{
	return names->generation;
}

const struct explore_xattrs *explore_walk_names_xattrs(const struct walk_names *names, uint64_t number)
{
	return explore_xattrs_find(&names->xattrs, number);
}

const struct names_tree *explore_walk_names_now(const struct walk_names *names)
{
	return names->now;
}

const struct names_tree *explore_walk_names_base(const struct walk_names *names)
{
	return names->base;
}

/* ---- Paths ----------------------------------------------------------------------------- */

struct listing {
	const struct walk_names *names;
	struct names_entries entries; /* by ascending directory */
	size_t visited;
	void *context;
	int (*visit)(void *context, const struct walk_names_entry *entry);
};

static int list_entry(const struct listing *listing, const char *path, const struct names_entry *entry)
{
	const struct walk_inode *inode = idmap_get(&listing->names->inodes, entry->inode);
	struct walk_names_entry shown = {
		.path = path,
		.kind = WALK_OTHER,
		.inode = entry->inode,
		.permissions = entry->attributes & PERMISSIONS,
		.xattrs = entry->attributes >> XATTRS_SHIFT,
	};

	if (entry->directory)
		shown.kind = WALK_DIRECTORY;
	else if (inode && inode->type == TYPE_REGULAR)
		shown.kind = WALK_FILE;
	else if (inode && inode->target)
		shown.kind = WALK_SYMLINK;
	if (shown.kind == WALK_SYMLINK)
		shown.target = inode->target;
	return listing->visit(listing->context, &shown);
}

/* `path` has the directory's, of `length` bytes. One that is too long is left out, and what is below it. */
static int list_directory(struct listing *listing, uint64_t dir, char *path, size_t length)
{
	int error = 0;

	for (size_t i = names_entries_find(&listing->entries, dir);
	     !error && i < listing->entries.count; i++) {
		const struct names_entry *entry = &listing->entries.items[i];
		const size_t room = TRACE_PATH_MAX + 1 - length;
		size_t more;

		if (entry->dir != dir)
			break;
		/* Only a tree that is none has more paths than names. */
		if (listing->visited++ == listing->entries.count)
			return -ELOOP;
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

int explore_walk_names_list(const struct walk_names *names, const struct names_tree *tree, void *context,
			    int (*visit)(void *context, const struct walk_names_entry *entry))
{
	struct listing listing = { .names = names, .context = context, .visit = visit };
	char path[TRACE_PATH_MAX + 1] = "";
	int error;

	if (!tree)
		return 0;
	error = names_tree_list(tree, &listing.entries);
	if (!error)
		error = list_directory(&listing, names->root, path, 0);
	vector_free(&listing.entries);
	return error;
}
