/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef EXPLORE_OPERATION_TEXT_H
#define EXPLORE_OPERATION_TEXT_H

/* A pending operation in words. */

#include "explore/trace_walk.h"
#include "model/names.h"

/*
 * *text: "create of db/wal", "rename of db/new to db/wal"; *path: what it is about, "db/wal". Directories
 * have the names that programs see. The bytes are those of the trace: escape them before they are printed.
 * Both are for the caller to free. 0 or -ENOMEM, and both are NULL.
 */
int explore_operation_text(const struct explore_walk *walk, const struct names_op *op, char **text,
			   char **path);

#endif
