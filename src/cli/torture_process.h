/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLI_TORTURE_PROCESS_H
#define CLI_TORTURE_PROCESS_H

/*
 * A shell command of a campaign with all the processes that it starts. A keeper process (torture_keeper.h)
 * stands between the command and this program, so that all of these processes can be ended. The command may
 * kill its parent: that is the keeper, and only the command's process group is then ended at once.
 *
 * A keeper has one command at a time. It and its commands are used by one thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/message.h"

/* Bytes of what a command printed that are shown in a finding: the last ones. */
#define TORTURE_TAIL_BYTES 1024

/* The end of an output. */
struct torture_tail {
	char text[TORTURE_TAIL_BYTES + 1]; /* ends with a NUL */
	size_t length;
};

/* Zeroed but for `fd`, which is -1, before the first command. Ended by torture_keeper_end(). */
struct torture_keeper {
	pid_t pid; /* 0: none runs */
	int fd;
	uint32_t number; /* of its last command */
};
/* End it. No command runs. */
void torture_keeper_end(struct torture_keeper *keeper);

struct torture_process {
	struct torture_keeper *keeper;
	pid_t command; /* the shell or program, and its process group; 0: not known */
	int output_fd; /* what it prints on standard output; non-blocking; -1 after its end */
	int error_fd;  /* the same of standard error */
};

/*
 * Run `sh -c COMMAND` in the directory, with this environment, or the same without a shell where none is
 * needed. Its standard input is empty. The directory and the environment are the same for all commands of a
 * keeper, and like the command they are from before its first one. 0 or a negative errno with a message. End
 * it with torture_process_wait().
 */
int torture_process_start(struct torture_keeper *keeper, const char *command, const char *directory,
			  char *const *environment, struct torture_process *process, struct message *message);

/* Readable once the command has ended, and all that it started. */
int torture_process_status_fd(const struct torture_process *process);

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
