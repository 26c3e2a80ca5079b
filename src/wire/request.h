/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef WIRE_REQUEST_H
#define WIRE_REQUEST_H

/*
 * A request: a JSON object whose member "verb" names the verb; the other members are the verb's. A verb
 * declares those it takes as rows of a table, and gets them decoded into a structure of its own.
 */

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/message.h"

/* Maximum length of the text of a mark, in bytes. */
#define REQUEST_MARK_MAX 255

/* An optional number. */
struct request_number {
	bool given;
	uint64_t value;
};

enum request_kind {
	REQUEST_STRING, /* a const char *, which lives as long as the JSON object; NULL: not given */
	REQUEST_U64,	/* a uint64_t; 0: not given */
	REQUEST_NUMBER, /* a struct request_number */
	REQUEST_BOOL,	/* a bool; false: not given */
	REQUEST_WORD	/* a string that parse() understands */
};

struct request_field {
	const char *key; /* NULL ends the table */
	enum request_kind kind;
	size_t offset; /* of the value in the verb's structure */
	bool required;
	/* REQUEST_WORD: put what the text means into *value. 0 or -EINVAL. */
	int (*parse)(const char *text, void *value);
};

/* REQUEST_FIELD("size", REQUEST_U64, struct create_request, size, .required = true) */
#define REQUEST_FIELD(key_, kind_, type, member, ...)                                                        \
	{ .key = (key_), .kind = (kind_), .offset = offsetof(type, member), __VA_ARGS__ }
#define REQUEST_FIELDS_END { .key = NULL }

/* The verb of a request; NULL with a message: it names none. Lives as long as the request. */
const char *request_verb(struct json_object *request, struct message *message);

/*
 * Decode the members into `out`, a structure of zeros. -EINVAL with a message: a member is unknown, which
 * might change what is meant; or it has a wrong type or value; or a required one is missing. -EINVAL too for
 * a string with a NUL in it.
 */
int request_decode(struct json_object *request, const struct request_field *fields, void *out,
		   struct message *message);

#endif
