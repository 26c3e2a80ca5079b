/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Pools without a mount. A pool's path is /proc/PID/fd/N: number N of this
 * process is that pool's from the first question for its path on, and leads to
 * the memory of its view, whichever that is. The kernel lets those follow it who
 * may look into this process: its own user, and root.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attach/attach_private.h"
#include "common/cleanup.h"

/* Numbers of destroyed pools rest before another gets one: who still has the path must not find that. */
#define RESTING_MAX 256

int paths_open(struct attach_server *server)
{
	CLEANUP_FD int memory = -1;
	struct stat st;

	if (server->served.device)
		return 0;
	memory = memfd_create("softpmem-none", MFD_CLOEXEC);
	server->dark_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (memory < 0 || server->dark_fd < 0 || fstat(memory, &st) < 0)
		return -errno;
	server->memory_device = st.st_dev;
	return 0;
}

void paths_close(struct attach_server *server)
{
	for (size_t i = 0; i < server->path_count; i++) {
		close(server->paths[i].fd);
		if (server->paths[i].pool)
			pool_unref(server->paths[i].pool, 1);
	}
	free(server->paths);
	if (server->dark_fd >= 0)
		close(server->dark_fd);
}

/* ---- One path. paths_lock is held ------------------------------------------------ */

static int lead_to(struct path *path, int fd)
{
	return dup3(fd, path->fd, O_CLOEXEC) < 0 ? -errno : 0;
}

static void darken(struct attach_server *server, struct path *path)
{
	lead_to(path, server->dark_fd);
	path->ino = 0;
}

/* As the pool's own, as far as this process may say so: to who cannot reach it the rest is all the same. */
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

/* The path leads to the pool's view; does nothing if it does already. */
static int lighten(struct attach_server *server, struct path *path)
{
	struct pool_attachment attachment;
	struct stat st;
	int error;

	if (path->ino)
		return 0;
	error = pool_attach_exact(path->pool, &attachment);
	if (!error)
		error = set_access(path->pool, attachment.fd);
	if (!error)
		error = attach_note_view(server, path->pool, &attachment);
	if (!error && fstat(attachment.fd, &st) < 0)
		error = -errno;
	if (!error)
		error = lead_to(path, attachment.fd);
	if (!error)
		path->ino = st.st_ino;
	return error;
}

static void end_path(struct attach_server *server, struct path *path)
{
	darken(server, path);
	pool_unref(path->pool, 1);
	path->pool = NULL;
	path->ended = ++server->paths_ended;
}

/* ---- All of them ------------------------------------------------------------------ */

static struct path *find_path(struct attach_server *server, const struct pool *pool)
{
	for (size_t i = 0; i < server->path_count; i++)
		if (server->paths[i].pool == pool)
			return &server->paths[i];
	return NULL;
}

/* The number that has rested longest, if enough rest. */
static struct path *rested(struct attach_server *server)
{
	struct path *longest = NULL;
	size_t resting = 0;

	for (size_t i = 0; i < server->path_count; i++) {
		struct path *path = &server->paths[i];

		if (path->pool)
			continue;
		resting++;
		if (!longest || path->ended < longest->ended)
			longest = path;
	}
	return resting >= RESTING_MAX ? longest : NULL;
}

static struct path *new_number(struct attach_server *server)
{
	int fd;

	if (server->path_count == server->path_room) {
		size_t room = server->path_room ? 2 * server->path_room : 16;
		void *grown = reallocarray(server->paths, room, sizeof(struct path));

		if (!grown) {
			errno = ENOMEM;
			return NULL;
		}
		server->paths = grown;
		server->path_room = room;
	}
	fd = fcntl(server->dark_fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return NULL;
	server->paths[server->path_count] = (struct path){ .fd = fd };
	return &server->paths[server->path_count++];
}

static int add_path(struct attach_server *server, struct pool *pool, struct path **out)
{
	struct path *path = rested(server);
	int error;

	if (!path)
		path = new_number(server);
	if (!path)
		return -errno;
	pool_ref(pool, 1);
	path->pool = pool;
	error = lighten(server, path);
	/* Nobody has been told of the number. */
	if (error)
		end_path(server, path);
	*out = path;
	return error;
}

int attach_path(struct attach_server *server, struct pool *pool, char **text)
{
	struct path *path;
	int error;

	READ_SCOPE(&server->power);
	LOCK_SCOPE(&server->paths_lock);
	path = find_path(server, pool);
	error = path ? lighten(server, path) : add_path(server, pool, &path);
	if (!error && asprintf(text, "/proc/%d/fd/%d", (int)getpid(), path->fd) < 0) {
		*text = NULL;
		error = -ENOMEM;
	}
	return error;
}

void attach_paths_prune(struct attach_server *server)
{
	struct pool_attributes attributes;

	READ_SCOPE(&server->power);
	LOCK_SCOPE(&server->paths_lock);
	for (size_t i = 0; i < server->path_count; i++)
		if (server->paths[i].pool &&
		    pool_get_attributes(server->paths[i].pool, &attributes) == -ESTALE)
			end_path(server, &server->paths[i]);
}

int paths_find(struct attach_server *server, ino_t ino, struct pool **pool)
{
	LOCK_SCOPE(&server->paths_lock);
	for (size_t i = 0; i < server->path_count; i++) {
		if (!server->paths[i].ino || server->paths[i].ino != ino)
			continue;
		*pool = server->paths[i].pool;
		pool_ref(*pool, 1);
		return 0;
	}
	return -EIO;
}

void paths_go_dark(struct attach_server *server, const struct pools *pools)
{
	LOCK_SCOPE(&server->paths_lock);
	for (size_t i = 0; i < server->path_count; i++) {
		struct path *path = &server->paths[i];

		if (!pools || (path->pool && pool_pools(path->pool) == pools))
			darken(server, path);
	}
}

/* What cannot be had now is tried again when its path is asked for. */
void paths_come_back(struct attach_server *server)
{
	LOCK_SCOPE(&server->paths_lock);
	for (size_t i = 0; i < server->path_count; i++) {
		int error = server->paths[i].pool ? lighten(server, &server->paths[i]) : 0;

		if (error == -ESTALE)
			end_path(server, &server->paths[i]);
		else if (error && !pools_media_lost(pool_pools(server->paths[i].pool)))
			log_sink_print(&server->options.log,
				       "/proc/%d/fd/%d: leads nowhere until its path is asked for anew: %s",
				       (int)getpid(), server->paths[i].fd, strerror(-error));
	}
}
