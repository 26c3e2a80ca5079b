/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What a recorded program writes to its standard output, its standard error, sockets and pipes becomes
 * a mark: it is mostly by one of these that a program acknowledges what it has made durable. libc's
 * streams call its write() without the symbol, so the functions themselves are replaced, where they
 * begin. This file is in the library that `softpmem record` preloads only.
 *
 * A mark has what was written, so it is stamped after the system call. What the thread stored before is
 * before it in the trace.
 */

/* The functions themselves are called, not their checked forms. */
#undef _FORTIFY_SOURCE

#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#include "abi/rawcall.h"
#include "client/compiler.h"
#include "client/connection.h"
#include "client/errormsg.h"
#include "client/inline.h"
#include "client/output_marks.h"
#include "client/record/record.h"
#include "client/recording.h"
#include "client/settings.h"
#include "client/valgrind.h"
#include "common/align.h"
#include "trace/event.h"

/*
 * The most that a mark has of what was written. Of standard output it is what libc's streams write at
 * once, as checkers read it; of others it is enough to recognize a message. What comes in parts is put
 * together on the stack, which may be that of a signal handler.
 */
#define STANDARD_TEXT_MAX TRACE_PATH_MAX
#define OTHER_TEXT_MAX 256u
#define GATHERED_MAX 1024u

/* ---- Marks ------------------------------------------------------------------------------ */

static bool is_of_daemon(int socket)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	return RAW5(getsockopt, socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.pid > 0 &&
	       peer.pid == connection_daemon();
}

/* Of the command that `softpmem record` runs: other programs may have it by another number. */
static bool is_output(const struct stat *status, unsigned which)
{
	return status->st_ino && status->st_dev == client_settings()->outputs[which].device &&
	       status->st_ino == client_settings()->outputs[which].inode;
}

static bool is_null_device(const struct stat *status)
{
	return S_ISCHR(status->st_mode) && status->st_rdev == makedev(1, 3);
}

/* False: what is written there is no mark. Files on the mount have events of their own. */
static bool find_source(int fd, enum trace_mark_source *source)
{
	struct stat status;
	bool standard, is_error;

	if (RAW2(fstat, fd, &status) != 0)
		return false;
	/* A command whose output goes to /dev/null may write there for other reasons too. */
	standard = fd == STDOUT_FILENO || fd == STDERR_FILENO || !is_null_device(&status);
	is_error = is_output(&status, 1) && (fd == STDERR_FILENO || !is_output(&status, 0));
	if (standard && (is_error || is_output(&status, 0))) {
		*source = is_error ? TRACE_MARK_STDERR : TRACE_MARK_STDOUT;
		return true;
	}
	*source = S_ISFIFO(status.st_mode) ? TRACE_MARK_PIPE : TRACE_MARK_SOCKET;
	return S_ISFIFO(status.st_mode) || (S_ISSOCK(status.st_mode) && !is_of_daemon(fd));
}

/* The first bytes of the parts, `most` or as many as fit. */
static struct trace_bytes gather(unsigned char room[GATHERED_MAX], const struct iovec *parts, size_t count,
				 size_t most)
{
	size_t done = 0;

	if (count == 1 || parts[0].iov_len >= most)
		return (struct trace_bytes){ .at = parts[0].iov_base, .length = (uint32_t)most };
	most = min_u64(most, GATHERED_MAX);
	for (size_t i = 0; i < count && done < most; i++) {
		const size_t some = min_u64(parts[i].iov_len, most - done);

		if (some)
			memcpy(room + done, parts[i].iov_base, some);
		done += some;
	}
	return (struct trace_bytes){ .at = room, .length = (uint32_t)done };
}

/* `written` bytes of the parts went to `fd`. errno stays. */
static void mark(int fd, const struct iovec *parts, size_t count, ssize_t written)
{
	unsigned char room[GATHERED_MAX];
	enum trace_mark_source source;
	struct trace_event event;
	size_t most = OTHER_TEXT_MAX;

	if (written <= 0 || !client_recording() || !find_source(fd, &source))
		return;
	if (source == TRACE_MARK_STDOUT || source == TRACE_MARK_STDERR)
		most = STANDARD_TEXT_MAX;
	trace_event_start(&event, TRACE_MARK, 0);
	event.mark.source = source;
	event.mark.fd = fd;
	event.mark.length = (uint64_t)written;
	event.mark.text = gather(room, parts, count, min_u64(most, (uint64_t)written));
	record_event(&event);
}

static void mark_one(int fd, const void *bytes, size_t length, ssize_t written)
{
	const struct iovec part = { .iov_base = (void *)(uintptr_t)bytes, .iov_len = length };

	mark(fd, &part, 1, written);
}

/* If it was sent, it is there. */
static void mark_message(int fd, const struct msghdr *message, ssize_t written)
{
	if (written > 0)
		mark(fd, message->msg_iov, message->msg_iovlen, written);
}

/* ---- In the place of libc's ----------------------------------------------------------------- */

/* What runs libc's own function. */
static _Atomic uintptr_t original_write, original_writev, original_send, original_sendto, original_sendmsg,
	original_sendmmsg;
#define ORIGINAL(function) \
	((__typeof__(function) *)atomic_load_explicit(&original_##function, memory_order_relaxed))

static ssize_t marking_write(int fd, const void *bytes, size_t length)
{
	const ssize_t written = ORIGINAL(write)(fd, bytes, length);

	mark_one(fd, bytes, length, written);
	return written;
}

static ssize_t marking_writev(int fd, const struct iovec *parts, int count)
{
	const ssize_t written = ORIGINAL(writev)(fd, parts, count);

	mark(fd, parts, (size_t)count, written);
	return written;
}

static ssize_t marking_send(int fd, const void *bytes, size_t length, int flags)
{
	const ssize_t written = ORIGINAL(send)(fd, bytes, length, flags);

	mark_one(fd, bytes, length, written);
	return written;
}

static ssize_t marking_sendto(int fd, const void *bytes, size_t length, int flags,
			      const struct sockaddr *address, socklen_t size)
{
	const ssize_t written = ORIGINAL(sendto)(fd, bytes, length, flags, address, size);

	mark_one(fd, bytes, length, written);
	return written;
}

static ssize_t marking_sendmsg(int fd, const struct msghdr *message, int flags)
{
	const ssize_t written = ORIGINAL(sendmsg)(fd, message, flags);

	mark_message(fd, message, written);
	return written;
}

static void mark_messages(int fd, const struct mmsghdr *messages, ssize_t sent)
{
	for (ssize_t i = 0; i < sent; i++)
		mark_message(fd, &messages[i].msg_hdr, (ssize_t)messages[i].msg_len);
}

static int marking_sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
	const int sent = ORIGINAL(sendmmsg)(fd, messages, count, flags);

	mark_messages(fd, messages, sent);
	return sent;
}

void client_mark_output(long number, long fd, long bytes, long length, long written)
{
	if (number == SYS_write || number == SYS_sendto)
		mark_one((int)fd, (const void *)bytes, (size_t)length, written);
	else if (number == SYS_writev)
		mark((int)fd, (const struct iovec *)bytes, (size_t)length, written);
	else if (number == SYS_sendmsg)
		mark_message((int)fd, (const struct msghdr *)bytes, written);
	else
		mark_messages((int)fd, (const struct mmsghdr *)bytes, written);
}

/* ---- Start ---------------------------------------------------------------------------------- */

/* All that a program writes is to become a mark, also if it maps no pool itself: a shell may acknowledge. */
static __attribute__((constructor)) void start(void)
{
	static const struct {
		const char *name;
		void (*replacement)(void);
		_Atomic uintptr_t *original;
	} functions[] = {
		{ "write", (void (*)(void))marking_write, &original_write },
		{ "writev", (void (*)(void))marking_writev, &original_writev },
		{ "send", (void (*)(void))marking_send, &original_send },
		{ "sendto", (void (*)(void))marking_sendto, &original_sendto },
		{ "sendmsg", (void (*)(void))marking_sendmsg, &original_sendmsg },
		{ "sendmmsg", (void (*)(void))marking_sendmmsg, &original_sendmmsg },
	};

	/* libc's, not those of another library that interposes them: streams call these. */
	void *libc = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);

	if (!libc || !client_settings()->record || valgrind_is_running() || !connection_records_output())
		return;
	client_inline_start_engine();
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		void *function = dlsym(libc, functions[i].name);

		if (function && record_replace((uintptr_t)function, (uintptr_t)functions[i].replacement,
					       functions[i].original) != 0)
			client_complain("what is written by this function is not marked in the trace: ",
					functions[i].name);
	}
}
