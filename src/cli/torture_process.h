/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLI_TORTURE_PROCESS_H
#define CLI_TORTURE_PROCESS_H

/*
 * A shell command of a campaign with all the processes that it starts. A keeper process stands between the
 * command and this program: it is the subreaper of the command, so a process that the command leaves behind,
 * in whatever session, becomes the keeper's child and is ended with it. The command may kill its parent: that
 * is the keeper, and only the command's process group is then ended at once.
 *
 * A struct torture_process is used by one thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/message.h"

/* Bytes of what a command printed that are shown in a finding: the last ones. */
#define TORTURE_TAIL_BYTES 1024

/* The end of an output. */
struct torture_tail {
	char text[TORTURE_TAIL_BYTES + 1]; /* ends with a NUL */
	size_t length;
};

struct torture_process {
	pid_t keeper;
	pid_t command; /* the shell, and its process group */
	int status_fd; /* readable once the command has ended, and all that it started */
	int output_fd; /* what it prints on standard output; non-blocking; -1 after its end */
	int error_fd;  /* the same of standard error */
};

/*
 * Run `sh -c COMMAND` in the directory, with this environment. Its standard input is empty. 0 or a negative
 * errno with a message. End it with torture_process_wait().
 */
int torture_process_start(const char *command, const char *directory, char *const *environment,
			  struct torture_process *process, struct message *message);

/* End the command and all that it started, with SIGKILL. Returns at once. */
void torture_process_stop(const struct torture_process *process);

/*
 * Wait for the end of all processes of the command. Returns the wait status of the command; -1 if its keeper
 * was killed. The process is released.
 */
int torture_process_wait(struct torture_process *process);

/*
 * End all children of this process, which is the subreaper of keepers that were killed. To be called when
 * it has one thread, and no child that it wants to keep.
 */
void torture_process_end_strays(void);

/*
 * Read what can be read now. `keep_fd`: append it to this file, as long as the file has less than `most`
 * bytes; -1: nowhere. `tail`: of it the last bytes; may be NULL. At its end *fd is closed and becomes -1.
 */
void torture_output_read(int *fd, int keep_fd, off_t most, struct torture_tail *tail);

#endif
