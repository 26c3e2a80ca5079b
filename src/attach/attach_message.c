/* SPDX-License-Identifier: BSD-3-Clause */
#include "attach/attach_message.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "attach/attach_context.h"

static void take_descriptors(struct msghdr *header, struct attach_exchange *exchange)
{
	for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part; part = CMSG_NXTHDR(header, part)) {
		size_t bytes = part->cmsg_len - CMSG_LEN(0);

		if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
			continue;
		memcpy(exchange->fds, CMSG_DATA(part), bytes);
		exchange->fd_count = bytes / sizeof(int);
	}
}

static bool is_whole(const struct attach_exchange *exchange, size_t got)
{
	return got >= sizeof(exchange->request) && got == attach_message_size(exchange->request.type);
}

bool attach_receive(struct attach_client *client, struct attach_exchange *exchange)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(ATTACH_DESCRIPTORS_MAX * sizeof(int))];
	} control;
	struct iovec iov = { .iov_base = &exchange->mark, .iov_len = sizeof(exchange->mark) };
	struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t got;

	/* A client that has greeted is waited for in recvmsg(): it keeps its place while it runs. */
	if (!client->greeted && server_await(&client->connection, POLLIN, client->greet_until) < 0)
		return false;
	do {
		header.msg_control = &control;
		header.msg_controllen = sizeof(control);
		got = recvmsg(client->connection.fd, &header,
			      MSG_CMSG_CLOEXEC | (client->greeted ? 0 : MSG_DONTWAIT));
	} while (got < 0 && errno == EINTR);
	if (got <= 0)
		return false;
	take_descriptors(&header, exchange);
	exchange->whole = is_whole(exchange, (size_t)got) && !(header.msg_flags & (MSG_TRUNC | MSG_CTRUNC));
	return true;
}

bool attach_reply_send(int fd, const struct attach_reply *reply, const int *fds, size_t count)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(ATTACH_REPLY_FDS_MAX * sizeof(int))];
	} control = { 0 };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)reply, .iov_len = sizeof(*reply) };
	struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (count) {
		header.msg_control = &control;
		header.msg_controllen = CMSG_SPACE(count * sizeof(int));
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(&control.header), fds, count * sizeof(int));
	}
	return sendmsg(fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)sizeof(*reply);
}

void attach_reply_begin(struct attach_reply *reply)
{
	*reply = (struct attach_reply){
		.magic = ATTACH_MAGIC, .version = ATTACH_VERSION, .size = sizeof(*reply),
		.trace_pool = ATTACH_TRACE_NO_POOL,
	};
}
