/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/remove_tree.h"

#include <ftw.h>
#include <stdio.h>

/* Go on after an entry that cannot be removed. */
static int remove_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
	remove(path);
	return 0;
}

void remove_tree(const char *path)
{
	const int descriptors = 16;

	nftw(path, remove_one, descriptors, FTW_DEPTH | FTW_PHYS);
}
