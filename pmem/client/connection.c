/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The process's one connection to the daemon. It is made when it is first
 * needed, and made anew in a forked child. Everything here happens under one
 * lock and without signals; nothing of it is needed to flush and fence, until a
 * ring is full.
 */

#include "client/connection.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/vfs.h>

#include "abi/attach_protocol.h"
#include "abi/rawcall.h"
#include "client/errormsg.h"
#include "client/settings.h"
#include "client/signals.h"

#ifndef FUSE_SUPER_MAGIC
#define FUSE_SUPER_MAGIC 0x65735546
#endif
/* A program's own descriptors are small numbers, and closed in loops over small numbers. */
#define HIGH_DESCRIPTOR 500
#define PATIENCE_MS 1000

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* All guarded by the lock. */
static int connection = -1;
static uint64_t connection_inode; /* is it ours still, or did the program close it and open another? */
static uint64_t mount_device, view_device;
static pid_t daemon_pid; /* whose views we map; 0: nobody's yet */
static enum persistence_domain domain = PERSISTENCE_MEMORY_CONTROLLER;
static bool greeted; /* once: the devices and the domain are known */

static uint64_t enter(void)
{
	return signals_lock(&lock);
}

static void leave(uint64_t signals)
{
	signals_unlock(&lock, signals);
}

static void die(const char *why)
{
	client_complain("the daemon is gone: ", why);
	client_complain("what this program fenced since the last drain may not be on the media; ",
			"it ends here");
	RAW2(kill, RAW1(getpid, 0), 6 /* SIGABRT */);
	signals_restore(0);
	for (;;)
		RAW2(kill, RAW1(getpid, 0), 9);
}

/* ---- Messages -------------------------------------------------------------- */

static long send_request(enum attach_type type, unsigned region, int fd)
{
	struct attach_request request = {
		.magic = ATTACH_MAGIC,
		.version = ATTACH_VERSION,
		.type = (uint16_t)type,
		.size = sizeof(request),
		.region = region,
	};
	struct iovec bytes = { &request, sizeof(request) };
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct msghdr message = { .msg_iov = &bytes, .msg_iovlen = 1 };
	long result;

	if (fd >= 0) {
		struct cmsghdr *header = (struct cmsghdr *)control;

		message.msg_control = control;
		message.msg_controllen = sizeof(control);
		*header = (struct cmsghdr){
			.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS
		};
		memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	}
	do
		result = RAW3(sendmsg, connection, &message,
			      MSG_NOSIGNAL | (type == ATTACH_KICK ? MSG_DONTWAIT : 0));
	while (result == -EINTR);
	return result < 0 ? result : 0;
}

static int received_fd(struct msghdr *message)
{
	struct cmsghdr *header = CMSG_FIRSTHDR(message);
	int fd = -1;

	if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
	    header->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	return fd;
}

/* However long it takes: a daemon that is stopped goes on some time. */
static void wait_for_reply(void)
{
	struct pollfd waiting = { .fd = connection, .events = POLLIN };

	if (RAW3(poll, &waiting, 1, PATIENCE_MS) != 0)
		return;
	client_complain("the daemon does not answer; waiting until it does", "");
	while (RAW3(poll, &waiting, 1, -1) == -EINTR)
		;
}

static long receive_reply(enum attach_type type, struct attach_reply *reply, int *fd)
{
	struct iovec bytes = { reply, sizeof(*reply) };
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct msghdr message = {
		.msg_iov = &bytes, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)
	};
	long result;

	wait_for_reply();
	do
		result = RAW3(recvmsg, connection, &message, MSG_CMSG_CLOEXEC);
	while (result == -EINTR);
	if (result < 0)
		return result;
	*fd = received_fd(&message);
	if (result == 0)
		return -ECONNRESET;
	if (result != sizeof(*reply) || reply->magic != ATTACH_MAGIC || reply->version != ATTACH_VERSION ||
	    reply->type != type)
		return -EPROTO;
	return 0;
}

/* One request and its reply. 0 if there was one, whatever it says. */
static long converse_of(unsigned region, enum attach_type type, int send, struct attach_reply *reply,
			int *got)
{
	int fd = -1;
	long error = send_request(type, region, send);

	if (!error)
		error = receive_reply(type, reply, &fd);
	if ((error || reply->error || !got) && fd >= 0) {
		RAW1(close, fd);
		fd = -1;
	}
	if (got)
		*got = fd;
	return error;
}

/* Of no region, or of one that is not for us to say. */
static long converse(enum attach_type type, int send, struct attach_reply *reply, int *got)
{
	return converse_of(0, type, send, reply, got);
}

/* ---- Connecting ------------------------------------------------------------- */

static bool still_ours(void)
{
	struct stat stat;

	return connection >= 0 && RAW2(fstat, connection, &stat) == 0 && stat.st_ino == connection_inode &&
	       S_ISSOCK(stat.st_mode);
}

static long connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct stat stat;
	long fd, high, error;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	fd = RAW3(socket, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fd;
	high = RAW3(fcntl, fd, F_DUPFD_CLOEXEC, HIGH_DESCRIPTOR);
	if (high >= 0) {
		RAW1(close, fd);
		fd = high;
	}
	error = RAW3(connect, fd, &address, sizeof(address));
	if (!error)
		error = RAW2(fstat, fd, &stat);
	if (error) {
		RAW1(close, fd);
		return error;
	}
	connection = (int)fd;
	connection_inode = stat.st_ino;
	return 0;
}

static long getsockopt_pid(pid_t *pid)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);
	long error = RAW5(getsockopt, connection, SOL_SOCKET, SO_PEERCRED, &peer, &size);

	*pid = peer.pid;
	return error;
}

/* Another daemon than the one we knew has nothing of what we mapped. */
static long greet(void)
{
	struct attach_reply reply;
	long error = converse(ATTACH_HELLO, -1, &reply, NULL);
	pid_t pid;

	if (error || reply.error)
		return error ? error : reply.error;
	if (getsockopt_pid(&pid) < 0 || (daemon_pid && pid != daemon_pid))
		return -EHOSTDOWN;
	daemon_pid = pid;
	mount_device = reply.mount_device;
	view_device = reply.view_device;
	domain = reply.domain == PERSISTENCE_CPU_CACHE ? PERSISTENCE_CPU_CACHE :
							 PERSISTENCE_MEMORY_CONTROLLER;
	greeted = true;
	return 0;
}

static long ensure_connected(void)
{
	const char *path = client_settings()->attach_path;
	static bool told;
	long error;

	if (still_ours())
		return 0;
	/* Whoever has the number now, it is not for us to close. */
	connection = -1;
	if (!path)
		return -ENOTCONN;
	error = connect_to(path);
	if (!error) {
		error = greet();
		if (error) {
			RAW1(close, connection);
			connection = -1;
		}
	}
	if (error && !told) {
		told = true;
		client_complain("the daemon cannot be reached: ", strerrordesc_np((int)-error));
	}
	return error;
}

/* ---- What others ask for ------------------------------------------------------ */

static bool is_on_fuse(int fd)
{
	struct statfs statfs;

	return RAW2(fstatfs, fd, &statfs) == 0 && statfs.f_type == FUSE_SUPER_MAGIC;
}

/* "/proc/self/fd/N" */
static void name_descriptor(int fd, char path[40])
{
	char digits[12];
	size_t count = 0, at;

	strcpy(path, "/proc/self/fd/");
	at = strlen(path);
	for (int rest = fd; rest || !count; rest /= 10)
		digits[count++] = (char)('0' + rest % 10);
	while (count)
		path[at++] = digits[--count];
	path[at] = '\0';
}

/* By its name, which others may have given to theirs. */
static bool may_be_view(int fd)
{
	static const char name[] = "/memfd:softpmem-view";
	char path[40], target[sizeof(name)];

	name_descriptor(fd, path);
	return RAW3(readlink, path, target, sizeof(target)) >= (long)sizeof(name) - 1 &&
	       memcmp(target, name, sizeof(name) - 1) == 0;
}

/* Is its device the one that the daemon has named? */
static bool is_of(dev_t device, const uint64_t *named)
{
	uint64_t signals = enter();
	bool ours;

	if (!greeted)
		ensure_connected();
	ours = greeted && *named && device == *named;
	leave(signals);
	return ours;
}

bool connection_serves(int fd)
{
	struct stat stat;

	if (!client_settings()->attach_path || RAW2(fstat, fd, &stat) != 0 || !S_ISREG(stat.st_mode))
		return false;
	if (is_on_fuse(fd))
		return is_of(stat.st_dev, &mount_device);
	return may_be_view(fd) && is_of(stat.st_dev, &view_device);
}

bool connection_is_view(int fd)
{
	struct stat stat;

	return client_settings()->attach_path && RAW2(fstat, fd, &stat) == 0 && S_ISREG(stat.st_mode) &&
	       may_be_view(fd) && is_of(stat.st_dev, &view_device);
}

static int open_for_writing(int fd, bool *opened)
{
	char path[40];
	long flags = RAW3(fcntl, fd, F_GETFL, 0);

	*opened = false;
	if (flags < 0 || (flags & O_ACCMODE) == O_RDWR)
		return flags < 0 ? (int)flags : fd;
	name_descriptor(fd, path);
	*opened = true;
	return (int)RAW4(openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
}

int connection_attach(int fd, struct attached_view *out)
{
	struct attach_reply reply = { 0 };
	uint64_t signals;
	bool opened;
	int proof = open_for_writing(fd, &opened);
	long error;

	if (proof < 0)
		return proof;
	signals = enter();
	error = ensure_connected();
	if (!error)
		error = converse(ATTACH_POOL, proof, &reply, &out->fd);
	leave(signals);
	if (opened)
		RAW1(close, proof);
	if (error || reply.error)
		return error ? (int)error : reply.error;
	if (out->fd < 0)
		return -EPROTO;
	if (reply.region >= ATTACH_REGIONS_MAX) {
		RAW1(close, out->fd);
		return -EPROTO;
	}
	out->region = reply.region;
	out->view = reply.view;
	out->size = reply.pool_size;
	return 0;
}

int connection_sync(int fd)
{
	struct attach_reply reply = { 0 };
	uint64_t signals = enter();
	long error = ensure_connected();

	if (!error)
		error = converse(ATTACH_SYNC, fd, &reply, NULL);
	leave(signals);
	return error ? (int)error : reply.error;
}

int connection_wpq(unsigned region)
{
	struct attach_reply reply = { 0 };
	uint64_t signals = enter();
	int fd = -1;
	long error = ensure_connected();

	if (!error)
		error = converse_of(region, ATTACH_WPQ, -1, &reply, &fd);
	leave(signals);
	if (error || reply.error)
		return error ? (int)error : reply.error;
	return fd < 0 ? -EPROTO : fd;
}

void connection_drain(void)
{
	struct attach_reply reply = { 0 };
	uint64_t signals = enter();
	long error = ensure_connected();

	/* If the program closed our connection, the daemon closes our WPQs, and they say so. */
	if (!error)
		error = converse(ATTACH_DRAIN, -1, &reply, NULL);
	if (error || reply.error)
		die(strerrordesc_np((int)-(error ? error : reply.error)));
	leave(signals);
}

void connection_kick(void)
{
	uint64_t signals = enter();
	long error = ensure_connected();

	if (!error)
		error = send_request(ATTACH_KICK, 0, -1);

	/* Too many kicks already wait to be read: one of them will do. */
	if (error && error != -EAGAIN)
		die(strerrordesc_np((int)-error));
	leave(signals);
}

_Atomic int connection_domain_known = -1;

enum persistence_domain connection_learn_domain(void)
{
	enum persistence_domain result;
	uint64_t signals;

	if (!client_settings()->attach_path) {
		connection_domain_known = PERSISTENCE_MEMORY_CONTROLLER;
		return PERSISTENCE_MEMORY_CONTROLLER;
	}
	signals = enter();
	if (!greeted)
		ensure_connected();
	result = domain;
	if (greeted)
		connection_domain_known = (int)result;
	leave(signals);
	return result;
}

/* ---- fork ------------------------------------------------------------------------ */

static uint64_t fork_signals;

void connection_fork_prepare(void)
{
	uint64_t signals = enter();

	fork_signals = signals;
}

void connection_fork_parent(void)
{
	leave(fork_signals);
}

void connection_fork_child(void)
{
	uint64_t signals = fork_signals;

	/* The parent's: it must see no message of ours, and be gone when the parent is. */
	if (still_ours())
		RAW1(close, connection);
	connection = -1;
	pthread_mutex_init(&lock, NULL);
	signals_restore(signals);
}
