/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SRC_SOCKETPATH_H
#define SRC_SOCKETPATH_H

/*
 * Where the control socket is when nobody says: $SOFTPMEM_SOCKET, else a place
 * of the user's. For the caller to free; NULL without memory.
 */
char *socketpath_default(void);

#endif
