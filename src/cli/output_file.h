/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLI_OUTPUT_FILE_H
#define CLI_OUTPUT_FILE_H

/*
 * A file that a verb writes, as of --output. What had this name before stays until the new contents are
 * whole: a run that fails, or is killed, changes nothing and leaves nothing behind.
 */

#include "common/message.h"

struct output_file {
	int fd; /* to write to; -1: none is open */
	/* Of this struct: */
	const char *path; /* the caller's */
	char *target;	  /* the file that is replaced, or made, at the end; NULL: fd is the file itself */
	char *name;	  /* of the new file until then; NULL: it has none yet */
};

/* For CLEANUP_OUTPUT_FILE. */
#define OUTPUT_FILE_CLOSED { .fd = -1 }

/*
 * Open a file for writing; `path` outlives it. It must be none of the files at `inputs`, which ends with
 * NULL. A device or a pipe is written directly. 0, or a negative errno with a message that names the file.
 */
int output_file_open(struct output_file *file, const char *path, char *const *inputs,
		     struct message *message);

/* All was written to fd: give the file its name, and close it. As above; after a failure nothing is left. */
int output_file_commit(struct output_file *file, struct message *message);

/* Close it without a name, if it was not committed. */
void output_file_cancel(struct output_file *file);
#define CLEANUP_OUTPUT_FILE __attribute__((cleanup(output_file_cancel)))

#endif
