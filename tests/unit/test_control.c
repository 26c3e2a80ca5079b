/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "wire/frame.h"
#include "wire/request.h"
#include "wire/text.h"

static struct json_object *json(const char *text)
{
	struct json_object *object = json_tokener_parse(text);

	assert_non_null(object);
	return object;
}

/* ---- Frames ------------------------------------------------------------------- */

static void a_frame_has_the_documented_bytes(void **state)
{
	static const unsigned char golden[] = "SPPM\1\0\4\0\14\0\0\0\0\0\0\0{\"status\":0}";
	CLEANUP_JSON struct json_object *body = json("{\"status\": 0}");
	size_t length;
	unsigned char *frame = control_encode(CONTROL_FINAL, body, &length);

	assert_int_equal(length, sizeof(golden) - 1);
	assert_memory_equal(frame, golden, length);
	free(frame);
}

static void a_decoded_frame_equals_the_encoded_one(void **state)
{
	CLEANUP_JSON struct json_object *body = json("{\"path\": \"/db/\\u0001wal\"}");
	CLEANUP_JSON struct json_object *back = NULL;
	struct control_frame frame;
	struct message message;
	const char *path;
	size_t length;
	char *bytes = control_encode(CONTROL_ITEM, body, &length);

	assert_int_equal(control_header_decode(bytes, CONTROL_REPLY_MAX, &frame, &message), 0);
	assert_int_equal(frame.type, CONTROL_ITEM);
	assert_int_equal(frame.length, length - sizeof(struct control_header));
	assert_int_equal(
		control_body_decode(bytes + sizeof(struct control_header), frame.length, &back, &message), 0);
	assert_int_equal(control_get_string(back, "path", &path), 0);
	assert_string_equal(path, "/db/\001wal");
	free(bytes);
}

static void names_that_are_not_utf8_survive_a_frame(void **state)
{
	static const char name[] = "/\xff\xfe caf\xe9 \xed\xa0\x80";
	CLEANUP_JSON struct json_object *body = json_object_new_object();
	CLEANUP_JSON struct json_object *back = NULL;
	struct message message;
	const char *decoded;
	size_t length;
	char *bytes;

	control_put_string(body, "path", name);
	bytes = control_encode(CONTROL_REQUEST, body, &length);
	assert_int_equal(control_body_decode(bytes + 16, length - 16, &back, &message), 0);
	assert_int_equal(control_get_string(back, "path", &decoded), 0);
	assert_string_equal(decoded, name);
	free(bytes);
}

static void malformed_headers_are_refused(void **state)
{
	static const struct {
		const char bytes[17];
		int error;
		const char *says;
	} wrong[] = {
		{ "GET / HTTP/1.1\r\n", -EBADMSG, "not softpmem's" },
		{ "SPPM\2\0\1\0\2\0\0\0\0\0\0\0", -EPROTONOSUPPORT, "version 2, and version 1" },
		{ "SPPM\0\0\1\0\2\0\0\0\0\0\0\0", -EPROTONOSUPPORT, "version 0" },
		{ "SPPM\1\0\0\0\2\0\0\0\0\0\0\0", -EBADMSG, "type 0" },
		{ "SPPM\1\0\5\0\2\0\0\0\0\0\0\0", -EBADMSG, "type 5" },
		{ "SPPM\1\0\1\0\2\0\0\0\1\0\0\0", -EBADMSG, "malformed" },
		{ "SPPM\1\0\1\0\1\0\1\0\0\0\0\0", -EMSGSIZE, "at most 65536" },
		{ "SPPM\1\0\1\0\377\377\377\377\0\0\0\0", -EMSGSIZE, "4294967295" },
	};
	struct control_frame frame;
	struct message message;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(control_header_decode(wrong[i].bytes, CONTROL_REQUEST_MAX, &frame, &message),
				 wrong[i].error);
		assert_non_null(strstr(message.text, wrong[i].says));
	}
	/* A body of the maximum length is accepted. */
	assert_int_equal(
		control_header_decode("SPPM\1\0\1\0\0\0\1\0\0\0\0\0", CONTROL_REQUEST_MAX, &frame, &message),
		0);
}

static void bodies_that_are_not_a_json_object_are_refused(void **state)
{
	static const char *const wrong[] = { "",	 " ",
					     "{",	 "[]",
					     "7",	 "null",
					     "\"verb\"", "{}x",
					     "{}{}",	 "{'verb':'status'}",
					     "{\"a\":}", "{\"a\":[[[[[[[[[[]]]]]]]]]]}" };
	struct json_object *object;
	struct message message;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(control_body_decode(wrong[i], strlen(wrong[i]), &object, &message),
				 -EBADMSG);
	assert_int_equal(control_body_decode("{}\0", 3, &object, &message), -EBADMSG);
}

static void a_body_above_the_limit_is_not_encoded(void **state)
{
	CLEANUP_JSON struct json_object *body = json_object_new_object();
	char *large = malloc(CONTROL_REPLY_MAX + 1);
	size_t length;

	memset(large, 'x', CONTROL_REPLY_MAX);
	large[CONTROL_REPLY_MAX] = '\0';
	control_put_string(body, "path", large);
	assert_null(control_encode(CONTROL_ITEM, body, &length));
	free(large);
}

/* ---- Members of requests ---------------------------------------------------------- */

enum colour { NO_COLOUR, RED, BLUE };

struct example {
	const char *name;
	uint64_t size;
	struct request_number seed;
	bool deep;
	enum colour colour;
};

static int parse_colour(const char *text, void *value)
{
	*(enum colour *)value = strcmp(text, "red") == 0 ? RED : BLUE;
	return strcmp(text, "red") == 0 || strcmp(text, "blue") == 0 ? 0 : -EINVAL;
}

static const struct request_field example_fields[] = {
	REQUEST_FIELD("name", REQUEST_STRING, struct example, name, .required = true),
	REQUEST_FIELD("size", REQUEST_U64, struct example, size),
	REQUEST_FIELD("seed", REQUEST_NUMBER, struct example, seed),
	REQUEST_FIELD("deep", REQUEST_BOOL, struct example, deep),
	REQUEST_FIELD("colour", REQUEST_WORD, struct example, colour, .parse = parse_colour),
	REQUEST_FIELDS_END,
};

static void members_of_each_kind_are_decoded(void **state)
{
	CLEANUP_JSON struct json_object *request =
		json("{\"verb\":\"v\",\"name\":\"/a\",\"size\":18446744073709551615,\"seed\":0,\"deep\":true,"
		     "\"colour\":\"blue\"}");
	struct example example = { 0 };
	struct message message;

	assert_string_equal(request_verb(request, &message), "v");
	assert_int_equal(request_decode(request, example_fields, &example, &message), 0);
	assert_string_equal(example.name, "/a");
	assert_true(example.size == UINT64_MAX);
	assert_true(example.seed.given);
	assert_int_equal(example.seed.value, 0);
	assert_true(example.deep);
	assert_int_equal(example.colour, BLUE);
}

static void missing_members_stay_zero(void **state)
{
	CLEANUP_JSON struct json_object *request = json("{\"verb\":\"v\",\"name\":\"\"}");
	struct example example = { 0 };
	struct message message;

	assert_int_equal(request_decode(request, example_fields, &example, &message), 0);
	assert_string_equal(example.name, "");
	assert_int_equal(example.size, 0);
	assert_false(example.seed.given);
	assert_false(example.deep);
	assert_int_equal(example.colour, NO_COLOUR);
}

static void malformed_members_are_refused(void **state)
{
	static const char *const wrong[] = {
		"{}",
		"{\"verb\":1,\"name\":\"a\"}",
		"{\"verb\":\"v\"}",
		"{\"verb\":\"v\",\"name\":1}",
		"{\"verb\":\"v\",\"name\":\"a\\u0000b\"}",
		"{\"verb\":\"v\",\"name\":\"a\",\"moon\":\"full\"}",
		"{\"verb\":\"v\",\"name\":\"a\",\"size\":-1}",
		"{\"verb\":\"v\",\"name\":\"a\",\"size\":1.5}",
		"{\"verb\":\"v\",\"name\":\"a\",\"size\":\"64M\"}",
		"{\"verb\":\"v\",\"name\":\"a\",\"seed\":-1}",
		"{\"verb\":\"v\",\"name\":\"a\",\"deep\":1}",
		"{\"verb\":\"v\",\"name\":\"a\",\"colour\":\"green\"}",
		"{\"verb\":\"v\",\"name\":\"a\",\"colour\":1}",
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		CLEANUP_JSON struct json_object *request = json(wrong[i]);
		struct example example = { 0 };
		struct message message = { "" };

		assert_int_equal(request_decode(request, example_fields, &example, &message), -EINVAL);
		assert_true(message.text[0] != '\0');
	}
}

/* ---- Text ---------------------------------------------------------------------- */

static void assert_text(char *made, const char *wanted)
{
	assert_non_null(made);
	assert_string_equal(made, wanted);
	free(made);
}

static void escaped_names_are_safe_on_a_terminal(void **state)
{
	assert_text(text_escape("plain name"), "plain name");
	assert_text(text_escape("a\nb\033[2J\177"), "a\\012b\\033[2J\\177");
	assert_text(text_escape("a\\012"), "a\\\\012");
	assert_text(text_printable("a\\012\n"), "a\\012\\012");
	assert_text(text_escape("gr\xc3\xbc\xc3\x9f \xf0\x9f\x92\xbe"),
		    "gr\xc3\xbc\xc3\x9f \xf0\x9f\x92\xbe");
	/* A C1 control, an overlong slash, a surrogate, a code point beyond Unicode, a truncated sequence. */
	assert_text(text_escape("\xc2\x9b"), "\\302\\233");
	assert_text(text_escape("\xc0\xaf"), "\\300\\257");
	assert_text(text_escape("\xed\xa0\x80"), "\\355\\240\\200");
	assert_text(text_escape("\xf4\x90\x80\x80"), "\\364\\220\\200\\200");
	assert_text(text_escape("x\xe2\x82"), "x\\342\\202");
}

static void text_for_json_is_always_utf8(void **state)
{
	bool changed;

	assert_text(text_utf8("gr\xc3\xbcn\n", &changed), "gr\xc3\xbcn\n");
	assert_false(changed);
	assert_text(text_utf8("gr\xfcn", &changed), "gr\xef\xbf\xbdn");
	assert_true(changed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_frame_has_the_documented_bytes),
		cmocka_unit_test(a_decoded_frame_equals_the_encoded_one),
		cmocka_unit_test(names_that_are_not_utf8_survive_a_frame),
		cmocka_unit_test(malformed_headers_are_refused),
		cmocka_unit_test(bodies_that_are_not_a_json_object_are_refused),
		cmocka_unit_test(a_body_above_the_limit_is_not_encoded),
		cmocka_unit_test(members_of_each_kind_are_decoded),
		cmocka_unit_test(missing_members_stay_zero),
		cmocka_unit_test(malformed_members_are_refused),
		cmocka_unit_test(escaped_names_are_safe_on_a_terminal),
		cmocka_unit_test(text_for_json_is_always_utf8),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
