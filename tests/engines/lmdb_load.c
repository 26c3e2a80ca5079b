/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An LMDB writer whose every commit can be accounted for: transaction N puts
 * PARTS keys that follow from N alone, and deletes those of an old transaction.
 *
 *   lmdb_load write DIRECTORY sync|nosync [COUNT]   commits until it fails, or so many times, and prints N
 *                                                   after commit N
 *   lmdb_load verify DIRECTORY ACKNOWLEDGED|-       prints how far the environment got
 *   lmdb_load bench DIRECTORY COUNT                 prints commits a second
 *
 * Exit status: 0; 1 if something is lost, damaged or failed; 2 for wrong words.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <lmdb.h>

#include "acknowledged.h"
#include "common/rng.h"

#define PARTS 3
#define TRANSACTIONS_KEPT 400
#define VALUE_MAX 900
#define KEY_SIZE sizeof("0000000000000000.0")
#define MAP_SIZE ((size_t)64 << 20)

static bool good(int result, const char *what)
{
	if (result != MDB_SUCCESS)
		fprintf(stderr, "lmdb_load: %s: %s\n", what, mdb_strerror(result));
	return result == MDB_SUCCESS;
}

static MDB_val key_of(uint64_t number, unsigned part, char *buffer)
{
	snprintf(buffer, KEY_SIZE, "%016" PRIx64 ".%u", number, part);
	return (MDB_val){ .mv_data = buffer, .mv_size = KEY_SIZE - 1 };
}

static MDB_val value_of(uint64_t number, unsigned part, unsigned char *buffer)
{
	struct rng rng = { .state = number * 16 + part };
	size_t length = 1 + rng_below(&rng, VALUE_MAX - 1);

	for (size_t i = 0; i < length; i++)
		buffer[i] = (unsigned char)rng_next(&rng);
	return (MDB_val){ .mv_data = buffer, .mv_size = length };
}

static bool open_environment(const char *path, unsigned flags, MDB_env **env)
{
	return good(mdb_env_create(env), "create") && good(mdb_env_set_mapsize(*env, MAP_SIZE), "map size") &&
	       good(mdb_env_open(*env, path, flags, 0600), path);
}

static bool put_transaction(MDB_txn *txn, MDB_dbi dbi, uint64_t number)
{
	unsigned char bytes[VALUE_MAX];
	char name[KEY_SIZE];
	MDB_val key, value;
	int result;

	for (unsigned part = 0; part < PARTS; part++) {
		key = key_of(number, part, name);
		value = value_of(number, part, bytes);
		if (!good(mdb_put(txn, dbi, &key, &value, 0), "put"))
			return false;
		if (number <= TRANSACTIONS_KEPT)
			continue;
		key = key_of(number - TRANSACTIONS_KEPT, part, name);
		result = mdb_del(txn, dbi, &key, NULL);
		if (result != MDB_NOTFOUND && !good(result, "delete"))
			return false;
	}
	return true;
}

static bool commit_transaction(MDB_env *env, uint64_t number)
{
	MDB_txn *txn;
	MDB_dbi dbi;

	if (!good(mdb_txn_begin(env, NULL, 0, &txn), "begin"))
		return false;
	if (!good(mdb_dbi_open(txn, NULL, 0, &dbi), "open") || !put_transaction(txn, dbi, number)) {
		mdb_txn_abort(txn);
		return false;
	}
	return good(mdb_txn_commit(txn), "commit");
}

/* The number of the last transaction, 0 if there is none, -1 if that cannot be told. */
static int64_t last_transaction(MDB_txn *txn)
{
	MDB_cursor *cursor;
	MDB_val key, value;
	int64_t last = -1;
	MDB_dbi dbi;
	int result;

	if (!good(mdb_dbi_open(txn, NULL, 0, &dbi), "open") ||
	    !good(mdb_cursor_open(txn, dbi, &cursor), "cursor"))
		return -1;
	result = mdb_cursor_get(cursor, &key, &value, MDB_LAST);
	if (result == MDB_NOTFOUND)
		last = 0;
	else if (good(result, "last") && key.mv_size == KEY_SIZE - 1)
		last = (int64_t)strtoull(key.mv_data, NULL, 16);
	mdb_cursor_close(cursor);
	return last;
}

static int command_write(const char *path, bool sync, uint64_t count)
{
	int64_t number;
	MDB_env *env;
	MDB_txn *txn;

	if (!open_environment(path, sync ? 0 : MDB_NOSYNC, &env) ||
	    !good(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn), "begin"))
		return 1;
	number = last_transaction(txn);
	mdb_txn_abort(txn);
	if (number < 0)
		return 1;
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (; count; count--) {
		if (!commit_transaction(env, (uint64_t)++number))
			return 1;
		printf("%" PRId64 "\n", number);
	}
	mdb_env_close(env);
	return 0;
}

static bool verify_content(MDB_txn *txn, uint64_t last)
{
	uint64_t first = last > TRANSACTIONS_KEPT ? last - TRANSACTIONS_KEPT + 1 : 1;
	unsigned char bytes[VALUE_MAX];
	char name[KEY_SIZE];
	MDB_val key, value, want;
	MDB_stat stat;
	MDB_dbi dbi;

	if (!good(mdb_dbi_open(txn, NULL, 0, &dbi), "open") || !good(mdb_stat(txn, dbi, &stat), "stat"))
		return false;
	for (uint64_t number = first; number <= last; number++)
		for (unsigned part = 0; part < PARTS; part++) {
			key = key_of(number, part, name);
			want = value_of(number, part, bytes);
			if (mdb_get(txn, dbi, &key, &value) != MDB_SUCCESS || value.mv_size != want.mv_size ||
			    memcmp(value.mv_data, want.mv_data, want.mv_size) != 0) {
				printf("part %u of transaction %" PRIu64 " is missing or wrong\n", part,
				       number);
				return false;
			}
		}
	if (stat.ms_entries != (last - first + 1) * PARTS) {
		printf("there are %zu entries, transactions %" PRIu64 " to %" PRIu64 " make %" PRIu64 "\n",
		       stat.ms_entries, first, last, (last - first + 1) * PARTS);
		return false;
	}
	return true;
}

static int command_verify(const char *path, uint64_t acknowledged)
{
	int64_t last;
	MDB_env *env;
	MDB_txn *txn;

	if (!open_environment(path, 0, &env) || !good(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn), "begin")) {
		printf("the environment does not open\n");
		return 1;
	}
	last = last_transaction(txn);
	if (last < (int64_t)acknowledged || last > (int64_t)acknowledged + 1) {
		printf("%" PRIu64 " commits were acknowledged, the environment has %" PRId64 "\n",
		       acknowledged, last);
		return 1;
	}
	if (!verify_content(txn, (uint64_t)last))
		return 1;
	mdb_txn_abort(txn);
	mdb_env_close(env);
	printf("%" PRId64 "\n", last);
	return 0;
}

static int command_bench(const char *path, uint64_t count)
{
	struct timespec start, end;
	MDB_env *env;

	if (!open_environment(path, 0, &env))
		return 1;
	clock_gettime(CLOCK_MONOTONIC, &start);
	for (uint64_t number = 1; number <= count; number++)
		if (!commit_transaction(env, number))
			return 1;
	clock_gettime(CLOCK_MONOTONIC, &end);
	printf("%.1f\n", (double)count / ((double)(end.tv_sec - start.tv_sec) +
					  (double)(end.tv_nsec - start.tv_nsec) / 1e9));
	mdb_env_close(env);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "write") == 0)
		return command_write(argv[2], strcmp(argv[3], "sync") == 0, UINT64_MAX);
	if (argc == 5 && strcmp(argv[1], "write") == 0)
		return command_write(argv[2], strcmp(argv[3], "sync") == 0, strtoull(argv[4], NULL, 10));
	if (argc == 4 && strcmp(argv[1], "verify") == 0)
		return command_verify(argv[2], acknowledged_of(argv[3]));
	if (argc == 4 && strcmp(argv[1], "bench") == 0)
		return command_bench(argv[2], strtoull(argv[3], NULL, 10));
	fprintf(stderr, "usage: lmdb_load write|verify|bench DIRECTORY ...\n");
	return 2;
}
