/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>

#include "common/cleanup.h"
#include "private.h"

void power_fade(struct fusefs *fs)
{
	WRITE_SCOPE(&fs->gate);

	fs->power = POWER_FADES;
}

void fusefs_media_lost(struct fusefs *fs)
{
	LOCK_SCOPE(&fs->failure_lock);

	pthread_rwlock_wrlock(&fs->gate);
	fs->power = POWER_IS_GONE;
	pthread_rwlock_unlock(&fs->gate);
	/* Nobody comes or goes any more. Twice: see fusefs_power_failure(). */
	invalidate_all(fs);
	invalidate_all(fs);
}

static int turn_off(struct fusefs *fs)
{
	WRITE_SCOPE(&fs->gate);
	int error = pools_power_off(fs->pools);

	if (error) {
		fs->power = POWER_IS_ON;
		return error;
	}
	fs->power = POWER_IS_OFF;
	nodes_bury(&fs->nodes);
	return 0;
}

static void turn_on(struct fusefs *fs)
{
	WRITE_SCOPE(&fs->gate);

	/* What the kernel had was of the nodes that are dead now. */
	shadow_forget_node(fs, NULL);
	pools_power_on(fs->pools);
	fs->power = POWER_IS_ON;
}

/* Can stores that the kernel still holds in dirty pages of a mapping outlive this failure? */
static bool stores_may_survive(struct fusefs *fs, const struct pools_power_options *options)
{
	struct pools_info info;

	pools_info(fs->pools, &info);
	return options->policy != DOMAIN_LOSE || info.domain == DOMAIN_CPU_CACHE;
}

/*
 * Stores through a mapping are a consistent cut of what was stored: once a page
 * was taken from a mapping to be written back, the next touch of it is a READ,
 * which fails, so that no store comes after one that was not seen.
 */
int fusefs_power_failure(struct fusefs *fs, const struct pools_power_options *options)
{
	LOCK_SCOPE(&fs->failure_lock);
	int error;

	if (pools_media_lost(fs->pools))
		return -EIO;

	if (stores_may_survive(fs, options)) {
		power_fade(fs);
		invalidate_all(fs);
	}
	error = turn_off(fs);
	if (!error) {
		/* Twice: a page that could not be written back stays the first time, clean. */
		invalidate_all(fs);
		error = pools_power_apply(fs->pools, options);
		invalidate_all(fs);
		turn_on(fs);
	}
	parked_resume(fs);
	return error;
}
