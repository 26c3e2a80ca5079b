/* SPDX-License-Identifier: BSD-3-Clause */

/* What the mount does in an outage, and when a region is lost (fusefs.h). */

#include "park.h"

#include "common/cleanup.h"
#include "dispatch.h"
#include "invalidate.h"

void fusefs_park_requests(struct fusefs *fs)
{
	fusefs_moment_suspend(&fs->moment);
	fusefs_gate_change(&fs->gate, GATE_WRITE_BACK);
	fusefs_gate_wait(&fs->gate);
}

void fusefs_park(struct fusefs *fs)
{
	pthread_mutex_lock(&fs->outage_lock);
	fusefs_park_requests(fs);
}

void fusefs_write_back(struct fusefs *fs)
{
	for (unsigned i = 0; i < fs->tree_count; i++)
		for (struct node *node = fs->trees[i].nodes.all; node; node = node->next)
			if (node->regular && fusefs_node_may_have_stores(node))
				fusefs_invalidate_range(fs, fusefs_node_ino(fs, node), 0, UINT64_MAX);
}

void fusefs_discard(struct fusefs *fs)
{
	fusefs_gate_change(&fs->gate, GATE_DISCARD);
	fusefs_gate_wait(&fs->gate);
	for (unsigned i = 0; i < fs->tree_count; i++)
		fusefs_nodes_end_generation(&fs->trees[i].nodes);
}

void fusefs_tree_replaced(struct fusefs *fs, unsigned region)
{
	struct tree *tree = &fs->trees[region];

	fusefs_nodes_retire(&tree->nodes);
	pool_unref(tree->root.pool, 1);
	tree->root.pool = pool_root(tree->pools);
}

void fusefs_discard_caches(struct fusefs *fs)
{
	fusefs_invalidate_all(fs);
}

void fusefs_resume(struct fusefs *fs)
{
	/* The copies are of pages of nodes that are dead now. */
	fusefs_shadow_forget(&fs->shadows, NULL);
	fusefs_gate_change(&fs->gate, GATE_OPEN);
	fusefs_gate_wait(&fs->gate);
	/* Every request that could still be parked has been parked. */
	fusefs_moment_continue(&fs->moment);
	fusefs_dispatch_parked(fs);
	pthread_mutex_unlock(&fs->outage_lock);
}

void fusefs_region_lost(struct fusefs *fs, unsigned region)
{
	struct tree *tree = &fs->trees[region];
	LOCK_SCOPE(&fs->outage_lock);

	atomic_store(&tree->gone, true);
	fusefs_gate_flush(&fs->gate);
	/* The tree's nodes stay as they are now. Twice: see fusefs_discard_caches(). */
	fusefs_invalidate_tree(fs, tree);
	fusefs_invalidate_tree(fs, tree);
}
