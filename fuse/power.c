/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>

#include "common/cleanup.h"
#include "private.h"

void power_fade(struct fusefs *fs)
{
	WRITE_SCOPE(&fs->gate);

	fs->power = POWER_FADES;
}

void fusefs_media_lost(struct fusefs *fs, unsigned region)
{
	struct tree *tree = &fs->trees[region];
	LOCK_SCOPE(&fs->failure_lock);

	pthread_rwlock_wrlock(&fs->gate);
	tree->gone = true;
	pthread_rwlock_unlock(&fs->gate);
	/* Nobody comes or goes there any more. Twice: see fusefs_power_failure(). */
	invalidate_tree(fs, tree);
	invalidate_tree(fs, tree);
}

static int turn_off(struct fusefs *fs)
{
	WRITE_SCOPE(&fs->gate);
	unsigned i;

	for (i = 0; i < fs->tree_count; i++) {
		int error = pools_power_off(fs->trees[i].pools);

		if (!error)
			continue;
		while (i--)
			pools_power_on(fs->trees[i].pools);
		fs->power = POWER_IS_ON;
		return error;
	}
	fs->power = POWER_IS_OFF;
	for (i = 0; i < fs->tree_count; i++)
		nodes_bury(&fs->trees[i].nodes);
	return 0;
}

/* The first error is returned; the rest is done. */
static int apply(struct fusefs *fs, const struct pools_power_options *options)
{
	int result = 0;

	for (unsigned i = 0; i < fs->tree_count; i++) {
		struct tree *tree = &fs->trees[i];
		int error = tree_is_lost(tree) ? 0 : pools_power_apply(tree->pools, &options[i]);

		if (!result && !tree_is_lost(tree))
			result = error;
	}
	return result;
}

static void turn_on(struct fusefs *fs)
{
	WRITE_SCOPE(&fs->gate);

	/* What the kernel had was of the nodes that are dead now. */
	shadow_forget_node(fs, NULL);
	for (unsigned i = 0; i < fs->tree_count; i++)
		pools_power_on(fs->trees[i].pools);
	fs->power = POWER_IS_ON;
}

/* Can stores that the kernel still holds in dirty pages of a mapping outlive this failure? */
static bool stores_may_survive(struct fusefs *fs, const struct pools_power_options *options)
{
	bool survive = options->policy != CHOOSER_LOSE;

	for (unsigned i = 0; i < fs->tree_count && !survive; i++)
		survive = pools_persistence(fs->trees[i].pools) == PERSISTENCE_CPU_CACHE;
	return survive;
}

static bool all_are_lost(const struct fusefs *fs)
{
	for (unsigned i = 0; i < fs->tree_count; i++)
		if (!tree_is_lost(&fs->trees[i]))
			return false;
	return true;
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

	if (all_are_lost(fs))
		return -EIO;
	if (stores_may_survive(fs, options)) {
		power_fade(fs);
		invalidate_all(fs);
	}
	error = turn_off(fs);
	if (!error) {
		/* Twice: a page that could not be written back stays the first time, clean. */
		invalidate_all(fs);
		error = apply(fs, options);
		invalidate_all(fs);
		turn_on(fs);
	}
	parked_resume(fs);
	return error;
}
