/* SPDX-License-Identifier: BSD-3-Clause */

/* Sockets, queues and events. */

#include "results.h"

#include <err.h>
#include <fcntl.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

/* In a namespace of its own, so that it is no file. */
static socklen_t name_of(const char *name, struct sockaddr_un *address)
{
	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
			   (size_t)snprintf(address->sun_path + 1, sizeof(address->sun_path) - 1,
					    "softpmem-%s-%d", name, getpid()));
}

static int named(const char *name, int type)
{
	struct sockaddr_un address;
	const socklen_t length = name_of(name, &address);
	int fd = socket(AF_UNIX, type, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) != 0)
		err(1, "bind");
	return fd;
}

static void connect_to(int fd, const char *name)
{
	struct sockaddr_un address;
	const socklen_t length = name_of(name, &address);

	if (connect(fd, (struct sockaddr *)&address, length) != 0)
		err(1, "connect");
}

/* A server to whom a named client has connected, and the client. */
static void connected(int fds[2])
{
	fds[0] = named("server", SOCK_STREAM);
	fds[1] = named("client", SOCK_STREAM);
	if (listen(fds[0], 1) != 0)
		err(1, "listen");
	connect_to(fds[1], "server");
}

static long closed(int fds[2], long result)
{
	close(fds[0]);
	close(fds[1]);
	return result;
}

/* A descriptor that is new. */
static long opened(long fd)
{
	if (fd >= 0)
		close((int)fd);
	return fd < 0 ? fd : 0;
}

static long accept_row(unsigned char *at, bool raw)
{
	int fds[2];

	connected(fds);
	*AT(socklen_t, 256) = sizeof(struct sockaddr_un);
	return closed(fds, opened(CALL(SYS_accept, accept, fds[0], AT(struct sockaddr, 0),
				       AT(socklen_t, 256))));
}

static long accept4_row(unsigned char *at, bool raw)
{
	int fds[2];

	connected(fds);
	*AT(socklen_t, 0) = 5;
	return closed(fds, opened(CALL(SYS_accept4, accept4, fds[0], AT(struct sockaddr, 64),
				       AT(socklen_t, 0), SOCK_CLOEXEC)));
}

static long getsockname_row(unsigned char *at, bool raw)
{
	int fds[2];

	connected(fds);
	*AT(socklen_t, 256) = 200;
	return closed(fds, CALL(SYS_getsockname, getsockname, fds[1], AT(struct sockaddr, 0),
				AT(socklen_t, 256)));
}

static long getpeername_row(unsigned char *at, bool raw)
{
	int fds[2];

	connected(fds);
	*AT(socklen_t, 256) = 7;
	return closed(fds, CALL(SYS_getpeername, getpeername, fds[1], AT(struct sockaddr, 0),
				AT(socklen_t, 256)));
}

static long getsockopt_row(unsigned char *at, bool raw)
{
	int fds[2];

	connected(fds);
	*AT(socklen_t, 64) = 100;
	return closed(fds, CALL(SYS_getsockopt, getsockopt, fds[1], SOL_SOCKET, SO_PEERCRED, at,
				AT(socklen_t, 64)));
}

/* A receiver of what two datagrams say, and their sender. */
static void datagrams(int fds[2])
{
	const int one = 1;

	fds[0] = named("receiver", SOCK_DGRAM);
	fds[1] = named("sender", SOCK_DGRAM);
	connect_to(fds[1], "receiver");
	if (setsockopt(fds[0], SOL_SOCKET, SO_PASSCRED, &one, sizeof(one)) != 0 ||
	    write(fds[1], "one datagram", 12) != 12 || write(fds[1], "and another", 11) != 11)
		err(1, "datagrams");
}

static long recvfrom_row(unsigned char *at, bool raw)
{
	int fds[2];

	datagrams(fds);
	*AT(socklen_t, 128) = 110;
	return closed(fds, CALL(SYS_recvfrom, recvfrom, fds[0], at + 512, 100, 0, AT(struct sockaddr, 0),
				AT(socklen_t, 128)));
}

/* A message whose header, parts, name and control data are in the memory, 1024 bytes of it. */
static void prepare(unsigned char *at, struct msghdr *header, struct iovec *parts)
{
	parts[0] = (struct iovec){ at + 300, 4 };
	parts[1] = (struct iovec){ at + 400, 100 };
	*header = (struct msghdr){ .msg_name = at + 512,
				   .msg_namelen = 110,
				   .msg_iov = parts,
				   .msg_iovlen = 2,
				   .msg_control = at + 640,
				   .msg_controllen = 256,
				   .msg_flags = -1 };
}

/* Addresses differ from place to place. */
static void forget_addresses(struct msghdr *header, struct iovec *parts)
{
	header->msg_name = header->msg_control = NULL;
	header->msg_iov = NULL;
	memset(parts, 0, 2 * sizeof(*parts));
}

static long recvmsg_row(unsigned char *at, bool raw)
{
	struct msghdr *header = AT(struct msghdr, 0);
	struct iovec *parts = AT(struct iovec, 128);
	int fds[2];
	long result;

	datagrams(fds);
	prepare(at, header, parts);
	result = CALL(SYS_recvmsg, recvmsg, fds[0], header, 0);
	forget_addresses(header, parts);
	return closed(fds, result);
}

/* The header is elsewhere. */
static long recvmsg_buffers_row(unsigned char *at, bool raw)
{
	struct msghdr header;
	struct iovec parts[2];
	int fds[2];
	long result;

	datagrams(fds);
	prepare(at, &header, parts);
	result = CALL(SYS_recvmsg, recvmsg, fds[0], &header, 0);
	*AT(int, 2048) = header.msg_flags;
	*AT(unsigned, 2052) = header.msg_namelen;
	*AT(size_t, 2056) = header.msg_controllen;
	return closed(fds, result);
}

/* Two of them, each of at most so many parts. */
static long receive_two(unsigned char *at, bool raw, size_t parts, int flags, struct timespec *timeout)
{
	struct mmsghdr *headers = AT(struct mmsghdr, 0);
	int fds[2];
	long result;

	datagrams(fds);
	for (unsigned i = 0; i < 2; i++) {
		prepare(at + 1024 * (i + 1), &headers[i].msg_hdr, AT(struct iovec, 1024 * (i + 1)));
		headers[i].msg_hdr.msg_iovlen = parts;
	}
	result = CALL(SYS_recvmmsg, recvmmsg, fds[0], headers, 2, flags, timeout);
	for (unsigned i = 0; i < 2; i++)
		forget_addresses(&headers[i].msg_hdr, AT(struct iovec, 1024 * (i + 1)));
	return closed(fds, result);
}

static long recvmmsg_row(unsigned char *at, bool raw)
{
	AT(struct timespec, 256)->tv_sec = 0;
	return receive_two(at, raw, 2, MSG_WAITFORONE, AT(struct timespec, 256));
}

/* A stream that discards what it is asked for, and says how much that is. */
static void discarding(int fds[2])
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t length = sizeof(address);
	int server = socket(AF_INET, SOCK_STREAM, 0);

	fds[1] = socket(AF_INET, SOCK_STREAM, 0);
	if (server < 0 || fds[1] < 0 || bind(server, (struct sockaddr *)&address, length) != 0 ||
	    listen(server, 1) != 0 || getsockname(server, (struct sockaddr *)&address, &length) != 0 ||
	    connect(fds[1], (struct sockaddr *)&address, length) != 0)
		err(1, "a connection to this machine");
	fds[0] = accept(server, NULL, NULL);
	close(server);
	if (fds[0] < 0 || write(fds[1], "abcdefghijklmnopqrstuvwxyz", 26) != 26)
		err(1, "accept");
}

static long recv_discarded_row(unsigned char *at, bool raw)
{
	const int flags = MSG_TRUNC | MSG_WAITALL;
	int fds[2];
	long result;

	discarding(fds);
	memset(at, 'x', 16);
	result = raw ? call(SYS_recvfrom, fds[0], at, 16UL, (long)flags, NULL, NULL) :
		       or_errno(recv(fds[0], at, 16, flags));
	return closed(fds, result);
}

static long recvmsg_discarded_row(unsigned char *at, bool raw)
{
	struct iovec parts[2] = { { at, 10 }, { at + 100, 10 } };
	struct msghdr header = { .msg_iov = parts, .msg_iovlen = 2 };
	int fds[2];
	long result;

	discarding(fds);
	memset(at, 'x', 110);
	result = CALL(SYS_recvmsg, recvmsg, fds[0], &header, MSG_TRUNC | MSG_WAITALL);
	return closed(fds, result);
}

/* The length of each datagram, of which only the beginning has room. */
static long recvmmsg_truncated_row(unsigned char *at, bool raw)
{
	return receive_two(at, raw, 1, MSG_WAITFORONE | MSG_TRUNC, NULL);
}

static long sendmmsg_row(unsigned char *at, bool raw)
{
	struct mmsghdr *headers = AT(struct mmsghdr, 0);
	struct iovec *part = AT(struct iovec, 256);
	int fds[2];
	long result;

	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, fds) != 0)
		err(1, "socketpair");
	memcpy(at + 512, "sent from a pool", 16);
	*part = (struct iovec){ at + 512, 16 };
	for (unsigned i = 0; i < 2; i++) {
		headers[i].msg_hdr.msg_iov = part;
		headers[i].msg_hdr.msg_iovlen = 1;
	}
	result = CALL(SYS_sendmmsg, sendmmsg, fds[1], headers, 2, 0);
	headers[0].msg_hdr.msg_iov = headers[1].msg_hdr.msg_iov = NULL;
	part->iov_base = NULL;
	if (read(fds[0], at + 600, 100) != 16)
		err(1, "read");
	return closed(fds, result);
}

/* ---- Waiting --------------------------------------------------------------------------------- */

/* A pipe with a byte in it. */
static void full_pipe(int fds[2])
{
	if (pipe(fds) != 0 || write(fds[1], "x", 1) != 1)
		err(1, "pipe");
}

static void ask_both(struct pollfd *asked, const int fds[2])
{
	asked[0] = (struct pollfd){ .fd = fds[0], .events = POLLIN };
	asked[1] = (struct pollfd){ .fd = fds[1], .events = POLLOUT };
}

static long poll_row(unsigned char *at, bool raw)
{
	int fds[2];

	full_pipe(fds);
	ask_both(AT(struct pollfd, 0), fds);
	return closed(fds, CALL(SYS_poll, poll, AT(struct pollfd, 0), 2UL, 0));
}

static long ppoll_row(unsigned char *at, bool raw)
{
	struct timespec *none = AT(struct timespec, 64);
	int fds[2];

	full_pipe(fds);
	ask_both(AT(struct pollfd, 0), fds);
	return closed(fds, raw ? call(SYS_ppoll, at, 2UL, none, NULL, 8UL) :
				 or_errno(ppoll(AT(struct pollfd, 0), 2, none, NULL)));
}

static long select_row(unsigned char *at, bool raw)
{
	fd_set *in = AT(fd_set, 0), *out = AT(fd_set, 128), *bad = AT(fd_set, 256);
	int fds[2];

	full_pipe(fds);
	for (int i = 0; i < 2; i++) {
		FD_SET(fds[i], in);
		FD_SET(fds[i], out);
		FD_SET(fds[i], bad);
	}
	return closed(fds, CALL(SYS_select, select, fds[1] + 1, in, out, bad, AT(struct timeval, 384)));
}

/* The kernel looks at these counts before it looks at the memory. */
static long poll_many_row(unsigned char *at, bool raw)
{
	return CALL(SYS_poll, poll, AT(struct pollfd, 0), 100000000UL, 0);
}

static long select_none_row(unsigned char *at, bool raw)
{
	return CALL(SYS_select, select, -1, AT(fd_set, 0), NULL, NULL, NULL);
}

static long pselect_row(unsigned char *at, bool raw)
{
	fd_set *in = AT(fd_set, 0), *out = AT(fd_set, 128);
	struct timespec *none = AT(struct timespec, 384);
	int fds[2];

	full_pipe(fds);
	FD_SET(fds[0], in);
	FD_SET(fds[1], in);
	FD_SET(fds[0], out);
	return closed(fds, raw ? call(SYS_pselect6, fds[1] + 1, in, out, NULL, none, NULL) :
				 or_errno(pselect(fds[1] + 1, in, out, NULL, none, NULL)));
}

static long epoll_wait_row(unsigned char *at, bool raw)
{
	struct epoll_event wanted = { .events = EPOLLIN, .data.u64 = 77 };
	int fds[2], epoll = epoll_create1(0);
	long result;

	full_pipe(fds);
	epoll_ctl(epoll, EPOLL_CTL_ADD, fds[0], &wanted);
	result = CALL(SYS_epoll_wait, epoll_wait, epoll, AT(struct epoll_event, 0), 8, 0);
	close(epoll);
	return closed(fds, result);
}

static long eventfd_row(unsigned char *at, bool raw)
{
	int fd = eventfd(5, 0);
	long result = raw ? call(SYS_read, fd, at, 8UL) - 8 : or_errno(eventfd_read(fd, AT(eventfd_t, 0)));

	close(fd);
	return result;
}

/* ---- Queues ---------------------------------------------------------------------------------- */

static long msgrcv_row(unsigned char *at, bool raw)
{
	static const struct {
		long type;
		char text[8];
	} message = { 3, "message" };
	int queue = msgget(IPC_PRIVATE, 0600);
	long result;

	if (queue < 0 || msgsnd(queue, &message, 8, 0) != 0)
		return -errno;
	result = CALL(SYS_msgrcv, msgrcv, queue, at, 100UL, 0L, 0);
	msgctl(queue, IPC_RMID, NULL);
	return result;
}

static long msgctl_row(unsigned char *at, bool raw)
{
	int queue = msgget(IPC_PRIVATE, 0600);
	long result = CALL(SYS_msgctl, msgctl, queue, IPC_STAT, AT(struct msqid_ds, 0));

	msgctl(queue, IPC_RMID, NULL);
	return result;
}

static long shmctl_row(unsigned char *at, bool raw)
{
	int memory = shmget(IPC_PRIVATE, 4096, 0600);
	long result = CALL(SYS_shmctl, shmctl, memory, IPC_STAT, AT(struct shmid_ds, 0));

	shmctl(memory, IPC_RMID, NULL);
	return result;
}

static long semctl_row(unsigned char *at, bool raw)
{
	int semaphores = semget(IPC_PRIVATE, 1, 0600);
	long result = CALL(SYS_semctl, semctl, semaphores, 0, IPC_STAT, at);

	semctl(semaphores, 0, IPC_RMID);
	return result;
}

static mqd_t queue_with_message(void)
{
	struct mq_attr attributes = { .mq_maxmsg = 2, .mq_msgsize = 64 };
	char name[64];
	mqd_t queue;

	snprintf(name, sizeof(name), "/softpmem-%d", getpid());
	queue = mq_open(name, O_RDWR | O_CREAT, 0600, &attributes);
	mq_unlink(name);
	if (queue >= 0)
		mq_send(queue, "by priority", 11, 9);
	return queue;
}

static long mq_receive_row(unsigned char *at, bool raw)
{
	mqd_t queue = queue_with_message();
	long result = raw ? call(SYS_mq_timedreceive, queue, at, 64UL, at + 128, NULL) :
			    or_errno(mq_receive(queue, (char *)at, 64, AT(unsigned, 128)));

	mq_close(queue);
	return result;
}

static long mq_getattr_row(unsigned char *at, bool raw)
{
	mqd_t queue = queue_with_message();
	long result = raw ? call(SYS_mq_getsetattr, queue, NULL, at) :
			    or_errno(mq_getattr(queue, AT(struct mq_attr, 0)));

	mq_close(queue);
	return result;
}

const struct result_row socket_rows[] = {
	{ "accept", accept_row, false },
	{ "accept4 of a short address", accept4_row, false },
	{ "getsockname", getsockname_row, false },
	{ "getpeername of a short address", getpeername_row, false },
	{ "getsockopt", getsockopt_row, false },
	{ "recvfrom", recvfrom_row, false },
	{ "recvmsg", recvmsg_row, false },
	{ "recvmsg with a header elsewhere", recvmsg_buffers_row, false },
	{ "recvmmsg", recvmmsg_row, false },
	{ "recv of what is discarded", recv_discarded_row, false },
	{ "recvmsg of what is discarded", recvmsg_discarded_row, false },
	{ "recvmmsg of what is truncated", recvmmsg_truncated_row, false },
	{ "sendmmsg", sendmmsg_row, false },
	{ "poll", poll_row, false },
	{ "poll of too many", poll_many_row, false },
	{ "ppoll", ppoll_row, false },
	{ "select", select_row, false },
	{ "select of less than none", select_none_row, false },
	{ "pselect", pselect_row, false },
	{ "epoll_wait", epoll_wait_row, false },
	{ "eventfd_read", eventfd_row, false },
	{ "msgrcv", msgrcv_row, false },
	{ "msgctl", msgctl_row, true },
	{ "shmctl", shmctl_row, true },
	{ "semctl", semctl_row, true },
	{ "mq_receive", mq_receive_row, false },
	{ "mq_getattr", mq_getattr_row, false },
};
const size_t socket_row_count = COUNT(socket_rows);
