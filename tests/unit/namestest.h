/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef NAMESTEST_H
#define NAMESTEST_H

/*
 * The metadata model, driven by a script:
 *
 *	create f; append f 5; fsync f; ==; create t; rename t f
 *
 * A path begins at the root, which is "/". Commands: create, mkfifo, symlink, mkdir,
 * unlink, rmdir, fsync and fdatasync PATH; link, rename and exchange PATH PATH;
 * append, resize, fallocate and chmod PATH NUMBER; overwrite and close PATH; tmpfile
 * and hold. "hold PATH" and "tmpfile" keep an inode open: "#" is a path to it.
 * "commit" commits the last operation, "==" everything. "mode PATH MODE" gives a directory
 * a metadata mode of its own, which directories below it inherit when they are made.
 *
 * A tree is written as its paths in order: "d/ d/f=3:5" is a directory d and in it
 * the third inode (the root is the first), of size 5; attributes other than 0
 * follow the size. The empty tree is "-".
 */

#include "model/names.h"
#include "model/names_tree.h"
#include "treeset.h"

struct namestest {
	struct names *names;
	struct names_tree *base; /* what is committed */
	struct names_tree *now;	 /* what programs see */
	uint64_t id;		 /* of the last operation */
	uint64_t inodes;	 /* the number of the last one */
	uint64_t held;
	bool mixed;		       /* a directory has a mode of its own */
	enum metadata_mode modes[64];  /* by inode: of a directory, or what a file without a name had last */
};

/* Run a script from the empty tree. The commit callback is set here. */
void namestest_start(struct namestest *test, struct names_options options, const char *script);
/* Run more of it. */
void namestest_run(struct namestest *test, const char *script);
void namestest_stop(struct namestest *test);

#define NAMESTEST_TEXT 512
void namestest_text(const struct names_tree *tree, char text[NAMESTEST_TEXT]);
/* The tree of the model's choice. */
void namestest_outcome(const struct namestest *test, char text[NAMESTEST_TEXT]);
/* All legal outcomes. */
void namestest_outcomes(struct namestest *test, enum metadata_mode mode, struct trees *trees);

#endif
