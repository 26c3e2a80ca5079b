/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/remove_tree.h"
#include "explore/input.h"
#include "exploretest.h"

int exploretest_trace(const char *text)
{
	char path[] = "/tmp/softpmem-test-trace.XXXXXX";
	struct message message = { "" };
	int fd = mkstemp(path), trace = -1;

	assert_true(fd >= 0);
	assert_true(dprintf(fd, "softpmem-trace 1\n%s", text) > 0);
	if (explore_input_open(path, &trace, &message) != 0)
		print_message("%s\n", message.text);
	unlink(path);
	close(fd);
	assert_true(trace >= 0);
	return trace;
}

void exploretest_init(struct exploretest *test, const char *text, char *const *checker)
{
	*test = (struct exploretest){ .fd = exploretest_trace(text) };
	strcpy(test->directory, "/tmp/softpmem-test-explore.XXXXXX");
	assert_non_null(mkdtemp(test->directory));
	test->options = (struct explore_options){
		.walk = { .metadata = METADATA_ORDERED },
		.seed = 1,
		.exhaustive = 4096,
		.workers = 1,
		.timeout_ms = 500,
		.most_failures = 100000,
		.at = UINT64_MAX,
		.checker = checker,
		.directory = test->directory,
	};
}

void exploretest_run(struct exploretest *test)
{
	struct message message = { "" };
	int error = explore_points_find(test->fd, "test", &test->options.walk, &test->points, &message);

	if (!error)
		error = explore_search(test->fd, "test", &test->points, &test->options, &test->failures,
				       &test->summary, &message);
	if (!error)
		error = explore_findings_make(test->fd, "test", &test->points, &test->options,
					      &test->failures, &test->findings, &message);
	if (error)
		print_message("%s\n", message.text);
	assert_int_equal(error, 0);
}

void exploretest_clear(struct exploretest *test)
{
	explore_findings_clear(&test->findings);
	explore_failures_clear(&test->failures);
	explore_points_clear(&test->points);
	close(test->fd);
	remove_tree(test->directory);
}

const char *exploretest_object(const char *name)
{
	static char path[4096];
	const char *build = getenv("abs_top_builddir");

	snprintf(path, sizeof(path), "%s/tests/explore/%s", build ? build : ".", name);
	return path;
}
