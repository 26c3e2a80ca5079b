/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What the kernel can and libfuse does not know of: it is written into the
 * answer to INIT, as that passes on its way to the kernel.
 */

#include <errno.h>
#include <linux/fuse.h>
#include <sys/uio.h>
#include <unistd.h>

#include "private.h"

/* Since Linux 6.6: shared mappings of files that are open for direct I/O. A bit of flags2. */
#define DIRECT_IO_ALLOW_MMAP (1u << 4)

void negotiate_hear(struct fusefs *fs, const struct fuse_in_header *in)
{
	const struct fuse_init_in *init = (const void *)(in + 1);

	if (in->opcode != FUSE_INIT || in->len < sizeof(*in) + sizeof(*init) ||
	    !(init->flags & FUSE_INIT_EXT))
		return;
	fs->init_request = in->unique;
	fs->init_flags2 = init->flags2 & DIRECT_IO_ALLOW_MMAP;
}

static ssize_t send_iov(int fd, struct iovec *iov, int count, void *userdata)
{
	struct fusefs *fs = userdata;
	const struct fuse_out_header *out = iov[0].iov_base;

	if (fs->init_flags2 && out->unique == fs->init_request && !out->error && count > 1 &&
	    iov[1].iov_len == sizeof(struct fuse_init_out)) {
		struct fuse_init_out *init = iov[1].iov_base;

		init->flags |= FUSE_INIT_EXT;
		init->flags2 |= fs->init_flags2;
		fs->init_flags2 = 0;
	}
	return writev(fd, iov, count);
}

static ssize_t receive(int fd, void *buffer, size_t size, void *userdata)
{
	return read(fd, buffer, size);
}

int negotiate_begin(struct fusefs *fs)
{
	static const struct fuse_custom_io io = { .writev = send_iov, .read = receive };

	return fuse_session_custom_io(fs->session, &io, fuse_session_fd(fs->session)) ? -ENOMEM : 0;
}
