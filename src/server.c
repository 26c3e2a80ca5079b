/* SPDX-License-Identifier: BSD-3-Clause */
#include "server.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "control.h"
#include "reply.h"

#define STACK_BYTES (1u << 20)
#define GROUPS_MAX 65536
/* How long one who comes waits for one who goes. */
#define MAKE_ROOM_MS 500

struct client {
	struct reply reply; /* first: waits() gets from it to the client */
	struct server *server;
	struct peer peer;
	/* Since when the server waits for it (reply_now()), 0 if it does not. Guarded by server->lock. */
	uint64_t waiting;
	struct client *next; /* guarded by server->lock */
};

struct server {
	struct server_options options;
	int fd;
	int stop_fd; /* an eventfd: readable once the server is to stop */
	/* Of the socket file, so that only our own is removed. */
	dev_t dev;
	ino_t ino;
	bool started;
	pthread_t acceptor;
	pthread_mutex_t lock;
	pthread_cond_t changed; /* a client left, or keeps the server waiting */
	struct client *clients; /* guarded by lock */
	unsigned count;		/* guarded by lock */
};

static void __attribute__((format(printf, 2, 3))) say(struct server *server, const char *format, ...)
{
	char line[1024];
	va_list args;

	if (!server->options.log)
		return;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	server->options.log(server->options.log_context, line);
}

/* ---- The socket ----------------------------------------------------------- */

static bool someone_listens(const struct sockaddr_un *address)
{
	CLEANUP_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	/* EAGAIN: the backlog of a daemon that lives is full. */
	return connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 || errno == EAGAIN;
}

static int clear_stale(const struct sockaddr_un *address, struct message *message)
{
	const char *path = address->sun_path;
	struct stat st;

	if (lstat(path, &st) < 0)
		return 0;
	if (!S_ISSOCK(st.st_mode))
		return message_fail(message, -EEXIST,
				    "socket %s: there is a file of another kind: remove it, or give "
				    "--socket another path",
				    path);
	if (someone_listens(address))
		return message_fail(message, -EADDRINUSE,
				    "socket %s: a daemon answers there already: stop it, or give "
				    "--socket another path",
				    path);
	if (unlink(path) < 0)
		return message_fail(message, -errno, "socket %s: cannot remove the stale one: %s", path,
				    strerror(errno));
	return 0;
}

/* The directory of the default socket is made if it is missing; no more than that. */
static void make_directory(const char *path)
{
	CLEANUP_FREE char *directory = strdup(path);
	char *slash = directory ? strrchr(directory, '/') : NULL;

	if (slash && slash != directory) {
		*slash = '\0';
		(void)!mkdir(directory, geteuid() == 0 ? 0755 : 0700);
	}
}

static int bind_socket(struct server *server, const struct sockaddr_un *address, struct message *message)
{
	const struct server_options *options = &server->options;
	mode_t mode = options->has_group ? 0660 : 0600;
	/* The umask makes it ours alone until its owner and mode are set; no other thread runs yet. */
	mode_t mask = umask(0177);
	int error = bind(server->fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? -errno : 0;
	struct stat st;

	umask(mask);
	if (error)
		return message_fail(message, error, "socket %s: cannot make it: %s", options->path,
				    strerror(-error));
	if ((options->has_group && chown(options->path, (uid_t)-1, options->group) < 0) ||
	    chmod(options->path, mode) < 0 || lstat(options->path, &st) < 0 || listen(server->fd, 128) < 0) {
		error = message_fail(message, -errno, "socket %s: cannot set it up: %s", options->path,
				     strerror(errno));
		unlink(options->path);
		return error;
	}
	server->dev = st.st_dev;
	server->ino = st.st_ino;
	return 0;
}

static int open_socket(struct server *server, struct message *message)
{
	const char *path = server->options.path;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int error;

	if (strlen(path) >= sizeof(address.sun_path))
		return message_fail(message, -ENAMETOOLONG,
				    "socket %s: the path is too long: at most %zu bytes", path,
				    sizeof(address.sun_path) - 1);
	strcpy(address.sun_path, path);
	server->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	server->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (server->fd < 0 || server->stop_fd < 0)
		return message_fail(message, -errno, "socket %s: %s", path, strerror(errno));
	make_directory(path);
	error = clear_stale(&address, message);
	return error ? error : bind_socket(server, &address, message);
}

static void server_free(struct server *server)
{
	if (server->fd >= 0)
		close(server->fd);
	if (server->stop_fd >= 0)
		close(server->stop_fd);
	pthread_cond_destroy(&server->changed);
	pthread_mutex_destroy(&server->lock);
	free(server);
}

int server_listen(const struct server_options *options, struct server **out, struct message *message)
{
	struct server *server = calloc(1, sizeof(*server));
	int error;

	if (!server)
		return message_fail(message, -ENOMEM, "socket %s: out of memory", options->path);
	server->options = *options;
	server->fd = server->stop_fd = -1;
	pthread_mutex_init(&server->lock, NULL);
	pthread_cond_init(&server->changed, NULL);
	error = open_socket(server, message);
	if (error)
		server_free(server);
	else
		*out = server;
	return error;
}

/* ---- One client ------------------------------------------------------------ */

static void client_waits(struct reply *reply, bool waits)
{
	struct client *client = (struct client *)reply;
	LOCK_SCOPE(&client->server->lock);

	client->waiting = waits ? reply_now() : 0;
	if (waits)
		pthread_cond_broadcast(&client->server->changed);
}

static void refuse(struct client *client, int error, const char *why)
{
	say(client->server, "control: pid %d, uid %u: %s", (int)client->peer.pid, client->peer.uid, why);
	reply_final(&client->reply, error, why, NULL);
}

/* One request, answered. Non-zero: the stream cannot be followed any further. */
static int answer(struct client *client)
{
	struct server *server = client->server;
	struct reply *reply = &client->reply;
	uint64_t until = reply_now() + server->options.patience;
	unsigned char header[sizeof(struct control_header)];
	CLEANUP_JSON struct json_object *json = NULL;
	CLEANUP_FREE char *body = NULL;
	struct control_frame frame;
	struct request request;
	struct message message;
	int error = reply_receive(reply, header, sizeof(header), until);

	if (error)
		return error;
	error = control_header_decode(header, CONTROL_REQUEST_MAX, &frame, &message);
	if (!error && frame.type != CONTROL_REQUEST)
		error = message_fail(&message, -EBADMSG, "a client sends requests, not frames of type %u",
				     frame.type);
	if (error) {
		refuse(client, error, message.text);
		return error;
	}
	body = malloc(frame.length + 1);
	error = body ? reply_receive(reply, body, frame.length, until) : -ENOMEM;
	if (error)
		return error;
	error = control_body_decode(body, frame.length, &json, &message);
	if (!error)
		error = request_decode(json, &request, &message);
	if (error) {
		refuse(client, error, message.text);
		return 0;
	}
	server->options.handle(server->options.context, &request, &client->peer, reply);
	request_clear(&request);
	return reply->broken ? -EPIPE : 0;
}

static void *client_thread(void *argument)
{
	struct client *client = argument;
	struct server *server = client->server;
	struct client **link;

	while (answer(client) == 0)
		;
	/* Nothing of the client may be touched after the lock is gone, nor of the server once count is 0. */
	LOCK_SCOPE(&server->lock);
	for (link = &server->clients; *link != client; link = &(*link)->next)
		;
	*link = client->next;
	server->count--;
	close(client->reply.fd);
	free(client);
	pthread_cond_broadcast(&server->changed);
	return NULL;
}

/* ---- Who comes ------------------------------------------------------------- */

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

static bool may_talk(struct server *server, int fd, struct peer *peer)
{
	struct ucred credentials;
	socklen_t size = sizeof(credentials);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0)
		return false;
	*peer = (struct peer){ .pid = credentials.pid, .uid = credentials.uid, .gid = credentials.gid };
	return peer->uid == 0 || peer->uid == geteuid() ||
	       (server->options.has_group && in_group(fd, server->options.group, peer->gid));
}

static void deadline(struct timespec *at, unsigned milliseconds)
{
	clock_gettime(CLOCK_MONOTONIC, at);
	at->tv_sec += milliseconds / 1000;
	at->tv_nsec += (long)(milliseconds % 1000) * 1000000;
	if (at->tv_nsec >= 1000000000) {
		at->tv_nsec -= 1000000000;
		at->tv_sec++;
	}
}

/* Called with the lock held. */
static struct client *waiting_longest(struct server *server)
{
	struct client *longest = NULL;

	for (struct client *client = server->clients; client; client = client->next)
		if (client->waiting && (!longest || client->waiting <= longest->waiting))
			longest = client;
	return longest;
}

/* Called with the lock held. False: everybody is being served, and nobody leaves. */
static bool make_room(struct server *server)
{
	struct client *longest = NULL;
	struct timespec until;

	deadline(&until, MAKE_ROOM_MS);
	while (server->count >= server->options.clients) {
		if (!longest) {
			longest = waiting_longest(server);
			if (longest)
				shutdown(longest->reply.fd, SHUT_RDWR);
		}
		if (pthread_cond_clockwait(&server->changed, &server->lock, CLOCK_MONOTONIC, &until) != 0)
			return false;
	}
	return true;
}

static int start_thread(void *(*run)(void *), void *argument, pthread_t *thread)
{
	pthread_attr_t attributes;
	int error;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	error = pthread_create(thread, &attributes, run, argument);
	pthread_attr_destroy(&attributes);
	return -error;
}

static bool admit(struct server *server, struct client *client)
{
	pthread_t thread;
	LOCK_SCOPE(&server->lock);

	if (!make_room(server) || start_thread(client_thread, client, &thread) < 0)
		return false;
	pthread_detach(thread);
	client->next = server->clients;
	server->clients = client;
	server->count++;
	return true;
}

static void take(struct server *server, int fd)
{
	struct client *client = malloc(sizeof(*client));

	if (!client) {
		close(fd);
		return;
	}
	/* Field by field: the buffer, most of it, need not be cleared. */
	client->reply.fd = fd;
	client->reply.patience = server->options.patience;
	client->reply.waits = client_waits;
	client->reply.broken = false;
	client->reply.progress_sent = 0;
	client->reply.filled = 0;
	client->server = server;
	client->waiting = 0;
	if (!may_talk(server, fd, &client->peer))
		refuse(client, -EACCES,
		       "permission denied: only the daemon's user, root and --group may talk to it");
	else if (admit(server, client))
		return;
	else
		refuse(client, -EBUSY, "the daemon is busy with too many clients: try again");
	close(fd);
	free(client);
}

static void *accept_thread(void *argument)
{
	struct server *server = argument;
	struct pollfd fds[] = { { .fd = server->fd, .events = POLLIN },
				{ .fd = server->stop_fd, .events = POLLIN } };

	for (;;) {
		int fd;

		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[1].revents)
			return NULL;
		fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd >= 0)
			take(server, fd);
		else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
			poll(&fds[1], 1, 100); /* it would come back at once: give others time to end */
	}
}

int server_start(struct server *server)
{
	int error = start_thread(accept_thread, server, &server->acceptor);

	server->started = error == 0;
	return error;
}

static void hang_up(struct server *server)
{
	LOCK_SCOPE(&server->lock);

	for (struct client *client = server->clients; client; client = client->next)
		shutdown(client->reply.fd, SHUT_RDWR);
	while (server->count)
		pthread_cond_wait(&server->changed, &server->lock);
}

void server_stop(struct server *server)
{
	struct stat st;

	if (!server)
		return;
	if (lstat(server->options.path, &st) == 0 && st.st_dev == server->dev && st.st_ino == server->ino)
		unlink(server->options.path);
	if (server->started) {
		(void)!write(server->stop_fd, &(uint64_t){ 1 }, sizeof(uint64_t));
		pthread_join(server->acceptor, NULL);
	}
	hang_up(server);
	server_free(server);
}
