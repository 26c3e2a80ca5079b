/* SPDX-License-Identifier: BSD-3-Clause */

/* One client's messages. Whatever it sends is hostile until checked. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "attach/attach_private.h"
#include "common/cleanup.h"
#include "fusefs.h"

/* Each takes five mappings of the 65,530 that a process may have. */
#define WPQS_OF_ALL 8192
#define WPQS_OF_ONE 4096
#define VIEWS_MAX 65536
#define DESCRIPTORS_MAX 16 /* taken, so as to close them; no message needs more than one */

struct exchange {
	struct attach_request request;
	int fds[DESCRIPTORS_MAX];
	size_t fd_count;
	struct attach_reply reply;
	int reply_fd; /* lent; -1: none */
	bool over;    /* nothing comes after this */
};

static int fail(struct exchange *exchange, int error, const char *why)
{
	snprintf(exchange->reply.message, sizeof(exchange->reply.message), "%s", why);
	return error;
}

/* Nothing that follows can be trusted to mean what it says. */
static int break_off(struct exchange *exchange, int error, const char *why)
{
	exchange->over = true;
	return fail(exchange, error, why);
}

/* ---- Descriptors ------------------------------------------------------------- */

static void *close_thread(void *argument)
{
	close((int)(intptr_t)argument);
	return NULL;
}

/* Closing a file asks its file system, which may be the client's own and never answer. */
static void close_foreign(int fd)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, close_thread, (void *)(intptr_t)fd) == 0)
		pthread_detach(thread);
	else
		close(fd);
}

/* Where a file is, asking nobody but the kernel. */
static bool identify(int fd, struct statx *stx)
{
	return statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_INO, stx) == 0;
}

static bool on_mount(const struct attach_server *server, const struct statx *stx)
{
	return server->served.device &&
	       makedev(stx->stx_dev_major, stx->stx_dev_minor) == server->served.device;
}

/* The memory of a view, or what passes for it. */
static bool is_memory(const struct attach_server *server, const struct statx *stx)
{
	return server->memory_device &&
	       makedev(stx->stx_dev_major, stx->stx_dev_minor) == server->memory_device;
}

static void close_received(const struct attach_server *server, struct exchange *exchange)
{
	for (size_t i = 0; i < exchange->fd_count; i++) {
		struct statx stx;

		if (identify(exchange->fds[i], &stx) && (on_mount(server, &stx) || is_memory(server, &stx)))
			close(exchange->fds[i]);
		else
			close_foreign(exchange->fds[i]);
	}
}

/*
 * What the kernel holds of the file in dirty pages comes to the pool, and a
 * descriptor from before a power failure is told apart from one of now. Not by
 * fsync(2): who maps a pool once more makes nothing durable that was only stored.
 */
static int write_pages_back(struct exchange *exchange)
{
	const unsigned all = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
	char byte;

	if (sync_file_range(exchange->fds[0], 0, 0, all) < 0 || pread(exchange->fds[0], &byte, 1, 0) < 0)
		return fail(exchange, -errno, strerror(errno));
	return 0;
}

/* What came with the request: a pool's file on the mount, or the memory of its view. */
static int look_at_file(const struct attach_server *server, struct exchange *exchange, struct statx *stx)
{
	if (exchange->fd_count != 1)
		return break_off(exchange, -EBADMSG, "one descriptor is wanted");
	if (!identify(exchange->fds[0], stx) || (!on_mount(server, stx) && !is_memory(server, stx)))
		return break_off(exchange, -EXDEV, "the descriptor is of no pool");
	if (!S_ISREG(stx->stx_mode))
		return fail(exchange, -EINVAL, "not a regular file");
	return 0;
}

/* By its number on the mount. */
static int find_by_number(const struct attach_served *served, uint64_t ino, struct pool **pool)
{
	unsigned region = fusefs_ino_region(ino);

	if (region >= served->regions)
		return -ESTALE;
	return pool_lookup_ino(served->pools[region], fusefs_ino_pool(ino), pool);
}

/* The pool of it, with a reference. */
static int find_pool(struct attach_server *server, struct exchange *exchange, const struct statx *stx,
		     struct pool **pool)
{
	int error;

	if (on_mount(server, stx)) {
		error = write_pages_back(exchange);
		return error ? error : find_by_number(&server->served, stx->stx_ino, pool);
	}
	error = paths_find(server, stx->stx_ino, pool);
	return error ? fail(exchange, error, "opened before a power failure, or elsewhere") : 0;
}

/* ---- Pools ----------------------------------------------------------------------- */

static unsigned region_of(const struct attach_served *served, const struct pool *pool)
{
	unsigned region = 0;

	while (served->pools[region] != pool_pools(pool))
		region++;
	return region;
}

int attach_note_view(struct attach_server *server, const struct pool *pool,
		     const struct pool_attachment *attachment)
{
	struct stat st;

	if (fstat(attachment->fd, &st) < 0)
		return -errno;
	LOCK_SCOPE(&server->lock);
	for (size_t i = 0; i < server->view_count; i++)
		if (server->views[i].ino == st.st_ino && server->views[i].dev == st.st_dev)
			return 0;
	if (server->view_count == server->view_room) {
		size_t room = server->view_room ? 2 * server->view_room : 64;
		void *grown = room > VIEWS_MAX ? NULL :
			      reallocarray(server->views, room, sizeof(struct view_memory));

		if (!grown)
			return -ENOMEM;
		server->views = grown;
		server->view_room = room;
	}
	server->views[server->view_count++] =
		(struct view_memory){ .dev = st.st_dev,
				      .ino = st.st_ino,
				      .region = region_of(&server->served, pool),
				      .id = attachment->view };
	return 0;
}

/* What a reply says of a region. */
static void tell_region(const struct attach_server *server, struct exchange *exchange, unsigned region)
{
	struct pools *pools = server->served.pools[region];

	exchange->reply.region = region;
	exchange->reply.generation = pools_generation(pools);
	exchange->reply.domain = (uint32_t)pools_persistence(pools);
}

/* ---- What its records may name -------------------------------------------------- */

static int need_rights(struct attached *client, unsigned region)
{
	struct attached_region *mine = &client->regions[region];

	return mine->rights ? 0 :
	       pools_create_wpq_rights(client->server->served.pools[region], &mine->rights);
}

static int allow_view(struct attached *client, unsigned region, uint32_t view)
{
	int error = need_rights(client, region);

	return error ? error : wpq_rights_add(client->regions[region].rights, view);
}

struct inheritance {
	struct attached *client;
	unsigned region;
	int error;
};

static bool inherit(void *context, const struct view_memory *view)
{
	struct inheritance *inheritance = context;

	if (view->region == inheritance->region)
		inheritance->error = allow_view(inheritance->client, view->region, view->id);
	return !inheritance->error;
}

/*
 * A forked child, or who has lost his connection, has mappings of views that he
 * has not shown us the files of. That he has them is proof enough: they are the
 * memory itself. Asked once, when the first flush to the region comes.
 */
static int allow_what_is_mapped(struct attached *client, unsigned region)
{
	struct attach_server *server = client->server;
	struct inheritance inheritance = { .client = client, .region = region };
	CLEANUP_FREE struct view_memory *views = NULL;
	size_t count;

	if (client->regions[region].wpq_count)
		return 0;
	{
		LOCK_SCOPE(&server->lock);
		count = server->view_count;
		views = calloc(count + 1, sizeof(*views));
		if (views && count)
			memcpy(views, server->views, count * sizeof(*views));
	}
	if (!views)
		return -ENOMEM;
	/* There is something to limit it to, if only nothing. */
	inheritance.error = need_rights(client, region);
	if (!inheritance.error)
		mapped_views(client->peer.pid, views, count, inherit, &inheritance);
	return inheritance.error;
}

/* ---- Pools and mappings ------------------------------------------------------------ */

static int attach_found(struct attached *client, struct exchange *exchange, struct pool *pool)
{
	struct attach_server *server = client->server;
	const struct attach_served *served = &server->served;
	const unsigned region = region_of(served, pool);
	struct pool_attachment attachment;
	struct pool_attributes attributes;
	int error = served->device ? pool_attach(pool, &attachment) : pool_attach_exact(pool, &attachment);

	if (!error)
		error = pool_get_attributes(pool, &attributes);
	/* Before the client has it: from then on it must be found when the power fails. */
	if (!error)
		error = attach_note_view(server, pool, &attachment);
	if (!error)
		error = allow_view(client, region, attachment.view);
	if (error)
		return fail(exchange, error, strerror(-error));
	{
		LOCK_SCOPE(&server->lock);
		client->regions[region].has_pools = true;
	}
	if (served->changed)
		served->changed(served->context, pool);
	tell_region(server, exchange, region);
	exchange->reply.ino = attributes.ino;
	exchange->reply.view = attachment.view;
	exchange->reply.pool_size = attachment.size;
	exchange->reply_fd = attachment.fd;
	return 0;
}

static int answer_pool(struct attached *client, struct exchange *exchange)
{
	struct pool *pool;
	struct statx stx;
	int error = look_at_file(client->server, exchange, &stx);

	if (!error && (fcntl(exchange->fds[0], F_GETFL) & (O_ACCMODE | O_PATH)) != O_RDWR)
		error = fail(exchange, -EACCES, "open the pool for reading and writing");
	if (!error)
		error = find_pool(client->server, exchange, &stx, &pool);
	if (error)
		return error;
	error = attach_found(client, exchange, pool);
	pool_unref(pool, 1);
	return error;
}

static int sync_view(struct attached *client, struct exchange *exchange, const struct statx *stx)
{
	struct pool *pool;
	int error = find_pool(client->server, exchange, stx, &pool);

	if (error)
		return error;
	error = pool_sync_pool(pool);
	pool_unref(pool, 1);
	return error ? fail(exchange, error, strerror(-error)) : 0;
}

static int answer_sync(struct attached *client, struct exchange *exchange)
{
	struct statx stx;
	int error = look_at_file(client->server, exchange, &stx);

	if (error)
		return error;
	if (fcntl(exchange->fds[0], F_GETFL) & O_PATH)
		return fail(exchange, -EBADF, strerror(EBADF));
	if (is_memory(client->server, &stx))
		return sync_view(client, exchange, &stx);
	return fsync(exchange->fds[0]) < 0 ? fail(exchange, -errno, strerror(errno)) : 0;
}

/* ---- WPQs -------------------------------------------------------------------------- */

static int make_room(struct attached_region *mine)
{
	size_t room = mine->wpq_room ? 2 * mine->wpq_room : 8;
	void *grown;

	if (mine->wpq_count < mine->wpq_room)
		return 0;
	grown = reallocarray(mine->wpqs, room, sizeof(struct wpq *));
	if (!grown)
		return -ENOMEM;
	mine->wpqs = grown;
	mine->wpq_room = room;
	return 0;
}

static size_t wpqs_of(const struct attached *client)
{
	size_t count = 0;

	for (unsigned i = 0; i < client->server->served.regions; i++)
		count += client->regions[i].wpq_count;
	return count;
}

/* A ring's pages are taken as it comes round to them: where there are very many WPQs, each is smaller. */
static uint32_t lane_size(size_t wpqs)
{
	if (wpqs < 64)
		return WPQ_LANE_SIZE_DEFAULT;
	return wpqs < 1024 ? WPQ_LANE_SIZE_DEFAULT / 4 : WPQ_LANE_SIZE_DEFAULT / 16;
}

static int answer_wpq(struct attached *client, struct exchange *exchange)
{
	struct attach_server *server = client->server;
	const unsigned region = exchange->request.region;
	struct attached_region *mine;
	struct wpq *wpq;
	int error;

	if (region >= server->served.regions)
		return break_off(exchange, -EINVAL, "there is no region of that number");
	mine = &client->regions[region];
	error = allow_what_is_mapped(client, region);
	if (error)
		return fail(exchange, error, strerror(-error));
	LOCK_SCOPE(&server->lock);
	if (pools_media_lost(server->served.pools[region])) {
		if (mine->has_pools)
			attach_expel(client, region);
		return fail(exchange, -EIO, "the region's memory is gone");
	}
	if (wpqs_of(client) >= WPQS_OF_ONE || server->wpq_count >= WPQS_OF_ALL)
		return fail(exchange, -EMFILE, "too many threads with a WPQ");
	error = make_room(mine);
	if (!error)
		error = pools_create_wpq(server->served.pools[region], lane_size(server->wpq_count), &wpq);
	if (error)
		return fail(exchange, error, strerror(-error));
	wpq_limit(wpq, mine->rights);
	mine->wpqs[mine->wpq_count++] = wpq;
	if (server->wpq_count++ == 0)
		pthread_cond_signal(&server->drain_soon);
	tell_region(server, exchange, region);
	exchange->reply_fd = wpq_fd(wpq);
	return 0;
}

static void kick(struct attach_server *server)
{
	LOCK_SCOPE(&server->lock);

	server->kicked = true;
	pthread_cond_signal(&server->drain_soon);
}

/* ---- Messages ------------------------------------------------------------------------ */

static void take_descriptors(struct msghdr *header, struct exchange *exchange)
{
	for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part; part = CMSG_NXTHDR(header, part)) {
		size_t bytes = part->cmsg_len - CMSG_LEN(0);

		if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
			continue;
		memcpy(exchange->fds, CMSG_DATA(part), bytes);
		exchange->fd_count = bytes / sizeof(int);
	}
}

/* False: the client is gone. */
static bool receive(int fd, struct exchange *exchange, bool *whole)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(DESCRIPTORS_MAX * sizeof(int))];
	} control;
	struct iovec iov = { .iov_base = &exchange->request, .iov_len = sizeof(exchange->request) };
	struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t got;

	do {
		header.msg_control = &control;
		header.msg_controllen = sizeof(control);
		got = recvmsg(fd, &header, MSG_CMSG_CLOEXEC);
	} while (got < 0 && errno == EINTR);
	if (got <= 0)
		return false;
	take_descriptors(&header, exchange);
	*whole = got == sizeof(exchange->request) && !(header.msg_flags & (MSG_TRUNC | MSG_CTRUNC));
	return true;
}

static bool send_reply(int fd, const struct attach_reply *reply, int reply_fd)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)reply, .iov_len = sizeof(*reply) };
	struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (reply_fd >= 0) {
		header.msg_control = &control;
		header.msg_controllen = sizeof(control);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &reply_fd, sizeof(int));
	}
	/* Who asks on and on and takes no answers does not get to keep us. */
	return sendmsg(fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)sizeof(*reply);
}

static void begin_reply(struct attach_reply *reply)
{
	*reply = (struct attach_reply){
		.magic = ATTACH_MAGIC, .version = ATTACH_VERSION, .size = sizeof(*reply)
	};
}

void attach_refuse(int fd, int error, const char *why)
{
	struct attach_reply reply;

	begin_reply(&reply);
	reply.error = error;
	snprintf(reply.message, sizeof(reply.message), "%s", why);
	send_reply(fd, &reply, -1);
}

static int check_request(const struct attached *client, struct exchange *exchange, bool whole)
{
	static const uint64_t zeros[sizeof(exchange->request.reserved) / sizeof(uint64_t)];
	const struct attach_request *request = &exchange->request;
	const bool wants_descriptor = request->type == ATTACH_POOL || request->type == ATTACH_SYNC;

	if (!whole || request->magic != ATTACH_MAGIC)
		return break_off(exchange, -EBADMSG, "not a message of this protocol");
	if (request->version != ATTACH_VERSION || request->size != sizeof(*request))
		return break_off(exchange, -EPROTONOSUPPORT, "another version of the protocol");
	if (request->flags || request->reserved_here || (request->region && request->type != ATTACH_WPQ) ||
	    memcmp(request->reserved, zeros, sizeof(zeros)) != 0)
		return break_off(exchange, -EINVAL, "flags that this daemon does not know");
	if (!client->greeted && request->type != ATTACH_HELLO)
		return break_off(exchange, -EPROTO, "a greeting comes first");
	if (exchange->fd_count && !wants_descriptor)
		return break_off(exchange, -EBADMSG, "no descriptor is wanted");
	return 0;
}

static int serve(struct attached *client, struct exchange *exchange)
{
	switch (exchange->request.type) {
	case ATTACH_HELLO:
		client->greeted = true;
		return 0;
	case ATTACH_POOL:
		return answer_pool(client, exchange);
	case ATTACH_WPQ:
		return answer_wpq(client, exchange);
	case ATTACH_DRAIN:
		return attach_drain(client->server, client);
	case ATTACH_KICK:
		kick(client->server);
		return 0;
	case ATTACH_SYNC:
		return answer_sync(client, exchange);
	}
	return break_off(exchange, -EBADMSG, "an unknown kind of message");
}

/* cpu_cache lets a client leave out its flushes: only where no region needs them. */
static enum persistence_domain common_domain(const struct attach_served *served)
{
	for (unsigned i = 0; i < served->regions; i++)
		if (pools_persistence(served->pools[i]) != PERSISTENCE_CPU_CACHE)
			return PERSISTENCE_MEMORY_CONTROLLER;
	return PERSISTENCE_CPU_CACHE;
}

/* With the power on, from the request to its answer: no view of an older generation leaves. */
static bool answer(struct attached *client, struct exchange *exchange, bool whole)
{
	struct attach_server *server = client->server;
	struct attach_reply *reply = &exchange->reply;

	READ_SCOPE(&server->power);
	begin_reply(reply);
	reply->type = exchange->request.type;
	reply->mount_device = server->served.device;
	reply->view_device = server->memory_device;
	reply->domain = (uint32_t)common_domain(&server->served);
	reply->error = check_request(client, exchange, whole);
	if (!reply->error)
		reply->error = serve(client, exchange);
	if (exchange->over)
		log_sink_print(&server->options.log, "attach: pid %d, uid %u: %s", (int)client->peer.pid,
			       client->peer.uid, reply->message);
	/* A lock of flock(2) lasts until the descriptor's last copy is closed: that is to be the client's. */
	close_received(server, exchange);
	if (!exchange->over && exchange->request.type == ATTACH_KICK)
		return true;
	return send_reply(client->fd, reply, reply->error ? -1 : exchange->reply_fd) && !exchange->over;
}

bool attach_answer(struct attached *client)
{
	struct exchange exchange = { .reply_fd = -1 };
	bool whole;

	if (!receive(client->fd, &exchange, &whole))
		return false;
	return answer(client, &exchange, whole);
}
