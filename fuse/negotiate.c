/* SPDX-License-Identifier: BSD-3-Clause */
#include "negotiate.h"

#include <errno.h>
#include <linux/fuse.h>
#include <sys/uio.h>
#include <unistd.h>

/* ---- Through libfuse ---------------------------------------------------------- */

/*
 * Asynchronous requests in flight: read-ahead, write-back, direct I/O. The default of 12 starves deep
 * queues.
 */
#define BACKGROUND_MAX 256

static void want(struct fuse_conn_info *connection, unsigned capability)
{
	connection->want |= connection->capable & capability;
}

void fusefs_op_init(void *userdata, struct fuse_conn_info *connection)
{
	/* The kernel drops pages when it is told to, not when an mtime changed. */
	connection->want &= ~(unsigned)(FUSE_CAP_AUTO_INVAL_DATA | FUSE_CAP_HANDLE_KILLPRIV |
					FUSE_CAP_WRITEBACK_CACHE | FUSE_CAP_SPLICE_READ |
					FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE);
	want(connection, FUSE_CAP_EXPLICIT_INVAL_DATA);
	want(connection, FUSE_CAP_ASYNC_READ | FUSE_CAP_ASYNC_DIO | FUSE_CAP_PARALLEL_DIROPS);
	want(connection, FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_CACHE_SYMLINKS);
	want(connection, FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO);
	connection->max_write = FUSEFS_TRANSFER_MAX;
	connection->max_background = BACKGROUND_MAX;
	connection->congestion_threshold = BACKGROUND_MAX * 3 / 4;
}

/*
 * ---- Without libfuse -----------------------------------------------------------
 * Flags of the kernel that libfuse does not know are added to libfuse's answer to
 * INIT when it is written to the kernel.
 */

/* A bit of flags2, since Linux 6.6: shared mappings of files that are open for direct I/O. */
#define DIRECT_IO_ALLOW_MMAP (1u << 4)

void fusefs_negotiate_note_request(struct fusefs *fs, const struct fuse_in_header *in)
{
	const struct fuse_init_in *init = (const void *)(in + 1);

	if (in->opcode != FUSE_INIT || in->len < sizeof(*in) + sizeof(*init))
		return;
	fs->init_request = in->unique;
	fs->init_flags = init->flags & FUSE_HANDLE_KILLPRIV_V2;
	fs->clears_set_id = fs->init_flags & FUSE_HANDLE_KILLPRIV_V2;
	if (init->flags & FUSE_INIT_EXT)
		fs->init_flags2 = init->flags2 & DIRECT_IO_ALLOW_MMAP;
	if (fs->init_flags2)
		fs->init_flags |= FUSE_INIT_EXT;
}

static ssize_t send_iov(int fd, struct iovec *iov, int count, void *userdata)
{
	struct fusefs *fs = userdata;
	const struct fuse_out_header *out = iov[0].iov_base;

	if (fs->init_flags && out->unique == fs->init_request && !out->error && count > 1 &&
	    iov[1].iov_len == sizeof(struct fuse_init_out)) {
		struct fuse_init_out *init = iov[1].iov_base;

		init->flags |= fs->init_flags;
		init->flags2 |= fs->init_flags2;
		fs->init_flags = 0;
	}
	return writev(fd, iov, count);
}

static ssize_t receive(int fd, void *buffer, size_t size, void *userdata)
{
	return read(fd, buffer, size);
}

int fusefs_negotiate_begin(struct fusefs *fs)
{
	static const struct fuse_custom_io io = { .writev = send_iov, .read = receive };

	return fuse_session_custom_io(fs->session, &io, fuse_session_fd(fs->session)) ? -ENOMEM : 0;
}
