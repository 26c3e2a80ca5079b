/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The decoding of requests for the verbs of the daemon. What the verbs do is tested with a daemon
 * (tests/e2e).
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/verbs.h"
#include "wire/frame.h"

static struct json_object *json(const char *text)
{
	struct json_object *object = json_tokener_parse(text);

	assert_non_null(object);
	return object;
}

static void requests_of_every_verb_are_decoded(void **state)
{
	static const struct {
		const char *text;
		const struct verb *verb;
	} right[] = {
		{"{\"verb\": \"status\"}", &verb_status},
		{"{\"verb\": \"list\"}", &verb_list},
		{"{\"verb\": \"list\", \"path\": \"/\", \"region\": \"a\"}", &verb_list},
		{"{\"verb\": \"create\", \"path\": \"/a\", \"perm\": 420}", &verb_create},
		{"{\"verb\": \"create\", \"path\": \"/a\", \"perm\": 420, \"size\": 1, \"mode\": "
		 "\"sector:512\", \"parents\": true}",
		 &verb_create},
		{"{\"verb\": \"create\", \"path\": \"/a\", \"perm\": 420, \"directory\": true}",
		 &verb_create},
		{"{\"verb\": \"destroy\", \"path\": \"/a\", \"recursive\": true}", &verb_destroy},
		{"{\"verb\": \"path\", \"path\": \"/a\"}", &verb_path},
		{"{\"verb\": \"powerfail\"}", &verb_powerfail},
		{"{\"verb\": \"powerfail\", \"policy\": \"random\", \"seed\": 7}", &verb_powerfail},
		{"{\"verb\": \"mark\", \"text\": \"x\"}", &verb_mark},
		{"{\"verb\": \"check\", \"region\": \"a\"}", &verb_check},
		{"{\"verb\": \"stat\", \"dirty\": true, \"clean\": \"on\"}", &verb_stat},
	};

	for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
		CLEANUP_JSON struct json_object *body = json(right[i].text);
		const struct verb *verb;
		struct message message;
		void *request;

		assert_int_equal(verbs_decode(body, &verb, &request, &message), 0);
		assert_ptr_equal(verb, right[i].verb);
		free(request);
	}
}

static void malformed_requests_are_refused(void **state)
{
	static const char *const wrong[] = {
		"{}",
		"{\"verb\": 1}",
		"{\"verb\": \"explode\"}",
		"{\"verb\": \"status\", \"path\": \"/\"}",
		"{\"verb\": \"powerfail\", \"region\": \"a\"}",
		"{\"verb\": \"list\", \"region\": 1}",
		"{\"verb\": \"status\", \"moon\": \"full\"}",
		"{\"verb\": \"create\", \"perm\": 420}",
		"{\"verb\": \"create\", \"path\": \"/a\"}",
		"{\"verb\": \"create\", \"path\": \"/a\\u0000b\", \"perm\": 420}",
		"{\"verb\": \"create\", \"path\": 7, \"perm\": 420}",
		"{\"verb\": \"create\", \"path\": \"/a\", \"perm\": 4096}",
		"{\"verb\": \"create\", \"path\": \"/a\", \"perm\": 420, \"size\": -1}",
		"{\"verb\": \"create\", \"path\": \"/a\", \"perm\": 420, \"size\": 1.5}",
		"{\"verb\": \"create\", \"path\": \"/a\", \"perm\": 420, \"size\": \"64M\"}",
		"{\"verb\": \"create\", \"path\": \"/a\", \"perm\": 420, \"mode\": \"raw\"}",
		"{\"verb\": \"create\", \"path\": \"/a\", \"perm\": 420, \"directory\": 1}",
		"{\"verb\": \"create\", \"path\": \"/a\", \"perm\": 420, \"directory\": true, \"size\": 1}",
		"{\"verb\": \"powerfail\", \"policy\": \"all\"}",
		"{\"verb\": \"powerfail\", \"seed\": -1}",
		"{\"verb\": \"mark\"}",
		"{\"verb\": \"mark\", \"text\": \"\"}",
	};
	struct message message;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		CLEANUP_JSON struct json_object *body = json(wrong[i]);
		const struct verb *verb;
		void *request;

		message.text[0] = '\0';
		assert_int_equal(verbs_decode(body, &verb, &request, &message), -EINVAL);
		assert_true(message.text[0] != '\0');
	}
}

static void a_mark_has_at_most_255_bytes(void **state)
{
	char text[REQUEST_MARK_MAX + 2];

	memset(text, 'm', sizeof(text));
	for (int over = 1; over >= 0; over--) {
		CLEANUP_JSON struct json_object *body = json("{\"verb\": \"mark\"}");
		const struct verb *verb;
		struct message message;
		void *request = NULL;

		text[REQUEST_MARK_MAX + over] = '\0';
		control_put_string(body, "text", text);
		assert_int_equal(verbs_decode(body, &verb, &request, &message), over ? -EINVAL : 0);
		free(request);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_of_every_verb_are_decoded),
		cmocka_unit_test(malformed_requests_are_refused),
		cmocka_unit_test(a_mark_has_at_most_255_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
