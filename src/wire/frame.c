/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/frame.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int control_header_decode(const void *bytes, uint32_t max, struct control_frame *frame,
			  struct message *message)
{
	struct control_header header;

	memcpy(&header, bytes, sizeof(header));
	*frame = (struct control_frame){
		.version = le16toh(header.version),
		.type = le16toh(header.type),
		.length = le32toh(header.length),
	};
	if (le32toh(header.magic) != CONTROL_MAGIC)
		return message_fail(message, -EBADMSG, "these bytes are not softpmem's control protocol");
	if (frame->version != CONTROL_VERSION)
		return message_fail(
			message, -EPROTONOSUPPORT,
			"the frame has version %u, and version %u of the control protocol is required",
			frame->version, CONTROL_VERSION);
	if (header.reserved || frame->type < CONTROL_REQUEST || frame->type > CONTROL_FINAL)
		return message_fail(message, -EBADMSG, "the frame's header is malformed (type %u)",
				    frame->type);
	if (frame->length > max)
		return message_fail(message, -EMSGSIZE, "a frame of %u bytes is too long: at most %u",
				    frame->length, max);
	return 0;
}

void *control_encode(enum control_type type, struct json_object *body, size_t *length)
{
	size_t body_length;
	const char *text = json_object_to_json_string_length(
		body, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &body_length);
	struct control_header header;
	unsigned char *frame;

	if (!text || body_length > CONTROL_REPLY_MAX)
		return NULL;
	frame = malloc(sizeof(header) + body_length);
	if (!frame)
		return NULL;
	header = (struct control_header){
		.magic = htole32(CONTROL_MAGIC),
		.version = htole16(CONTROL_VERSION),
		.type = htole16((uint16_t)type),
		.length = htole32((uint32_t)body_length),
	};
	memcpy(frame, &header, sizeof(header));
	memcpy(frame + sizeof(header), text, body_length);
	*length = sizeof(header) + body_length;
	return frame;
}

int control_body_decode(const char *bytes, size_t length, struct json_object **out, struct message *message)
{
	struct json_tokener *tokener = json_tokener_new_ex(CONTROL_DEPTH_MAX);
	struct json_object *object;
	enum json_tokener_error error;
	size_t end;

	if (!tokener)
		return message_fail(message, -ENOMEM, "out of memory");
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
	object = json_tokener_parse_ex(tokener, bytes, (int)length);
	error = json_tokener_get_error(tokener);
	end = json_tokener_get_parse_end(tokener);
	json_tokener_free(tokener);
	if (error == json_tokener_success && end == length && json_object_is_type(object, json_type_object)) {
		*out = object;
		return 0;
	}
	json_object_put(object);
	return message_fail(message, -EBADMSG, "the frame's body is not a JSON object: %s",
			    error == json_tokener_success ? "something else"
							  : json_tokener_error_desc(error));
}

static int get(struct json_object *object, const char *key, enum json_type type, struct json_object **value)
{
	if (!json_object_object_get_ex(object, key, value))
		return -ENOENT;
	return json_object_is_type(*value, type) ? 0 : -EINVAL;
}

int control_get_string(struct json_object *object, const char *key, const char **value)
{
	struct json_object *found;
	int error = get(object, key, json_type_string, &found);

	if (error)
		return error;
	*value = json_object_get_string(found);
	return strlen(*value) == (size_t)json_object_get_string_len(found) ? 0 : -EINVAL;
}

int control_get_u64(struct json_object *object, const char *key, uint64_t *value)
{
	struct json_object *found;
	int error = get(object, key, json_type_int, &found);

	if (error)
		return error;
	if (json_object_get_int64(found) < 0)
		return -EINVAL;
	*value = json_object_get_uint64(found);
	return 0;
}

int control_get_bool(struct json_object *object, const char *key, bool *value)
{
	struct json_object *found;
	int error = get(object, key, json_type_boolean, &found);

	if (error)
		return error;
	*value = json_object_get_boolean(found);
	return 0;
}

static void put(struct json_object *object, const char *key, struct json_object *value)
{
	if (value && json_object_object_add(object, key, value) != 0)
		json_object_put(value);
}

void control_put_string(struct json_object *object, const char *key, const char *value)
{
	put(object, key, json_object_new_string(value));
}

void control_put_u64(struct json_object *object, const char *key, uint64_t value)
{
	put(object, key, json_object_new_uint64(value));
}

void control_put_bool(struct json_object *object, const char *key, bool value)
{
	put(object, key, json_object_new_boolean(value));
}
