/* SPDX-License-Identifier: BSD-3-Clause */
#include "op_open.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "recorder/recorded.h"
#include "reply_entry.h"
#include "set_id_bits.h"

static int truncate_at_open(fuse_req_t request, struct pool *pool, struct pool_handle *handle)
{
	int error = recorded_truncate(fusefs_recorder(request), pool, handle, 0);

	return error ? error : fusefs_drop_set_id_bits(request, pool);
}

/* A shared mapping that can be stored to needs a descriptor that is open for both. */
static void note_stores(struct open_file *file, struct node *node, int flags)
{
	if ((flags & O_ACCMODE) != O_RDWR)
		return;
	fusefs_node_hold(node);
	atomic_fetch_add(&node->storable, 1);
	file->stored_to = node;
}

int fusefs_file_open(fuse_req_t request, struct node *node, struct fuse_file_info *fi)
{
	struct fusefs *fs = fusefs_of(request);
	struct open_file *file = calloc(1, sizeof(*file));
	int error;

	if (!file)
		return -ENOMEM;
	error = pool_open(node->pool, &file->handle);
	if (error) {
		free(file);
		return error;
	}
	if (fi->flags & O_TRUNC)
		error = truncate_at_open(request, node->pool, file->handle);
	if (error) {
		pool_close(file->handle);
		free(file);
		return error;
	}
	note_stores(file, node, fi->flags);
	pthread_mutex_lock(&fs->files_lock);
	file->next = fs->files;
	if (file->next)
		file->next->prev = file;
	fs->files = file;
	pthread_mutex_unlock(&fs->files_lock);
	fi->fh = (uintptr_t)file;
	/* CPUs store to an attached pool without the kernel's knowledge: its cache would be stale at once. */
	fi->direct_io = pool_is_attached(node->pool);
	/* Neither is its cache kept from a time when it was attached. */
	fi->keep_cache = !fi->direct_io && !pool_was_attached(node->pool);
	file->direct = fi->direct_io;
	/* With this, the kernel does not tell of each close(2) before that returns. */
	fi->noflush = !pool_wants_flush(node->pool);
	return 0;
}

void fusefs_file_close(struct fusefs *fs, struct open_file *file)
{
	pthread_mutex_lock(&fs->files_lock);
	if (file->prev)
		file->prev->next = file->next;
	else
		fs->files = file->next;
	if (file->next)
		file->next->prev = file->prev;
	pthread_mutex_unlock(&fs->files_lock);
	recorded_close(fs->options.recorder, file->handle);
	if (file->stored_to) {
		atomic_fetch_sub(&file->stored_to->storable, 1);
		fusefs_entry_forget(fs, fusefs_node_ino(fs, file->stored_to), 1);
	}
	free(file);
}

void fusefs_op_open(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fusefs *fs = fusefs_of(request);
	struct node *node = fusefs_node(fs, ino);
	/* ESTALE: look the name up again, and find the new generation. */
	int error = node->dead ? -ESTALE : fusefs_file_open(request, node, fi);

	if (error)
		fuse_reply_err(request, -error);
	else if (fuse_reply_open(request, fi))
		fusefs_file_close(fs, fusefs_file_of(fi));
}

/* Of a kernel that does not know `noflush` every close(2) comes here. */
void fusefs_op_flush(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct open_file *file = fusefs_file_of(fi);
	const bool wanted = pool_wants_flush(pool_of(file->handle));

	(void)ino;
	if (wanted)
		recorded_flush(fusefs_recorder(request), file->handle);
	fuse_reply_err(request, wanted ? 0 : ENOSYS);
}

void fusefs_op_release(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *fi)
{
	fusefs_file_close(fusefs_of(request), fusefs_file_of(fi));
	fuse_reply_err(request, 0);
}
