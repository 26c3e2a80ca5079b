/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fuzz target: messages with a valid header that a client sends to the attach socket of a daemon without a
 * mount. An input is a sequence of messages, each a byte of `enum shape` and the bytes of a request after its
 * header.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "abi/attach_protocol.h"
#include "attach/attach_server.h"
#include "common/cleanup.h"
#include "fuzz.h"
#include "pool/pool.h"
#include "recorder/recorder.h"
#include "region/region.h"

enum shape {
	SHAPE_TYPE = 7,		 /* the type of the message */
	SHAPE_POOL = 8,		 /* with the pool's descriptor */
	SHAPE_READ_ONLY = 16,	 /* with one that is open for reading only */
	SHAPE_FOREIGN = 32,	 /* with that of a pipe */
	SHAPE_BYTES = 64,	 /* flags, region and reserved bytes are the input's, else 0 */
	SHAPE_MORE = 128,	 /* 8 more than the type */
};
#define MESSAGES_MAX 32
#define BODY (sizeof(struct attach_request) - offsetof(struct attach_request, flags))

static struct attach_server *server;
static struct recorder *recorder;
static int trace_fd = -1;
/* With the suffix of the attach socket, a path of a socket has at most 107 bytes. */
static char directory[98], path[100];
static int pool_fd = -1, read_only_fd = -1, pipe_fds[2];

static void must(bool good, const char *what)
{
	if (good)
		return;
	perror(what);
	abort();
}

static void stop_server(void)
{
	attach_stop(server);
	recorder_destroy(recorder);
	rmdir(directory);
}

static void start_server(void)
{
	const struct pools_format_options format = { .mode = POOL_MODE_FSDAX };
	const struct pools_options pools_options = { .read_only = false };
	const struct pool_new attributes = { .mode = S_IFREG | 0600, .uid = geteuid(), .gid = getegid(),
					     .size = 64 << 10 };
	struct attach_options options = { .path = path };
	struct attach_served served = { .regions = 1, .names = { "region0" } };
	struct recorder_region recorded = { .name = "region0" };
	struct recorder_begin begin = { .name = "trace" };
	/* Static: they are in use until the process ends, and a sanitizer must not take them for leaks. */
	static struct region *region;
	static struct pools *pools;
	static struct pool *pool;
	const char *tmp = getenv("TMPDIR");
	char *pool_path;

	snprintf(directory, sizeof(directory), "%s/softpmem-fuzz.XXXXXX", tmp ? tmp : "/tmp");
	must(mkdtemp(directory), "a directory");
	snprintf(path, sizeof(path), "%s/s", directory);
	must(region_open("memfd:8M", 0, &region, NULL) == 0, "a region");
	must(pools_format(region, &format, NULL) == 0, "a format");
	must(pools_open(region, &pools_options, &pools, NULL) == 0, "pools");
	trace_fd = memfd_create("trace", MFD_CLOEXEC);
	recorded.pools = pools;
	must(recorder_create(&recorded, 1, &recorder) == 0, "a recorder");
	begin.fd = trace_fd;
	must(recorder_begin(recorder, &begin, NULL) == 0, "a recording");
	must(pool_create(pool_root(pools), "pool", &attributes, &pool) == 0, "a pool");
	must(attach_listen(&options, &server, NULL) == 0, "a socket");
	served.pools[0] = pools;
	served.recorder = recorder;
	must(attach_start(server, &served) == 0, "a server");
	must(attach_path(server, pool, &pool_path) == 0, "a path");
	pool_fd = open(pool_path, O_RDWR | O_CLOEXEC);
	read_only_fd = open(pool_path, O_RDONLY | O_CLOEXEC);
	must(pool_fd >= 0 && read_only_fd >= 0 && pipe2(pipe_fds, O_CLOEXEC) == 0, "descriptors");
	free(pool_path);
	atexit(stop_server);
}

static int connect_client(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s" ATTACH_SUFFIX, path);
	must(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0, "a connection");
	return fd;
}

static bool send_request(int connection, const struct attach_request *request, const int *fds, size_t count)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(3 * sizeof(int))];
	} control = { 0 };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)request, .iov_len = sizeof(*request) };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (count) {
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(&control.header), fds, count * sizeof(int));
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(count * sizeof(int));
	}
	return sendmsg(connection, &message, MSG_NOSIGNAL) == (ssize_t)sizeof(*request);
}

/* False: the server has hung up. */
static bool receive_reply(int connection, struct attach_reply *reply, size_t *fd_count)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(2 * sizeof(int))];
	} control;
	struct iovec iov = { .iov_base = reply, .iov_len = sizeof(*reply) };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	struct pollfd ready = { .fd = connection, .events = POLLIN };
	struct cmsghdr *part;
	ssize_t got;

	must(poll(&ready, 1, 30000) == 1, "an answer within 30 seconds");
	got = recvmsg(connection, &message, MSG_CMSG_CLOEXEC);
	if (got <= 0)
		return false;
	must(got == (ssize_t)sizeof(*reply), "a whole reply");
	part = CMSG_FIRSTHDR(&message);
	*fd_count = part && part->cmsg_type == SCM_RIGHTS ? (part->cmsg_len - CMSG_LEN(0)) / sizeof(int) : 0;
	for (size_t i = 0; i < *fd_count; i++) {
		int fd;

		memcpy(&fd, CMSG_DATA(part) + i * sizeof(fd), sizeof(fd));
		close(fd);
	}
	return true;
}

/* What holds for the answer to any message. */
static void check_reply(const struct attach_request *request, const struct attach_reply *reply,
			size_t fd_count)
{
	const bool gives_fd = request->type == ATTACH_POOL || request->type == ATTACH_WPQ ||
			      request->type == ATTACH_TRACE_THREAD;
	const size_t gives = request->type == ATTACH_TRACE_PROCESS ? 2 : gives_fd;
	const uint32_t flags = request->type == ATTACH_TRACE_PROCESS ? ATTACH_TRACE_FORKED : 0;

	must(reply->magic == ATTACH_MAGIC && reply->version == ATTACH_VERSION, "a reply of the protocol");
	must(reply->size == sizeof(*reply), "the size of a reply");
	must(reply->type == request->type || reply->type == 0, "a reply to this message");
	must(memchr(reply->message, '\0', sizeof(reply->message)), "a message that ends");
	must(reply->error <= 0 && (reply->error == 0 || reply->message[0]), "a reason for the error");
	must(fd_count == (reply->error ? 0 : gives), "descriptors if and only if they were asked for");
	must(reply->error || (!(request->flags & ~flags) && request->region == 0),
	     "that no other region exists");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct attach_request request;
	struct attach_reply reply;
	CLEANUP_FD int connection = -1;
	bool kicked = false;

	if (!server)
		start_server();
	connection = connect_client();
	for (unsigned i = 0; size && i < MESSAGES_MAX; i++) {
		const uint8_t shape = *data++;
		int fds[3];
		size_t count = 0, bytes = shape & SHAPE_BYTES ? BODY : 0;
		size_t fd_count;

		size--;
		bytes = bytes < size ? bytes : size;
		request = (struct attach_request){ .magic = ATTACH_MAGIC, .version = ATTACH_VERSION,
						   .type = shape & SHAPE_TYPE, .size = sizeof(request) };
		request.type += shape & SHAPE_MORE ? 8 : 0;
		memcpy(&request.flags, data, bytes);
		data += bytes;
		size -= bytes;
		if (shape & SHAPE_POOL)
			fds[count++] = pool_fd;
		if (shape & SHAPE_READ_ONLY)
			fds[count++] = read_only_fd;
		if (shape & SHAPE_FOREIGN)
			fds[count++] = pipe_fds[0];
		if (!send_request(connection, &request, fds, count))
			return 0;
		kicked |= request.type == ATTACH_KICK;
		if (request.type == ATTACH_KICK)
			continue;
		if (!receive_reply(connection, &reply, &fd_count))
			return 0;
		/* A kick has no answer, unless it ends the connection. */
		if (kicked && reply.type == ATTACH_KICK && reply.error)
			return 0;
		check_reply(&request, &reply, fd_count);
	}
	return 0;
}
