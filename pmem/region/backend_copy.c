/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A private copy of a region's file. The kernel copies a page when it is first stored to, so many daemons can
 * start from one large region at once, and each of them pays for what it changes alone.
 */

#include "region/backend.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/align.h"
#include "common/cleanup.h"

static int check_file(struct region *region, struct message *message)
{
	struct stat st;

	if (fstat(region->fd, &st) < 0)
		return message_fail(message, -errno, "region %s: fstat: %s", region->spec, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return message_fail(message, -EINVAL, "region %s: not a regular file", region->spec);
	region->size = (uint64_t)st.st_size;
	if (region->size < REGION_MIN_SIZE || !is_aligned(region->size, PAGE_BYTES))
		return message_fail(message, -EINVAL,
				    "region %s: it has %llu bytes: a region has at least 2M, and a multiple "
				    "of 4096 bytes",
				    region->spec, (unsigned long long)region->size);
	return 0;
}

/* Pages that were not copied yet are those of the file, so no writer may have it. Copies share the lock. */
static int lock(const struct region *region, struct message *message)
{
	if (flock(region->fd, LOCK_SH | LOCK_NB) == 0)
		return 0;
	if (errno == EWOULDBLOCK)
		return backend_in_use(region, message);
	return message_fail(message, -errno, "region %s: cannot lock it: %s", region->spec, strerror(errno));
}

static int map_private(struct region *region, struct message *message)
{
	const int protection = PROT_READ | (region_is_read_only(region) ? 0 : PROT_WRITE);
	void *media =
		mmap(NULL, region->size, protection, MAP_PRIVATE | MAP_NORESERVE, region->fd, 0);

	if (media == MAP_FAILED)
		return message_fail(message, -errno, "region %s: cannot map it: %s", region->spec,
				    strerror(errno));
	region->media = media;
	region->kernel_can_read = true;
	return 0;
}

static int copy_open(struct region *region, const char *where, struct message *message)
{
	int error;

	/* O_NONBLOCK: a fifo must not keep us waiting. */
	region->fd = open(where, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (region->fd < 0)
		return message_fail(message, -errno, "region %s: cannot open it: %s", region->spec,
				    strerror(errno));
	error = check_file(region, message);
	if (!error)
		error = lock(region, message);
	if (!error)
		error = map_private(region, message);
	if (error)
		close(steal_fd(&region->fd));
	return error;
}

static void copy_close(struct region *region)
{
	munmap(region->media, region->size);
	close(region->fd);
}

/* No `zero`, and no `discard`: a page of the file would take the place of one that is dropped. */
const struct backend backend_copy = {
	.scheme = "copy",
	.open = copy_open,
	.is_whole = failure_fd_is_whole,
	.close = copy_close,
};
