/* SPDX-License-Identifier: BSD-3-Clause */
#include "op_names.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "newer_requests.h"
#include "op_open.h"
#include "recorder/recorded.h"
#include "regions_root.h"
#include "reply_entry.h"

static struct pool *pool_at(fuse_req_t request, fuse_ino_t ino)
{
	return fusefs_node_of(request, ino)->pool;
}

static struct tree *tree_at(fuse_req_t request, fuse_ino_t ino)
{
	return fusefs_node_of(request, ino)->tree;
}

void fusefs_op_lookup(fuse_req_t request, fuse_ino_t parent, const char *name)
{
	struct pool *pool;
	int error;

	if (fusefs_is_regions_root(fusefs_of(request), parent)) {
		fusefs_regions_root_lookup(request, name);
		return;
	}
	error = pool_lookup(pool_at(request, parent), name, &pool);
	if (error == -ENOENT)
		fusefs_reply_absent(request);
	else if (error)
		fuse_reply_err(request, -error);
	else
		fusefs_reply_entry(request, tree_at(request, parent), pool);
}

void fusefs_op_forget(fuse_req_t request, fuse_ino_t ino, uint64_t lookups)
{
	fusefs_entry_forget(fusefs_of(request), ino, lookups);
	fuse_reply_none(request);
}

void fusefs_op_forget_multi(fuse_req_t request, size_t count, struct fuse_forget_data *forgets)
{
	size_t i;

	for (i = 0; i < count; i++)
		fusefs_entry_forget(fusefs_of(request), forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(request);
}

void fusefs_op_readlink(fuse_req_t request, fuse_ino_t ino)
{
	char target[POOL_SYMLINK_MAX + 1];
	int error = pool_readlink(pool_at(request, ino), target, sizeof(target));

	if (error)
		fuse_reply_err(request, -error);
	else
		fuse_reply_readlink(request, target);
}

static int create(fuse_req_t request, struct pool *directory, const char *name, mode_t mode,
		  struct pool **out)
{
	const struct fuse_ctx *client = fuse_req_ctx(request);
	const struct pool_new attributes = { .mode = mode, .uid = client->uid, .gid = client->gid };

	return recorded_create(fusefs_recorder(request), directory, name, &attributes, out);
}

static void create_and_reply(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct pool *pool;
	int error = create(request, pool_at(request, parent), name, mode, &pool);

	if (error)
		fuse_reply_err(request, -error);
	else
		fusefs_reply_entry(request, tree_at(request, parent), pool);
}

void fusefs_op_mknod(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode, dev_t device)
{
	if (!(mode & S_IFMT))
		mode |= S_IFREG;
	if (S_ISREG(mode) || S_ISFIFO(mode) || S_ISSOCK(mode))
		create_and_reply(request, parent, name, mode);
	else
		/* As mknod(2) says of a file type that the file system does not support. */
		fuse_reply_err(request, EPERM);
}

void fusefs_op_mkdir(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode)
{
	create_and_reply(request, parent, name, (mode & 07777) | S_IFDIR);
}

void fusefs_op_symlink(fuse_req_t request, const char *target, fuse_ino_t parent, const char *name)
{
	const struct fuse_ctx *client = fuse_req_ctx(request);
	struct pool *pool;
	int error = recorded_symlink(fusefs_recorder(request), pool_at(request, parent), name, target,
				     client->uid, client->gid, &pool);

	if (error)
		fuse_reply_err(request, -error);
	else
		fusefs_reply_entry(request, tree_at(request, parent), pool);
}

void fusefs_op_link(fuse_req_t request, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	struct node *node = fusefs_node_of(request, ino);
	int error = node->dead ? -ESTALE : 0;

	if (!error && node->tree != tree_at(request, parent))
		error = -EXDEV;
	if (!error)
		error = recorded_link(fusefs_recorder(request), node->pool, pool_at(request, parent), name);
	if (error) {
		fuse_reply_err(request, -error);
		return;
	}
	pool_ref(node->pool, 1);
	fusefs_reply_entry(request, node->tree, node->pool);
}

void fusefs_op_unlink(fuse_req_t request, fuse_ino_t parent, const char *name)
{
	fuse_reply_err(request, -recorded_unlink(fusefs_recorder(request), pool_at(request, parent), name));
}

void fusefs_op_rmdir(fuse_req_t request, fuse_ino_t parent, const char *name)
{
	fuse_reply_err(request, -recorded_rmdir(fusefs_recorder(request), pool_at(request, parent), name));
}

void fusefs_op_rename(fuse_req_t request, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
	       const char *new_name, unsigned flags)
{
	struct tree *tree = tree_at(request, parent), *new_tree = tree_at(request, new_parent);
	int error;

	if (!new_tree)
		error = -EPERM;
	else if (tree != new_tree)
		error = -EXDEV;
	else
		error = recorded_rename(fusefs_recorder(request), pool_at(request, parent), name,
					pool_at(request, new_parent), new_name, flags);
	fuse_reply_err(request, -error);
}

/*
 * After the kernel's lookup found no name, another may have created it through
 * the control socket: then open that file, as open(2) does. A file that is new is not truncated.
 */
static int create_or_find(fuse_req_t request, struct pool *directory, const char *name, mode_t mode,
			  int *flags, struct pool **out)
{
	struct pool_attributes attributes;
	int error = create(request, directory, name, (mode & 07777) | S_IFREG, out);

	if (!error)
		*flags &= ~O_TRUNC;
	if (error != -EEXIST || (*flags & O_EXCL))
		return error;
	error = pool_lookup(directory, name, out);
	if (error)
		return error;
	error = pool_get_attributes(*out, &attributes);
	if (!error && !S_ISREG(attributes.mode))
		error = -EEXIST;
	if (error)
		pool_unref(*out, 1);
	return error;
}

/*
 * With a name in the directory, or without one; then *nameless is a handle that
 * keeps the file until the caller has opened it.
 */
static int create_to_open(fuse_req_t request, struct pool *directory, const char *name, mode_t mode,
			  int *flags, struct pool **out, struct pool_handle **nameless)
{
	const struct fuse_ctx *client = fuse_req_ctx(request);
	const struct pool_new attributes = { .mode = (mode & 07777) | S_IFREG,
					     .uid = client->uid,
					     .gid = client->gid };

	*nameless = NULL;
	if (strcmp(name, FUSEFS_NO_NAME) != 0)
		return create_or_find(request, directory, name, mode, flags, out);
	return recorded_open_nameless(fusefs_recorder(request), directory, &attributes, out, nameless);
}

void fusefs_op_create(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode,
	       struct fuse_file_info *fi)
{
	struct fusefs *fs = fusefs_of(request);
	struct fuse_entry_param entry;
	struct pool_handle *nameless;
	struct pool *pool;
	int error = create_to_open(request, pool_at(request, parent), name, mode, &fi->flags, &pool,
				   &nameless);

	if (error) {
		fuse_reply_err(request, -error);
		return;
	}
	error = fusefs_entry_fill(fs, tree_at(request, parent), pool, &entry);
	if (!error) {
		error = fusefs_file_open(request, fusefs_node(fs, entry.ino), fi);
		if (error)
			fusefs_entry_forget(fs, entry.ino, 1);
	}
	if (nameless)
		pool_close(nameless);
	if (error) {
		fuse_reply_err(request, -error);
	} else if (fuse_reply_create(request, &entry, fi)) {
		fusefs_file_close(fs, fusefs_file_of(fi));
		fusefs_entry_forget(fs, entry.ino, 1);
	}
}
