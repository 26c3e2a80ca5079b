/* SPDX-License-Identifier: BSD-3-Clause */
#include "region/backend.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "common/align.h"
#include "common/cleanup.h"
#include "region/mappers.h"
#include "region/nd.h"

/* The /proc and /sys of this machine. */
static const char root[] = "";

/* The name of the character device in sysfs, as "dax0.0", whatever its node is called. */
static int name_of(const struct region *region, const char *node, char name[32], struct message *message)
{
	char link[64], target[256], *base;
	struct stat st;
	ssize_t length;

	if (stat(node, &st) < 0)
		return message_fail(message, -errno,
				    "region %s: %s: %s: 'daxctl list' shows the devices there are, 'daxctl "
				    "enable-device' makes an idle one usable",
				    region->spec, node, strerror(errno));
	if (!S_ISCHR(st.st_mode))
		return message_fail(message, -EINVAL,
				    "region %s: %s is not a device-dax: write dax:/dev/daxX.Y", region->spec,
				    node);
	snprintf(link, sizeof(link), "/sys/dev/char/%u:%u", major(st.st_rdev), minor(st.st_rdev));
	length = readlink(link, target, sizeof(target) - 1);
	target[length < 0 ? 0 : length] = '\0';
	base = strrchr(target, '/');
	if (!base || strncmp(base, "/dax", 4) != 0 || strlen(base) > 31)
		return message_fail(message, -EINVAL,
				    "region %s: %s is not a device-dax: write dax:/dev/daxX.Y", region->spec,
				    node);
	strcpy(name, base + 1);
	return 0;
}

static int check_device(struct region *region, const struct nd_device *device, const char *name,
			struct message *message)
{
	if (!device || device->size == 0)
		return message_fail(message, -ENODEV, "region %s: libdaxctl does not know %s", region->spec,
				    name);
	if (strcmp(device->mode, "devdax") != 0)
		return message_fail(message, -EBUSY,
				    "region %s: the kernel uses %s as its own RAM: take it back first: "
				    "daxctl reconfigure-device --mode=devdax --force %s",
				    region->spec, name, name);
	if (!device->active)
		return message_fail(message, -ENODEV, "region %s: %s is disabled: daxctl enable-device %s",
				    region->spec, name, name);
	if (device->size < REGION_MIN_SIZE || !is_aligned(device->size, PAGE_BYTES))
		return message_fail(message, -EINVAL,
				    "region %s: it has %" PRIu64
				    " bytes: a region has at least 2M, in pages of 4096",
				    region->spec, device->size);
	region->size = device->size;
	region->range =
		(struct phys_range){ .start = device->start, .last = device->start + device->size - 1 };
	snprintf(region->range.name, sizeof(region->range.name), "%s", name);
	memcpy(region->persistence_domain, device->persistence_domain, sizeof(region->persistence_domain));
	if (device->badblocks)
		message_fail(&region->warning, 0,
			     "region %s: %u of its 512-byte blocks are known to be bad: 'ndctl list -M' "
			     "shows where",
			     region->spec, device->badblocks);
	return 0;
}

static int open_node(struct region *region, const char *node, struct message *message)
{
	bool read_only = region_is_read_only(region);
	struct message who;

	region->fd = open(node, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	if (region->fd < 0)
		return message_fail(message, -errno, "region %s: cannot open %s: %s%s", region->spec, node,
				    strerror(errno),
				    errno == EACCES ? ": it needs root, or an owner of the node" : "");
	if (flock(region->fd, (read_only ? LOCK_SH : LOCK_EX) | LOCK_NB) < 0)
		return backend_in_use(region, message);
	if (mappers_find(root, node, 0, region->size, read_only, &who))
		return message_fail(message, -EBUSY, "region %s: %s has it mapped: stop that process first",
				    region->spec, who.text);
	return 0;
}

int dax_open(struct region *region, const char *node, struct message *message)
{
	CLEANUP_ND_DEVICES struct nd_devices devices = { 0 };
	char name[32];
	int error = name_of(region, node, name, message);

	if (!error)
		error = nd_read(&devices, message);
	if (!error)
		error = check_device(region, nd_find(&devices, name), name, message);
	if (!error)
		error = open_node(region, node, message);
	if (!error)
		error = backend_map(region, 0, message);
	if (!error) {
		region->iomem_fd = open("/proc/iomem", O_RDONLY | O_CLOEXEC);
		/*
		 * The kernel can read it. But if the device is taken away during a reply, the reply is
		 * lost, and no signal tells.
		 */
		region->kernel_can_read = false;
		strcpy(region->memory_type, "write-back");
		return 0;
	}
	devmem_close(region);
	return error;
}

/* The entry of the device itself, all of it, and nothing of another driver inside. */
int dax_watch(struct region *region, struct message *message)
{
	CLEANUP_PHYS_RANGES struct phys_ranges iomem = { 0 };
	const struct phys_range *range = &region->range;
	bool there = false;

	/* Without a readable map the range counts as unchanged. So it does if the map hides the addresses. */
	if (region->iomem_fd < 0 || physmap_reread_iomem(region->iomem_fd, &iomem, NULL) < 0)
		return 0;
	for (size_t i = 0; i < iomem.count; i++) {
		const struct phys_range *entry = &iomem.items[i];

		if (strcmp(entry->name, range->name) == 0 && entry->start <= range->start &&
		    entry->last >= range->last)
			there = true;
		if (strncmp(entry->name, "System RAM", 10) == 0 && phys_range_overlaps(entry, range))
			return message_fail(
				message, -EBUSY,
				"region %s: the kernel uses %s as its own RAM now: the region has failed",
				region->spec, range->name);
	}
	if (!there)
		return message_fail(
			message, -EBUSY,
			"region %s: %s was disabled: the region has failed: daxctl enable-device %s, and "
			"start again",
			region->spec, range->name, range->name);
	return 0;
}

const struct backend backend_dax = {
	.scheme = "dax",
	.open = dax_open,
	.close = devmem_close,
	.watch = dax_watch,
};
