/* SPDX-License-Identifier: BSD-3-Clause */
#include "attach/attach_paths.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attach/attach_context.h"
#include "common/cleanup.h"

/* A destroyed pool's number is given to another pool only after so many more were destroyed: a process that
   still has the path must not open that other pool by it. */
#define REUSE_AFTER 256

int attach_paths_open(struct attach_server *attach)
{
	struct attach_paths *paths = &attach->paths;
	CLEANUP_FD int memory = -1;
	struct stat st;

	if (attach->served.device)
		return 0;
	memory = memfd_create("softpmem-none", MFD_CLOEXEC);
	paths->blocked_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (memory < 0 || paths->blocked_fd < 0 || fstat(memory, &st) < 0)
		return -errno;
	paths->memory_device = st.st_dev;
	return 0;
}

void attach_paths_close(struct attach_server *attach)
{
	struct attach_paths *paths = &attach->paths;

	for (size_t i = 0; i < paths->count; i++) {
		close(paths->items[i].fd);
		if (paths->items[i].pool)
			pool_unref(paths->items[i].pool, 1);
	}
	vector_free(paths);
	if (paths->blocked_fd >= 0)
		close(paths->blocked_fd);
}

/* ---- One path. The lock is held ------------------------------------------------ */

/* The same number refers to what `fd` refers to. */
static int point_at(struct attach_path *path, int fd)
{
	return dup3(fd, path->fd, O_CLOEXEC) < 0 ? -errno : 0;
}

static void disable(struct attach_paths *paths, struct attach_path *path)
{
	point_at(path, paths->blocked_fd);
	path->ino = 0;
}

/*
 * Give the memory the pool's permissions and owner, as far as this process may. Where it may not change the
 * owner, it is not root, and the kernel lets only its own user open the path anyway.
 */
static int set_access(struct pool *pool, int fd)
{
	struct pool_attributes attributes;
	int error = pool_get_attributes(pool, &attributes);

	if (error)
		return error;
	if (fchmod(fd, attributes.mode & 0777) < 0)
		return -errno;
	return fchown(fd, attributes.uid, attributes.gid) < 0 && errno != EPERM ? -errno : 0;
}

/* The path refers to the memory of the pool's view from here on. Does nothing if it does already. */
static int enable(struct attach_server *attach, struct attach_path *path)
{
	struct pool_attachment attachment;
	CLEANUP_FD int fd = -1;
	struct stat st;
	int error;

	if (path->ino)
		return 0;
	error = pool_attach_exact(path->pool, &attachment);
	if (error)
		return error;
	fd = attachment.fd;
	error = set_access(path->pool, fd);
	if (!error)
		error = attach_views_add(attach, path->pool, &attachment, geteuid());
	if (!error && fstat(fd, &st) < 0)
		error = -errno;
	if (!error)
		error = point_at(path, fd);
	if (!error)
		path->ino = st.st_ino;
	return error;
}

static void forget_pool(struct attach_paths *paths, struct attach_path *path)
{
	disable(paths, path);
	pool_unref(path->pool, 1);
	path->pool = NULL;
	path->destroyed_as = ++paths->destroyed;
}

/* ---- All paths ------------------------------------------------------------------ */

static struct attach_path *find_path(struct attach_paths *paths, const struct pool *pool)
{
	for (size_t i = 0; i < paths->count; i++)
		if (paths->items[i].pool == pool)
			return &paths->items[i];
	return NULL;
}

/* The number whose pool was destroyed first, if there are enough of them. */
static struct attach_path *find_reusable(struct attach_paths *paths)
{
	struct attach_path *first = NULL;
	size_t unused = 0;

	for (size_t i = 0; i < paths->count; i++) {
		struct attach_path *path = &paths->items[i];

		if (path->pool)
			continue;
		unused++;
		if (!first || path->destroyed_as < first->destroyed_as)
			first = path;
	}
	return unused >= REUSE_AFTER ? first : NULL;
}

/* NULL with errno. */
static struct attach_path *add_number(struct attach_paths *paths)
{
	int fd = fcntl(paths->blocked_fd, F_DUPFD_CLOEXEC, 0);

	if (fd < 0)
		return NULL;
	if (vector_append(paths, (struct attach_path){ .fd = fd }) == 0)
		return &paths->items[paths->count - 1];
	close(fd);
	errno = ENOMEM;
	return NULL;
}

static int add_path(struct attach_server *attach, struct pool *pool, struct attach_path **out)
{
	struct attach_path *path = find_reusable(&attach->paths);
	int error;

	/* It takes a descriptor beside that of the view. The rest is for clients, who may destroy pools. */
	if (!path && attach->paths.count >= attach->views.most / 2)
		return -EMFILE;
	if (!path)
		path = add_number(&attach->paths);
	if (!path)
		return -errno;
	pool_ref(pool, 1);
	path->pool = pool;
	error = enable(attach, path);
	/* No client has been told the number yet. */
	if (error)
		forget_pool(&attach->paths, path);
	*out = path;
	return error;
}

int attach_path(struct attach_server *attach, struct pool *pool, char **text)
{
	struct attach_path *path;
	int error;

	READ_SCOPE(&attach->power);
	LOCK_SCOPE(&attach->paths.lock);
	path = find_path(&attach->paths, pool);
	error = path ? enable(attach, path) : add_path(attach, pool, &path);
	if (!error && asprintf(text, "/proc/%d/fd/%d", (int)getpid(), path->fd) < 0) {
		*text = NULL;
		error = -ENOMEM;
	}
	return error;
}

void attach_paths_prune(struct attach_server *attach)
{
	struct attach_paths *paths = &attach->paths;
	struct pool_attributes attributes;

	READ_SCOPE(&attach->power);
	LOCK_SCOPE(&paths->lock);
	for (size_t i = 0; i < paths->count; i++)
		if (paths->items[i].pool &&
		    pool_get_attributes(paths->items[i].pool, &attributes) == -ESTALE)
			forget_pool(paths, &paths->items[i]);
}

int attach_paths_find(struct attach_server *attach, ino_t ino, struct pool **pool)
{
	struct attach_paths *paths = &attach->paths;

	LOCK_SCOPE(&paths->lock);
	for (size_t i = 0; i < paths->count; i++) {
		if (!paths->items[i].ino || paths->items[i].ino != ino)
			continue;
		*pool = paths->items[i].pool;
		pool_ref(*pool, 1);
		return 0;
	}
	return -EIO;
}

void attach_paths_disable(struct attach_server *attach, const struct pools *pools)
{
	struct attach_paths *paths = &attach->paths;

	LOCK_SCOPE(&paths->lock);
	for (size_t i = 0; i < paths->count; i++) {
		struct attach_path *path = &paths->items[i];

		if (!pools || (path->pool && pool_pools(path->pool) == pools))
			disable(paths, path);
	}
}

void attach_paths_enable(struct attach_server *attach)
{
	struct attach_paths *paths = &attach->paths;

	LOCK_SCOPE(&paths->lock);
	for (size_t i = 0; i < paths->count; i++) {
		struct attach_path *path = &paths->items[i];
		int error = path->pool ? enable(attach, path) : 0;

		if (error == -ESTALE)
			forget_pool(paths, path);
		else if (error && !pools_media_lost(pool_pools(path->pool)))
			log_sink_print(&attach->options.log,
				   "/proc/%d/fd/%d: a pool's path cannot be opened until 'softpmem path' is "
				   "asked for it again: %s",
				   (int)getpid(), path->fd, strerror(-error));
	}
}
