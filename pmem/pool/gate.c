/* SPDX-License-Identifier: BSD-3-Clause */

/* Who may run while power fails: nobody who came through a handle, and the others only before and after. */

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
		/* pools_stop() sets the flag before it asks for the lock. */
		if (!atomic_load(&pools->power_off))
			return;
		pthread_rwlock_unlock(&pools->power);
	}
}

int pool_gate_enter_handle(struct pool_handle *handle)
{
	struct pools *pools = handle->pool->pools;

	/*
	 * Never wait: the caller may hold a page of the kernel's cache, which the
	 * power failure wants to throw away. The lock is only ever denied once
	 * the generation has moved on.
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
