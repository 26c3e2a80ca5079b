/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/events.h"

#include "client/settings.h"

_Atomic(const struct client_recorder *) client_recorder_attached;

void client_recorder_attach(const struct client_recorder *recorder)
{
	atomic_store_explicit(&client_recorder_attached, recorder, memory_order_release);
	client_fast_path_forbid(recorder != NULL);
}
