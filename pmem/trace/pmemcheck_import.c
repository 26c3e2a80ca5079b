/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/align.h"
#include "common/vector.h"
#include "trace/pmemcheck.h"
#include "trace/schema.h"
#include "trace/text_form.h"

/* An element holds a value of at most this many bytes, in hexadecimal. */
#define ELEMENT_MAX (2 * TRACE_BYTES_MAX + 65536u)
#define THREAD 1u

/* Where a part of a file was mapped. A later mapping of the same addresses replaces it. */
struct mapping {
	uint64_t file, address, size, offset;
};

struct import {
	FILE *in;
	const char *name;
	int (*take)(void *context, const struct trace_event *event);
	void *context;
	struct trace_pmemcheck_skipped *skipped;
	struct message *message;
	VECTOR(char) element; /* without the '|' that ends it; a NUL follows */
	uint64_t number;      /* of the element */
	bool started;	      /* START was read */
	uint64_t stamp;
	VECTOR(struct mapping) mappings;
	VECTOR(char *) paths; /* of files, by id - 1 */
	unsigned char *value;
};

static int fail(struct import *import, const char *what)
{
	char shown[64];

	return message_fail(
		import->message, -EBADMSG, "%s: element %" PRIu64 ", '%s': %s", import->name, import->number,
		trace_text_shown(import->element.items, strlen(import->element.items), shown, sizeof(shown)),
		what);
}

static int emit(struct import *import, struct trace_event *event)
{
	const char *wrong;

	if (!trace_kind_is_definition(event->kind)) {
		event->thread = THREAD;
		event->stamp = ++import->stamp;
	}
	wrong = trace_event_wrong(event);
	return wrong ? fail(import, wrong) : import->take(import->context, event);
}

/* ---- Elements --------------------------------------------------------------------- */

/*
 * Read up to the next '|'. Valgrind's own lines come before the log, so of what is before START the last line
 * counts; they may also follow an element, so of that the first line counts. 1, 0 at the end, or an error.
 */
static int next_element(struct import *import)
{
	bool ours = true;
	int byte;

	import->element.count = 0;
	import->number++;
	while ((byte = getc_unlocked(import->in)) != EOF && byte != '|') {
		if (byte == '\n' && !import->started)
			import->element.count = 0;
		if (byte == '\n' && import->element.count)
			ours = false;
		if (!ours || byte == '\n')
			continue;
		if (import->element.count == ELEMENT_MAX)
			return fail(import, "the element is too long");
		if (vector_append(&import->element, (char)(byte ? byte : '?')) < 0)
			return -ENOMEM;
	}
	if (ferror(import->in))
		return message_fail(import->message, -EIO, "%s: reading failed", import->name);
	if (vector_append(&import->element, '\0') < 0)
		return -ENOMEM;
	return byte == '|' || import->element.count > 1;
}

/* The field after the next ';', ended by NUL in place. NULL: there is none. */
static char *next_field(char **rest)
{
	char *field = *rest, *end;

	if (!field)
		return NULL;
	end = strchr(field, ';');
	*rest = end ? end + 1 : NULL;
	if (end)
		*end = 0;
	return field;
}

static bool get_number(char **rest, uint64_t *value)
{
	char *field = next_field(rest), *end;

	if (!field || *field == '-')
		return false;
	errno = 0;
	*value = strtoull(field, &end, 16);
	return !errno && end != field && !*end;
}

/* A hexadecimal number of `size` bytes, little-endian. */
static bool get_value(struct import *import, char **rest, char **value, size_t *digits)
{
	char *field = next_field(rest);

	if (!field)
		return false;
	if (field[0] == '0' && (field[1] == 'x' || field[1] == 'X'))
		field += 2;
	*value = field;
	*digits = strspn(field, "0123456789abcdefABCDEF");
	return *digits && !field[*digits];
}

static int digit_of(char digit)
{
	return digit <= '9' ? digit - '0' : (digit | 0x20) - 'a' + 10;
}

/* False: it has more digits than bytes. */
static bool value_to_bytes(unsigned char *bytes, uint64_t size, const char *digits, size_t count)
{
	memset(bytes, 0, size);
	for (size_t i = 0; i < count; i++) {
		const int digit = digit_of(digits[count - 1 - i]);

		if (i / 2 < size)
			bytes[i / 2] |= (unsigned char)(digit << (4 * (i % 2)));
		else if (digit)
			return false;
	}
	return true;
}

/* ---- Operations --------------------------------------------------------------------- */

/* The mapping that has the address; how many bytes of it follow. NULL: none has. */
static const struct mapping *mapping_at(const struct import *import, uint64_t address, uint64_t *rest)
{
	for (size_t i = import->mappings.count; i-- > 0;) {
		const struct mapping *mapping = &import->mappings.items[i];

		if (address < mapping->address || address - mapping->address >= mapping->size)
			continue;
		*rest = mapping->size - (address - mapping->address);
		return mapping;
	}
	return NULL;
}

/* The file's id, defined now if its path is new. 0: no memory, or `take` failed, see *error. */
static uint64_t file_of(struct import *import, const char *path, uint64_t size, int *error)
{
	struct trace_event event = { .kind = TRACE_FILE };
	char *copy;

	for (size_t i = 0; i < import->paths.count; i++)
		if (strcmp(import->paths.items[i], path) == 0)
			return i + 1;
	copy = strdup(path);
	if (!copy || vector_append(&import->paths, copy) < 0) {
		free(copy);
		*error = -ENOMEM;
		return 0;
	}
	event.file = import->paths.count;
	event.node.size = size;
	event.node.attributes.mode = S_IFREG | 0644;
	event.node.path.at = (const unsigned char *)copy;
	event.node.path.length = (uint32_t)strlen(copy);
	*error = emit(import, &event);
	return *error ? 0 : event.file;
}

static int register_file(struct import *import, char *rest)
{
	const char *path = next_field(&rest);
	struct trace_event map = { .kind = TRACE_MAP };
	struct mapping mapping;
	int error;

	if (!path || !get_number(&rest, &mapping.address) || !get_number(&rest, &mapping.size) ||
	    !get_number(&rest, &mapping.offset) || mapping.size > TRACE_STORE_END ||
	    mapping.offset > TRACE_STORE_END - mapping.size || mapping.address > UINT64_MAX - mapping.size)
		return fail(import, "it is REGISTER_FILE;path;address;size;offset");
	mapping.file = file_of(import, path, mapping.offset + mapping.size, &error);
	if (!mapping.file)
		return error;
	if (vector_append(&import->mappings, mapping) < 0)
		return -ENOMEM;
	map.file = mapping.file;
	map.map.address = mapping.address;
	map.map.offset = mapping.offset;
	map.map.length = mapping.size;
	return emit(import, &map);
}

static int store(struct import *import, char *rest)
{
	struct trace_event event = { .kind = TRACE_STORE };
	const struct mapping *mapping;
	uint64_t address, size, room;
	size_t digits;
	char *value;

	if (!get_number(&rest, &address) || !get_value(import, &rest, &value, &digits) ||
	    !get_number(&rest, &size) || !size || size > TRACE_BYTES_MAX ||
	    !value_to_bytes(import->value, size, value, digits))
		return fail(import, "it is STORE;address;value;size");
	mapping = mapping_at(import, address, &room);
	if (!mapping || room < size) {
		import->skipped->operations++;
		return 0;
	}
	event.file = mapping->file;
	event.store.offset = address - mapping->address + mapping->offset;
	event.store.bytes.at = import->value;
	event.store.bytes.length = (uint32_t)size;
	return emit(import, &event);
}

static int flush(struct import *import, char *rest)
{
	struct trace_event event = { .kind = TRACE_FLUSH, .op = TRACE_CLWB };
	const struct mapping *mapping;
	uint64_t address, size, room, end;

	if (!get_number(&rest, &address) || !get_number(&rest, &size) || !size)
		return fail(import, "it is FLUSH;address;size");
	mapping = mapping_at(import, address, &room);
	if (!mapping) {
		import->skipped->operations++;
		return 0;
	}
	event.file = mapping->file;
	end = address - mapping->address + mapping->offset + min_u64(size, room);
	event.flush.offset = align_down(address - mapping->address + mapping->offset, LINE_SIZE);
	event.flush.length = align_up(end, LINE_SIZE) - event.flush.offset;
	return emit(import, &event);
}

static int fence(struct import *import)
{
	struct trace_event event = { .kind = TRACE_FENCE, .op = TRACE_SFENCE };

	return emit(import, &event);
}

static int mark(struct import *import)
{
	struct trace_event event = { .kind = TRACE_MARK };

	event.mark.fd = -1;
	event.mark.length = strlen(import->element.items);
	event.mark.text.at = (const unsigned char *)import->element.items;
	event.mark.text.length = (uint32_t)min_u64(event.mark.length, TRACE_PATH_MAX);
	return emit(import, &event);
}

static int operation(struct import *import)
{
	char *text = import->element.items;

	if (strncmp(text, "STORE;", 6) == 0)
		return store(import, text + 6);
	if (strncmp(text, "FLUSH;", 6) == 0)
		return flush(import, text + 6);
	if (strncmp(text, "REGISTER_FILE;", 14) == 0)
		return register_file(import, text + 14);
	if (strcmp(text, "FENCE") == 0)
		return fence(import);
	return *text ? mark(import) : 0;
}

static int run(struct import *import)
{
	int result = 0;

	while (!import->started && (result = next_element(import)) == 1)
		import->started = strstr(import->element.items, "START") != NULL;
	if (!import->started)
		return result ? result :
				message_fail(import->message, -EBADMSG,
					     "%s: there is no START: this is no log of pmemcheck",
					     import->name);
	while ((result = next_element(import)) == 1) {
		if (strcmp(import->element.items, "STOP") == 0)
			return 0;
		result = operation(import);
		if (result < 0)
			return result;
	}
	return result ? result :
			message_fail(import->message, -EBADMSG, "%s: the log is cut: there is no STOP",
				     import->name);
}

int trace_pmemcheck_import(FILE *in, const char *name,
			   int (*take)(void *context, const struct trace_event *event), void *context,
			   struct trace_pmemcheck_skipped *skipped, struct message *message)
{
	struct import import = {
		.in = in,
		.name = name,
		.take = take,
		.context = context,
		.skipped = skipped,
		.message = message,
		.value = malloc(TRACE_BYTES_MAX),
	};
	int result;

	*skipped = (struct trace_pmemcheck_skipped){ 0 };
	result = import.value ? run(&import) : -ENOMEM;
	for (size_t i = 0; i < import.paths.count; i++)
		free(import.paths.items[i]);
	vector_free(&import.paths);
	vector_free(&import.mappings);
	vector_free(&import.element);
	free(import.value);
	return result == -ENOMEM ? message_fail(message, -ENOMEM, "%s: out of memory", name) : result;
}
