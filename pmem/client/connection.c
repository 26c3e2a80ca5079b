/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The connection is made when it is first needed, and anew in a forked child. All state is guarded by one
 * lock, under which signals are blocked. Flushes and fences need no connection until a ring is full.
 */

#include "client/connection.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "abi/rawcall.h"
#include "client/channel.h"
#include "client/courier.h"
#include "client/errormsg.h"
#include "client/settings.h"
#include "client/signals.h"

#ifndef FUSE_SUPER_MAGIC
#define FUSE_SUPER_MAGIC 0x65735546
#endif

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* Guarded by the lock. */
static struct channel channel = CHANNEL_CLOSED;
static uint64_t mount_device, view_device;
static pid_t daemon_pid; /* the daemon whose views this process maps; 0: none yet */
static enum persistence_domain domain = PERSISTENCE_MEMORY_CONTROLLER;
static bool greeted; /* at least once: the devices and the domain are known */
static bool optional; /* the process runs on if it is not recorded: connection_records_output() */

static uint64_t enter(void)
{
	return signals_lock(&lock);
}

static void leave(uint64_t signals)
{
	signals_unlock(&lock, signals);
}

/* Nothing can be made durable any more. */
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

/* ---- Connecting ------------------------------------------------------------- */

/* Another daemon than before knows nothing of the views that this process maps. */
static int greet(char reason[static sizeof(((struct attach_reply *)0)->message)])
{
	const struct channel_request request = { .type = ATTACH_HELLO, .fd = -1 };
	struct attach_reply reply;
	int error = channel_ask(&channel, &request, &reply, NULL);

	if (error)
		return error;
	if (reply.error) {
		memcpy(reason, reply.message, sizeof(reply.message));
		return reply.error;
	}
	if (daemon_pid && channel.daemon != daemon_pid)
		return -EHOSTDOWN;
	daemon_pid = channel.daemon;
	mount_device = reply.mount_device;
	view_device = reply.view_device;
	domain = reply.domain == PERSISTENCE_CPU_CACHE ? PERSISTENCE_CPU_CACHE :
							 PERSISTENCE_MEMORY_CONTROLLER;
	greeted = true;
	return 0;
}

static void complain_unreachable(int error, const char *reason)
{
	static bool told;

	if (optional)
		return;
	if (!told)
		client_complain("the daemon cannot be reached: ",
				*reason ? reason : strerrordesc_np(-error));
	told = true;
	/* Without it the program would run on, and its flushes would make nothing durable. */
	if (!greeted && client_settings()->must_attach) {
		client_complain("this process ends; --allow-unattached lets it run without", "");
		RAW1(exit_group, 1);
	}
}

/* ---- Being recorded ---------------------------------------------------------------- */

/* Guarded by the lock. */
static struct {
	uint32_t process; /* in the trace; 0: not yet. A forked child has its parent's until it joins */
	int fds[CHANNEL_FDS]; /* the courier's, of the first connection: clock and locks */
	ino_t clock_inode;
	/* The recording that its parent joined has ended: what this child stores belongs to none. */
	bool is_over;
} trace = { .fds = { -1, -1 } };

static long call_fstat(void *argument)
{
	struct stat st;
	long error = RAW2(fstat, *(int *)argument, &st);

	return error ? error : (long)st.st_ino;
}

/* Of a descriptor of the courier. */
static ino_t inode_of(int fd)
{
	return (ino_t)courier_call(call_fstat, &fd);
}

/* What is not recorded would be missing in the trace, and nobody would know. */
static _Noreturn void stop_unrecorded(int error, const char *reason)
{
	client_complain("this process cannot be recorded, and ends: ",
			*reason ? reason : strerrordesc_np(-error));
	for (;;)
		RAW1(exit_group, 1);
}

/*
 * Each connection is of a process that the daemon records. `error`: the daemon was not reached. Returns
 * if the process is recorded, or may go on without.
 */
static int join_trace(int error, char reason[static sizeof(((struct attach_reply *)0)->message)])
{
	const struct channel_request request = { .type = ATTACH_TRACE_PROCESS,
						 .flags = trace.process ? ATTACH_TRACE_FORKED : 0,
						 .offset = trace.process,
						 .length = client_settings()->record_key,
						 .fd = -1 };
	struct attach_reply reply = { 0 };
	int fds[CHANNEL_FDS];

	if (!error)
		error = channel_ask(&channel, &request, &reply, fds);
	if (!error && reply.error) {
		memcpy(reason, reply.message, sizeof(reply.message));
		error = reply.error;
	}
	/* There is no recording, or another one, which has another key. */
	trace.is_over = trace.process &&
			(reply.error == -ENOENT || reply.error == -EACCES || reply.error == -ESRCH);
	if (trace.is_over)
		return 0;
	if (!error && (fds[0] < 0 || fds[1] < 0 || !reply.number || reply.number > UINT32_MAX))
		error = -EPROTO;
	if (error && optional) {
		channel_close(&channel);
		return error;
	}
	if (error)
		stop_unrecorded(error, error == -ENOENT ? "nothing is being recorded" : reason);
	/* ... or one that knows another process by that number: this one has the clock of the one before. */
	trace.is_over = trace.process && inode_of(fds[0]) != trace.clock_inode;
	trace.clock_inode = inode_of(fds[0]);
	for (unsigned i = 0; i < CHANNEL_FDS; i++) {
		if (trace.process)
			courier_close(fds[i]);
		else
			trace.fds[i] = fds[i];
	}
	trace.process = (uint32_t)reply.number;
	return 0;
}

static int ensure_connected(void)
{
	const char *path = client_settings()->attach_path;
	char reason[sizeof(((struct attach_reply *)0)->message)] = "";
	int error;

	if (channel_is_open(&channel))
		return 0;
	if (!path)
		return -ENOTCONN;
	error = channel_connect(&channel, path);
	if (!error) {
		error = greet(reason);
		if (error)
			channel_close(&channel);
	}
	if (error)
		complain_unreachable(error, reason);
	return client_settings()->record ? join_trace(error, reason) : error;
}

/* ---- Requests ------------------------------------------------------------------ */

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

/* By its name, which the files of another program may have too. */
static bool may_be_view(int fd)
{
	static const char name[] = "/memfd:softpmem-view";
	char path[40], target[sizeof(name)];

	name_descriptor(fd, path);
	return RAW3(readlink, path, target, sizeof(target)) >= (long)sizeof(name) - 1 &&
	       memcmp(target, name, sizeof(name) - 1) == 0;
}

/* Is it the device that the daemon has named? */
static bool is_device(dev_t device, const uint64_t *named)
{
	uint64_t signals = enter();
	bool same;

	if (!greeted)
		ensure_connected();
	same = greeted && *named && device == *named;
	leave(signals);
	return same;
}

bool connection_serves(int fd)
{
	struct stat stat;

	if (!client_settings()->attach_path || RAW2(fstat, fd, &stat) != 0 || !S_ISREG(stat.st_mode))
		return false;
	if (is_on_fuse(fd))
		return is_device(stat.st_dev, &mount_device);
	return may_be_view(fd) && is_device(stat.st_dev, &view_device);
}

bool connection_is_view(int fd)
{
	struct stat stat;

	return client_settings()->attach_path && RAW2(fstat, fd, &stat) == 0 && S_ISREG(stat.st_mode) &&
	       may_be_view(fd) && is_device(stat.st_dev, &view_device);
}

/* Ask, connected first if need be. `received` is the reply's descriptor, or NULL. 0 or a negative errno. */
static int ask(const struct channel_request *request, struct attach_reply *reply, int *received)
{
	uint64_t signals = enter();
	int error = ensure_connected(), fds[CHANNEL_FDS];

	if (!error)
		error = channel_ask(&channel, request, reply, fds);
	leave(signals);
	if (error)
		return error;
	if (received)
		*received = fds[0];
	for (unsigned i = received ? 1 : 0; i < CHANNEL_FDS; i++)
		if (fds[i] >= 0)
			courier_close(fds[i]);
	return reply->error;
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

/* A program may not expect that a limit is reached, and say little. */
static void complain_of_file(int fd, const struct attach_reply *reply)
{
	char link[40], text[150 + sizeof(": cannot be mapped: ")];
	long length;

	name_descriptor(fd, link);
	length = RAW3(readlink, link, text, 150);
	length = length < 0 ? 0 : length;
	/* Names of others' files may have control characters. */
	for (long i = 0; i < length; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 127)
			text[i] = '?';
	strcpy(text + length, ": cannot be mapped: ");
	client_complain(text, reply->message);
}

int connection_attach(int fd, struct attached_view *out)
{
	struct channel_request request = { .type = ATTACH_POOL };
	struct attach_reply reply = { 0 };
	bool opened;
	int error;

	request.fd = open_for_writing(fd, &opened);
	if (request.fd < 0)
		return request.fd;
	error = ask(&request, &reply, &out->fd);
	if (opened)
		RAW1(close, request.fd);
	if (error == -EMFILE)
		complain_of_file(fd, &reply);
	if (error)
		return error;
	if (out->fd < 0)
		return -EPROTO;
	if (reply.region >= ATTACH_REGIONS_MAX) {
		courier_close(out->fd);
		return -EPROTO;
	}
	out->region = reply.region;
	out->view = reply.view;
	out->size = reply.pool_size;
	out->is_traced = client_settings()->record && reply.trace_pool != ATTACH_TRACE_NO_POOL;
	out->trace_pool = reply.trace_pool;
	return 0;
}

void connection_trace_shared(int *clock, int *locks)
{
	uint64_t signals = enter();
	int error = ensure_connected();

	if (error)
		stop_unrecorded(error, "");
	*clock = trace.fds[0];
	*locks = trace.fds[1];
	leave(signals);
}

int connection_trace_thread(long tid, uint32_t *thread)
{
	const struct channel_request request = { .type = ATTACH_TRACE_THREAD,
						 .offset = (uint64_t)tid,
						 .fd = -1 };
	struct attach_reply reply = { 0 };
	int fd = -1, error = ask(&request, &reply, &fd);

	if (!error && trace.is_over) {
		courier_close(fd);
		error = -ENOENT;
	}
	if (error)
		return error;
	*thread = (uint32_t)reply.number;
	return fd < 0 ? -EPROTO : fd;
}

void connection_trace_thread_gone(uint32_t thread)
{
	const struct channel_request request = { .type = ATTACH_TRACE_THREAD_GONE,
						 .offset = thread,
						 .fd = -1 };
	struct attach_reply reply = { 0 };

	ask(&request, &reply, NULL);
}

bool connection_daemon_lives(void)
{
	const pid_t pid = __atomic_load_n(&daemon_pid, __ATOMIC_RELAXED);

	/* Of another pid namespace it has no number here. */
	return pid <= 0 || RAW2(kill, pid, 0) != -ESRCH;
}

/* Some ms of any processor: a look is a system call. */
#define WATCH_TICKS (UINT64_C(1) << 24)

void connection_watch_daemon(void)
{
	static _Thread_local uint64_t looked;
	const uint64_t now = __builtin_ia32_rdtsc();

	if (now - looked < WATCH_TICKS)
		return;
	looked = now;
	if (!connection_daemon_lives())
		die("its process has ended");
}

pid_t connection_daemon(void)
{
	return __atomic_load_n(&daemon_pid, __ATOMIC_RELAXED);
}

bool connection_records_output(void)
{
	uint64_t signals = enter();
	bool recorded;

	optional = true;
	recorded = ensure_connected() == 0 && trace.process && !trace.is_over;
	optional = false;
	leave(signals);
	return recorded;
}

int connection_sync(int fd)
{
	const struct channel_request request = { .type = ATTACH_SYNC, .fd = fd };
	struct attach_reply reply = { 0 };

	return ask(&request, &reply, NULL);
}

int connection_sync_range(unsigned region, uint32_t view, uint64_t offset, uint64_t length)
{
	const struct channel_request request = { .type = ATTACH_SYNC_RANGE,
						 .region = region,
						 .view = view,
						 .offset = offset,
						 .length = length,
						 .fd = -1 };
	struct attach_reply reply = { 0 };

	return ask(&request, &reply, NULL);
}

int connection_mark(const char *text)
{
	const struct channel_request request = { .type = ATTACH_MARK, .fd = -1, .text = text };
	struct attach_reply reply = { 0 };

	return ask(&request, &reply, NULL);
}

/*
 * Held by a thread that announces a fence, until that is published. The daemon lets other fences wait
 * meanwhile: if one of this process were announced, its wait would keep the connection from this thread.
 * Taken before all other locks: a fence may replace a WPQ.
 */
static pthread_mutex_t fence_lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t fence_signals; /* guarded by fence_lock */

void connection_fence_begins(void)
{
	const struct channel_request request = { .type = ATTACH_FENCE, .fd = -1 };
	struct attach_reply reply = { 0 };
	uint64_t signals = signals_lock(&fence_lock);

	fence_signals = signals;
	/* Without the daemon there is no outage; the fence finds that its WPQ is closed. */
	ask(&request, &reply, NULL);
}

void connection_fenced(void)
{
	const struct channel_request request = { .type = ATTACH_FENCED, .fd = -1 };
	struct attach_reply reply = { 0 };

	ask(&request, &reply, NULL);
	signals_unlock(&fence_lock, fence_signals);
}

int connection_wpq(unsigned region)
{
	const struct channel_request request = { .type = ATTACH_WPQ, .region = region, .fd = -1 };
	struct attach_reply reply = { 0 };
	int fd = -1, error = ask(&request, &reply, &fd);

	if (error)
		return error;
	return fd < 0 ? -EPROTO : fd;
}

void connection_drain(void)
{
	const struct channel_request request = { .type = ATTACH_DRAIN, .fd = -1 };
	struct attach_reply reply = { 0 };
	/* If the program has closed the socket, the daemon closes the WPQs, and their state says so. */
	int error = ask(&request, &reply, NULL);

	if (error)
		die(strerrordesc_np(-error));
}

void connection_kick(void)
{
	uint64_t signals = enter();
	int error = ensure_connected();

	if (!error)
		error = channel_kick(&channel);
	if (error)
		die(strerrordesc_np(-error));
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

void connection_fences_stop(void)
{
	uint64_t signals = signals_lock(&fence_lock);

	fence_signals = signals;
}

void connection_fences_continue(void)
{
	signals_unlock(&fence_lock, fence_signals);
}

void connection_fences_fork_child(void)
{
	uint64_t signals = fence_signals;

	pthread_mutex_init(&fence_lock, NULL);
	signals_restore(signals);
}

void connection_fork_child(void)
{
	uint64_t signals = fork_signals;

	/* The parent's. The courier's descriptors were not inherited. */
	if (!channel.hidden && channel_is_open(&channel))
		RAW1(close, channel.fd);
	channel = CHANNEL_CLOSED;
	pthread_mutex_init(&lock, NULL);
	signals_restore(signals);
}
