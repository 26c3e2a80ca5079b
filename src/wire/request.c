/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/request.h"

#include <errno.h>
#include <string.h>

#include "wire/frame.h"

const char *request_verb(struct json_object *request, struct message *message)
{
	const char *verb;

	if (control_get_string(request, "verb", &verb) == 0)
		return verb;
	message_fail(message, -EINVAL, "the request names no verb");
	return NULL;
}

/* -ENOENT: it is not given. */
static int decode_field(struct json_object *request, const struct request_field *field, void *out)
{
	char *at = (char *)out + field->offset;
	struct request_number *number;
	const char *text;
	int error;

	switch (field->kind) {
	case REQUEST_STRING:
		return control_get_string(request, field->key, (const char **)at);
	case REQUEST_U64:
		return control_get_u64(request, field->key, (uint64_t *)at);
	case REQUEST_NUMBER:
		number = (struct request_number *)at;
		error = control_get_u64(request, field->key, &number->value);
		number->given = error == 0;
		return error;
	case REQUEST_BOOL:
		return control_get_bool(request, field->key, (bool *)at);
	case REQUEST_WORD:
		error = control_get_string(request, field->key, &text);
		return error ? error : field->parse(text, at);
	}
	return -EINVAL;
}

static const struct request_field *find_field(const struct request_field *fields, const char *key)
{
	for (; fields->key; fields++)
		if (strcmp(fields->key, key) == 0)
			return fields;
	return NULL;
}

static int refuse_unknown(struct json_object *request, const struct request_field *fields, const char *verb,
			  struct message *message)
{
	json_object_object_foreach (request, key, value) {
		(void)value;
		if (strcmp(key, "verb") != 0 && !find_field(fields, key))
			return message_fail(message, -EINVAL, "%.64s: takes no \"%.64s\"", verb, key);
	}
	return 0;
}

int request_decode(struct json_object *request, const struct request_field *fields, void *out,
		   struct message *message)
{
	const char *verb = request_verb(request, message);
	int error = verb ? refuse_unknown(request, fields, verb, message) : -EINVAL;

	for (; !error && fields->key; fields++) {
		error = decode_field(request, fields, out);
		if (error == -ENOENT && !fields->required)
			error = 0;
		else if (error)
			error = message_fail(message, -EINVAL, "%.64s: %s \"%s\"", verb,
					     error == -ENOENT ? "lacks" : "cannot take the value of",
					     fields->key);
	}
	return error;
}
