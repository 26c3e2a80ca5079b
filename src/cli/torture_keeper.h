/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLI_TORTURE_KEEPER_H
#define CLI_TORTURE_KEEPER_H

/*
 * The keeper's own side: a process that runs the shell commands of one job, one after another. It is the
 * subreaper of each command, so a process that the command leaves behind, in whatever session, becomes the
 * keeper's child and is ended with the command. It is forked once, because fork(2) of this program costs
 * more than a command: the keeper starts commands by posix_spawn(3), which copies no page tables.
 *
 * Its socket (SOCK_SEQPACKET) carries, from the caller, a struct torture_keeper_request; for a command with
 * the descriptors of its standard output and error. Answers are the command's pid, or a negative errno, and
 * its wait status once the command and all that it started have ended; each is an int. The keeper ends with
 * the socket.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct torture_keeper_request {
	bool stop;	     /* end the command of this number now; it may have ended */
	uint32_t number;     /* of the command */
	const char *command; /* in memory that the keeper has too, since it is from before the fork */
};

/* Fork a keeper of commands in the directory. Its pid, and the caller's end in *fd; or a negative errno. */
int torture_keeper_fork(const char *directory, char *const *environment, int *fd);

#endif
