/* SPDX-License-Identifier: BSD-3-Clause */
#include "attaching.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/align.h"

#define FDS_MAX 64

int attach_connect(const char *socket_path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const char *path = socket_path ? socket_path : getenv("SOFTPMEM_SOCKET");
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s" ATTACH_SUFFIX, path ? path : "");
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

int attach_send(int connection, const void *bytes, size_t size, const int *fds, size_t fd_count)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
	} control = { 0 };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)bytes, .iov_len = size };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd_count) {
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(fd_count * sizeof(int));
		memcpy(CMSG_DATA(&control.header), fds, fd_count * sizeof(int));
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
	}
	return sendmsg(connection, &message, MSG_NOSIGNAL) == (ssize_t)size ? 0 : -1;
}

int attach_receive(int connection, struct attach_reply *reply, int *fd)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { .iov_base = reply, .iov_len = sizeof(*reply) };
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
	};
	ssize_t got = recvmsg(connection, &message, MSG_CMSG_CLOEXEC);
	struct cmsghdr *part;
	int received = -1;

	if (got != (ssize_t)sizeof(*reply)) {
		if (got >= 0)
			errno = ECONNRESET;
		return -1;
	}
	part = CMSG_FIRSTHDR(&message);
	if (part && part->cmsg_type == SCM_RIGHTS)
		memcpy(&received, CMSG_DATA(part), sizeof(int));
	if (fd)
		*fd = received;
	else if (received >= 0)
		close(received);
	return 0;
}

static int ask(int connection, const struct attach_request *request, int with_fd, struct attach_reply *reply,
	       int *fd)
{
	if (attach_send(connection, request, sizeof(*request), &with_fd, with_fd >= 0) < 0 ||
	    attach_receive(connection, reply, fd) < 0)
		return -EPIPE;
	return reply->error;
}

int attach_ask(int connection, unsigned type, int with_fd, struct attach_reply *reply, int *fd)
{
	const struct attach_request request = { .magic = ATTACH_MAGIC, .version = ATTACH_VERSION,
						.type = (uint16_t)type, .size = sizeof(request) };

	return ask(connection, &request, with_fd, reply, fd);
}

int mapping_open(struct mapping *mapping, const char *path)
{
	struct attach_reply reply;
	int view_fd = -1, error;

	*mapping = (struct mapping){ .connection = attach_connect(NULL),
				     .fd = open(path, O_RDWR | O_CLOEXEC) };
	if (mapping->connection < 0 || mapping->fd < 0)
		return -errno;
	error = attach_ask(mapping->connection, ATTACH_HELLO, -1, &reply, NULL);
	if (!error)
		error = attach_ask(mapping->connection, ATTACH_POOL, mapping->fd, &reply, &view_fd);
	if (error)
		return error;
	mapping->size = reply.pool_size;
	mapping->region = reply.region;
	mapping->view = reply.view;
	mapping->bytes = mmap(NULL, align_up(reply.pool_size, PAGE_BYTES), PROT_READ | PROT_WRITE, MAP_SHARED,
			      view_fd, 0);
	close(view_fd);
	return mapping->bytes == MAP_FAILED ? -errno : 0;
}

int mapping_wpq(struct mapping *mapping, struct wpq_producer *producer)
{
	const struct attach_request request = { .magic = ATTACH_MAGIC,
						.version = ATTACH_VERSION,
						.type = ATTACH_WPQ,
						.size = sizeof(request),
						.region = mapping->region };
	struct attach_reply reply;
	int fd = -1, error = ask(mapping->connection, &request, -1, &reply, &fd);

	if (!error)
		error = wpq_producer_open(fd, producer);
	if (fd >= 0)
		close(fd);
	return error;
}

bool mapping_flush(struct mapping *mapping, struct wpq_producer *producer, const void *at, size_t length)
{
	return wpq_flush(producer, mapping->view, mapping->bytes,
			 (uint64_t)((const unsigned char *)at - mapping->bytes), length, 0);
}
