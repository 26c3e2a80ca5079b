/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef EXPLORE_CHECKER_PRIVATE_H
#define EXPLORE_CHECKER_PRIVATE_H

/* Between checker.c and the kinds of checkers: what a kind implements. */

#include "explore/checker.h"

struct explore_checker {
	const struct explore_checker_kind *kind;
	struct explore_checker_options options;
};

struct explore_checker_kind {
	int (*run)(struct explore_checker *checker, const struct explore_state *state,
		   struct explore_verdict *verdict, struct message *message);
	void (*new_walk)(struct explore_checker *checker);
	void (*destroy)(struct explore_checker *checker);
};

int explore_command_create(const struct explore_checker_options *options, struct explore_checker **out,
			   struct message *message);
int explore_loaded_create(const struct explore_checker_options *options, struct explore_checker **out,
			  struct message *message);
extern const struct explore_checker_kind explore_loaded_kind;

#endif
