/* SPDX-License-Identifier: BSD-3-Clause */
/* Fuzz target: the bytes that a client sends to the daemon on the control socket. */
#include <stdlib.h>
#include <string.h>

#include "daemon/verbs.h"
#include "fuzz.h"
#include "wire/frame.h"
#include "wire/text.h"

static void check_text(const char *text)
{
	bool changed;
	char *escaped = text_escape(text), *utf8 = text_utf8(text, &changed);

	if (!escaped || !utf8 || strpbrk(escaped, "\n\r\033") || (!changed && strcmp(utf8, text) != 0))
		abort();
	free(escaped);
	free(utf8);
}

/* A decoded request is the same request after it was printed and parsed again. */
static void check_again(struct json_object *json, const struct verb *verb)
{
	const char *text = json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN);
	CLEANUP_JSON struct json_object *again = NULL;
	const struct verb *same;
	struct message message;
	void *request = NULL;

	if (control_body_decode(text, strlen(text), &again, &message) < 0 ||
	    verbs_decode(again, &same, &request, &message) < 0 || same != verb)
		abort();
	free(request);
}

static void check_body(const char *bytes, size_t length)
{
	CLEANUP_JSON struct json_object *json = NULL;
	const struct verb *verb;
	struct message message;
	const char *path;
	void *request = NULL;

	if (control_body_decode(bytes, length, &json, &message) < 0)
		return;
	if (verbs_decode(json, &verb, &request, &message) < 0)
		return;
	check_again(json, verb);
	if (control_get_string(json, "path", &path) == 0)
		check_text(path);
	free(request);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct control_frame frame;
	struct message message;

	while (size >= sizeof(struct control_header)) {
		char *copy;

		if (control_header_decode(data, CONTROL_REQUEST_MAX, &frame, &message) < 0)
			return 0;
		data += sizeof(struct control_header);
		size -= sizeof(struct control_header);
		if (frame.length > size)
			return 0;
		/* A separate allocation, so that a sanitizer notices reads beyond its end. */
		copy = malloc(frame.length + 1);
		memcpy(copy, data, frame.length);
		check_body(copy, frame.length);
		free(copy);
		data += frame.length;
		size -= frame.length;
	}
	return 0;
}
