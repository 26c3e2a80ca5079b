/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>

#include "common/cleanup.h"
#include "private.h"

/*
 * Offsets: "." and ".." are ours (after them: 1 and 2), and what the pools call
 * a cookie goes on from there.
 */
#define OFFSET_DOT 1
#define OFFSET_DOTDOT 2

/* The smallest entry the kernel takes: how many a buffer can hold at most. */
#define ENTRY_MIN 32u

struct taken {
	struct pool *unused; /* a reference to drop once the pools are unlocked */
	fuse_ino_t counted;  /* a lookup to take back if the reply does not arrive */
};

struct listing {
	fuse_req_t request;
	char *buffer;
	size_t size, used;
	struct taken *taken;
	size_t taken_count;
};

static bool fits(const struct listing *listing, size_t need)
{
	return need <= listing->size - listing->used && listing->taken_count < listing->size / ENTRY_MIN;
}

static void append(struct listing *listing, const char *name, ino_t ino, mode_t mode, off_t next)
{
	struct stat st = { .st_ino = ino, .st_mode = mode };

	listing->used += fuse_add_direntry(listing->request, listing->buffer + listing->used,
					   listing->size - listing->used, name, &st, next);
}

static int add(void *context, const char *name, struct pool *pool, uint64_t next)
{
	struct listing *listing = context;
	struct pool_attributes attributes;

	if (!fits(listing, fuse_add_direntry(listing->request, NULL, 0, name, NULL, 0)))
		return 1;
	listing->taken[listing->taken_count++].unused = pool;
	if (!pool_get_attributes(pool, &attributes))
		append(listing, name, attributes.ino, attributes.mode, (off_t)next + OFFSET_DOTDOT);
	return 0;
}

static int add_plus(void *context, const char *name, struct pool *pool, uint64_t next)
{
	struct listing *listing = context;
	struct fuse_entry_param entry = { .attr_timeout = CACHE_TIMEOUT, .entry_timeout = CACHE_TIMEOUT };
	struct fusefs *fs = fs_of(listing->request);
	struct pool_attributes attributes;
	struct node *node;

	if (!fits(listing, fuse_add_direntry_plus(listing->request, NULL, 0, name, NULL, 0)))
		return 1;
	if (pool_get_attributes(pool, &attributes)) {
		listing->taken[listing->taken_count++].unused = pool;
		return 0;
	}
	node = node_take(fs, pool, S_ISREG(attributes.mode));
	if (node)
		listing->taken[listing->taken_count++].counted = entry.ino = node_ino(fs, node);
	else /* Nodeid 0: the name alone. */
		listing->taken[listing->taken_count++].unused = pool;
	entry.generation = attributes.ino;
	attributes_to_stat(&attributes, &entry.attr);
	listing->used += fuse_add_direntry_plus(listing->request, listing->buffer + listing->used,
						listing->size - listing->used, name, &entry,
						(off_t)next + OFFSET_DOTDOT);
	return 0;
}

static int dot_ino(struct pool *pool, ino_t *ino)
{
	struct pool_attributes attributes;
	int error = pool_get_attributes(pool, &attributes);

	*ino = attributes.ino;
	return error;
}

static int dotdot_ino(struct pool *pool, ino_t *ino)
{
	struct pool *parent = pool_parent(pool);
	int error;

	if (!parent)
		return -ENOENT;
	error = dot_ino(parent, ino);
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

	listing->used += fuse_add_direntry_plus(listing->request, listing->buffer + listing->used,
						listing->size - listing->used, name, &entry, next);
}

static int dots(struct listing *listing, struct pool *pool, off_t offset,
		void (*one)(struct listing *, const char *, ino_t, off_t))
{
	ino_t ino;
	int error = 0;

	if (offset < OFFSET_DOT) {
		error = dot_ino(pool, &ino);
		if (!error)
			one(listing, ".", ino, OFFSET_DOT);
	}
	if (!error && offset < OFFSET_DOTDOT) {
		error = dotdot_ino(pool, &ino);
		if (!error)
			one(listing, "..", ino, OFFSET_DOTDOT);
	}
	return error;
}

static void take_back(struct fusefs *fs, const struct listing *listing)
{
	size_t i;

	for (i = 0; i < listing->taken_count; i++)
		if (listing->taken[i].counted)
			node_forget(fs, listing->taken[i].counted, 1);
}

static void reply(struct fusefs *fs, struct listing *listing, int error)
{
	size_t i;

	if (error == -ESTALE || error == -ENOENT) /* Removed while it was open: nothing is in it. */
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

static void list(fuse_req_t request, fuse_ino_t ino, size_t size, off_t offset,
		 void (*one_dot)(struct listing *, const char *, ino_t, off_t),
		 int (*one)(void *, const char *, struct pool *, uint64_t))
{
	struct fusefs *fs = fs_of(request);
	struct pool *pool = node_of(fs, ino)->pool;
	struct listing listing = { .request = request, .size = size };
	CLEANUP_FREE char *buffer = malloc(size);
	CLEANUP_FREE struct taken *taken = calloc(size / ENTRY_MIN + 1, sizeof(*taken));
	int error;

	if (!buffer || !taken) {
		fuse_reply_err(request, ENOMEM);
		return;
	}
	listing.buffer = buffer;
	listing.taken = taken;
	error = dots(&listing, pool, offset, one_dot);
	if (!error)
		error = pool_readdir(pool, offset > OFFSET_DOTDOT ? (uint64_t)offset - OFFSET_DOTDOT : 0, one,
				     &listing);
	reply(fs, &listing, error);
}

void op_readdir(fuse_req_t request, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	list(request, ino, size, offset, append_dot, add);
}

void op_readdirplus(fuse_req_t request, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	list(request, ino, size, offset, append_dot_plus, add_plus);
}

void op_opendir(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *fi)
{
	fuse_reply_open(request, fi);
}

void op_releasedir(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *fi)
{
	fuse_reply_err(request, 0);
}

/* Names are durable before the call that made them returns. */
void op_fsyncdir(fuse_req_t request, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	/* Names are durable already; the directory's times need this. */
	fuse_reply_err(request, -pool_sync_pool(node_of(fs_of(request), ino)->pool));
}
