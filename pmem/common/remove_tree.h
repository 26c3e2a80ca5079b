/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COMMON_REMOVE_TREE_H
#define COMMON_REMOVE_TREE_H

/*
 * Remove a file, or a directory and all that is in it; symlinks are removed, not followed. Directories that
 * their owner may not write to are removed, too. What cannot be removed stays. Not for a directory in which
 * another user may rename entries.
 */
void remove_tree(const char *path);

#endif
