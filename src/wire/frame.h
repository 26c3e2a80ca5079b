/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef WIRE_FRAME_H
#define WIRE_FRAME_H

/*
 * The frames of the control socket: a fixed header, then a JSON object. A client sends one REQUEST at a
 * time. The daemon answers it with any number of PROGRESS and ITEM frames and one FINAL. The functions here
 * work on buffers only, and refuse whatever is not a frame.
 *
 * The header's layout is the same in every version, so that two programs of different releases recognize
 * each other's frames and can say which versions they are of.
 */

#include <endian.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/message.h"

#define CONTROL_MAGIC 0x4d505053u /* "SPPM", as bytes in memory order */
#define CONTROL_VERSION 1u
/* Bytes of the JSON body, in either direction, and how deep it may nest. */
#define CONTROL_REQUEST_MAX (64u << 10)
#define CONTROL_REPLY_MAX (256u << 10)
#define CONTROL_DEPTH_MAX 8

enum control_type {
	CONTROL_REQUEST = 1,
	CONTROL_PROGRESS = 2, /* {"what": string, "done": number, "total": number} */
	CONTROL_ITEM = 3,     /* one element of a list */
	CONTROL_FINAL = 4     /* {"status": errno or 0, "message": string, "result": object} */
};

/* On the wire: little endian, no padding. */
struct control_header {
	uint32_t magic;
	uint16_t version;
	uint16_t type;
	uint32_t length;   /* of the body */
	uint32_t reserved; /* zero */
};
_Static_assert(sizeof(struct control_header) == 16, "control header");
_Static_assert(offsetof(struct control_header, version) == 4, "control header");
_Static_assert(offsetof(struct control_header, type) == 6, "control header");
_Static_assert(offsetof(struct control_header, length) == 8, "control header");
_Static_assert(offsetof(struct control_header, reserved) == 12, "control header");

struct control_frame {
	unsigned version;
	unsigned type;
	uint32_t length;
};

/*
 * Decode a header of sizeof(struct control_header) bytes. -EBADMSG: it is not one. -EPROTONOSUPPORT: it is
 * of another version; *frame has which. -EMSGSIZE: the body is longer than `max`.
 */
int control_header_decode(const void *bytes, uint32_t max, struct control_frame *frame,
			  struct message *message);

/* A whole frame, for the caller to free; NULL without memory or if the body is over CONTROL_REPLY_MAX. */
void *control_encode(enum control_type type, struct json_object *body, size_t *length);

/* The JSON object in a body, with a reference for the caller; -EBADMSG with a message if it holds none. */
int control_body_decode(const char *bytes, size_t length, struct json_object **out, struct message *message);

/* ---- Members of a JSON object, checked ------------------------------------ */

/*
 * Get a member of an object. -ENOENT: there is no such member. -EINVAL: it has another type, is negative,
 * or is a string with a NUL in it.
 */
int control_get_string(struct json_object *object, const char *key, const char **value);
int control_get_u64(struct json_object *object, const char *key, uint64_t *value);
int control_get_bool(struct json_object *object, const char *key, bool *value);

/* Without memory the member is left out. */
void control_put_string(struct json_object *object, const char *key, const char *value);
void control_put_u64(struct json_object *object, const char *key, uint64_t value);
void control_put_bool(struct json_object *object, const char *key, bool value);

static inline void control_cleanup_json(struct json_object **object)
{
	json_object_put(*object);
}
#define CLEANUP_JSON __attribute__((cleanup(control_cleanup_json)))

#endif
