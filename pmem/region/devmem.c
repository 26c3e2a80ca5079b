/* SPDX-License-Identifier: BSD-3-Clause */
#include "region/backend.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/align.h"
#include "common/cleanup.h"
#include "common/size.h"
#include "region/physmap.h"

static const char device[] = "/dev/mem";
/* This machine's own /proc and /sys. */
static const char root[] = "";

/* "START+SIZE", both as size_parse() takes them. */
static int parse_spec(struct region *region, const char *where, struct phys_range *range, struct message *message)
{
	/* More than any x86-64 has. */
	const uint64_t physical_end = (uint64_t)1 << 52;
	const char *plus = strchr(where, '+');
	CLEANUP_FREE char *start = plus ? strndup(where, (size_t)(plus - where)) : NULL;
	int error;

	if (!start || size_parse(start, &range->start) < 0)
		return message_fail(message, -EINVAL,
				    "region %s: not understood: write devmem:START+SIZE, as in devmem:0x140000000+1G",
				    region->spec);
	error = backend_parse_size(region, plus + 1, &region->size, message);
	if (error)
		return error;
	if (!is_aligned(range->start, PAGE_BYTES))
		return message_fail(message, -EINVAL, "region %s: the start %s is not a multiple of 4096",
				    region->spec, start);
	if (range->start >= physical_end || region->size > physical_end - range->start)
		return message_fail(message, -ERANGE, "region %s: it ends past the last physical address",
				    region->spec);
	range->last = range->start + region->size - 1;
	return 0;
}

static int open_device(struct region *region, struct message *message)
{
	/* O_SYNC would make the mapping uncached. */
	region->fd = open(device, (region_is_read_only(region) ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	if (region->fd >= 0)
		return 0;
	switch (errno) {
	case ENOENT:
	case ENXIO:
	case ENODEV:
		return message_fail(message, -errno,
				    "region %s: there is no %s: this kernel is built without CONFIG_DEVMEM, or this is "
				    "a container: use another kernel, or file:",
				    region->spec, device);
	case EACCES:
	case EPERM:
		return message_fail(message, -errno,
				    "region %s: not allowed to open %s: it needs root with CAP_SYS_RAWIO, and a kernel "
				    "that is not locked down (as Secure Boot does)",
				    region->spec, device);
	default:
		return message_fail(message, -errno, "region %s: cannot open %s: %s", region->spec, device,
				    strerror(errno));
	}
}

/* A lock on the bytes of the device that are mapped keeps out who would share some of them, and no other. */
static int lock(const struct region *region, const struct phys_range *range, struct message *message)
{
	struct flock lock = {
		.l_type = region_is_read_only(region) ? F_RDLCK : F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = (off_t)range->start,
		.l_len = (off_t)region->size,
	};

	if (fcntl(region->fd, F_OFD_SETLK, &lock) == 0)
		return 0;
	if (errno == EAGAIN || errno == EACCES)
		return message_fail(message, -EBUSY,
				    "region %s: in use, all or in part, by another softpmem process: stop that first",
				    region->spec);
	return message_fail(message, -errno, "region %s: cannot lock its range of %s: %s", region->spec, device,
			    strerror(errno));
}

static int map(struct region *region, const struct phys_range *range, struct message *message)
{
	int error = backend_map(region, range->start, message);

	if (error == -EPERM || error == -EACCES)
		return message_fail(message, error,
				    "region %s: the kernel does not let %s map it (STRICT_DEVMEM or lockdown): a "
				    "driver holds some of it, or it is not set aside",
				    region->spec, device);
	return error;
}

/* Who mapped the range first, uncached, rules how all later mappings are cached. */
static int check_cached(struct region *region, const struct phys_range *range, struct message *message)
{
	CLEANUP_PHYS_RANGES struct phys_ranges mapped = { 0 };

	if (physmap_read_pat(root, &mapped, NULL) < 0)
		return 0;
	for (size_t i = 0; i < mapped.count; i++) {
		const struct phys_range *part = &mapped.items[i];

		if (phys_range_overlaps(part, range) && strcmp(part->name, "write-back") != 0)
			return message_fail(message, -EBUSY,
					    "region %s: the kernel maps %#" PRIx64 "-%#" PRIx64 " as %s, not write-back, "
					    "because another has it mapped so: stop that first",
					    region->spec, part->start, part->last, part->name);
	}
	return 0;
}

static void devmem_close(struct region *region)
{
	/* All of it at once: the kernel loses track of the cache type when a part goes. */
	if (region->media)
		munmap(region->media, region->size);
	if (region->fd >= 0)
		close(region->fd);
}

static int devmem_open(struct region *region, const char *where, struct message *message)
{
	struct phys_range range = { 0 };
	int error = parse_spec(region, where, &range, message);

	if (!error)
		error = physmap_check(root, region->spec, &range, &region->warning, message);
	if (!error)
		error = open_device(region, message);
	if (!error)
		error = lock(region, &range, message);
	if (!error)
		error = map(region, &range, message);
	if (!error)
		error = check_cached(region, &range, message);
	if (error)
		devmem_close(region);
	return error;
}

const struct backend backend_devmem = {
	.scheme = "devmem",
	.open = devmem_open,
	.close = devmem_close,
};
