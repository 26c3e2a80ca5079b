/* SPDX-License-Identifier: BSD-3-Clause */
#include "op_directory.h"

#include <errno.h>
#include <stdlib.h>

#include "common/cleanup.h"
#include "recorder/recorded.h"
#include "regions_root.h"
#include "reply_entry.h"

/*
 * Offsets to go on after an entry: 1 and 2 for "." and "..", which are made here,
 * and above them the cookies of pool_readdir().
 */
#define OFFSET_DOT 1
#define OFFSET_DOTDOT 2

/* The size of the smallest entry in a reply, by which the number of entries is limited. */
#define ENTRY_MIN 32u

struct taken {
	struct pool *unused; /* a reference to drop once the pools are unlocked */
	fuse_ino_t counted;  /* a lookup to take back if the reply does not arrive */
};

struct listing {
	fuse_req_t request;
	const struct node *node; /* the directory's */
	uint64_t last;		 /* cookie after which nothing is listed */
	char *buffer;
	size_t size, used;
	struct taken *taken;
	size_t taken_count;
};

static bool fits(const struct listing *listing, size_t need)
{
	return need <= listing->size - listing->used && listing->taken_count < listing->size / ENTRY_MIN;
}

/* libfuse says how long an entry is also if it had no room for it. */
static void use(struct listing *listing, size_t length)
{
	if (length <= listing->size - listing->used)
		listing->used += length;
}

static void append(struct listing *listing, const char *name, ino_t ino, mode_t mode, off_t next)
{
	struct stat st = { .st_ino = ino, .st_mode = mode };

	use(listing, fuse_add_direntry(listing->request, listing->buffer + listing->used,
				       listing->size - listing->used, name, &st, next));
}

static int add_pool(void *context, const char *name, struct pool *pool, uint64_t next)
{
	struct listing *listing = context;
	struct pool_attributes attributes;

	if (next > listing->last ||
	    !fits(listing, fuse_add_direntry(listing->request, NULL, 0, name, NULL, 0)))
		return 1;
	listing->taken[listing->taken_count++].unused = pool;
	if (!pool_get_attributes(pool, &attributes))
		append(listing, name, listing->node->tree->ino_base | attributes.ino, attributes.mode,
		       (off_t)next + OFFSET_DOTDOT);
	return 0;
}

static int add_pool_plus(void *context, const char *name, struct pool *pool, uint64_t next)
{
	struct listing *listing = context;
	struct fuse_entry_param entry = { .entry_timeout = FUSEFS_CACHE_TIMEOUT };
	struct fusefs *fs = fusefs_of(listing->request);
	struct tree *tree = listing->node->tree;
	struct pool_attributes attributes;
	struct node *node;

	if (next > listing->last ||
	    !fits(listing, fuse_add_direntry_plus(listing->request, NULL, 0, name, NULL, 0)))
		return 1;
	if (pool_get_attributes(pool, &attributes)) {
		listing->taken[listing->taken_count++].unused = pool;
		return 0;
	}
	node = fusefs_node_take(tree, pool, S_ISREG(attributes.mode));
	if (node)
		listing->taken[listing->taken_count++].counted = entry.ino = fusefs_node_ino(fs, node);
	else /* Nodeid 0: only the name. */
		listing->taken[listing->taken_count++].unused = pool;
	entry.generation = attributes.ino;
	entry.attr_timeout = fusefs_attributes_timeout(&attributes);
	fusefs_attributes_to_stat(tree, &attributes, &entry.attr);
	listing->used += fuse_add_direntry_plus(listing->request, listing->buffer + listing->used,
						listing->size - listing->used, name, &entry,
						(off_t)next + OFFSET_DOTDOT);
	return 0;
}

static int ino_of(const struct tree *tree, struct pool *pool, ino_t *ino)
{
	struct pool_attributes attributes;
	int error = pool_get_attributes(pool, &attributes);

	*ino = tree->ino_base | attributes.ino;
	return error;
}

static int dot_ino(const struct node *node, ino_t *ino)
{
	*ino = FUSE_ROOT_ID;
	return node->tree ? ino_of(node->tree, node->pool, ino) : 0;
}

static int dotdot_ino(const struct fusefs *fs, const struct node *node, ino_t *ino)
{
	struct pool *parent;
	int error;

	*ino = FUSE_ROOT_ID;
	if (node == fs->root || node == &node->tree->root)
		return 0;
	parent = pool_parent(node->pool);
	if (!parent)
		return -ENOENT;
	error = ino_of(node->tree, parent, ino);
	pool_unref(parent, 1);
	return error;
}

static void append_dot(struct listing *listing, const char *name, ino_t ino, off_t next)
{
	append(listing, name, ino, S_IFDIR, next);
}

static void append_dot_plus(struct listing *listing, const char *name, ino_t ino, off_t next)
{
	struct fuse_entry_param entry = { .attr = { .st_ino = ino, .st_mode = S_IFDIR } };

	use(listing, fuse_add_direntry_plus(listing->request, listing->buffer + listing->used,
					    listing->size - listing->used, name, &entry, next));
}

/* Add one of the entries that are made here. */
typedef void add_fn(struct listing *listing, const char *name, ino_t ino, off_t next);

static int dots(struct listing *listing, off_t offset, add_fn *add)
{
	ino_t ino;
	int error = 0;

	if (offset < OFFSET_DOT) {
		error = dot_ino(listing->node, &ino);
		if (!error)
			add(listing, ".", ino, OFFSET_DOT);
	}
	if (!error && offset < OFFSET_DOTDOT) {
		error = dotdot_ino(fusefs_of(listing->request), listing->node, &ino);
		if (!error)
			add(listing, "..", ino, OFFSET_DOTDOT);
	}
	return error;
}

/* The regions' directories. READDIRPLUS too gets only their names. */
static void add_regions(struct listing *listing, off_t offset, add_fn *add)
{
	const struct fusefs *fs = fusefs_of(listing->request);

	for (off_t i = offset > OFFSET_DOTDOT ? offset - OFFSET_DOTDOT : 0; i < (off_t)fs->tree_count; i++) {
		const struct tree *tree = &fs->trees[i];

		if (!fits(listing, fuse_add_direntry_plus(listing->request, NULL, 0, tree->name, NULL, 0)))
			return;
		add(listing, tree->name, tree->ino_base | FUSE_ROOT_ID, OFFSET_DOTDOT + i + 1);
	}
}

static void take_back(struct fusefs *fs, const struct listing *listing)
{
	size_t i;

	for (i = 0; i < listing->taken_count; i++)
		if (listing->taken[i].counted)
			fusefs_entry_forget(fs, listing->taken[i].counted, 1);
}

static void reply(struct fusefs *fs, struct listing *listing, int error)
{
	size_t i;

	if (error == -ESTALE || error == -ENOENT) /* Removed while it was open: it is empty. */
		error = 0;
	if (error < 0 && !listing->used) {
		fuse_reply_err(listing->request, -error);
		take_back(fs, listing);
	} else if (fuse_reply_buf(listing->request, listing->buffer, listing->used)) {
		take_back(fs, listing);
	}
	for (i = 0; i < listing->taken_count; i++)
		if (listing->taken[i].unused)
			pool_unref(listing->taken[i].unused, 1);
}

static void begin_listing(struct open_directory *directory, const struct node *node)
{
	if (node->pool)
		atomic_store(&directory->last, pool_last_cookie(node->pool));
}

static void list(fuse_req_t request, fuse_ino_t ino, size_t size, off_t offset,
		 struct open_directory *directory, add_fn *add_dot,
		 int (*add_entry)(void *, const char *, struct pool *, uint64_t))
{
	struct fusefs *fs = fusefs_of(request);
	struct listing listing = { .request = request, .node = fusefs_node(fs, ino), .size = size };
	CLEANUP_FREE char *buffer = malloc(size);
	CLEANUP_FREE struct taken *taken = calloc(size / ENTRY_MIN + 1, sizeof(*taken));
	int error;

	if (!buffer || !taken) {
		fuse_reply_err(request, ENOMEM);
		return;
	}
	listing.buffer = buffer;
	listing.taken = taken;
	if (!offset)
		begin_listing(directory, listing.node);
	listing.last = atomic_load(&directory->last);
	error = dots(&listing, offset, add_dot);
	if (!error && fusefs_is_regions_root(fs, ino))
		add_regions(&listing, offset, add_dot);
	else if (!error)
		error = pool_readdir(listing.node->pool,
				     offset > OFFSET_DOTDOT ? (uint64_t)offset - OFFSET_DOTDOT : 0, add_entry,
				     &listing);
	reply(fs, &listing, error);
}

static struct open_directory *directory_of(const struct fuse_file_info *fi)
{
	return (struct open_directory *)(uintptr_t)fi->fh;
}

void fusefs_op_readdir(fuse_req_t request, fuse_ino_t ino, size_t size, off_t offset,
		       struct fuse_file_info *fi)
{
	list(request, ino, size, offset, directory_of(fi), append_dot, add_pool);
}

void fusefs_op_readdirplus(fuse_req_t request, fuse_ino_t ino, size_t size, off_t offset,
			   struct fuse_file_info *fi)
{
	list(request, ino, size, offset, directory_of(fi), append_dot_plus, add_pool_plus);
}

void fusefs_directory_close(struct fusefs *fs, struct open_directory *directory)
{
	{
		LOCK_SCOPE(&fs->files_lock);
		LIST_REMOVE(directory, link);
	}
	free(directory);
}

void fusefs_op_opendir(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fusefs *fs = fusefs_of(request);
	struct open_directory *directory = calloc(1, sizeof(*directory));

	if (!directory) {
		fuse_reply_err(request, ENOMEM);
		return;
	}
	begin_listing(directory, fusefs_node(fs, ino));
	if (fusefs_node(fs, ino)->pool)
		directory->generation = pools_generation(pool_pools(fusefs_node(fs, ino)->pool));
	{
		LOCK_SCOPE(&fs->files_lock);
		LIST_INSERT_HEAD(&fs->directories, directory, link);
	}
	fi->fh = (uintptr_t)directory;
	if (fuse_reply_open(request, fi))
		fusefs_directory_close(fs, directory);
}

void fusefs_op_releasedir(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *fi)
{
	fusefs_directory_close(fusefs_of(request), directory_of(fi));
	fuse_reply_err(request, 0);
}

void fusefs_op_fsyncdir(fuse_req_t request, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	struct fusefs *fs = fusefs_of(request);
	struct pool *pool = fusefs_node(fs, ino)->pool;
	int error = 0;

	/* An outage may have taken back what the caller wants to be durable. */
	if (pool && directory_of(fi)->generation != pools_generation(pool_pools(pool)))
		error = -EIO;
	else if (pool)
		error = recorded_sync_pool(fs->options.recorder, pool, datasync);
	fuse_reply_err(request, -error);
}
