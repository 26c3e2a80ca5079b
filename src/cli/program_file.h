/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLI_PROGRAM_FILE_H
#define CLI_PROGRAM_FILE_H

/* The file of a program that is to be run: where it is, whether it can be run, and loads libpmem. */

#include <limits.h>

/* Where execvp(3) would find it; NULL with errno. For the caller to free. */
char *program_find(const char *name);

/* The errno with which execve(2) fails for this file itself, whatever it has in it; 0: with none. */
int program_file_error(const char *program);

/*
 * The same for the interpreters that the file names, and theirs: a script's, or the loader of an ELF program.
 * `interpreter` gets the name of the first one that does not run.
 */
int program_interpreter_error(const char *program, char interpreter[PATH_MAX]);

/*
 * The errno with which execve(2) fails; 0: it succeeds. Nothing of the program is executed. To be called
 * while this process has no second thread.
 */
int program_try(const char *program, char **arguments);

/* Warn on stderr of a program that will not load libpmem.so.1. */
void program_warn(const char *program);

#endif
