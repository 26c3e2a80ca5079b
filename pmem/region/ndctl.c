/* SPDX-License-Identifier: BSD-3-Clause */
#include "region/backend.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/align.h"
#include "region/nd.h"

/*
 * An active devdax namespace is mapped as its device. Any other active namespace is a disk that may be in
 * use.
 */
static int open_active(struct region *region, const struct nd_device *device, struct message *message)
{
	char node[64];
	int error;

	if (strcmp(device->mode, "devdax") != 0 || device->shown_as[0] == '\0')
		return message_fail(message, -EBUSY,
				    "region %s: %s is active, in mode %s%s%s: unmount it, then ndctl "
				    "disable-namespace %s, or make it a device-dax: ndctl create-namespace "
				    "-f -e %s --mode=devdax",
				    region->spec, device->name, device->mode,
				    device->shown_as[0] ? " as /dev/" : "", device->shown_as, device->name,
				    device->name);
	snprintf(node, sizeof(node), "/dev/%s", device->shown_as);
	error = dax_open(region, node, message);
	/* From here on the backend of its device closes and watches it. */
	if (!error)
		region->backend = &backend_dax;
	return error;
}

static int open_idle(struct region *region, const struct nd_device *device, struct message *message)
{
	struct phys_range range = { .start = device->start, .last = device->start + device->size - 1 };
	CLEANUP_PHYSMAP struct physmap *map = NULL;
	struct message why;
	int error;

	if (strcmp(device->mode, "raw") != 0)
		return message_fail(
			message, -EBUSY,
			"region %s: %s is made for mode %s, and mapping it raw would overwrite that: ndctl "
			"create-namespace -f -e %s --mode=devdax",
			region->spec, device->name, device->mode, device->name);
	if (device->size == 0)
		return message_fail(message, -EACCES, "region %s: only root can see its address",
				    region->spec);
	if (device->size < REGION_MIN_SIZE || !is_aligned(device->start | device->size, PAGE_BYTES))
		return message_fail(message, -EINVAL, "region %s: a region has at least 2M, in pages of 4096",
				    region->spec);
	error = physmap_read("", &map, &why);
	if (error)
		return physmap_no_maps(region->spec, error, why.text, message);
	error = physmap_check_namespace(map, region->spec, &range, message);
	memcpy(region->persistence_domain, device->persistence_domain, sizeof(region->persistence_domain));
	if (!error && device->badblocks)
		message_fail(&region->warning, 0,
			     "region %s: %u of its 512-byte blocks are known to be bad: 'ndctl list -M' "
			     "shows where",
			     region->spec, device->badblocks);
	return error ? error : devmem_open_range(region, &range, false, message);
}

static int ndctl_open(struct region *region, const char *where, struct message *message)
{
	CLEANUP_ND_DEVICES struct nd_devices devices = { 0 };
	const struct nd_device *device;
	int error = nd_read(&devices, message);

	if (error)
		return error;
	device = nd_find(&devices, where);
	if (!device || device->kind != ND_NAMESPACE)
		return message_fail(
			message, -ENODEV,
			"region %s: there is no such namespace: 'ndctl list -Ni' lists them",
			region->spec);
	return device->active ? open_active(region, device, message) : open_idle(region, device, message);
}

const struct backend backend_ndctl = {
	.scheme = "ndctl",
	.open = ndctl_open,
	.close = devmem_close,
	.watch = devmem_watch,
};
