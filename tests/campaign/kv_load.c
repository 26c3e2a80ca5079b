/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A writer of LevelDB or RocksDB, whose C interfaces differ in their prefix alone. Every put can be accounted
 * for: put N has a key and a value that follow from N.
 *
 *   leveldb_load write DIRECTORY COUNT EVERY   puts COUNT pairs, every EVERYth with sync, and prints N after
 *                                              such a put
 *   leveldb_load verify DIRECTORY              the acknowledged puts are there, and no put is missing before
 *                                              one that is there
 *   leveldb_load acknowledged DIRECTORY        the acknowledged puts are there
 *   leveldb_load repair DIRECTORY              make a damaged database usable again
 *
 * Exit status: 0; 1 if something is lost, damaged or failed; 2 for wrong words.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef USE_ROCKSDB
#include <rocksdb/c.h>
#define KV(name) rocksdb_##name
#else
#include <leveldb/c.h>
#define KV(name) leveldb_##name
#endif

#include "acknowledged.h"
#include "common/rng.h"

#define VALUE_BYTES 1000
#define KEY_BYTES 17
/* The smallest that both allow: a log is full after some 60 puts. */
#define WRITE_BUFFER (64u << 10)

static void key_of(uint64_t number, char key[KEY_BYTES])
{
	snprintf(key, KEY_BYTES, "%016" PRIx64, number);
}

static void value_of(uint64_t number, char value[VALUE_BYTES])
{
	struct rng rng = { .state = number };

	for (size_t i = 0; i < VALUE_BYTES; i++)
		value[i] = (char)rng_next(&rng);
}

/* Prints the error, if there is one, and frees it. */
static bool good(char *error, const char *what)
{
	if (error)
		printf("%s: %s\n", what, error);
	KV(free)(error);
	return !error;
}

static KV(t) *open_database(const char *path)
{
	KV(options_t) *options = KV(options_create)();
	KV(t) *database;
	char *error = NULL;

	KV(options_set_create_if_missing)(options, 1);
	KV(options_set_write_buffer_size)(options, WRITE_BUFFER);
	KV(options_set_compression)(options, KV(no_compression));
	database = KV(open)(options, path, &error);
	KV(options_destroy)(options);
	return good(error, "open") ? database : NULL;
}

static int command_write(const char *path, uint64_t count, uint64_t every)
{
	KV(writeoptions_t) *options = KV(writeoptions_create)();
	KV(t) *database = open_database(path);

	if (!database)
		return 1;
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (uint64_t number = 1; number <= count; number++) {
		char key[KEY_BYTES], value[VALUE_BYTES], *error = NULL;
		const bool syncs = number % every == 0;

		key_of(number, key);
		value_of(number, value);
		KV(writeoptions_set_sync)(options, syncs);
		KV(put)(database, options, key, sizeof(key) - 1, value, sizeof(value), &error);
		if (!good(error, "put"))
			return 1;
		if (syncs)
			printf("%" PRIu64 "\n", number);
	}
	KV(writeoptions_destroy)(options);
	KV(close)(database);
	return 0;
}

enum lookup { LOOKUP_FOUND, LOOKUP_MISSING, LOOKUP_DAMAGED };

static enum lookup look_up(KV(t) *database, const KV(readoptions_t) *options, uint64_t number)
{
	char key[KEY_BYTES], want[VALUE_BYTES], *error = NULL, *value;
	size_t length = 0;
	enum lookup found = LOOKUP_FOUND;

	key_of(number, key);
	value_of(number, want);
	value = KV(get)(database, options, key, sizeof(key) - 1, &length, &error);
	if (!good(error, "get") || !value)
		found = LOOKUP_MISSING;
	else if (length != sizeof(want) || memcmp(value, want, sizeof(want)) != 0)
		found = LOOKUP_DAMAGED;
	KV(free)(value);
	return found;
}

/* The number of the newest put that is there. */
static uint64_t newest(KV(t) *database, const KV(readoptions_t) *options)
{
	KV(iterator_t) *iterator = KV(create_iterator)(database, options);
	char text[KEY_BYTES] = "";
	size_t length = 0;

	KV(iter_seek_to_last)(iterator);
	if (KV(iter_valid)(iterator)) {
		const char *key = KV(iter_key)(iterator, &length);

		if (length == KEY_BYTES - 1)
			memcpy(text, key, length);
	}
	KV(iter_destroy)(iterator);
	return strtoull(text, NULL, 16);
}

/* `whole`: and no put is missing before one that is there. */
static int command_verify(const char *path, bool whole)
{
	const uint64_t acknowledged = acknowledged_of("-");
	KV(readoptions_t) *options = KV(readoptions_create)();
	KV(t) *database = open_database(path);
	enum lookup found = LOOKUP_FOUND;
	uint64_t last, wanted;

	if (!database)
		return 1;
	KV(readoptions_set_verify_checksums)(options, 1);
	last = newest(database, options);
	wanted = whole || last < acknowledged ? last : acknowledged;
	for (uint64_t number = 1; number <= wanted && found == LOOKUP_FOUND; number++) {
		found = look_up(database, options, number);
		if (found == LOOKUP_MISSING)
			printf("put %" PRIu64 " is lost, and put %" PRIu64 " is there\n", number, last);
		if (found == LOOKUP_DAMAGED)
			printf("put %" PRIu64 " has a value that was never put\n", number);
	}
	if (last < acknowledged)
		printf("put %" PRIu64 " was acknowledged, the newest that is there is %" PRIu64 "\n",
		       acknowledged, last);
	KV(readoptions_destroy)(options);
	KV(close)(database);
	return found != LOOKUP_FOUND || last < acknowledged;
}

static int command_repair(const char *path)
{
	KV(options_t) *options = KV(options_create)();
	char *error = NULL;

	KV(options_set_paranoid_checks)(options, 1);
	KV(repair_db)(options, path, &error);
	KV(options_destroy)(options);
	return !good(error, "repair");
}

int main(int argc, char **argv)
{
	if (argc == 5 && strcmp(argv[1], "write") == 0 && strtoull(argv[4], NULL, 10))
		return command_write(argv[2], strtoull(argv[3], NULL, 10), strtoull(argv[4], NULL, 10));
	if (argc == 3 && strcmp(argv[1], "verify") == 0)
		return command_verify(argv[2], true);
	if (argc == 3 && strcmp(argv[1], "acknowledged") == 0)
		return command_verify(argv[2], false);
	if (argc == 3 && strcmp(argv[1], "repair") == 0)
		return command_repair(argv[2]);
	fprintf(stderr,
		"usage: kv_load write DIRECTORY COUNT EVERY | verify|acknowledged|repair DIRECTORY\n");
	return 2;
}
