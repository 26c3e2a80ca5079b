/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/report.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/explore_json.h"
#include "common/cleanup.h"
#include "wire/frame.h"

/* ---- Members -------------------------------------------------------------------------- */

static struct json_object *member(struct json_object *object, const char *key, enum json_type type)
{
	struct json_object *value = NULL;

	if (!object || !json_object_is_type(object, json_type_object) ||
	    !json_object_object_get_ex(object, key, &value) || !json_object_is_type(value, type))
		return NULL;
	return value;
}

const char *report_string(struct json_object *object, const char *key)
{
	struct json_object *value = member(object, key, json_type_string);

	return value ? json_object_get_string(value) : "";
}

uint64_t report_u64(struct json_object *object, const char *key)
{
	struct json_object *value = member(object, key, json_type_int);

	return value && json_object_get_int64(value) >= 0 ? json_object_get_uint64(value) : 0;
}

bool report_bool(struct json_object *object, const char *key)
{
	struct json_object *value = member(object, key, json_type_boolean);

	return value && json_object_get_boolean(value);
}

struct json_object *report_object(struct json_object *object, const char *key)
{
	return member(object, key, json_type_object);
}

size_t report_count(struct json_object *object, const char *key)
{
	struct json_object *value = member(object, key, json_type_array);

	return value ? json_object_array_length(value) : 0;
}

static struct json_object *element(struct json_object *object, const char *key, size_t index)
{
	struct json_object *array = member(object, key, json_type_array);

	if (!array || index >= json_object_array_length(array))
		return NULL;
	return json_object_array_get_idx(array, index);
}

struct json_object *report_item(struct json_object *object, const char *key, size_t index)
{
	struct json_object *item = element(object, key, index);

	return json_object_is_type(item, json_type_object) ? item : NULL;
}

const char *report_text(struct json_object *object, const char *key, size_t index)
{
	struct json_object *item = element(object, key, index);

	return json_object_is_type(item, json_type_string) ? json_object_get_string(item) : "";
}

/* ---- Files ----------------------------------------------------------------------------- */

static int parse(const char *path, char *text, size_t length, struct json_object **out,
		 struct message *message)
{
	struct json_tokener *tokener = json_tokener_new_ex(REPORT_DEPTH_MAX);
	struct json_object *object = tokener ? json_tokener_parse_ex(tokener, text, (int)length) : NULL;

	json_tokener_free(tokener);
	if (!member(object, "findings", json_type_array) || !member(object, "trace", json_type_string)) {
		json_object_put(object);
		return message_fail(message, -EINVAL,
				    "%s: not a result of explore: make one with softpmem explore --output",
				    path);
	}
	if (report_u64(object, "version") > EXPLORE_JSON_VERSION) {
		json_object_put(object);
		return message_fail(message, -EPROTONOSUPPORT, "%s: written by a newer softpmem", path);
	}
	*out = object;
	return 0;
}

static int read_result(const char *path, struct json_object **out, struct message *message)
{
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	CLEANUP_FREE char *text = NULL;
	size_t length = 0;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return message_fail(message, -errno, "%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode) || st.st_size > REPORT_INPUT_MAX)
		return message_fail(message, -EFBIG, "%s: not a regular file of at most 256 MiB", path);
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		return message_fail(message, -ENOMEM, "%s: out of memory", path);
	while (length < (size_t)st.st_size) {
		ssize_t got = read(fd, text + length, (size_t)st.st_size - length);

		if (got < 0 && errno != EINTR)
			return message_fail(message, -errno, "%s: %s", path, strerror(errno));
		if (got == 0)
			break;
		length += got > 0 ? (size_t)got : 0;
	}
	text[length] = '\0';
	return parse(path, text, length, out, message);
}

/* ---- Shards ---------------------------------------------------------------------------- */

static uint64_t shard_of(struct json_object *result)
{
	return report_u64(result, "shard");
}

static uint64_t shards_of(struct json_object *result)
{
	const uint64_t shards = report_u64(result, "shards");

	return shards ? shards : 1;
}

/* Shards of one search differ in nothing but their share. */
static bool same_search(struct json_object *one, struct json_object *other)
{
	static const char *const texts[] = { "persistency", "domain", "metadata", "search" };

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (strcmp(report_string(one, texts[i]), report_string(other, texts[i])) != 0)
			return false;
	return shards_of(one) == shards_of(other) &&
	       report_u64(one, "events") == report_u64(other, "events");
}

static void add_number(struct json_object *to, struct json_object *from, const char *key)
{
	uint64_t sum;

	if (__builtin_add_overflow(report_u64(to, key), report_u64(from, key), &sum))
		sum = UINT64_MAX;
	json_object_object_del(to, key);
	control_put_u64(to, key, sum);
}

static bool has_finding(struct json_object *result, struct json_object *finding)
{
	for (size_t i = 0; i < report_count(result, "findings"); i++)
		if (strcmp(report_string(report_item(result, "findings", i), "state"),
			   report_string(finding, "state")) == 0)
			return true;
	return false;
}

/* Of power failures in recoveries. */
static void add_depth(struct json_object *to, struct json_object *from)
{
	static const char *const numbers[] = { "recovered", "recorded",	    "equal",	    "not_repeated",
					       "reordered", "left_out", "states_checked", "states_failed" };

	for (size_t i = 0; to && from && i < sizeof(numbers) / sizeof(numbers[0]); i++)
		add_number(to, from, numbers[i]);
}

/* What a shard checked and found goes to another one's. */
static void add_shard(struct json_object *to, struct json_object *from)
{
	static const char *const numbers[] = { "states_checked", "states_failed", "unstable", "unreduced",
					       "milliseconds" };
	struct json_object *findings = member(to, "findings", json_type_array);

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		add_number(to, from, numbers[i]);
	add_depth(report_object(to, "depth"), report_object(from, "depth"));
	if (!report_bool(from, "complete")) {
		json_object_object_del(to, "complete");
		control_put_bool(to, "complete", false);
	}
	if (*report_string(from, "limit")) {
		json_object_object_del(to, "limit");
		control_put_string(to, "limit", report_string(from, "limit"));
	}
	for (size_t i = 0; i < report_count(from, "findings"); i++) {
		struct json_object *finding = report_item(from, "findings", i);

		if (finding && !has_finding(to, finding))
			json_object_array_add(findings, json_object_get(finding));
	}
}

/* Which shards there are no results of. */
static unsigned list_missing(struct json_object *result, const bool *seen)
{
	const uint64_t shards = shards_of(result);
	struct json_object *missing = json_object_new_array();
	unsigned count = 0;

	for (uint64_t shard = 1; shards > 1 && shard <= shards; shard++) {
		if (seen[shard])
			continue;
		json_object_array_add(missing, json_object_new_int64((int64_t)shard));
		count++;
	}
	json_object_object_add(result, "missing_shards", missing);
	if (count) {
		json_object_object_del(result, "complete");
		control_put_bool(result, "complete", false);
	}
	return count;
}

/* Take the result of `path`: the first one, or a shard beside it. */
static int take(const char *path, struct json_object **merged, bool *seen, struct message *message)
{
	struct json_object *result = NULL;
	int error = read_result(path, &result, message);
	uint64_t shard;

	if (error)
		return error;
	shard = shard_of(result);
	if (shards_of(result) > REPORT_SHARDS_MAX || shard > shards_of(result))
		error = message_fail(message, -EINVAL, "%s: its shard is not one of its shards", path);
	else if (*merged && !same_search(*merged, result))
		error = message_fail(message, -EINVAL, "%s: not of the same search as the files before it",
				     path);
	else if (*merged && seen[shard] && shards_of(result) > 1)
		error = message_fail(message, -EEXIST, "%s: shard %" PRIu64 " is there twice", path, shard);
	else if (*merged && seen[shard])
		error = message_fail(message, -EEXIST,
				     "%s: a file before it has the whole search as well: name one of them",
				     path);
	if (error) {
		json_object_put(result);
		return error;
	}
	seen[shard] = true;
	if (*merged) {
		add_shard(*merged, result);
		json_object_put(result);
	} else {
		*merged = result;
	}
	return 0;
}

int report_merge(char *const *paths, struct json_object **out, unsigned *missing, struct message *message)
{
	CLEANUP_FREE bool *seen = calloc(REPORT_SHARDS_MAX + 1, sizeof(*seen));
	struct json_object *merged = NULL;
	int error = seen ? 0 : message_fail(message, -ENOMEM, "out of memory");

	for (size_t i = 0; !error && paths[i]; i++)
		error = take(paths[i], &merged, seen, message);
	if (error) {
		json_object_put(merged);
		return error;
	}
	*missing = list_missing(merged, seen);
	*out = merged;
	return 0;
}
