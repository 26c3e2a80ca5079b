/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLI_SCRATCH_H
#define CLI_SCRATCH_H

#include "common/message.h"

/*
 * A private directory for a search, whose files are written and read a thousand times a second: in $TMPDIR,
 * else in memory (/dev/shm), else in /tmp. Thread safe.
 */

/*
 * Make "softpmem-NAME.XXXXXX", for scratch_remove(); NULL with a message. Another process removes it
 * if this program is killed.
 */
char *scratch_make(const char *name, struct message *message);
/* Remove it with all that is in it, and free its path. For __attribute__((cleanup)); *path may be NULL. */
void scratch_remove(char **path);

#endif
