/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Litmus tests of the metadata model: a script (namestest.h), and for each mode the
 * complete set of trees that an outage may leave after it. Scripts begin with what
 * is durable, up to "==".
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "namestest.h"

struct litmus {
	const char *name, *script;
	const char *outcomes[3]; /* of durable, ordered, strict; separated by " | " */
};

#define A_AND_B "create a; append a 5; create b; append b 5; ==; "
#define A_ALONE "create a; append a 5; ==; "
#define OLD_F "create f; append f 3; ==; "

static const struct litmus rows[] = {
	/* The table's rows. */
	{ "a new name may be lost until it is synced", "create a",
	  { "a=2:0", "- | a=2:0", "- | a=2:0" } },
	{ "fsync of the directory commits a new name", "create a; fsync /",
	  { "a=2:0", "a=2:0", "a=2:0" } },
	{ "fdatasync of the directory commits a new name", "create a; fdatasync /",
	  { "a=2:0", "a=2:0", "a=2:0" } },
	{ "fsync of a new file commits its name, but not by POSIX", "create a; fsync a",
	  { "a=2:0", "a=2:0", "- | a=2:0" } },
	{ "fdatasync of a new file commits its name, but not by POSIX", "create a; fdatasync a",
	  { "a=2:0", "a=2:0", "- | a=2:0" } },
	{ "fsync of the second file commits the first, but not by POSIX", "create a; create b; fsync b",
	  { "a=2:0 b=3:0", "a=2:0 b=3:0", "- | a=2:0 | b=3:0 | a=2:0 b=3:0" } },
	{ "fsync of the first file does not commit the second", "create a; create b; fsync a",
	  { "a=2:0 b=3:0", "a=2:0 | a=2:0 b=3:0", "- | a=2:0 | b=3:0 | a=2:0 b=3:0" } },
	{ "a fifo and a symlink are names like others", "mkfifo a; symlink b",
	  { "a=2:0 b=3:0", "- | a=2:0 | a=2:0 b=3:0", "- | a=2:0 | b=3:0 | a=2:0 b=3:0" } },
	{ "names of two directories are independent by POSIX only",
	  "mkdir d; mkdir e; ==; create d/x; create e/y; fsync e",
	  { "d/ d/x=4:0 e/ e/y=5:0", "d/ d/x=4:0 e/ e/y=5:0", "d/ e/ e/y=5:0 | d/ d/x=4:0 e/ e/y=5:0" } },
	{ "a command's commit covers the log before it, but not by POSIX", "create a; create b; commit",
	  { "a=2:0 b=3:0", "a=2:0 b=3:0", "b=3:0 | a=2:0 b=3:0" } },

	/* Sizes, attributes and times. */
	{ "a new file may have any size that it had", "create a; append a 5; append a 9",
	  { "a=2:0 | a=2:5 | a=2:9", "- | a=2:0 | a=2:5 | a=2:9", "- | a=2:0 | a=2:5 | a=2:9" } },
	{ "an append after a sync leaves the synced size or a later one", A_ALONE "append a 9; append a 12",
	  { "a=2:5 | a=2:9 | a=2:12", "a=2:5 | a=2:9 | a=2:12", "a=2:5 | a=2:9 | a=2:12" } },
	{ "fsync commits an append", A_ALONE "append a 9; fsync a", { "a=2:9", "a=2:9", "a=2:9" } },
	{ "fdatasync commits an append", A_ALONE "append a 9; fdatasync a", { "a=2:9", "a=2:9", "a=2:9" } },
	{ "a sync by another link commits an append", "create a; link a b; ==; append a 9; fsync b",
	  { "a=2:9 b=2:9", "a=2:9 b=2:9", "a=2:9 b=2:9" } },
	{ "an append may be lost while a later name survives", A_ALONE "append a 9; create b",
	  { "a=2:5 b=3:0 | a=2:9 b=3:0", "a=2:5 | a=2:9 | a=2:5 b=3:0 | a=2:9 b=3:0",
	    "a=2:5 | a=2:9 | a=2:5 b=3:0 | a=2:9 b=3:0" } },
	{ "an append survives with the names before it only, but not by POSIX",
	  A_ALONE "create b; append a 9",
	  { "a=2:5 b=3:0 | a=2:9 b=3:0", "a=2:5 | a=2:5 b=3:0 | a=2:9 b=3:0",
	    "a=2:5 | a=2:9 | a=2:5 b=3:0 | a=2:9 b=3:0" } },
	{ "fsync after an overwrite commits the names before it", A_ALONE "create b; overwrite a; fsync a",
	  { "a=2:5 b=3:0", "a=2:5 b=3:0", "a=2:5 | a=2:5 b=3:0" } },
	{ "fdatasync after an overwrite commits no name of another file",
	  A_ALONE "create b; overwrite a; fdatasync a",
	  { "a=2:5 b=3:0", "a=2:5 | a=2:5 b=3:0", "a=2:5 | a=2:5 b=3:0" } },
	{ "fdatasync after an append commits the names before it",
	  A_ALONE "create b; append a 9; fdatasync a",
	  { "a=2:9 b=3:0", "a=2:9 b=3:0", "a=2:9 | a=2:9 b=3:0" } },
	{ "a chmod may be lost", A_ALONE "chmod a 7",
	  { "a=2:5:7", "a=2:5 | a=2:5:7", "a=2:5 | a=2:5:7" } },
	{ "fsync commits a chmod", A_ALONE "chmod a 7; fsync a", { "a=2:5:7", "a=2:5:7", "a=2:5:7" } },
	{ "fdatasync does not commit a chmod", A_ALONE "chmod a 7; fdatasync a",
	  { "a=2:5:7", "a=2:5 | a=2:5:7", "a=2:5 | a=2:5:7" } },
	{ "fsync of the directory does not commit a file's chmod", A_ALONE "chmod a 7; fsync /",
	  { "a=2:5:7", "a=2:5 | a=2:5:7", "a=2:5 | a=2:5:7" } },
	{ "a truncation may be lost", A_ALONE "resize a 0", { "a=2:0", "a=2:5 | a=2:0", "a=2:5 | a=2:0" } },
	{ "fdatasync commits a truncation", A_ALONE "resize a 0; fdatasync a",
	  { "a=2:0", "a=2:0", "a=2:0" } },
	{ "truncate and write in place may leave an empty file", A_ALONE "resize a 0; append a 9",
	  { "a=2:0 | a=2:9", "a=2:5 | a=2:0 | a=2:9", "a=2:5 | a=2:0 | a=2:9" } },
	{ "an allocation past the end may be lost", A_ALONE "fallocate a 9",
	  { "a=2:9", "a=2:5 | a=2:9", "a=2:5 | a=2:9" } },
	{ "a truncation that survives has its size whatever became of an append before it",
	  A_ALONE "append a 9; resize a 2", { "a=2:2", "a=2:5 | a=2:9 | a=2:2", "a=2:5 | a=2:9 | a=2:2" } },

	/* Pairs that programs rely on. */
	{ "create, write, fsync, rename", "create t; append t 5; fsync t; rename t f",
	  { "f=2:5", "t=2:5 | f=2:5", "- | t=2:5 | f=2:5" } },
	{ "create, write, fsync, rename, fsync of the directory",
	  "create t; append t 5; fsync t; rename t f; fsync /", { "f=2:5", "f=2:5", "f=2:5" } },
	{ "fsync of a renamed file commits the rename, but not by POSIX",
	  "create t; append t 5; rename t f; fsync f", { "f=2:5", "f=2:5", "- | t=2:5 | f=2:5" } },
	{ "fdatasync of a renamed file does not commit the rename",
	  "create t; append t 5; fsync t; rename t f; fdatasync f",
	  { "f=2:5", "t=2:5 | f=2:5", "- | t=2:5 | f=2:5" } },
	{ "replace by rename with fsync leaves the old file or the new one",
	  OLD_F "create t; append t 5; fsync t; rename t f",
	  { "f=3:5", "f=2:3 t=3:5 | f=3:5", "f=2:3 | f=2:3 t=3:5 | f=3:5" } },
	{ "replace by rename without fsync may leave an empty file", OLD_F "create t; append t 5; rename t f",
	  { "f=3:0 | f=3:5", "f=2:3 | f=2:3 t=3:0 | f=2:3 t=3:5 | f=3:0 | f=3:5",
	    "f=2:3 | f=2:3 t=3:0 | f=2:3 t=3:5 | f=3:0 | f=3:5" } },
	{ "replace by truncate: without auto_da_alloc the close does nothing",
	  OLD_F "resize f 0; append f 5; close f; create b",
	  { "b=3:0 f=2:0 | b=3:0 f=2:5", "f=2:3 | f=2:0 | f=2:5 | b=3:0 f=2:0 | b=3:0 f=2:5",
	    "f=2:3 | f=2:0 | f=2:5 | b=3:0 f=2:3 | b=3:0 f=2:0 | b=3:0 f=2:5" } },
	{ "unlink before rename may leave neither", OLD_F "create t; fsync t; unlink f; rename t f",
	  { "f=3:0", "f=2:3 t=3:0 | t=3:0 | f=3:0", "f=2:3 | f=2:3 t=3:0 | - | t=3:0 | f=3:0" } },
	{ "rename of a directory takes what is in it along", "mkdir d; create d/f; ==; rename d e",
	  { "e/ e/f=3:0", "d/ d/f=3:0 | e/ e/f=3:0", "d/ d/f=3:0 | e/ e/f=3:0" } },
	{ "fsync of a renamed directory commits its name, but not by POSIX",
	  "mkdir d; create d/f; ==; rename d e; create e/g; fsync e",
	  { "e/ e/f=3:0 e/g=4:0", "e/ e/f=3:0 e/g=4:0", "d/ d/f=3:0 d/g=4:0 | e/ e/f=3:0 e/g=4:0" } },
	{ "link and unlink as a rename may lose the file by POSIX", A_ALONE "link a b; unlink a",
	  { "b=2:5", "a=2:5 | a=2:5 b=2:5 | b=2:5", "a=2:5 | a=2:5 b=2:5 | b=2:5 | -" } },
	{ "link, fsync of the directory, unlink never loses the file", A_ALONE "link a b; fsync /; unlink a",
	  { "b=2:5", "a=2:5 b=2:5 | b=2:5", "a=2:5 b=2:5 | b=2:5" } },
	{ "a file fsynced in a new directory is there, but not by POSIX", "mkdir d; create d/f; fsync d/f",
	  { "d/ d/f=3:0", "d/ d/f=3:0", "- | d/ | d/ d/f=3:0" } },
	{ "a new directory that is fsynced itself may be lost with its entries by POSIX",
	  "mkdir d; create d/f; fsync d/f; fsync d",
	  { "d/ d/f=3:0", "d/ d/f=3:0", "- | d/ d/f=3:0" } },
	{ "a new directory is safe when its parent is fsynced", "mkdir d; create d/f; fsync d; fsync /",
	  { "d/ d/f=3:0", "d/ d/f=3:0", "d/ d/f=3:0" } },
	{ "three renames in a ring are ordered by their names", A_AND_B "rename a t; rename b a; rename t b",
	  { "a=3:5 b=2:5", "a=2:5 b=3:5 | b=3:5 t=2:5 | a=3:5 t=2:5 | a=3:5 b=2:5",
	    "a=2:5 b=3:5 | b=3:5 t=2:5 | a=3:5 t=2:5 | a=3:5 b=2:5" } },
	{ "two renames in a ring leave one of two names", A_ALONE "rename a b; rename b a",
	  { "a=2:5", "a=2:5 | b=2:5", "a=2:5 | b=2:5" } },
	{ "two renames of two files are independent by POSIX", A_AND_B "rename a c; rename b d",
	  { "c=2:5 d=3:5", "a=2:5 b=3:5 | b=3:5 c=2:5 | c=2:5 d=3:5",
	    "a=2:5 b=3:5 | b=3:5 c=2:5 | a=2:5 d=3:5 | c=2:5 d=3:5" } },

	/* Other operations. */
	{ "a rename across directories is atomic", "mkdir d; mkdir e; create d/f; ==; rename d/f e/f",
	  { "d/ e/ e/f=4:0", "d/ d/f=4:0 e/ | d/ e/ e/f=4:0", "d/ d/f=4:0 e/ | d/ e/ e/f=4:0" } },
	{ "fsync of the directory that lost the name commits a rename",
	  "mkdir d; mkdir e; create d/f; ==; rename d/f e/f; fsync d",
	  { "d/ e/ e/f=4:0", "d/ e/ e/f=4:0", "d/ e/ e/f=4:0" } },
	{ "fsync of the directory that got the name commits a rename",
	  "mkdir d; mkdir e; create d/f; ==; rename d/f e/f; fsync e",
	  { "d/ e/ e/f=4:0", "d/ e/ e/f=4:0", "d/ e/ e/f=4:0" } },
	{ "a rename that is committed takes the creation of its file along",
	  "mkdir d; mkdir e; ==; create d/f; rename d/f e/f; fsync e",
	  { "d/ e/ e/f=4:0", "d/ e/ e/f=4:0", "d/ e/ e/f=4:0" } },
	{ "fsync of a replaced file commits the rename, but not by POSIX",
	  A_AND_B "hold b; rename a b; fsync #",
	  { "b=2:5", "b=2:5", "a=2:5 b=3:5 | b=2:5" } },
	{ "an exchange is atomic", A_AND_B "exchange a b",
	  { "a=3:5 b=2:5", "a=2:5 b=3:5 | a=3:5 b=2:5", "a=2:5 b=3:5 | a=3:5 b=2:5" } },
	{ "an rmdir may be lost", "mkdir d; ==; rmdir d", { "-", "d/ | -", "d/ | -" } },
	{ "an rmdir survives only with what emptied the directory",
	  "mkdir d; create d/f; ==; rename d/f g; rmdir d",
	  { "g=3:0", "d/ d/f=3:0 | d/ g=3:0 | g=3:0", "d/ d/f=3:0 | d/ g=3:0 | g=3:0" } },
	{ "a rename over an empty directory survives only with what emptied it",
	  "mkdir d; mkdir e; create e/f; ==; unlink e/f; rename d e",
	  { "e/", "d/ e/ e/f=4:0 | d/ e/ | e/", "d/ e/ e/f=4:0 | d/ e/ | e/" } },
	{ "an O_TMPFILE has no name to lose", A_ALONE "tmpfile; append # 9; fsync #",
	  { "a=2:5", "a=2:5", "a=2:5" } },
	{ "an O_TMPFILE that is fsynced and linked is there with its size or not at all",
	  "tmpfile; append # 9; fsync #; link # a", { "a=2:9", "- | a=2:9", "- | a=2:9" } },
	{ "an O_TMPFILE that is linked without fsync may be empty", "tmpfile; append # 9; link # a",
	  { "a=2:0 | a=2:9", "- | a=2:0 | a=2:9", "- | a=2:0 | a=2:9" } },
	{ "fsync of an unlinked open file commits the unlink, but not by POSIX",
	  A_ALONE "hold a; unlink a; append # 9; fsync #", { "-", "-", "a=2:9 | -" } },
	{ "an unlink may be lost with or without an append to the open file",
	  A_ALONE "hold a; unlink a; append # 9",
	  { "-", "a=2:5 | -", "a=2:5 | a=2:9 | -" } },
	{ "a name that is used again has a history of its own",
	  A_ALONE "unlink a; create a; append a 9; fsync a",
	  { "a=3:9", "a=3:9", "a=2:5 | - | a=3:9" } },
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

/* With the option. */
static const struct litmus auto_da_alloc_rows[] = {
	{ "replace by rename without fsync is safe with auto_da_alloc, but not by POSIX",
	  OLD_F "create t; append t 5; rename t f",
	  { "f=3:5", "f=2:3 | f=2:3 t=3:0 | f=2:3 t=3:5 | f=3:5",
	    "f=2:3 | f=2:3 t=3:0 | f=2:3 t=3:5 | f=3:0 | f=3:5" } },
	{ "rename to a free name may leave an empty file with auto_da_alloc too",
	  "create t; append t 5; rename t f",
	  { "f=2:0 | f=2:5", "- | t=2:0 | t=2:5 | f=2:0 | f=2:5", "- | t=2:0 | t=2:5 | f=2:0 | f=2:5" } },
	{ "an append after the rename is not in the log with auto_da_alloc",
	  OLD_F "create t; append t 5; rename t f; append f 9",
	  { "f=3:5 | f=3:9", "f=2:3 | f=2:3 t=3:0 | f=2:3 t=3:5 | f=3:5 | f=3:9",
	    "f=2:3 | f=2:3 t=3:0 | f=2:3 t=3:5 | f=2:3 t=3:9 | f=3:0 | f=3:5 | f=3:9" } },
	{ "replace by truncate: the close allocates with auto_da_alloc",
	  OLD_F "resize f 0; append f 5; close f; create b",
	  { "b=3:0 f=2:5", "f=2:3 | f=2:0 | f=2:5 | b=3:0 f=2:5",
	    "f=2:3 | f=2:0 | f=2:5 | b=3:0 f=2:3 | b=3:0 f=2:0 | b=3:0 f=2:5" } },
};
#define AUTO_DA_ALLOC_ROWS (sizeof(auto_da_alloc_rows) / sizeof(auto_da_alloc_rows[0]))

#define IN_D(mode) "mkdir d; ==; mode d " mode "; "
#define IN_D_AND_E(d, e) "mkdir d; mkdir e; ==; mode d " d "; mode e " e "; "

/*
 * Directories d and e with modes of their own; all others are strict. The outcomes are those of a model of
 * mode `strict` that is asked for each mode.
 */
static const struct litmus directory_rows[] = {
	{ "a durable directory keeps what a strict one may lose", IN_D("durable") "create d/a; create b",
	  { "b=4:0 d/ d/a=3:0", "d/ d/a=3:0 | b=4:0 d/ d/a=3:0", "d/ d/a=3:0 | b=4:0 d/ d/a=3:0" } },
	{ "a size and attributes in a durable directory are durable",
	  IN_D("durable") "create d/a; resize d/a 5; chmod d/a 7",
	  { "d/ d/a=3:5:7", "d/ d/a=3:5:7", "d/ d/a=3:5:7" } },
	{ "an append in a durable directory is not durable until it is synced",
	  IN_D("durable") "create d/a; append d/a 5",
	  { "d/ d/a=3:0 | d/ d/a=3:5", "d/ d/a=3:0 | d/ d/a=3:5", "d/ d/a=3:0 | d/ d/a=3:5" } },
	{ "a new directory in a durable one is durable too", IN_D("durable") "mkdir d/e; create d/e/f",
	  { "d/ d/e/ d/e/f=4:0", "d/ d/e/ d/e/f=4:0", "d/ d/e/ d/e/f=4:0" } },
	{ "the name of a durable directory is one of its parent",
	  IN_D("durable") "create d/a; rename d c",
	  { "c/ c/a=3:0", "d/ d/a=3:0 | c/ c/a=3:0", "d/ d/a=3:0 | c/ c/a=3:0" } },
	{ "an ordered directory has a log of its own", IN_D("ordered") "create x; create d/a; fsync d/a",
	  { "d/ d/a=4:0 x=3:0", "d/ d/a=4:0 x=3:0", "d/ d/a=4:0 | d/ d/a=4:0 x=3:0" } },
	{ "two ordered directories have one log",
	  IN_D_AND_E("ordered", "ordered") "create d/a; create e/b; fsync e/b",
	  { "d/ d/a=4:0 e/ e/b=5:0", "d/ d/a=4:0 e/ e/b=5:0", "d/ d/a=4:0 e/ e/b=5:0" } },
	{ "an ordered directory keeps a prefix of its operations", IN_D("ordered") "create d/a; create d/b",
	  { "d/ d/a=3:0 d/b=4:0", "d/ | d/ d/a=3:0 | d/ d/a=3:0 d/b=4:0",
	    "d/ | d/ d/a=3:0 | d/ d/a=3:0 d/b=4:0" } },
	{ "fsync of a file in a strict directory commits no log",
	  IN_D("ordered") "create d/a; create x; fsync x",
	  { "d/ d/a=3:0 x=4:0", "d/ d/a=3:0 x=4:0", "d/ | d/ d/a=3:0 | d/ x=4:0 | d/ d/a=3:0 x=4:0" } },
	{ "fsync of a file in a durable directory commits no log",
	  IN_D_AND_E("durable", "ordered") "create e/x; create d/a; append d/a 9; fsync d/a",
	  { "d/ d/a=5:9 e/ e/x=4:0", "d/ d/a=5:9 e/ | d/ d/a=5:9 e/ e/x=4:0",
	    "d/ d/a=5:9 e/ | d/ d/a=5:9 e/ e/x=4:0" } },
	{ "a rename into a durable directory is durable, and the file with it",
	  IN_D("durable") "create x; rename x d/x", { "d/ d/x=3:0", "d/ d/x=3:0", "d/ d/x=3:0" } },
	{ "a rename out of a durable directory is durable", IN_D("durable") "create d/x; rename d/x x",
	  { "d/ x=3:0", "d/ x=3:0", "d/ x=3:0" } },
	{ "a rename into an ordered directory may be lost as a whole",
	  IN_D("ordered") "create x; rename x d/x",
	  { "d/ d/x=3:0", "d/ | d/ x=3:0 | d/ d/x=3:0", "d/ | d/ x=3:0 | d/ d/x=3:0" } },
	{ "fsync of the strict directory commits a rename into an ordered one, and the log before it",
	  IN_D("ordered") "create d/y; create x; rename x d/x; fsync /",
	  { "d/ d/x=4:0 d/y=3:0", "d/ d/x=4:0 d/y=3:0", "d/ d/x=4:0 d/y=3:0" } },
	{ "a durable operation commits what it needs, and the log before that",
	  IN_D_AND_E("ordered", "durable") "create d/a; create d/b; rename d/b e/b",
	  { "d/ d/a=4:0 e/ e/b=5:0", "d/ d/a=4:0 e/ e/b=5:0", "d/ d/a=4:0 e/ e/b=5:0" } },
	{ "a durable operation commits nothing else",
	  IN_D_AND_E("ordered", "durable") "create d/a; create e/b",
	  { "d/ d/a=4:0 e/ e/b=5:0", "d/ e/ e/b=5:0 | d/ d/a=4:0 e/ e/b=5:0",
	    "d/ e/ e/b=5:0 | d/ d/a=4:0 e/ e/b=5:0" } },
	{ "a link to a file of a durable directory is durable, and so are its attributes by either name",
	  IN_D("durable") "create d/a; link d/a b; chmod b 7",
	  { "b=3:0:7 d/ d/a=3:0:7", "b=3:0:7 d/ d/a=3:0:7", "b=3:0:7 d/ d/a=3:0:7" } },
	{ "a file that has left a durable directory is under the mode of its new one",
	  IN_D("durable") "create d/a; rename d/a a; chmod a 7",
	  { "a=3:0:7 d/", "a=3:0 d/ | a=3:0:7 d/", "a=3:0 d/ | a=3:0:7 d/" } },
	{ "fsync after an overwrite in an ordered directory commits its log alone",
	  IN_D("ordered") "create d/a; ==; create x; create d/b; overwrite d/a; fsync d/a",
	  { "d/ d/a=3:0 d/b=5:0 x=4:0", "d/ d/a=3:0 d/b=5:0 x=4:0",
	    "d/ d/a=3:0 d/b=5:0 | d/ d/a=3:0 d/b=5:0 x=4:0" } },
};
#define DIRECTORY_ROWS (sizeof(directory_rows) / sizeof(directory_rows[0]))

static void expect(struct trees *trees, const char *outcomes)
{
	while (outcomes) {
		const char *bar = strstr(outcomes, " | ");
		const size_t length = bar ? (size_t)(bar - outcomes) : strlen(outcomes);
		char text[NAMESTEST_TEXT];

		assert_in_range(length, 1, sizeof(text) - 1);
		memcpy(text, outcomes, length);
		text[length] = '\0';
		trees_add(trees, text);
		outcomes = bar ? bar + 3 : NULL;
	}
	trees_finish(trees);
}

static void check(const struct litmus *litmus, enum metadata_mode mode, const struct trees *reached)
{
	struct trees expected = { 0 };

	expect(&expected, litmus->outcomes[mode]);
	for (size_t i = 0; i < reached->count; i++)
		if (!trees_contain(&expected, reached->items[i]))
			fail_msg("%s, %s: left %s", litmus->name, metadata_mode_name(mode),
				 reached->items[i]);
	for (size_t i = 0; i < expected.count; i++)
		if (!trees_contain(reached, expected.items[i]))
			fail_msg("%s, %s: never left %s", litmus->name, metadata_mode_name(mode),
				 expected.items[i]);
	trees_free(&expected);
}

static void outcomes(const struct litmus *litmus, enum metadata_mode model, enum metadata_mode mode,
		     bool auto_da_alloc, struct trees *reached)
{
	const struct names_options options = { .mode = model, .auto_da_alloc = auto_da_alloc };
	struct namestest test;

	namestest_start(&test, options, litmus->script);
	namestest_outcomes(&test, mode, reached);
	check(litmus, mode, reached);
	namestest_stop(&test);
}

/* By a model of each mode, and by one of mode `strict` that is asked for another. */
static void run_row(const struct litmus *litmus, bool auto_da_alloc)
{
	struct trees weaker = { 0 };

	for (int mode = METADATA_STRICT; mode >= METADATA_DURABLE; mode--) {
		struct trees reached = { 0 }, again = { 0 };

		outcomes(litmus, (enum metadata_mode)mode, (enum metadata_mode)mode, auto_da_alloc, &reached);
		outcomes(litmus, METADATA_STRICT, (enum metadata_mode)mode, auto_da_alloc, &again);
		assert_true(trees_equal(&reached, &again));
		assert_true(mode == METADATA_STRICT || trees_include(&weaker, &reached));
		trees_free(&again);
		trees_free(&weaker);
		weaker = reached;
	}
	trees_free(&weaker);
}

static void the_row_holds(void **state)
{
	run_row(*state, false);
}

static void the_row_holds_with_auto_da_alloc(void **state)
{
	run_row(*state, true);
}

static void the_row_of_directories_holds(void **state)
{
	const struct litmus *litmus = *state;

	for (int mode = METADATA_DURABLE; mode <= METADATA_STRICT; mode++) {
		struct trees reached = { 0 };

		outcomes(litmus, METADATA_STRICT, (enum metadata_mode)mode, false, &reached);
		trees_free(&reached);
	}
}

/* The negative control: with an outcome too few or too many a row must fail. */
static void the_sets_are_compared_both_ways(void **state)
{
	const struct names_options options = { .mode = METADATA_ORDERED };
	struct trees reached = { 0 }, expected = { 0 };
	struct namestest test;

	namestest_start(&test, options, "create a; create b; fsync a");
	namestest_outcomes(&test, METADATA_ORDERED, &reached);
	expect(&expected, "a=2:0 | a=2:0 b=3:0");
	assert_true(trees_equal(&reached, &expected));
	trees_free(&expected);
	expect(&expected, "a=2:0");
	assert_false(trees_equal(&reached, &expected));
	assert_true(trees_include(&reached, &expected));
	assert_false(trees_include(&expected, &reached));
	trees_free(&expected);
	expect(&expected, "a=2:0 | a=2:0 b=3:0 | b=3:0");
	assert_false(trees_equal(&reached, &expected));
	assert_false(trees_contain(&reached, "b=3:0"));
	trees_free(&expected);
	trees_free(&reached);
	namestest_stop(&test);
}

static void add_rows(struct CMUnitTest *units, const struct litmus *table, size_t count,
		     CMUnitTestFunction function)
{
	for (size_t i = 0; i < count; i++)
		units[i] = (struct CMUnitTest){ .name = table[i].name, .test_func = function,
						.initial_state = (void *)(uintptr_t)&table[i] };
}

int main(void)
{
	struct CMUnitTest units[ROWS + AUTO_DA_ALLOC_ROWS + DIRECTORY_ROWS + 1];

	add_rows(units, rows, ROWS, the_row_holds);
	add_rows(units + ROWS, auto_da_alloc_rows, AUTO_DA_ALLOC_ROWS, the_row_holds_with_auto_da_alloc);
	add_rows(units + ROWS + AUTO_DA_ALLOC_ROWS, directory_rows, DIRECTORY_ROWS,
		 the_row_of_directories_holds);
	units[ROWS + AUTO_DA_ALLOC_ROWS + DIRECTORY_ROWS] =
		(struct CMUnitTest)cmocka_unit_test(the_sets_are_compared_both_ways);
	return cmocka_run_group_tests_name("model names litmus", units, NULL, NULL);
}
