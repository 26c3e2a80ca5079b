/* SPDX-License-Identifier: BSD-3-Clause */
#include "attach/attach_answer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "attach/attach_context.h"
#include "attach/attach_drain.h"
#include "attach/attach_mappers.h"
#include "attach/attach_message.h"
#include "attach/attach_trace.h"
#include "common/cleanup.h"
#include "fusefs.h"
#include "recorder/recorded.h"
#include "server/foreign_fd.h"

/*
 * Each takes five mappings of the 65,530 that a process may have. As with places (server/server.h), a user
 * may take one only while it has fewer than are free.
 */
#define WPQS_OF_ALL 8192
#define WPQS_OF_ONE 4096

static int fail(struct attach_exchange *exchange, int error, const char *why)
{
	snprintf(exchange->reply.message, sizeof(exchange->reply.message), "%s", why);
	return error;
}

/* The client does not speak the protocol: nothing that follows can be understood. */
static int break_off(struct attach_exchange *exchange, int error, const char *why)
{
	exchange->over = true;
	return fail(exchange, error, why);
}

static void give_fd(struct attach_exchange *exchange, int fd, bool owned)
{
	exchange->reply_fds[0] = fd;
	exchange->reply_fd_count = 1;
	exchange->reply_fds_owned = owned;
}

/* ---- Descriptors ------------------------------------------------------------- */

/* Type, device and inode number of a file, without asking its file system. */
static bool identify(int fd, struct statx *stx)
{
	return statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_INO, stx) == 0;
}

static bool on_mount(const struct attach_server *attach, const struct statx *stx)
{
	return attach->served.device &&
	       makedev(stx->stx_dev_major, stx->stx_dev_minor) == attach->served.device;
}

/* Is it on the file system of memory files, where views are? */
static bool is_memory(const struct attach_server *attach, const struct statx *stx)
{
	return attach->paths.memory_device &&
	       makedev(stx->stx_dev_major, stx->stx_dev_minor) == attach->paths.memory_device;
}

static void close_received(const struct attach_server *attach, struct attach_exchange *exchange)
{
	for (size_t i = 0; i < exchange->fd_count; i++) {
		struct statx stx;

		if (identify(exchange->fds[i], &stx) && (on_mount(attach, &stx) || is_memory(attach, &stx)))
			close(exchange->fds[i]);
		else
			server_close_foreign(exchange->fds[i]);
	}
}

/*
 * Have the kernel write the file's dirty pages to the pool. It fails for a descriptor from before an outage.
 * Not by fsync(2): mapping a pool must not make durable what was only stored.
 */
static int write_pages_back(struct attach_exchange *exchange)
{
	const unsigned all = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
	char byte;

	if (sync_file_range(exchange->fds[0], 0, 0, all) < 0 || pread(exchange->fds[0], &byte, 1, 0) < 0)
		return fail(exchange, -errno, strerror(errno));
	return 0;
}

/* The descriptor that came with the request: of a pool's file on the mount, or of the memory of its view. */
static int identify_file(const struct attach_server *attach, struct attach_exchange *exchange,
			 struct statx *stx)
{
	if (exchange->fd_count != 1)
		return break_off(exchange, -EBADMSG, "this message needs one descriptor");
	if (!identify(exchange->fds[0], stx) || (!on_mount(attach, stx) && !is_memory(attach, stx)))
		return break_off(exchange, -EXDEV, "the descriptor is not of a pool");
	if (!S_ISREG(stx->stx_mode))
		return fail(exchange, -EINVAL, "not a regular file");
	return 0;
}

/* By the file's inode number on the mount. */
static int find_by_number(const struct attach_served *served, uint64_t ino, struct pool **pool)
{
	unsigned region = fusefs_ino_region(ino);

	if (region >= served->regions)
		return -ESTALE;
	return pool_lookup_ino(served->pools[region], fusefs_ino_pool(ino), pool);
}

/* The pool of the received descriptor, with a reference. */
static int find_pool(struct attach_server *attach, struct attach_exchange *exchange, const struct statx *stx,
		     struct pool **pool)
{
	int error;

	if (on_mount(attach, stx)) {
		error = write_pages_back(exchange);
		return error ? error : find_by_number(&attach->served, stx->stx_ino, pool);
	}
	error = attach_paths_find(attach, stx->stx_ino, pool);
	return error ? fail(exchange, error, "opened before a power failure, or not a pool") : 0;
}

/* ---- Pools ----------------------------------------------------------------------- */

static void put_region(const struct attach_server *attach, struct attach_exchange *exchange, unsigned region)
{
	struct pools *pools = attach->served.pools[region];

	exchange->reply.region = region;
	exchange->reply.generation = pools_generation(pools);
	exchange->reply.domain = (uint32_t)pools_persistence(pools);
}

/* ---- Which views a client's records may name -------------------------------------------------- */

static int need_rights(struct attach_client *client, unsigned region)
{
	struct attach_client_region *mine = &client->regions[region];

	return mine->rights ? 0 :
	       pools_create_wpq_rights(client->attach->served.pools[region], &mine->rights);
}

static int allow_view(struct attach_client *client, unsigned region, uint32_t view)
{
	int error = need_rights(client, region);

	return error ? error : wpq_rights_add(client->regions[region].rights, view);
}

/*
 * A forked child, or a process that has lost its connection, has mappings of views whose files it has not
 * shown on this connection. A mapping of a view proves that the process may write to the pool, because it is
 * the pool's memory. This is checked once, before the client gets its first WPQ of the region.
 */
static int allow_mapped_views(struct attach_client *client, unsigned region)
{
	struct attach_server *attach = client->attach;
	CLEANUP_FREE struct view_memory *views = NULL;
	CLEANUP_FREE size_t *mapped = NULL;
	size_t count, mapped_count;
	int error;

	if (client->regions[region].wpqs.count)
		return 0;
	views = attach_views_copy(attach, &count);
	if (!views)
		return -ENOMEM;
	/* Also if it maps nothing: a WPQ without rights would not be limited. */
	error = need_rights(client, region);
	if (!error)
		error = mappers_views_of(&client->connection.peer, views, count, &mapped, &mapped_count);
	for (size_t i = 0; !error && i < mapped_count; i++)
		if (views[mapped[i]].region == region)
			error = allow_view(client, region, views[mapped[i]].id);
	return error;
}

/* ---- Pools and mappings ------------------------------------------------------------ */

/* Attach the pool and list its view, so that an outage finds the client as soon as that has the view. */
static int share_view(struct attach_client *client, struct pool *pool, struct pool_attachment *attachment)
{
	struct attach_server *attach = client->attach;
	const struct peer *peer = &client->connection.peer;
	int error = attach_views_reserve(attach, pool, peer);

	if (error)
		return error;
	error = attach->served.device ? pool_attach(pool, attachment) : pool_attach_exact(pool, attachment);
	if (!error) {
		error = attach_views_add(attach, pool, attachment, peer->uid);
		if (error)
			close(attachment->fd);
	}
	attach_views_unreserve(attach, peer->uid);
	return error;
}

static int refuse_view(struct attach_client *client, struct attach_exchange *exchange, struct pool *pool,
		       int error)
{
	char path[512];

	if (error != -EMFILE && error != -ENFILE)
		return fail(exchange, error, strerror(-error));
	if (pool_path(pool, path, sizeof(path)) < 0)
		*path = '\0';
	server_say(&client->connection,
		   "refused the pool %s: too many pools are mapped: unmap some, or raise the limit of open "
		   "files (LIMITS in softpmemd(8))",
		   path);
	return fail(exchange, -EMFILE, "too many pools are mapped: LIMITS in softpmemd(8)");
}

static int attach_pool(struct attach_client *client, struct attach_exchange *exchange, struct pool *pool)
{
	struct attach_server *attach = client->attach;
	const struct attach_served *served = &attach->served;
	const unsigned region = attach_region_of(attach, pool);
	struct pool_attachment attachment;
	struct pool_attributes attributes;
	CLEANUP_FD int fd = -1;
	int error = share_view(client, pool, &attachment);

	if (error)
		return refuse_view(client, exchange, pool, error);
	fd = attachment.fd;
	error = pool_get_attributes(pool, &attributes);
	if (!error)
		error = allow_view(client, region, attachment.view);
	if (error)
		return fail(exchange, error, strerror(-error));
	{
		LOCK_SCOPE(&attach->lock);
		client->regions[region].has_pools = true;
	}
	if (served->changed)
		served->changed(served->context, pool);
	put_region(attach, exchange, region);
	exchange->reply.ino = attributes.ino;
	exchange->reply.view = attachment.view;
	exchange->reply.pool_size = attachment.size;
	attach_trace_pool(client, exchange, pool);
	give_fd(exchange, steal_fd(&fd), true);
	return 0;
}

static int answer_pool(struct attach_client *client, struct attach_exchange *exchange)
{
	struct pool *pool;
	struct statx stx;
	int error = identify_file(client->attach, exchange, &stx);

	if (!error && (fcntl(exchange->fds[0], F_GETFL) & (O_ACCMODE | O_PATH)) != O_RDWR)
		error = fail(exchange, -EACCES, "open the pool for reading and writing");
	if (!error)
		error = find_pool(client->attach, exchange, &stx, &pool);
	if (error)
		return error;
	error = attach_pool(client, exchange, pool);
	pool_unref(pool, 1);
	return error;
}

static int sync_view(struct attach_client *client, struct attach_exchange *exchange, const struct statx *stx)
{
	struct pool *pool;
	int error = find_pool(client->attach, exchange, stx, &pool);

	if (error)
		return error;
	error = recorded_sync_pool(client->attach->served.recorder, pool, false);
	pool_unref(pool, 1);
	return error ? fail(exchange, error, strerror(-error)) : 0;
}

static int answer_sync(struct attach_client *client, struct attach_exchange *exchange)
{
	struct statx stx;
	int error = identify_file(client->attach, exchange, &stx);

	if (error)
		return error;
	if (fcntl(exchange->fds[0], F_GETFL) & O_PATH)
		return fail(exchange, -EBADF, strerror(EBADF));
	if (is_memory(client->attach, &stx))
		return sync_view(client, exchange, &stx);
	return fsync(exchange->fds[0]) < 0 ? fail(exchange, -errno, strerror(errno)) : 0;
}

/* Only of a pool that the client may write to, as for a record. */
static int answer_sync_range(struct attach_client *client, struct attach_exchange *exchange)
{
	const struct attach_request *request = &exchange->request;
	const unsigned region = request->region;
	struct pool *pool;
	int error;

	if (region >= client->attach->served.regions)
		return break_off(exchange, -EINVAL, "no region has that number");
	/* A forked child that has not flushed yet has no rights: its mappings give it some. */
	if (!wpq_rights_have(client->regions[region].rights, request->view)) {
		error = allow_mapped_views(client, region);
		if (error)
			return fail(exchange, error, strerror(-error));
	}
	if (!wpq_rights_have(client->regions[region].rights, request->view))
		return fail(exchange, -EACCES, "not a view that the client may write to");
	pool = pools_find_attached(client->attach->served.pools[region], request->view);
	/* It was removed: nothing of it is to be kept. */
	if (!pool)
		return 0;
	error = pool_sync_range(pool, request->offset, request->length);
	/* Before the reply: processes that have the file open on the mount see what was stored. */
	if (!error && client->attach->served.changed)
		client->attach->served.changed(client->attach->served.context, pool);
	pool_unref(pool, 1);
	return error ? fail(exchange, error, strerror(-error)) : 0;
}

/* ---- WPQs -------------------------------------------------------------------------- */

static size_t wpqs_of(const struct attach_client *client)
{
	size_t count = 0;

	for (unsigned i = 0; i < client->attach->served.regions; i++)
		count += client->regions[i].wpqs.count;
	return count;
}

/* attach->lock is held. */
static bool may_have_wpq(const struct attach_client *client)
{
	const struct attach_server *attach = client->attach;
	const struct peer *peer = &client->connection.peer;
	size_t unused, of_user = 0;

	if (wpqs_of(client) >= WPQS_OF_ONE || attach->wpq_count >= WPQS_OF_ALL)
		return false;
	unused = WPQS_OF_ALL - attach->wpq_count;
	if (server_trusts(peer))
		return true;
	for (const struct attach_client *other = attach->clients; other; other = other->next)
		if (other->connection.peer.uid == peer->uid)
			of_user += wpqs_of(other);
	return of_user < unused;
}

/* A ring's pages take memory once they have been used: the more WPQs there are, the smaller each is. */
static uint32_t lane_size(size_t wpqs)
{
	if (wpqs < 64)
		return WPQ_LANE_SIZE_DEFAULT;
	return wpqs < 1024 ? WPQ_LANE_SIZE_DEFAULT / 4 : WPQ_LANE_SIZE_DEFAULT / 16;
}

static int answer_wpq(struct attach_client *client, struct attach_exchange *exchange)
{
	struct attach_server *attach = client->attach;
	const unsigned region = exchange->request.region;
	struct attach_client_region *mine;
	struct wpq *wpq;
	int error;

	if (region >= attach->served.regions)
		return break_off(exchange, -EINVAL, "no region has that number");
	mine = &client->regions[region];
	error = allow_mapped_views(client, region);
	if (error)
		return fail(exchange, error, strerror(-error));
	LOCK_SCOPE(&attach->lock);
	if (pools_media_lost(attach->served.pools[region])) {
		if (mine->has_pools)
			attach_expel(client, region);
		return fail(exchange, -EIO, "the region's memory is gone");
	}
	if (!may_have_wpq(client))
		return fail(exchange, -EMFILE, "too many threads with a WPQ");
	error = vector_reserve(&mine->wpqs, 1);
	if (!error)
		error = pools_create_wpq(attach->served.pools[region], lane_size(attach->wpq_count), &wpq);
	if (error)
		return fail(exchange, error, strerror(-error));
	wpq_limit(wpq, mine->rights);
	vector_append(&mine->wpqs, wpq);
	if (attach->wpq_count++ == 0)
		pthread_cond_signal(&attach->drain_soon);
	put_region(attach, exchange, region);
	/* The WPQ's, which keeps it. */
	give_fd(exchange, wpq_fd(wpq), false);
	return 0;
}

/* ---- Messages ------------------------------------------------------------------------ */

static bool is_text(const char text[static ATTACH_MARK_BYTES])
{
	return *text && memchr(text, '\0', ATTACH_MARK_BYTES);
}

static int check_request(const struct attach_client *client, struct attach_exchange *exchange)
{
	static const uint64_t zeros[sizeof(exchange->request.reserved) / sizeof(uint64_t)];
	const struct attach_request *request = &exchange->request;
	const bool wants_descriptor = request->type == ATTACH_POOL || request->type == ATTACH_SYNC;
	const bool has_range = request->type == ATTACH_SYNC_RANGE;
	const bool has_number = request->type >= ATTACH_TRACE_PROCESS &&
				request->type <= ATTACH_TRACE_THREAD_GONE;
	const bool has_key = request->type == ATTACH_TRACE_PROCESS;
	const uint32_t flags = has_key ? ATTACH_TRACE_FORKED : 0;

	if (!exchange->whole || request->magic != ATTACH_MAGIC)
		return break_off(exchange, -EBADMSG, "not a message of this protocol");
	if (request->version != ATTACH_VERSION || request->size != attach_message_size(request->type))
		return break_off(exchange, -EPROTONOSUPPORT, "another version of the protocol");
	if ((request->flags & ~flags) || (request->region && request->type != ATTACH_WPQ && !has_range) ||
	    (request->view && !has_range) || (request->length && !has_range && !has_key) ||
	    (request->offset && !has_range && !has_number) ||
	    memcmp(request->reserved, zeros, sizeof(zeros)) != 0)
		return break_off(exchange, -EINVAL, "a flag or field that this daemon does not know");
	if (!client->greeted && request->type != ATTACH_HELLO)
		return break_off(exchange, -EPROTO, "the first message must be the greeting");
	if (exchange->fd_count && !wants_descriptor)
		return break_off(exchange, -EBADMSG, "this message takes no descriptor");
	if (request->type == ATTACH_MARK && !is_text(exchange->mark.text))
		return break_off(exchange, -EINVAL, "a mark has 1 to 255 bytes");
	return 0;
}

static int serve(struct attach_client *client, struct attach_exchange *exchange)
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
		return attach_drain(client->attach, client);
	case ATTACH_KICK:
		attach_drain_kick(client->attach);
		return 0;
	case ATTACH_SYNC:
		return answer_sync(client, exchange);
	case ATTACH_SYNC_RANGE:
		return answer_sync_range(client, exchange);
	case ATTACH_MARK: /* these were done before, by meet_moment() */
	case ATTACH_FENCE:
	case ATTACH_FENCED:
		return 0;
	case ATTACH_TRACE_PROCESS:
		return attach_trace_process(client, exchange);
	case ATTACH_TRACE_THREAD:
		return attach_trace_thread(client, exchange);
	case ATTACH_TRACE_THREAD_GONE:
		return attach_trace_thread_gone(client, exchange);
	}
	return break_off(exchange, -EBADMSG, "unknown message type");
}

/* With cpu_cache a client leaves out its flushes, so every region must have it. */
static enum persistence_domain common_domain(const struct attach_served *served)
{
	for (unsigned i = 0; i < served->regions; i++)
		if (pools_persistence(served->pools[i]) != PERSISTENCE_CPU_CACHE)
			return PERSISTENCE_MEMORY_CONTROLLER;
	return PERSISTENCE_CPU_CACHE;
}

static bool send_reply(struct attach_client *client, struct attach_exchange *exchange)
{
	const bool sent = attach_reply_send(client->connection.fd, &exchange->reply, exchange->reply_fds,
					    exchange->reply.error ? 0 : exchange->reply_fd_count);

	for (size_t i = 0; exchange->reply_fds_owned && i < exchange->reply_fd_count; i++)
		close(exchange->reply_fds[i]);
	return sent;
}

/* No outage falls between the request and its reply, so no view of an older generation is sent. */
static bool answer(struct attach_client *client, struct attach_exchange *exchange)
{
	struct attach_server *attach = client->attach;
	struct attach_reply *reply = &exchange->reply;

	READ_SCOPE(&attach->power);
	attach_reply_begin(reply);
	reply->type = exchange->request.type;
	reply->mount_device = attach->served.device;
	reply->view_device = attach->paths.memory_device;
	reply->domain = (uint32_t)common_domain(&attach->served);
	reply->error = check_request(client, exchange);
	if (!reply->error)
		reply->error = serve(client, exchange);
	if (exchange->over)
		server_say(&client->connection, "%s", reply->message);
	/* Before the reply: a lock of flock(2) is held until the last copy of the descriptor is closed. */
	close_received(attach, exchange);
	if (!exchange->over && exchange->request.type == ATTACH_KICK)
		return true;
	return send_reply(client, exchange) && !exchange->over;
}

/* Without the lock `power`: an outage may be at this mark or fence. */
static void meet_moment(struct attach_client *client, struct attach_exchange *exchange)
{
	const struct attach_served *served = &client->attach->served;
	const struct peer *peer = &client->connection.peer;
	const uint16_t type = exchange->request.type;

	if (type != ATTACH_MARK && type != ATTACH_FENCE && type != ATTACH_FENCED)
		return;
	if (check_request(client, exchange) != 0)
		return;
	if (type == ATTACH_MARK && served->marked)
		served->marked(served->context, peer->uid, exchange->mark.text);
	if (type != ATTACH_MARK && served->fence)
		served->fence(served->context,
			      type == ATTACH_FENCE ? ATTACH_FENCE_BEGINS : ATTACH_FENCE_PUBLISHED, client,
			      peer->pid);
}

bool attach_answer(struct attach_client *client)
{
	struct attach_exchange exchange = { .whole = false };

	if (!attach_receive(client, &exchange))
		return false;
	meet_moment(client, &exchange);
	return answer(client, &exchange);
}
