/* SPDX-License-Identifier: BSD-3-Clause */

#include "client/channel.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "abi/rawcall.h"
#include "client/address_space.h"
#include "client/courier.h"
#include "client/errormsg.h"

/* After this without a reply the program is told what it waits for. */
#define PATIENCE_MS 1000

/* ---- Messages: in the courier ------------------------------------------------------- */

struct exchange {
	const struct channel *channel;
	const struct channel_request *request;
	struct attach_reply *reply;
	int *fds; /* CHANNEL_FDS; NULL: none are wanted */
	int patience; /* of the wait for the reply, milliseconds; -1: without a limit */
	bool sent;
};

/* A control message with descriptors. */
union descriptors {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(CHANNEL_FDS * sizeof(int))];
};

/* `text`: of ATTACH_MARK_BYTES, or NULL. */
static long send_message(int socket, const struct attach_request *bytes, const char *text, int fd, int flags)
{
	struct iovec iov[2] = { { (void *)(uintptr_t)bytes, sizeof(*bytes) },
				{ (void *)(uintptr_t)text, ATTACH_MARK_BYTES } };
	struct msghdr message = { .msg_iov = iov, .msg_iovlen = text ? 2 : 1 };
	union descriptors control = { .header = { .cmsg_len = CMSG_LEN(sizeof(int)),
						 .cmsg_level = SOL_SOCKET,
						 .cmsg_type = SCM_RIGHTS } };
	long result;

	if (fd >= 0) {
		*(int *)CMSG_DATA(&control.header) = fd;
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(sizeof(int));
	}
	do
		result = RAW3(sendmsg, socket, &message, MSG_NOSIGNAL | flags);
	while (result == -EINTR);
	return result < 0 ? result : 0;
}

static long send_request(const struct exchange *exchange)
{
	const struct channel_request *request = exchange->request;
	const struct attach_request bytes = {
		.magic = ATTACH_MAGIC,
		.version = ATTACH_VERSION,
		.type = (uint16_t)request->type,
		.size = attach_message_size((uint16_t)request->type),
		.flags = request->flags,
		.region = request->region,
		.view = request->view,
		.offset = request->offset,
		.length = request->length,
	};
	const int copy = request->fd >= 0 ? courier_borrow(request->fd) : -1;
	long result;

	if (request->fd >= 0 && copy < 0)
		return copy;
	result = send_message(exchange->channel->fd, &bytes, request->text, copy, 0);
	if (request->fd >= 0)
		courier_return(copy);
	return result;
}

static void received_fds(struct msghdr *message, int fds[CHANNEL_FDS])
{
	const struct cmsghdr *header = CMSG_FIRSTHDR(message);

	for (unsigned i = 0; i < CHANNEL_FDS; i++) {
		fds[i] = -1;
		if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
		    header->cmsg_len >= CMSG_LEN((i + 1) * sizeof(int)))
			fds[i] = ((const int *)(const void *)CMSG_DATA(header))[i];
	}
}

static bool is_reply(const struct attach_reply *reply, enum attach_type type)
{
	if (reply->magic != ATTACH_MAGIC || reply->version != ATTACH_VERSION)
		return false;
	/* A server that has no place for the client says so before it reads the request: its type is 0. */
	return reply->type == type || (reply->type == 0 && reply->error);
}

static long receive_reply(const struct exchange *exchange)
{
	struct attach_reply *reply = exchange->reply;
	struct iovec iov = { reply, sizeof(*reply) };
	union descriptors control = { 0 };
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
	};
	bool reset = false, good;
	int fds[CHANNEL_FDS];
	long result;

	/*
	 * A daemon that refuses the client hangs up without reading the request: the kernel reports that once
	 * as a reset, and then gives the reply.
	 */
	do {
		result = RAW3(recvmsg, exchange->channel->fd, &message, MSG_CMSG_CLOEXEC);
		if (result == -ECONNRESET && !reset) {
			reset = true;
			result = -EINTR;
		}
	} while (result == -EINTR);
	if (result < 0)
		return result;
	received_fds(&message, fds);
	good = result == sizeof(*reply) && is_reply(reply, exchange->request->type);
	for (unsigned i = 0; i < CHANNEL_FDS; i++) {
		if (good && !reply->error && exchange->fds)
			exchange->fds[i] = fds[i];
		else if (fds[i] >= 0)
			RAW1(close, fds[i]);
	}
	if (!good)
		return result == 0 ? -ECONNRESET : -EPROTO;
	reply->message[sizeof(reply->message) - 1] = '\0';
	return 0;
}

/* -ETIMEDOUT: no reply yet. */
static long run_exchange(void *argument)
{
	struct exchange *exchange = argument;
	struct pollfd waiting = { .fd = exchange->channel->fd, .events = POLLIN };
	long result = exchange->sent ? 0 : send_request(exchange);

	exchange->sent = true;
	/* A daemon that refuses the client may have hung up before, and its reason waits to be read. */
	if (result && result != -EPIPE)
		return result;
	do
		result = RAW3(poll, &waiting, 1, exchange->patience);
	while (result == -EINTR);
	return result == 0 ? -ETIMEDOUT : receive_reply(exchange);
}

int channel_ask(const struct channel *channel, const struct channel_request *request,
		struct attach_reply *reply, int fds[CHANNEL_FDS])
{
	/* msync(2) of much takes long, and that is no reason to complain. */
	const int patience = request->type == ATTACH_SYNC_RANGE ? -1 : PATIENCE_MS;
	struct exchange exchange = {
		.channel = channel, .request = request, .reply = reply, .fds = fds, .patience = patience
	};
	long result;

	for (unsigned i = 0; fds && i < CHANNEL_FDS; i++)
		fds[i] = -1;
	result = courier_call(run_exchange, &exchange);
	if (result == -ETIMEDOUT) {
		/* A daemon that is stopped goes on some time. */
		client_complain("the daemon does not answer; waiting until it does", "");
		exchange.patience = -1;
		result = courier_call(run_exchange, &exchange);
	}
	return (int)result;
}

static _Atomic int kick_error;

static long send_kick(void *argument)
{
	const struct attach_request bytes = {
		.magic = ATTACH_MAGIC,
		.version = ATTACH_VERSION,
		.type = ATTACH_KICK,
		.size = attach_message_size(ATTACH_KICK),
	};
	const long error = send_message((int)(intptr_t)argument, &bytes, NULL, -1, MSG_DONTWAIT);

	if (error && error != -EAGAIN)
		atomic_store(&kick_error, (int)error);
	return error;
}

int channel_kick(const struct channel *channel)
{
	courier_post(send_kick, (void *)(intptr_t)channel->fd);
	return atomic_exchange(&kick_error, 0);
}

/* ---- The socket -------------------------------------------------------------------------- */

/* In the calling thread, whose user and capabilities the daemon is to see. */
int channel_connect(struct channel *channel, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct ucred peer;
	socklen_t size = sizeof(peer);
	struct stat st;
	long fd, error;

	*channel = CHANNEL_CLOSED;
	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	channel->hidden = courier_hides();
	channel->owner = address_space_owner();
	fd = RAW3(socket, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return (int)fd;
	error = RAW3(connect, fd, &address, sizeof(address));
	if (!error)
		error = RAW5(getsockopt, fd, SOL_SOCKET, SO_PEERCRED, &peer, &size);
	if (!error)
		error = RAW2(fstat, fd, &st);
	if (error) {
		RAW1(close, fd);
		return (int)error;
	}
	channel->inode = st.st_ino;
	channel->daemon = peer.pid;
	channel->fd = courier_adopt((int)fd);
	/* courier_adopt() was run after all kicks of an earlier socket. */
	atomic_store(&kick_error, 0);
	return channel->fd < 0 ? channel->fd : 0;
}

bool channel_is_open(const struct channel *channel)
{
	struct stat st;

	if (channel->fd < 0 || channel->hidden)
		return channel->fd >= 0 && address_space_owner() == channel->owner;
	return RAW2(fstat, channel->fd, &st) == 0 && st.st_ino == channel->inode && S_ISSOCK(st.st_mode);
}

void channel_close(struct channel *channel)
{
	if (channel_is_open(channel))
		courier_close(channel->fd);
	*channel = CHANNEL_CLOSED;
}
