/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REGION_FILE_PLACE_H
#define REGION_FILE_PLACE_H

/*
 * Private to pmem/region: where a path leads, when others may write to a directory on the way. Root formats
 * what it finds at the end, so a stranger's symbolic link in /tmp must not choose the file.
 */

#include <limits.h>
#include <stdbool.h>

#include "common/message.h"

struct file_place {
	int directory;		 /* O_PATH; to be closed by the caller */
	char name[NAME_MAX + 1]; /* in the directory; it was no symbolic link, or did not exist */
	bool shared;		 /* a directory that all others may write to, or, if it is sticky, a group */
};

/*
 * Follow the path. Without `any_link`, a symbolic link in a directory that others may write to is refused
 * unless it belongs to the caller or to the owner of the directory (-EPERM with a message that
 * begins with "region SPEC: "). The last name need not exist, but a link that is the whole path must lead to
 * something (-EEXIST). 0, or a negative errno without a message.
 */
int file_place_find(const char *path, bool any_link, const char *spec, struct file_place *out,
		    struct message *message);

#endif
