/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Faults in the media: SIGBUS at an access to the mapping of a region.
 *
 *	si_code		the backing		meaning
 *	BUS_MCEERR_*	any			a memory error: the pages around si_addr are bad
 *	BUS_ADRERR	has all of its bytes	the page cannot be read or allocated: it is bad
 *	BUS_ADRERR	is truncated, or gone	the mapping was revoked: the region has failed
 *	BUS_ADRERR	device memory		the same
 *
 * A file has all of its bytes while fstat() reports at least the size of the region, a block device while
 * BLKGETSIZE64 does. /dev/mem and device-dax raise BUS_ADRERR only where the kernel has revoked a
 * mapping, because a driver claimed the range or the device was disabled.
 *
 * The handler records a bad place or a failure, and then replaces these pages (or all of the mapping) by
 * empty memory, so that the access continues. The function of media.c that made the access checks the
 * record afterwards, and returns -EIO. In this order another thread that reads the empty memory finds the
 * record.
 */

#include "region/backend.h"

#include <errno.h>
#include <linux/fs.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "common/align.h"
#include "common/cleanup.h"

/* A process has one handler for each signal, so this one is global. */
#define REGIONS_MAX 64
static _Atomic(struct region *) registered[REGIONS_MAX];
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct sigaction before;
/* Orders threads that find a region claimed. The signal handler does not take it. */
static pthread_mutex_t fail_lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- The signal handler: only what is async-signal-safe -------------------------------- */

static bool replace_pages(const struct region *region, uint64_t offset, uint64_t length)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;

	return mmap(region->media + offset, length, PROT_READ | PROT_WRITE, flags, -1, 0) != MAP_FAILED;
}

/* Replace all of the mapping at once: any other page of a revoked mapping would fault next. */
static bool fail_region(struct region *region, enum region_failure why)
{
	int works = REGION_WORKS;

	atomic_compare_exchange_strong(&region->failed, &works, (int)why);
	atomic_store(&region->has_faults, true);
	return replace_pages(region, 0, region->size);
}

static struct region *region_at(const unsigned char *address)
{
	for (int i = 0; i < REGIONS_MAX; i++) {
		struct region *region = atomic_load(&registered[i]);

		if (region && address >= region->media && address < region->media + region->size)
			return region;
	}
	return NULL;
}

static struct region_bad decode_bad(uint64_t value)
{
	return (struct region_bad){ .offset = ((value >> 8) - 1) * PAGE_BYTES,
				    .length = (uint64_t)PAGE_BYTES << (value & 0xff) };
}

/* False: there are REGION_BAD_MAX bad places already. */
static bool note_bad(struct region *region, uint64_t page, unsigned order)
{
	const uint64_t value = (page + 1) << 8 | order;

	for (unsigned i = 0; i < REGION_BAD_MAX; i++) {
		uint64_t there = 0;

		if (atomic_compare_exchange_strong(&region->bad[i], &there, value) || there == value) {
			atomic_store(&region->has_faults, true);
			return true;
		}
	}
	return false;
}

/* Mark the 2^order pages around a bad byte as bad, aligned to their size. */
static bool make_bad(struct region *region, uint64_t offset, unsigned order)
{
	uint64_t length, start, end;

	/* The kernel reports all of the mapping this way, or more than there is. */
	if (order >= 40)
		return fail_region(region, REGION_POISONED);
	length = (uint64_t)PAGE_BYTES << order;
	start = align_down(offset, length);
	end = min_u64(start + length, region->size);
	if (!note_bad(region, start / PAGE_BYTES, order))
		return fail_region(region, REGION_POISONED);
	return replace_pages(region, start, end - start);
}

static bool resolve(struct region *region, const siginfo_t *info)
{
	const uint64_t offset = (uint64_t)((const unsigned char *)info->si_addr - region->media);
	const unsigned page_shift = 12;

	switch (info->si_code) {
	case BUS_MCEERR_AR:
	case BUS_MCEERR_AO:
		return make_bad(region, offset,
				info->si_addr_lsb > (int)page_shift ?
					(unsigned)info->si_addr_lsb - page_shift : 0);
	case BUS_ADRERR:
		if (region->backend->is_whole && region->backend->is_whole(region))
			return make_bad(region, offset, 0);
		return fail_region(region, REGION_REVOKED);
	default:
		return false;
	}
}

static void on_sigbus(int number, siginfo_t *info, void *context)
{
	/* Only a fault has an address; after kill(2) the field means something else. */
	struct region *region = info->si_code > 0 ? region_at(info->si_addr) : NULL;
	int error = errno;

	/*
	 * The fault lies outside all regions, or resolve() failed. Restore the previous handler: it is called
	 * when the instruction faults again. A signal that a process sent does not repeat: it is raised here.
	 */
	if (!region || !resolve(region, info)) {
		sigaction(SIGBUS, &before, NULL);
		if (info->si_code <= 0)
			raise(number);
	}
	errno = error;
}

bool failure_fd_is_whole(const struct region *region)
{
	uint64_t size = 0;
	struct stat st;

	if (fstat(region->fd, &st) < 0)
		return false;
	if (S_ISREG(st.st_mode))
		return (uint64_t)st.st_size >= region->size;
	return ioctl(region->fd, BLKGETSIZE64, &size) == 0 && size >= region->size;
}

/* ---- Everything else -------------------------------------------------------------------- */

static void install(void)
{
	struct sigaction action = { .sa_sigaction = on_sigbus,
				    .sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK };

	sigaction(SIGBUS, &action, &before);
}

void failure_register(struct region *region)
{
	struct region *nobody = NULL;

	pthread_once(&once, install);
	for (int i = 0; i < REGIONS_MAX; i++, nobody = NULL) {
		if (atomic_compare_exchange_strong(&registered[i], &nobody, region))
			return;
	}
}

void failure_forget(struct region *region)
{
	for (int i = 0; i < REGIONS_MAX; i++) {
		struct region *mine = region;

		atomic_compare_exchange_strong(&registered[i], &mine, NULL);
	}
}

const struct region *failure_find_same(const struct region *region)
{
	for (int i = 0; i < REGIONS_MAX; i++) {
		const struct region *other = atomic_load(&registered[i]);

		if (other && other != region && region_overlaps(other, region))
			return other;
	}
	return NULL;
}

int failure_of_range(const struct region *region, uint64_t offset, uint64_t length)
{
	struct region_bad bad;

	if (region_failed(region))
		return -EIO;
	for (unsigned i = 0; region_bad_place(region, i, &bad); i++)
		if (offset < bad.offset + bad.length && bad.offset < offset + length)
			return -EIO;
	return 0;
}

bool region_bad_place(const struct region *region, unsigned index, struct region_bad *out)
{
	uint64_t value = index < REGION_BAD_MAX ? atomic_load(&region->bad[index]) : 0;

	if (!value)
		return false;
	*out = decode_bad(value);
	out->length = min_u64(out->length, region->size - out->offset);
	return true;
}

bool region_failed(const struct region *region)
{
	return atomic_load(&region->failed) != REGION_WORKS;
}

int region_failure(const struct region *region, struct message *message)
{
	switch (atomic_load(&region->failed)) {
	case REGION_WORKS:
		return 0;
	case REGION_CLAIMED:
		return message_fail(message, -EIO, "%s", region->why_failed.text);
	case REGION_REVOKED:
		return message_fail(
			message, -EIO,
			"region %s: its memory was taken away while it was in use (SIGBUS): a driver "
			"claimed the range, or its file was cut short: look at /proc/iomem, give it back "
			"and start again",
			region->spec);
	default:
		return message_fail(
			message, -EIO,
			"region %s: more than %u places of it cannot be read (SIGBUS): its memory or its "
			"disk is failing: test it before using it again",
			region->spec, REGION_BAD_MAX);
	}
}

void region_give_up(struct region *region, const char *why)
{
	LOCK_SCOPE(&fail_lock);

	if (region_failed(region))
		return;
	message_fail(&region->why_failed, -EIO, "region %s: %s: start the daemon again", region->spec, why);
	/* Else a write could still reach the media. */
	if (!fail_region(region, REGION_CLAIMED))
		abort();
}

int region_watch(struct region *region, struct message *message)
{
	struct message why = { "" };

	if (!region_failed(region) && region->backend->watch && region->backend->watch(region, &why) < 0) {
		LOCK_SCOPE(&fail_lock);
		if (!region_failed(region)) {
			region->why_failed = why;
			/* No store of ours may reach the memory any more: it belongs to its new owner. */
			if (!fail_region(region, REGION_CLAIMED))
				abort();
		}
	}
	return region_failure(region, message);
}
