/* SPDX-License-Identifier: BSD-3-Clause */
#include "server/listener.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/cleanup.h"

#define GROUPS_MAX 65536

static bool is_listened_to(const struct sockaddr_un *address, int type)
{
	CLEANUP_FD int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	/* EAGAIN: a daemon listens, and its backlog is full. */
	return connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 || errno == EAGAIN;
}

static int clear_stale(const struct sockaddr_un *address, int type, struct message *message)
{
	const char *path = address->sun_path;
	struct stat st;

	if (lstat(path, &st) < 0)
		return 0;
	if (!S_ISSOCK(st.st_mode))
		return message_fail(message, -EEXIST,
				    "socket %s: a file of another kind is in its place: remove it, or give "
				    "--socket another path",
				    path);
	if (is_listened_to(address, type))
		return message_fail(message, -EADDRINUSE,
				    "socket %s: a daemon answers there already: stop it, or give "
				    "--socket another path",
				    path);
	if (unlink(path) < 0)
		return message_fail(message, -errno, "socket %s: cannot remove the stale one: %s", path,
				    strerror(errno));
	return 0;
}

/* Make the directory of the socket if it is missing, but not the directories above it. */
static void make_directory(const char *path)
{
	CLEANUP_FREE char *directory = strdup(path);
	char *slash = directory ? strrchr(directory, '/') : NULL;

	if (slash && slash != directory) {
		*slash = '\0';
		(void)!mkdir(directory, geteuid() == 0 ? 0755 : 0700);
	}
}

static int bind_socket(struct listener *listener, const struct sockaddr_un *address, struct message *message)
{
	const struct listener_options *options = &listener->options;
	mode_t mode = options->has_group ? 0660 : 0600;
	/*
	 * The umask denies access until the owner and the mode of the socket are set. It is a property of
	 * the process, in which no other thread runs yet.
	 */
	mode_t mask = umask(0177);
	int error = bind(listener->fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? -errno : 0;
	struct stat st;

	umask(mask);
	if (error)
		return message_fail(message, error, "socket %s: cannot create it: %s", options->path,
				    strerror(-error));
	if ((options->has_group && chown(options->path, (uid_t)-1, options->group) < 0) ||
	    chmod(options->path, mode) < 0 || lstat(options->path, &st) < 0 ||
	    listen(listener->fd, 128) < 0) {
		error = message_fail(message, -errno, "socket %s: cannot set it up: %s", options->path,
				     strerror(errno));
		unlink(options->path);
		return error;
	}
	listener->dev = st.st_dev;
	listener->ino = st.st_ino;
	return 0;
}

static int open_socket(struct listener *listener, struct message *message)
{
	const char *path = listener->options.path;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int error;

	if (strlen(path) >= sizeof(address.sun_path))
		return message_fail(message, -ENAMETOOLONG,
				    "socket %s: the path is too long: at most %zu bytes", path,
				    sizeof(address.sun_path) - 1);
	strcpy(address.sun_path, path);
	listener->fd = socket(AF_UNIX, listener->options.type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (listener->fd < 0)
		return message_fail(message, -errno, "socket %s: %s", path, strerror(errno));
	make_directory(path);
	error = clear_stale(&address, listener->options.type, message);
	return error ? error : bind_socket(listener, &address, message);
}

int listener_open(struct listener *listener, const struct listener_options *options, struct message *message)
{
	int error;

	*listener = (struct listener){ .options = *options, .fd = -1 };
	error = open_socket(listener, message);
	if (error)
		listener_close(listener);
	return error;
}

void listener_unlink(struct listener *listener)
{
	struct stat st;

	if (lstat(listener->options.path, &st) == 0 && st.st_dev == listener->dev &&
	    st.st_ino == listener->ino)
		unlink(listener->options.path);
}

void listener_close(struct listener *listener)
{
	if (listener->fd >= 0)
		close(listener->fd);
	listener->fd = -1;
}

static bool in_group(int fd, gid_t group, gid_t primary)
{
	socklen_t size = GROUPS_MAX * sizeof(gid_t);
	CLEANUP_FREE gid_t *groups = malloc(size);

	if (primary == group)
		return true;
	if (!groups || getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0)
		return false;
	for (size_t i = 0; i < size / sizeof(gid_t); i++)
		if (groups[i] == group)
			return true;
	return false;
}

bool listener_admits(const struct listener *listener, int fd, const struct peer *peer)
{
	return peer->uid == 0 || peer->uid == geteuid() ||
	       (listener->options.has_group && in_group(fd, listener->options.group, peer->gid));
}

void listener_serve(struct listener *listener, int stop_fd, void (*take)(void *context, int fd),
		    void *context)
{
	struct pollfd fds[] = { { .fd = listener->fd, .events = POLLIN },
				{ .fd = stop_fd, .events = POLLIN } };

	for (;;) {
		int fd;

		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[1].revents)
			return;
		fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd >= 0)
			take(context, fd);
		else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
			poll(&fds[1], 1, 100); /* the connection stays queued until others end */
	}
}
