/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ENGINES_LITTLE_ENGINES_H
#define ENGINES_LITTLE_ENGINES_H

/*
 * Ten little storage engines, each with one mistake in when it syncs, and the same engine without it. They
 * work in the current directory. A step is acknowledged by a line with its number on standard output; the
 * lines are in the file $SOFTPMEM_ACKNOWLEDGED when it is checked. In a recorded run it is a mark, too, and
 * the end of the setup is the mark 0. A call that fails ends the program.
 */

#include <stdbool.h>
#include <stddef.h>

#define STEPS 3
/* Files consist of lines of a cache's size, so that each can be lost by itself. */
#define LINE 64

struct little_engine {
	const char *name;
	void (*setup)(void);
	void (*work)(bool fixed);
	/* Recover, and say whether everything that was acknowledged is there and nothing is damaged. */
	bool (*check)(void);
};

/* Of little_bytes.c, whose mistakes lose bytes, and little_names.c, whose mistakes lose names. */
extern const struct little_engine little_rename, little_journal, little_descriptor, little_commit,
	little_reopen, little_two_files;
extern const struct little_engine little_create, little_logs, little_truncate, little_swap;

/* ---- For both (little_engines.c) ------------------------------------------------------- */

/* Open a file, with mode 0600 if it is made. */
int little_open(const char *name, int flags);
/* Write `lines` lines that tell the number. `little_line` is such a line. */
void little_write(int fd, unsigned number, unsigned lines, long offset);
void little_line(unsigned number, char line[LINE]);
/* The number in each of these lines; -1 if one is missing or incomplete, or they differ. */
int little_read(const char *name, unsigned lines, long offset);
void little_sync(int fd);
void little_sync_directory(void);
void little_close(int fd);
/* Fail if a system call did. */
void little_must(int result, const char *what);

void little_acknowledge(unsigned number);
/* The last number that was acknowledged; 0: none. */
int little_acknowledged(void);

#endif
