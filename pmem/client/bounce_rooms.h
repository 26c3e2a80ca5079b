/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLIENT_BOUNCE_ROOMS_H
#define CLIENT_BOUNCE_ROOMS_H

/*
 * Memory that the kernel stores to in the place of a pool, for the time of one system call. Few bytes come
 * from a supply, because to map memory takes longer than most calls. Thread-safe, async-signal-safe.
 */

#include <stddef.h>

/* With any contents, at a multiple of 64. Ends the process if there is no memory. */
void *client_room_take(size_t bytes);
/* The same number of bytes. errno stays. */
void client_room_give(void *room, size_t bytes);

#endif
