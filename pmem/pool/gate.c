/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Keeps calls and outages apart. During an outage calls through handles fail, and the others wait for
 * its end.
 */

#include "pool/gate.h"

#include <errno.h>
#include <sched.h>

#include "common/cleanup.h"

void pool_gate_enter(struct pools *pools)
{
	for (;;) {
		if (atomic_load(&pools->power_off)) {
			LOCK_SCOPE(&pools->gate_lock);
			while (atomic_load(&pools->power_off))
				pthread_cond_wait(&pools->gate, &pools->gate_lock);
		}
		pthread_rwlock_rdlock(&pools->power);
		/*
		 * pools_stop() sets the flag before it takes the lock, so the flag must be checked
		 * again with the lock held.
		 */
		if (!atomic_load(&pools->power_off))
			return;
		pthread_rwlock_unlock(&pools->power);
	}
}

int pool_gate_enter_handle(struct pool_handle *handle)
{
	struct pools *pools = handle->pool->pools;

	/*
	 * Never wait here: the caller may hold a lock on a page of the kernel's cache that the outage
	 * has to drop. If the lock is denied, pools_stop() holds it, and has increased the generation
	 * before.
	 */
	if (region_failed(pools->region))
		return -EIO;
	while (handle->generation == atomic_load(&pools->generation)) {
		if (pthread_rwlock_tryrdlock(&pools->power) == 0) {
			if (handle->generation == atomic_load(&pools->generation))
				return 0;
			pthread_rwlock_unlock(&pools->power);
			break;
		}
		sched_yield();
	}
	return -EIO;
}

bool pool_gate_try_enter(struct pools *pools)
{
	if (pthread_rwlock_tryrdlock(&pools->power) != 0)
		return false;
	if (!atomic_load(&pools->power_off))
		return true;
	pthread_rwlock_unlock(&pools->power);
	return false;
}

void pool_gate_leave(struct pools *pools)
{
	pthread_rwlock_unlock(&pools->power);
}

bool pools_media_lost(const struct pools *pools)
{
	return region_failed(pools->region);
}

uint64_t pools_generation(struct pools *pools)
{
	return atomic_load(&pools->generation);
}
