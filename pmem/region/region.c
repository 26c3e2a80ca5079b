/* SPDX-License-Identifier: BSD-3-Clause */
#include "region/backend.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "common/align.h"
#include "common/cleanup.h"
#include "common/size.h"

static const struct backend *const backends[] = {
	&backend_memfd,
	&backend_file,
	&backend_copy,
	&backend_devmem,
	&backend_dax,
	&backend_ndctl,
};

int backend_parse_size(const struct region *region, const char *text, uint64_t *size, struct message *message)
{
	switch (size_parse(text, size)) {
	case 0:
		break;
	case -ERANGE:
		return message_fail(message, -ERANGE, "region %s: the size %s is out of range", region->spec,
				    text);
	default:
		return message_fail(message, -EINVAL,
				    "region %s: '%s' is not a size: write bytes, or 64M, 16G", region->spec,
				    text);
	}
	if (*size < REGION_MIN_SIZE)
		return message_fail(message, -EINVAL, "region %s: %s is too small: a region has at least 2M",
				    region->spec, text);
	if (!is_aligned(*size, PAGE_BYTES))
		return message_fail(message, -EINVAL, "region %s: the size %s is not a multiple of 4096",
				    region->spec, text);
	if (*size > (uint64_t)INT64_MAX)
		return message_fail(message, -ERANGE, "region %s: the size %s is out of range", region->spec,
				    text);
	return 0;
}

int backend_map(struct region *region, uint64_t offset, struct message *message)
{
	int protection = PROT_READ | (region_is_read_only(region) ? 0 : PROT_WRITE);
	void *media =
		mmap(NULL, region->size, protection, MAP_SHARED | MAP_NORESERVE, region->fd, (off_t)offset);

	if (media == MAP_FAILED)
		return message_fail(message, -errno, "region %s: cannot map it: %s", region->spec,
				    strerror(errno));
	region->media = media;
	return 0;
}

int backend_in_use(const struct region *region, struct message *message)
{
	const struct region *same = failure_find_same(region);

	if (same)
		return message_fail(message, -EBUSY,
				    "region %s: its memory is in use already, as region %s: name it once",
				    region->spec, same->spec);
	return message_fail(message, -EBUSY,
			    "region %s: in use by another softpmem process, all or in part: stop that "
			    "process first",
			    region->spec);
}

static const struct backend *find_backend(const char *spec, const char **where)
{
	const char *colon = strchr(spec, ':');

	if (!colon)
		return NULL;
	*where = colon + 1;
	for (size_t i = 0; i < sizeof(backends) / sizeof(backends[0]); i++) {
		size_t length = strlen(backends[i]->scheme);

		if ((size_t)(colon - spec) == length && strncmp(spec, backends[i]->scheme, length) == 0)
			return backends[i];
	}
	return NULL;
}

int region_open(const char *spec, unsigned flags, struct region **out, struct message *message)
{
	struct region *region;
	const char *where;
	int error;

	region = calloc(1, sizeof(*region));
	if (!region)
		return message_fail(message, -ENOMEM, "region %s: out of memory", spec);
	region->fd = -1;
	region->iomem_fd = -1;
	region->flags = flags;
	region->spec = strdup(spec);
	region->backend = find_backend(spec, &where);
	if (!region->spec || !region->backend) {
		error = region->spec ? -EINVAL : -ENOMEM;
		message_fail(message, error,
			     "region %s: malformed: write memfd:SIZE, file:PATH[,SIZE], copy:PATH, "
			     "devmem:START+SIZE[,uncached], dax:/dev/daxX.Y or ndctl:namespaceX.Y",
			     spec);
		free(region->spec);
		free(region);
		return error;
	}
	error = region->backend->open(region, where, message);
	if (error) {
		free(region->spec);
		free(region);
		return error;
	}
	failure_register(region);
	*out = region;
	return 0;
}

void region_close(struct region *region)
{
	if (!region)
		return;
	snapshots_drop_all(region);
	failure_forget(region);
	region->backend->close(region);
	free(region->spec);
	free(region);
}

const char *region_warning(const struct region *region)
{
	return region->warning.text[0] ? region->warning.text : NULL;
}

const char *region_memory_type(const struct region *region)
{
	return region->memory_type[0] ? region->memory_type : "write-back";
}

const char *region_persistence_domain(const struct region *region)
{
	return region->persistence_domain[0] ? region->persistence_domain : NULL;
}

/*
 * Physical memory is identified by its range, because its file (such as /dev/mem) does not tell, and a
 * device may have several nodes.
 */
bool region_overlaps(const struct region *a, const struct region *b)
{
	struct stat first, second;

	if (a->range.last && b->range.last)
		return phys_range_overlaps(&a->range, &b->range);
	if (a->backend == &backend_copy || b->backend == &backend_copy)
		return false;
	if (fstat(a->fd, &first) < 0 || fstat(b->fd, &second) < 0)
		return false;
	if (S_ISBLK(first.st_mode) && S_ISBLK(second.st_mode))
		return first.st_rdev == second.st_rdev;
	return first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

const char *region_spec(const struct region *region)
{
	return region->spec;
}

uint64_t region_size(const struct region *region)
{
	return region->size;
}

bool region_is_physical(const struct region *region, uint64_t *start)
{
	*start = region->range.start;
	return region->range.last != 0;
}

bool region_is_read_only(const struct region *region)
{
	return region->flags & REGION_READ_ONLY;
}

bool region_is_new(const struct region *region)
{
	return region->is_new;
}

static bool outlives_process(const struct backend *backend)
{
	return backend != &backend_memfd && backend != &backend_copy;
}

bool region_outlives_process(const struct region *region)
{
	return outlives_process(region->backend);
}

bool region_spec_outlives_process(const char *spec)
{
	const char *where;

	return outlives_process(find_backend(spec, &where));
}
