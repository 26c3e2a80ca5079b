/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/events.h"

#include "client/settings.h"

_Atomic(const struct client_recorder *) client_recorder_attached;
atomic_bool client_fast_path_allowed_flag;

void client_fast_path_update(void)
{
	const struct client_settings *set = client_settings();

	atomic_store_explicit(&client_fast_path_allowed_flag,
			      !client_recorder() && !set->through && !set->flush_never && !set->valgrind &&
				      !set->cut_at && !set->skip_flush,
			      memory_order_relaxed);
}

void client_recorder_attach(const struct client_recorder *recorder)
{
	atomic_store_explicit(&client_recorder_attached, recorder, memory_order_release);
	client_fast_path_update();
}
