/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_FILEOPS_H
#define TESTS_FILEOPS_H

#include <sys/stat.h>
#include <sys/types.h>

#include "tap.h"

/* All tests work in the current directory, which is on the mount and empty. */
void check_names(void);
void check_links(void);
void check_renames(void);
void check_directories(void);
void check_listings(void);
void check_removed(void);
void check_special(void);
void check_attributes(void);
void check_permissions(void);
void check_data(void);
void check_sizes(void);
void check_allocation(void);
void check_mappings(void);
void check_cache(void);
void check_locks(void);
void check_space(void);

/* Write a file with this text; 0 or -1. */
int put(const char *name, const char *text);
/* Does the file hold exactly `text`? */
bool holds(const char *name, const char *text);
bool same_file(const char *a, const char *b);
nlink_t links_of(const char *name);
bool linux_is_at_least(unsigned version, unsigned patchlevel);
/* Run `what` in a child without privileges; returns its status. */
int as_nobody(int (*what)(void));
/* The same in a child that has `group` as its only supplementary group. */
int as_nobody_in_group(gid_t group, int (*what)(void));

#endif
