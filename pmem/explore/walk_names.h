/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef EXPLORE_WALK_NAMES_H
#define EXPLORE_WALK_NAMES_H

/*
 * Private to the walk (trace_walk.h): the tree of names at a place of a trace. A trace of a program
 * alone names no root; its files have the paths that their TRACE_FILE has, and are in no tree.
 *
 * Not thread safe.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trace/event.h"

struct walk_names;

/* NULL: no memory. */
struct walk_names *explore_walk_names_create(void);
/* NULL is ignored. */
void explore_walk_names_destroy(struct walk_names *names);

/* An event about names or a new file; others are ignored. 0 or a negative errno. */
int explore_walk_names_take(struct walk_names *names, const struct trace_event *event);

/* Has the tree changed since explore_walk_names_settle()? */
bool explore_walk_names_changed(const struct walk_names *names);

/*
 * Look at the tree anew: calls `file` for each name below the root that is not a directory's, with its path
 * from there ("db/wal"). Stops if it returns other than 0, and returns that; else 0 or -ENOMEM.
 */
int explore_walk_names_settle(struct walk_names *names, void *context,
			      int (*file)(void *context, const char *path, uint64_t id));

/* As of then: a hash of which names there are, and of which files. */
uint64_t explore_walk_names_hash(const struct walk_names *names);
/* The paths of directories, each after the one that it is in. */
size_t explore_walk_names_directories(const struct walk_names *names);
const char *explore_walk_names_directory(const struct walk_names *names, size_t index);

#endif
