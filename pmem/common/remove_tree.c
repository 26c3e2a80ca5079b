/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/remove_tree.h"

#include <ftw.h>
#include <stdio.h>
#include <unistd.h>

#define DESCRIPTORS 16

/* Go on after an entry that cannot be removed. */
static int remove_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
	remove(path);
	return 0;
}

/* Let the owner remove what is in a directory. One that could not be read is visited again. */
static int open_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
	if ((type == FTW_D || type == FTW_DNR) && chmod(path, S_IRWXU) == 0 && type == FTW_DNR)
		nftw(path, open_one, DESCRIPTORS, FTW_PHYS);
	return 0;
}

void remove_tree(const char *path)
{
	nftw(path, remove_one, DESCRIPTORS, FTW_DEPTH | FTW_PHYS);
	if (access(path, F_OK) < 0)
		return;
	nftw(path, open_one, DESCRIPTORS, FTW_PHYS);
	nftw(path, remove_one, DESCRIPTORS, FTW_DEPTH | FTW_PHYS);
}
