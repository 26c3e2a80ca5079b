/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/request.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "wire/frame.h"

static const char *const verb_names[REQUEST_VERBS] = {
	[REQUEST_STATUS] = "status",   [REQUEST_LIST] = "list",	  [REQUEST_CREATE] = "create",
	[REQUEST_DESTROY] = "destroy", [REQUEST_PATH] = "path",	  [REQUEST_POWERFAIL] = "powerfail",
	[REQUEST_MARK] = "mark",       [REQUEST_CHECK] = "check",
	[REQUEST_STAT] = "stat",
};

enum kind { KIND_STRING, KIND_U64, KIND_BOOL, KIND_MODE, KIND_POLICY, KIND_SEED, KIND_SWITCH };

#define IN(verb) (1u << REQUEST_##verb)

/* A member of a request: where it lives, and which verbs take it, or cannot do without it. */
static const struct field {
	const char *key;
	enum kind kind;
	size_t offset;
	unsigned taken;
	unsigned needed;
} fields[] = {
	{ "path", KIND_STRING, offsetof(struct request, path),
	  IN(LIST) | IN(CREATE) | IN(DESTROY) | IN(PATH) | IN(STAT), IN(CREATE) | IN(DESTROY) | IN(PATH) },
	{ "region", KIND_STRING, offsetof(struct request, region),
	  IN(LIST) | IN(CREATE) | IN(DESTROY) | IN(PATH) | IN(STAT) | IN(CHECK), 0 },
	{ "text", KIND_STRING, offsetof(struct request, text), IN(MARK), IN(MARK) },
	{ "size", KIND_U64, offsetof(struct request, size), IN(CREATE), 0 },
	{ "perm", KIND_U64, offsetof(struct request, perm), IN(CREATE), IN(CREATE) },
	{ "mode", KIND_MODE, offsetof(struct request, mode), IN(CREATE), 0 },
	{ "directory", KIND_BOOL, offsetof(struct request, directory), IN(CREATE), 0 },
	{ "parents", KIND_BOOL, offsetof(struct request, parents), IN(CREATE), 0 },
	{ "recursive", KIND_BOOL, offsetof(struct request, recursive), IN(DESTROY), 0 },
	{ "policy", KIND_POLICY, offsetof(struct request, policy), IN(POWERFAIL), 0 },
	{ "seed", KIND_SEED, offsetof(struct request, seed), IN(POWERFAIL), 0 },
	{ "dirty", KIND_BOOL, offsetof(struct request, dirty), IN(STAT), 0 },
	{ "clean", KIND_SWITCH, offsetof(struct request, clean), IN(STAT), 0 },
};
#define FIELDS (sizeof(fields) / sizeof(fields[0]))

const char *request_verb_name(enum request_verb verb)
{
	return verb_names[verb];
}

int request_switch_parse(const char *text, enum request_switch *value)
{
	if (strcmp(text, "on") == 0)
		*value = SWITCH_ON;
	else if (strcmp(text, "off") == 0)
		*value = SWITCH_OFF;
	else
		return -EINVAL;
	return 0;
}

static const char *mode_text(enum pool_mode mode)
{
	return mode == POOL_MODE_SECTOR_512 ? "sector:512" : pool_mode_name(mode);
}

static void encode_field(const struct request *request, const struct field *field, struct json_object *json)
{
	const char *at = (const char *)request + field->offset;

	switch (field->kind) {
	case KIND_STRING:
		if (*(char *const *)at)
			control_put_string(json, field->key, *(char *const *)at);
		break;
	case KIND_U64:
		control_put_u64(json, field->key, *(const uint64_t *)at);
		break;
	case KIND_BOOL:
		control_put_bool(json, field->key, *(const bool *)at);
		break;
	case KIND_MODE:
		if (request->mode != POOL_MODE_INHERIT)
			control_put_string(json, field->key, mode_text(request->mode));
		break;
	case KIND_POLICY:
		control_put_string(json, field->key, chooser_policy_name(request->policy));
		break;
	case KIND_SEED:
		if (request->has_seed)
			control_put_u64(json, field->key, request->seed);
		break;
	case KIND_SWITCH:
		if (request->clean != SWITCH_LEAVE)
			control_put_string(json, field->key, request->clean == SWITCH_ON ? "on" : "off");
		break;
	}
}

struct json_object *request_encode(const struct request *request)
{
	struct json_object *json = json_object_new_object();

	if (!json)
		return NULL;
	control_put_string(json, "verb", verb_names[request->verb]);
	for (size_t i = 0; i < FIELDS; i++)
		if (fields[i].taken & (1u << request->verb))
			encode_field(request, &fields[i], json);
	return json;
}

/* -ENOENT: it is not there. */
static int decode_field(struct json_object *json, const struct field *field, struct request *request)
{
	char *at = (char *)request + field->offset;
	const char *text;
	int error;

	switch (field->kind) {
	case KIND_U64:
		return control_get_u64(json, field->key, (uint64_t *)at);
	case KIND_BOOL:
		return control_get_bool(json, field->key, (bool *)at);
	case KIND_SEED:
		error = control_get_u64(json, field->key, (uint64_t *)at);
		request->has_seed = error == 0;
		return error;
	case KIND_STRING:
	case KIND_MODE:
	case KIND_POLICY:
	case KIND_SWITCH:
		break;
	}
	error = control_get_string(json, field->key, &text);
	if (error)
		return error;
	if (field->kind == KIND_MODE)
		return pool_mode_parse(text, (enum pool_mode *)at);
	if (field->kind == KIND_POLICY)
		return chooser_policy_parse(text, (enum chooser_policy *)at);
	if (field->kind == KIND_SWITCH)
		return request_switch_parse(text, (enum request_switch *)at);
	*(char **)at = strdup(text);
	return *(char **)at ? 0 : -ENOMEM;
}

static int decode_fields(struct json_object *json, struct request *request, struct message *message)
{
	unsigned verb = 1u << request->verb;

	for (size_t i = 0; i < FIELDS; i++) {
		const struct field *field = &fields[i];
		int error;

		if (!(field->taken & verb))
			continue;
		error = decode_field(json, field, request);
		if (error == -ENOENT && !(field->needed & verb))
			continue;
		if (error)
			return message_fail(message, error == -ENOENT ? -EINVAL : error, "%s: %s \"%s\"",
					    verb_names[request->verb],
					    error == -ENOENT ? "lacks" : "cannot take the value of",
					    field->key);
	}
	return 0;
}

static const struct field *find_field(const char *key)
{
	for (size_t i = 0; i < FIELDS; i++)
		if (strcmp(fields[i].key, key) == 0)
			return &fields[i];
	return NULL;
}

/* A member that is not understood might change what is meant: refuse rather than guess. */
static int refuse_unknown(struct json_object *json, const struct request *request, struct message *message)
{
	json_object_object_foreach (json, key, value) {
		const struct field *field = find_field(key);

		(void)value;
		if (strcmp(key, "verb") != 0 && !(field && field->taken & (1u << request->verb)))
			return message_fail(message, -EINVAL, "%s: takes no \"%.64s\"",
					    verb_names[request->verb], key);
	}
	return 0;
}

static int check_values(const struct request *request, struct message *message)
{
	if (request->verb == REQUEST_MARK && (!*request->text || strlen(request->text) > REQUEST_MARK_MAX))
		return message_fail(message, -EINVAL, "mark: the text must have 1 to %d bytes",
				    REQUEST_MARK_MAX);
	if (request->perm > 07777)
		return message_fail(message, -EINVAL, "create: permissions are octal digits up to 7777");
	if (request->directory && request->size)
		return message_fail(message, -EINVAL, "create: a directory has no size: leave the size out");
	return 0;
}

static int decode_verb(struct json_object *json, struct request *request, struct message *message)
{
	const char *text;

	if (control_get_string(json, "verb", &text) < 0)
		return message_fail(message, -EINVAL, "the request names no verb");
	for (unsigned i = 0; i < REQUEST_VERBS; i++) {
		if (strcmp(text, verb_names[i]) == 0) {
			request->verb = i;
			return 0;
		}
	}
	return message_fail(message, -EINVAL, "%.64s: the daemon knows no such verb", text);
}

int request_decode(struct json_object *json, struct request *request, struct message *message)
{
	int error;

	*request = (struct request){ 0 };
	error = decode_verb(json, request, message);
	if (!error)
		error = refuse_unknown(json, request, message);
	if (!error)
		error = decode_fields(json, request, message);
	if (!error)
		error = check_values(request, message);
	if (error)
		request_clear(request);
	return error;
}

void request_clear(struct request *request)
{
	free(request->path);
	free(request->region);
	free(request->text);
	*request = (struct request){ 0 };
}
