/* SPDX-License-Identifier: BSD-3-Clause */
#include "region/backend.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/align.h"
#include "common/cleanup.h"
#include "common/size.h"
#include "region/cmdline.h"
#include "region/mappers.h"
#include "region/physmap.h"
#include "region/platform.h"

static const char device[] = "/dev/mem";
/* The /proc and /sys of this machine. */
static const char root[] = "";

/* Parse "START+SIZE[,uncached]", with both numbers in the form of size_parse(). */
static int parse_spec(struct region *region, const char *where, struct phys_range *range, bool *uncached,
		      struct message *message)
{
	/* More physical address bits than any x86-64 processor has. */
	const uint64_t physical_end = (uint64_t)1 << 52;
	const char *plus = strchr(where, '+'), *comma = strchr(where, ',');
	CLEANUP_FREE char *start = plus ? strndup(where, (size_t)(plus - where)) : NULL;
	CLEANUP_FREE char *size = plus ? strndup(plus + 1, strcspn(plus + 1, ",")) : NULL;
	int error;

	if (comma && strcmp(comma, ",uncached") != 0)
		return message_fail(message, -EINVAL,
				    "region %s: invalid suffix '%s': only ,uncached may follow the size",
				    region->spec, comma);
	*uncached = comma != NULL;

	if (!start || !size || size_parse(start, &range->start) < 0)
		return message_fail(
			message, -EINVAL,
			"region %s: malformed: write devmem:START+SIZE, as in devmem:0x140000000+1G",
			region->spec);
	error = backend_parse_size(region, size, &region->size, message);
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

static int check(struct region *region, const struct phys_range *range, struct message *message)
{
	CLEANUP_PHYSMAP struct physmap *map = NULL;
	struct message why;
	int error = physmap_read(root, &map, &why);

	if (error)
		return physmap_no_maps(region->spec, error, why.text, message);
	return physmap_check(map, region->spec, range, &region->warning, message);
}

static int cannot_open(const struct region *region, int error, struct message *message)
{
	char lockdown[32];

	platform_read_lockdown(root, lockdown, sizeof(lockdown));
	switch (error) {
	case ENOENT:
	case ENXIO:
	case ENODEV:
		return message_fail(
			message, -error,
			"region %s: there is no %s: this kernel is built without CONFIG_DEVMEM, or this is "
			"a container: use another kernel, or file:",
			region->spec, device);
	case EACCES:
	case EPERM:
		if (lockdown[0] && strcmp(lockdown, "none") != 0)
			return message_fail(
				message, -error,
				"region %s: this kernel is locked down (%s), as Secure Boot does, and then "
				"%s is closed to all: use a device-dax (dax:), or boot without lockdown",
				region->spec, lockdown, device);
		return message_fail(
			message, -error,
			"region %s: not allowed to open %s: it needs root with CAP_SYS_RAWIO, and a kernel "
			"that is not locked down (as Secure Boot does)",
			region->spec, device);
	default:
		return message_fail(message, -error, "region %s: cannot open %s: %s", region->spec, device,
				    strerror(error));
	}
}

static int open_device(struct region *region, bool uncached, struct message *message)
{
	/* O_SYNC makes the mapping uncached. */
	region->fd = open(device, (region_is_read_only(region) ? O_RDONLY : O_RDWR) |
					  (uncached ? O_SYNC : 0) | O_CLOEXEC);
	return region->fd < 0 ? cannot_open(region, errno, message) : 0;
}

/* A lock on the mapped bytes of the device excludes only those that want to share some of them. */
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
		return backend_in_use(region, message);
	return message_fail(message, -errno, "region %s: cannot lock its range of %s: %s", region->spec,
			    device, strerror(errno));
}

/* Another program does not lock what it maps, but its mapping is visible in /proc. */
static int check_neighbours(const struct region *region, const struct phys_range *range,
			    struct message *message)
{
	CLEANUP_PHYS_RANGES struct phys_ranges mapped = { 0 };
	const char *type = "";
	struct message who;

	if (!mappers_find(root, device, range->start, region->size, region_is_read_only(region), &who))
		return 0;
	physmap_read_pat(root, &mapped, NULL);
	for (size_t i = 0; i < mapped.count; i++) {
		if (phys_range_overlaps(&mapped.items[i], range))
			type = mapped.items[i].name;
	}
	return message_fail(message, -EBUSY,
			    "region %s: %s has some of it mapped through %s%s%s: stop that process first",
			    region->spec, who.text, device, *type ? ", " : "", type);
}

static int map(struct region *region, const struct phys_range *range, struct message *message)
{
	CLEANUP_KERNEL_OPTIONS struct kernel_options options = { 0 };
	int error = backend_map(region, range->start, message);

	switch (error) {
	case -EPERM:
	case -EACCES:
		return message_fail(
			message, error,
			"region %s: the kernel does not let %s map it: STRICT_DEVMEM keeps System RAM, "
			"IO_STRICT_DEVMEM what a driver holds: choose a range that is set aside and idle",
			region->spec, device);
	case -EINVAL:
		kernel_options_read(root, &options, NULL);
		return message_fail(
			message, error,
			"region %s: the kernel does not let %s map it: it ends past the processor's last "
			"address, or is mapped with another cache type (PAT) by another%s",
			region->spec, device, options.iomem_relaxed ? " (iomem=relaxed is set)" : "");
	default:
		return error;
	}
}

/* The first mapping of the range decides the cache type of all later ones. */
static int check_type(struct region *region, const struct phys_range *range, bool uncached,
		      struct message *message)
{
	const char *wanted = uncached ? "uncached-minus" : "write-back";
	CLEANUP_PHYS_RANGES struct phys_ranges mapped = { 0 };

	if (physmap_read_pat(root, &mapped, NULL) < 0) {
		snprintf(region->memory_type, sizeof(region->memory_type), "%s (requested)", wanted);
		return 0;
	}
	for (size_t i = 0; i < mapped.count; i++) {
		const struct phys_range *part = &mapped.items[i];

		if (phys_range_overlaps(part, range) && strcmp(part->name, wanted) != 0)
			return message_fail(message, -EBUSY,
					    "region %s: the kernel maps %#" PRIx64 "-%#" PRIx64
					    " as %s, not %s, because another has it mapped so: stop that "
					    "first",
					    region->spec, part->start, part->last, part->name, wanted);
	}
	snprintf(region->memory_type, sizeof(region->memory_type), "%s", wanted);
	return 0;
}

static void mind_relaxed(struct region *region)
{
	CLEANUP_KERNEL_OPTIONS struct kernel_options options = { 0 };

	if (region->warning.text[0] || kernel_options_read(root, &options, NULL) < 0 ||
	    !options.iomem_relaxed)
		return;
	message_fail(&region->warning, 0,
		     "region %s: with iomem=relaxed on the kernel command line the kernel does not take the "
		     "range back when a driver claims it: boot without it",
		     region->spec);
}

int devmem_open_range(struct region *region, const struct phys_range *range, bool uncached,
		      struct message *message)
{
	int error = open_device(region, uncached, message);

	region->size = range->last - range->start + 1;
	region->range = *range;
	mind_relaxed(region);
	if (!error)
		error = lock(region, range, message);
	if (!error)
		error = check_neighbours(region, range, message);
	if (!error)
		error = map(region, range, message);
	if (!error)
		error = check_type(region, range, uncached, message);
	/* Opened now, because this process may lose the right to see addresses. */
	if (!error)
		region->iomem_fd = open("/proc/iomem", O_RDONLY | O_CLOEXEC);
	/* Another driver may have claimed it between the first check and the mapping. */
	if (!error)
		error = devmem_watch(region, message);
	if (error)
		devmem_close(region);
	return error;
}

void devmem_close(struct region *region)
{
	/* Unmap all of it at once: the kernel loses track of the cache type if a part is unmapped. */
	if (region->media)
		munmap(region->media, region->size);
	if (region->fd >= 0)
		close(region->fd);
	if (region->iomem_fd >= 0)
		close(region->iomem_fd);
}

int devmem_watch(struct region *region, struct message *message)
{
	CLEANUP_PHYS_RANGES struct phys_ranges iomem = { 0 };
	int error = region->iomem_fd < 0 ? 0 : physmap_reread_iomem(region->iomem_fd, &iomem, NULL);

	/* Without a readable map the range counts as unchanged. */
	return error || region->iomem_fd < 0 ? 0
					     : physmap_recheck(&iomem, region->spec, &region->range, message);
}

static int devmem_open(struct region *region, const char *where, struct message *message)
{
	struct phys_range range = { 0 };
	bool uncached = false;
	int error = parse_spec(region, where, &range, &uncached, message);

	if (!error)
		error = check(region, &range, message);
	return error ? error : devmem_open_range(region, &range, uncached, message);
}

const struct backend backend_devmem = {
	.scheme = "devmem",
	.open = devmem_open,
	.close = devmem_close,
	.watch = devmem_watch,
};
