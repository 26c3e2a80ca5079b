/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLIENT_BOUNCE_ROOMS_H
#define CLIENT_BOUNCE_ROOMS_H

/*
 * Memory that the kernel stores to in the place of a pool, for the time of one system call. Few bytes come
 * from a supply, because to map memory takes longer than most calls. Thread-safe, async-signal-safe.
 */

#include <stdbool.h>
#include <stddef.h>

/* With any contents, at a multiple of 64. Ends the process if there is no memory. */
void *client_room_take(size_t bytes);
/* The same number of bytes. errno stays. */
void client_room_give(void *room, size_t bytes);

/*
 * A room may be cut into pieces, each in the place of a buffer. `ends`: behind the piece is a page that the
 * kernel cannot store to, as there is behind these bytes of the buffer, so that it fails where it would have
 * failed. The room is to have the sum of client_piece_bytes().
 */
size_t client_piece_bytes(size_t length, bool ends);
/* The next piece, from *room on. */
unsigned char *client_piece_take(unsigned char **room, size_t length, bool ends);
/* The next one is a copy of a piece, without such a page. */
const unsigned char *client_piece_copy(unsigned char **room, const unsigned char *piece, size_t length);

#endif
