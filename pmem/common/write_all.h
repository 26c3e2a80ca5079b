/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COMMON_WRITE_ALL_H
#define COMMON_WRITE_ALL_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

/*
 * Write `length` bytes to the file at byte `offset`, which is at most INT64_MAX - length, however many calls
 * of pwrite(2) that takes. Returns 0 or a negative errno; then any part may have been written. -EIO also
 * stands for a call that wrote nothing and reported no error. Thread safe.
 */
static inline int write_all_at(int fd, const void *bytes, size_t length, uint64_t offset)
{
	while (length) {
		ssize_t written = pwrite(fd, bytes, length, (off_t)offset);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return written < 0 ? -errno : -EIO;
		bytes = (const unsigned char *)bytes + written;
		length -= (size_t)written;
		offset += (uint64_t)written;
	}
	return 0;
}

#endif
