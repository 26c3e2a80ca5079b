/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/align.h"
#include "common/crc32c.h"
#include "common/log_sink.h"
#include "common/message.h"
#include "common/processors.h"
#include "common/size.h"

static void crc32c_gives_the_check_value_of_rfc_3720(void **state)
{
	unsigned char ones[32];

	memset(ones, 0xff, sizeof(ones));
	assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
	assert_int_equal(crc32c(0, ones, sizeof(ones)), 0x62a8ab43);
}

static void crc32c_continues_from_any_split(void **state)
{
	const char text[] = "what was stored but not flushed and fenced is lost";
	uint32_t whole = crc32c(0, text, sizeof(text));

	for (size_t split = 0; split <= sizeof(text); split++)
		assert_int_equal(crc32c(crc32c(0, text, split), text + split, sizeof(text) - split), whole);
}

static void sizes_are_parsed_in_the_form_of_ndctl(void **state)
{
	uint64_t size = 0;

	assert_int_equal(size_parse("64M", &size), 0);
	assert_int_equal(size, 64u << 20);
	assert_int_equal(size_parse("1GiB", &size), 0);
	assert_int_equal(size, 1u << 30);
	assert_int_equal(size_parse("0x1000", &size), 0);
	assert_int_equal(size, 4096);
	assert_int_equal(size_parse("010", &size), 0);
	assert_int_equal(size, 10);
	assert_int_equal(size_parse("9223372036854775808", &size), 0);
	assert_int_equal(size, (uint64_t)1 << 63);
}

static void text_that_is_not_a_size_is_refused(void **state)
{
	const char *const wrong[] = { "", " 1", "-1", "+1", "M", "1X", "1MM", "1M ", "1e9", "1.5G" };
	uint64_t size = 7;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(size_parse(wrong[i], &size), -EINVAL);
	assert_int_equal(size_parse("16777216T", &size), -ERANGE);
	assert_int_equal(size_parse("99999999999999999999", &size), -ERANGE);
	assert_int_equal(size, 7);
}

static void sizes_are_formatted_in_their_shortest_form(void **state)
{
	char text[32];

	assert_string_equal(size_format(1000, text, sizeof(text)), "1000");
	assert_string_equal(size_format(4095, text, sizeof(text)), "4.0K");
	assert_string_equal(size_format(64u << 20, text, sizeof(text)), "64M");
	assert_string_equal(size_format(3u << 29, text, sizeof(text)), "1.5G");
}

static void message_fail_returns_the_error_and_formats_the_text(void **state)
{
	struct message message;

	assert_int_equal(message_fail(&message, -ENOSPC, "region %s: full", "memfd:1G"), -ENOSPC);
	assert_string_equal(message.text, "region memfd:1G: full");
	assert_int_equal(message_fail(NULL, -EIO, "dropped"), -EIO);
}

static void keep_line(void *context, const char *line)
{
	struct message *last = context;

	snprintf(last->text, sizeof(last->text), "%s", line);
}

static void a_log_sink_receives_the_formatted_line_and_an_empty_one_drops_it(void **state)
{
	struct message last = { "" };
	const struct log_sink sink = { keep_line, &last }, none = { 0 };

	log_sink_print(&sink, "pid %d: %s", 7, "gone");
	assert_string_equal(last.text, "pid 7: gone");
	log_sink_print(&none, "pid %d: dropped", 8);
	assert_string_equal(last.text, "pid 7: gone");
}

static void processors_that_the_thread_may_not_use_do_not_count(void **state)
{
	cpu_set_t all, one;

	assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
	assert_int_equal(processors_usable(), CPU_COUNT(&all));
	CPU_ZERO(&one);
	for (unsigned i = 0; !CPU_COUNT(&one); i++)
		if (CPU_ISSET(i, &all))
			CPU_SET(i, &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	assert_int_equal(processors_usable(), 1);
	assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(crc32c_gives_the_check_value_of_rfc_3720),
		cmocka_unit_test(crc32c_continues_from_any_split),
		cmocka_unit_test(sizes_are_parsed_in_the_form_of_ndctl),
		cmocka_unit_test(text_that_is_not_a_size_is_refused),
		cmocka_unit_test(sizes_are_formatted_in_their_shortest_form),
		cmocka_unit_test(message_fail_returns_the_error_and_formats_the_text),
		cmocka_unit_test(a_log_sink_receives_the_formatted_line_and_an_empty_one_drops_it),
		cmocka_unit_test(processors_that_the_thread_may_not_use_do_not_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
