/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/fence_seen.h"

#include "client/fast_path.h"
#include "client/signals.h"

bool client_fence_seen_quickly(void)
{
	/* The settings are known: they have started the engine. */
	if (unlikely(signals_locks_held || client_settings()->through))
		return false;
	return fence_one_queue() && !queue_is_closed(thread_self.queues[0]);
}
