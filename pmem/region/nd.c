/* SPDX-License-Identifier: BSD-3-Clause */
#include "region/nd.h"

#include <daxctl/libdaxctl.h>
#include <errno.h>
#include <limits.h>
#include <ndctl/libndctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void nd_devices_free(struct nd_devices *devices)
{
	vector_free(devices);
	*devices = (struct nd_devices){ 0 };
}

const struct nd_device *nd_find(const struct nd_devices *devices, const char *name)
{
	for (size_t i = 0; i < devices->count; i++) {
		if (strcmp(devices->items[i].name, name) == 0)
			return &devices->items[i];
	}
	return NULL;
}

static struct nd_device *add(struct nd_devices *devices, enum nd_kind kind, const char *name)
{
	struct nd_device *device = vector_append_zero(devices);

	if (!device)
		return NULL;
	device->kind = kind;
	device->dirty_shutdowns = device->numa_node = -1;
	snprintf(device->name, sizeof(device->name), "%s", name);
	return device;
}

static void set_text(char *to, size_t size, const char *text)
{
	snprintf(to, size, "%s", text ? text : "");
}

/* ---- What is true of all of a region --------------------------------------------- */

static const char *domain_name(struct ndctl_region *region)
{
	switch (ndctl_region_get_persistence_domain(region)) {
	case PERSISTENCE_CPU_CACHE:
		return "cpu_cache";
	case PERSISTENCE_MEM_CTRL:
		return "memory_controller";
	default:
		return "";
	}
}

static int64_t dirty_shutdowns(struct ndctl_region *region)
{
	struct ndctl_dimm *dimm;
	int64_t sum = -1;

	ndctl_dimm_foreach_in_region(region, dimm) {
		long long count = ndctl_dimm_get_dirty_shutdown(dimm);

		if (count >= 0)
			sum = (sum < 0 ? 0 : sum) + count;
	}
	return sum;
}

/* ---- Namespaces -------------------------------------------------------------------- */

/* ndctl_namespace_is_enabled() is 0 for a namespace that is active through a btt, a pfn or a dax. */
static void take_activity(struct nd_device *device, struct ndctl_namespace *ndns)
{
	struct ndctl_btt *btt = ndctl_namespace_get_btt(ndns);
	struct ndctl_pfn *pfn = ndctl_namespace_get_pfn(ndns);
	struct ndctl_dax *dax = ndctl_namespace_get_dax(ndns);

	device->active = ndctl_namespace_is_enabled(ndns) > 0 || ndctl_namespace_is_active(ndns) ||
			 (btt && ndctl_btt_is_enabled(btt)) || (pfn && ndctl_pfn_is_enabled(pfn)) ||
			 (dax && ndctl_dax_is_enabled(dax));
	if (!device->active)
		return;
	if (btt) {
		set_text(device->shown_as, sizeof(device->shown_as), ndctl_btt_get_block_device(btt));
	} else if (pfn) {
		set_text(device->shown_as, sizeof(device->shown_as), ndctl_pfn_get_block_device(pfn));
	} else if (dax) {
		struct daxctl_region *region = ndctl_dax_get_daxctl_region(dax);
		struct daxctl_dev *dev = region ? daxctl_dev_get_first(region) : NULL;

		set_text(device->shown_as, sizeof(device->shown_as),
			 dev ? daxctl_dev_get_devname(dev) : NULL);
	} else {
		set_text(device->shown_as, sizeof(device->shown_as), ndctl_namespace_get_block_device(ndns));
	}
}

/* Without labels, only its bytes could tell the mode of an inactive namespace: treat it as raw. */
static const char *mode_name(struct ndctl_namespace *ndns, bool active)
{
	enum ndctl_namespace_mode mode =
		active ? ndctl_namespace_get_mode(ndns) : ndctl_namespace_get_enforce_mode(ndns);

	switch (mode) {
	case NDCTL_NS_MODE_FSDAX:
		return "fsdax";
	case NDCTL_NS_MODE_SECTOR:
		return "sector";
	case NDCTL_NS_MODE_DEVDAX:
		return "devdax";
	default:
		return "raw";
	}
}

static int add_namespace(struct nd_devices *out, struct ndctl_namespace *ndns)
{
	struct ndctl_region *region = ndctl_namespace_get_region(ndns);
	unsigned long long start = ndctl_namespace_get_resource(ndns);
	struct nd_device *device = add(out, ND_NAMESPACE, ndctl_namespace_get_devname(ndns));
	struct badblock *badblock;

	if (!device)
		return -ENOMEM;
	if (start != ULLONG_MAX) {
		device->start = start;
		device->size = ndctl_namespace_get_size(ndns);
	}
	take_activity(device, ndns);
	set_text(device->mode, sizeof(device->mode), mode_name(ndns, device->active));
	set_text(device->persistence_domain, sizeof(device->persistence_domain), domain_name(region));
	device->dirty_shutdowns = dirty_shutdowns(region);
	device->numa_node = ndctl_namespace_get_numa_node(ndns);
	ndctl_namespace_badblock_foreach(ndns, badblock)
		device->badblocks += badblock->len;
	return 0;
}

static bool is_there(struct ndctl_namespace *ndns)
{
	return ndctl_namespace_get_size(ndns) > 0 && ndctl_namespace_get_size(ndns) != ULLONG_MAX;
}

static int read_namespaces(struct nd_devices *out)
{
	struct ndctl_namespace *ndns;
	struct ndctl_region *region;
	struct ndctl_ctx *context;
	struct ndctl_bus *bus;
	int error = ndctl_new(&context);

	if (error)
		return error;
	ndctl_set_log_priority(context, 0);
	ndctl_bus_foreach(context, bus)
		ndctl_region_foreach(bus, region)
			ndctl_namespace_foreach(region, ndns)
				if (!error && is_there(ndns))
					error = add_namespace(out, ndns);
	ndctl_unref(context);
	return error;
}

/* ---- Device-dax ---------------------------------------------------------------------- */

static void take_from_namespace(struct nd_device *device, const struct nd_devices *devices)
{
	for (size_t i = 0; i < devices->count; i++) {
		const struct nd_device *owner = &devices->items[i];

		if (owner->kind != ND_NAMESPACE || strcmp(owner->shown_as, device->name) != 0)
			continue;
		memcpy(device->persistence_domain, owner->persistence_domain,
		       sizeof(device->persistence_domain));
		device->dirty_shutdowns = owner->dirty_shutdowns;
		device->badblocks = owner->badblocks;
		device->numa_node = owner->numa_node;
	}
}

static int add_dax(struct nd_devices *out, struct daxctl_dev *dev)
{
	struct nd_device *device = add(out, ND_DAX, daxctl_dev_get_devname(dev));

	if (!device)
		return -ENOMEM;
	device->start = daxctl_dev_get_resource(dev);
	device->size = daxctl_dev_get_size(dev);
	device->align = daxctl_dev_get_align(dev);
	device->active = daxctl_dev_is_enabled(dev) > 0;
	set_text(device->mode, sizeof(device->mode), daxctl_dev_get_memory(dev) ? "system-ram" : "devdax");
	device->numa_node = daxctl_dev_get_target_node(dev);
	take_from_namespace(device, out);
	return 0;
}

static int read_daxes(struct nd_devices *out)
{
	struct daxctl_region *region;
	struct daxctl_ctx *context;
	struct daxctl_dev *dev;
	int error = daxctl_new(&context);

	if (error)
		return error;
	daxctl_set_log_priority(context, 0);
	daxctl_region_foreach(context, region)
		daxctl_dev_foreach(region, dev)
			if (!error && daxctl_dev_get_size(dev) > 0)
				error = add_dax(out, dev);
	daxctl_unref(context);
	return error;
}

int nd_read(struct nd_devices *out, struct message *message)
{
	int error;

	*out = (struct nd_devices){ 0 };
	error = read_namespaces(out);
	if (!error)
		error = read_daxes(out);
	if (!error)
		return 0;
	nd_devices_free(out);
	return message_fail(message, error, "cannot list namespaces with libndctl and libdaxctl: %s",
			    strerror(-error));
}
