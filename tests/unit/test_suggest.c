/* SPDX-License-Identifier: BSD-3-Clause */
/* Which word a person may have meant. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "command/suggest.h"

static const char *suggested(const char *word)
{
	static const char *const known[] = { "run",  "stat",	   "status", "list",   "create",  "destroy",
					     "path", "powerfail", "mark",   "format", "regions", "check" };
	struct suggestion suggestion = { .word = word };

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		suggest(&suggestion, known[i]);
	return suggestion.best ? suggestion.best : "";
}

static void a_word_with_few_mistakes_is_recognized(void **state)
{
	assert_string_equal(suggested("craete"), "create");
	assert_string_equal(suggested("creat"), "create");
	assert_string_equal(suggested("destory"), "destroy");
	assert_string_equal(suggested("powerfial"), "powerfail");
	assert_string_equal(suggested("power-fail"), "powerfail");
	assert_string_equal(suggested("lst"), "list");
}

static void the_beginning_of_a_word_is_recognized(void **state)
{
	assert_string_equal(suggested("power"), "powerfail");
	assert_string_equal(suggested("reg"), "regions");
}

static void a_word_like_none_gets_no_suggestion(void **state)
{
	assert_string_equal(suggested("explode"), "");
	assert_string_equal(suggested("x"), "");
	assert_string_equal(suggested(""), "");
	assert_string_equal(suggested("a-word-of-many-more-letters-than-any-command-has"), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_word_with_few_mistakes_is_recognized),
		cmocka_unit_test(the_beginning_of_a_word_is_recognized),
		cmocka_unit_test(a_word_like_none_gets_no_suggestion),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
