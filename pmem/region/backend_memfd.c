/* SPDX-License-Identifier: BSD-3-Clause */
#include "region/backend.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/size.h"

static void memfd_close(struct region *region)
{
	if (region->media)
		munmap(region->media, region->size);
	close(region->fd);
}

/* The memory that the kernel could give without swapping, and free swap, in bytes; UINT64_MAX if unknown. */
static uint64_t available_memory(void)
{
	FILE *file = fopen("/proc/meminfo", "re");
	unsigned long long kib, available = 0, swap = 0;
	char line[128];

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1)
			available = kib;
		else if (sscanf(line, "SwapFree: %llu kB", &kib) == 1)
			swap = kib;
	}
	if (file)
		fclose(file);
	return available ? (available + swap) << 10 : UINT64_MAX;
}

/* The kernel gives memory when it is written to, and kills a process when there is none left. */
static void warn_if_too_large(struct region *region)
{
	const uint64_t available = available_memory();
	char text[32];

	if (region->size <= available)
		return;
	size_format(available, text, sizeof(text));
	message_fail(&region->warning, 0,
		    "region %s: this machine has only %s of memory available: the kernel may kill the daemon "
		    "when more than that is written",
		    region->spec, text);
}

static int memfd_open(struct region *region, const char *where, struct message *message)
{
	int error = backend_parse_size(region, where, &region->size, message);

	if (error)
		return error;
	region->fd = memfd_create("softpmem-region", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (region->fd < 0)
		return message_fail(message, -errno, "region %s: memfd_create: %s", region->spec,
				    strerror(errno));
	if (ftruncate(region->fd, (off_t)region->size) < 0) {
		error = message_fail(message, -errno, "region %s: cannot size it: %s", region->spec,
				     strerror(errno));
		close(region->fd);
		return error;
	}
	error = backend_map(region, 0, message);
	if (error) {
		close(region->fd);
		return error;
	}
	region->is_new = true;
	region->kernel_can_read = true;
	warn_if_too_large(region);
	return 0;
}

static int memfd_zero(struct region *region, uint64_t offset, uint64_t length)
{
	if (fallocate(region->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)length) <
	    0)
		return -errno;
	return 0;
}

const struct backend backend_memfd = {
	.scheme = "memfd",
	.open = memfd_open,
	.zero = memfd_zero,
	.discard = memfd_zero,
	.is_whole = failure_fd_is_whole,
	.close = memfd_close,
};
