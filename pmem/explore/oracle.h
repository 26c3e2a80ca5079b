/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef EXPLORE_ORACLE_H
#define EXPLORE_ORACLE_H

/*
 * Judging a recovery without a checker. The user names a command that recovers from the state and prints
 * what it found, the *dump*. It is compared with dumps of states that are right: everything that was
 * stored, at the beginning and at each mark that the program acknowledged.
 *
 * Not thread safe; a finished oracle is only read.
 */

#include "explore/search.h"

enum explore_oracle_kind {
	EXPLORE_ORACLE_ALIVE,  /* the command exits with 0, in time */
	EXPLORE_ORACLE_STABLE, /* and prints the same when it is run again on what it left */
	EXPLORE_ORACLE_PREFIX, /* and prints what it prints after the last mark, or a later one */
	EXPLORE_ORACLE_EQUIV   /* and prints what it prints after the last mark, or the next one */
};
/* 0, or -EINVAL and *kind is unchanged. */
int explore_oracle_parse(const char *text, enum explore_oracle_kind *kind);

struct explore_oracle;

/*
 * Make an oracle for a trace; options->checker is the command that dumps. PREFIX and EQUIV run it once for
 * each mark. 0, or a negative errno with a message: also if it fails where everything is durable.
 */
int explore_oracle_open(int fd, const char *name, enum explore_oracle_kind kind,
			const struct explore_options *options, struct explore_oracle **out,
			struct message *message);
/* NULL is ignored. */
void explore_oracle_close(struct explore_oracle *oracle);

#endif
