/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef WIRE_SOCKETPATH_H
#define WIRE_SOCKETPATH_H

#include "common/message.h"

/*
 * The path of the control socket without --socket: $SOFTPMEM_SOCKET; else in /run/softpmem (root),
 * $XDG_RUNTIME_DIR/softpmem, or /tmp/softpmem-UID. The caller frees *path. -EPERM: the directory in /tmp
 * belongs to another user. -ENOMEM.
 */
int socketpath_default(char **path, struct message *message);

#endif
