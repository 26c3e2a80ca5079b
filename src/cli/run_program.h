/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLI_RUN_PROGRAM_H
#define CLI_RUN_PROGRAM_H

/* Running a program with softpmem's libpmem: for the verbs `run` and `record`. */

#include <stdbool.h>
#include <stdint.h>

struct cli;

struct run_program {
	bool through;
	bool allow_unattached;
	bool no_inline;
	uint64_t record_key; /* of the recording of its processes; 0: they are not recorded */
	unsigned stack_depth; /* frames of the call stacks in the trace; 0: the usual number */
};

/*
 * Is there a daemon that would attach the program? Set this process's environment so that a program that it
 * runs from here on is attached. Returns an exit status; a failure has been printed.
 */
int run_program_prepare(struct cli *cli, const struct run_program *options);

/*
 * Replace this process by the program cli->arguments[0], found as a shell finds it. Warns of a program that
 * will not load the library. Returns an exit status only if that fails, which has been printed.
 */
int run_program(struct cli *cli);

#endif
