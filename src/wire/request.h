/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SRC_REQUEST_H
#define SRC_REQUEST_H

/* What a client may ask of the daemon, and its form on the wire. */

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/message.h"
#include "domain/domain.h"
#include "pool/pool.h"

enum request_verb {
	REQUEST_STATUS,
	REQUEST_LIST,
	REQUEST_CREATE,
	REQUEST_DESTROY,
	REQUEST_PATH,
	REQUEST_POWERFAIL,
	REQUEST_MARK,
	REQUEST_CHECK,
	REQUEST_STAT,
	REQUEST_VERBS
};
const char *request_verb_name(enum request_verb verb);

/* Bytes; a mark is for a person to read. */
#define REQUEST_MARK_MAX 255

enum request_switch { SWITCH_LEAVE, SWITCH_ON, SWITCH_OFF };
/* "on" or "off"; 0 or -EINVAL. */
int request_switch_parse(const char *text, enum request_switch *value);

/* Members that a verb does not take are zero. */
struct request {
	enum request_verb verb;
	char *path;   /* list, create, destroy, path, stat */
	char *region; /* the same, and check */
	char *text; /* mark */
	uint64_t size;
	uint64_t perm;
	enum pool_mode mode;
	bool directory;
	bool parents;
	bool recursive;
	bool has_seed;
	uint64_t seed;
	enum chooser_policy policy;
	bool dirty;
	enum request_switch clean;
};

/* NULL without memory. */
struct json_object *request_encode(const struct request *request);
/* Checks everything about the words that can be checked without the pools: -EINVAL with a message. */
int request_decode(struct json_object *json, struct request *request, struct message *message);
/* Free what it owns. */
void request_clear(struct request *request);

#endif
