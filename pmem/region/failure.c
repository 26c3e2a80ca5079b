/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A region whose memory is taken away: its mapping is replaced by empty memory,
 * so that whoever was at it goes on, and the region says that it has failed. What
 * was read or written meanwhile is worth nothing; who uses it asks
 * region_failed() before saying that something was done.
 */

#include "region/backend.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#include "common/cleanup.h"

/* A process has one handler for a signal, so this is the process's. */
#define REGIONS_MAX 64
static _Atomic(struct region *) registered[REGIONS_MAX];
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct sigaction before;
/* Guards who fails first among threads; the signal handler does without. */
static pthread_mutex_t fail_lock = PTHREAD_MUTEX_INITIALIZER;

/* Only what a signal handler may do. All of the mapping: the rest of it goes next. */
static bool replace_media(const struct region *region)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;

	return mmap(region->media, region->size, PROT_READ | PROT_WRITE, flags, -1, 0) != MAP_FAILED;
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

static void on_sigbus(int number, siginfo_t *info, void *context)
{
	struct region *region = region_at(info->si_addr);
	int works = REGION_WORKS, error = errno;

	if (region)
		atomic_compare_exchange_strong(&region->failed, &works,
					       info->si_code == BUS_ADRERR ? REGION_REVOKED
									   : REGION_POISONED);
	if (!region || !replace_media(region)) {
		/*
		 * Not ours, or not to be helped: the instruction faults again and meets what was there
		 * before us.
		 */
		sigaction(SIGBUS, &before, NULL);
		return;
	}
	errno = error;
}

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
			"region %s: the machine reports a memory error in it (SIGBUS): its bytes cannot be "
			"trusted: test the memory before using it again",
			region->spec);
	}
}

int region_watch(struct region *region, struct message *message)
{
	struct message why = { "" };

	if (!region_failed(region) && region->backend->watch && region->backend->watch(region, &why) < 0) {
		LOCK_SCOPE(&fail_lock);
		if (!region_failed(region)) {
			region->why_failed = why;
			atomic_store(&region->failed, REGION_CLAIMED);
			/* Who claimed it must not meet a store of ours, whatever it costs us. */
			if (!replace_media(region))
				abort();
		}
	}
	return region_failure(region, message);
}
