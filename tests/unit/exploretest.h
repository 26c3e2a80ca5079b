/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_EXPLORETEST_H
#define TESTS_EXPLORETEST_H

/* What tests of the explorer share. They fail the running test on any error of their own. */

#include "explore/finding.h"

/*
 * A trace from a text, as an open file. Lines of `text` end with a newline; the first line of the form is
 * added.
 */
int exploretest_trace(const char *text);

/* What one search found. */
struct exploretest {
	int fd;
	char directory[64];
	struct explore_points points;
	struct explore_options options;
	struct explore_failures failures;
	struct explore_findings findings;
	struct explore_summary summary;
};

/* Default options for a trace and a checker; the words belong to the caller. */
void exploretest_init(struct exploretest *test, const char *text, char *const *checker);
/* Search, and make findings. */
void exploretest_run(struct exploretest *test);
void exploretest_clear(struct exploretest *test);

/* The path of tests/explore/NAME in the build tree. Static. */
const char *exploretest_object(const char *name);

#endif
