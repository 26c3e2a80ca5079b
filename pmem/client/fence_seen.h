/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLIENT_FENCE_SEEN_H
#define CLIENT_FENCE_SEEN_H

#include <stdbool.h>

/*
 * A fence instruction of the program, in the usual case: one WPQ, which nobody waits for. For
 * record_setup.on_fence_quickly: it leaves vector registers alone. The settings are known. False: nothing was
 * done that client_fence_seen() may not do again, and that is to be called. Async-signal-safe.
 */
bool client_fence_seen_quickly(void);

#endif
