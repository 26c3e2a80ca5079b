/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_SKIPPING_H
#define TESTS_SKIPPING_H

/* Tests that cannot run everywhere. To be included after cmocka.h. */

/* Skip the running test, and say why (tests/unit_test.sh). Does not return. */
#define skip_because(why)                                \
	do {                                             \
		print_message("# skipped: %s\n", (why)); \
		skip();                                  \
	} while (0)

#endif
