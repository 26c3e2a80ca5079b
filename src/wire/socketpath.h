/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SRC_SOCKETPATH_H
#define SRC_SOCKETPATH_H

#include "common/message.h"

/*
 * Where the control socket is when nobody says: $SOFTPMEM_SOCKET, else a place
 * of the user's. *path is for the caller to free. -EPERM: that place is in /tmp,
 * and somebody else was there first.
 */
int socketpath_default(char **path, struct message *message);

#endif
