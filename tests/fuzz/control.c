/* SPDX-License-Identifier: BSD-3-Clause */
/* A stream of bytes as a client of the daemon, or the daemon to a client, may send it. */
#include <stdlib.h>
#include <string.h>

#include "wire/frame.h"
#include "fuzz.h"
#include "wire/request.h"
#include "wire/text.h"

/* What decodes must encode, and mean the same again. */
static void there_and_back(const struct request *request)
{
	CLEANUP_JSON struct json_object *json = request_encode(request);
	struct request again;
	struct message message;

	if (request_decode(json, &again, &message) < 0 || again.verb != request->verb ||
	    again.size != request->size || again.mode != request->mode || again.perm != request->perm ||
	    again.seed != request->seed || again.has_seed != request->has_seed ||
	    strcmp(again.path ? again.path : "", request->path ? request->path : "") != 0)
		abort();
	request_clear(&again);
}

static void show(const char *text)
{
	bool changed;
	char *escaped = text_escape(text), *utf8 = text_utf8(text, &changed);

	if (!escaped || !utf8 || strpbrk(escaped, "\n\r\033") || (!changed && strcmp(utf8, text) != 0))
		abort();
	free(escaped);
	free(utf8);
}

static void body(const char *bytes, size_t length)
{
	CLEANUP_JSON struct json_object *json = NULL;
	struct request request;
	struct message message;

	if (control_body_decode(bytes, length, &json, &message) < 0)
		return;
	if (request_decode(json, &request, &message) < 0)
		return;
	there_and_back(&request);
	if (request.path)
		show(request.path);
	request_clear(&request);
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
		/* A block of its own, so that reading past its end is noticed. */
		copy = malloc(frame.length + 1);
		memcpy(copy, data, frame.length);
		body(copy, frame.length);
		free(copy);
		data += frame.length;
		size -= frame.length;
	}
	return 0;
}
