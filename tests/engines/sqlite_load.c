/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A SQLite writer whose every commit can be accounted for. What transaction N
 * does follows from N alone, so a reader that knows only how far the database
 * got can say what each row of it must be.
 *
 *   sqlite_load write DB JOURNAL SYNCHRONOUS [COUNT]   commits until it fails, or so many times, and prints N
 *                                                      after commit N
 *   sqlite_load verify DB ACKNOWLEDGED|-               prints how far DB got
 *   sqlite_load bench DB JOURNAL SYNCHRONOUS COUNT     prints commits a second
 *
 * Exit status: 0; 1 if something is lost, damaged or failed; 2 for wrong words.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sqlite3.h>

#include "acknowledged.h"
#include "common/rng.h"

#define ACCOUNTS 64
/* Older entries are deleted, so that pages are freed and used again. */
#define ENTRIES_KEPT 120
#define BODY_MAX 1500

struct transaction {
	unsigned parts;
	unsigned from, to;
	int64_t amount;
};

static struct transaction transaction_of(uint64_t number)
{
	struct rng rng = { .state = number };
	struct transaction transaction;

	transaction.parts = 1 + (unsigned)rng_below(&rng, 4);
	transaction.from = (unsigned)rng_below(&rng, ACCOUNTS);
	transaction.to = (unsigned)rng_below(&rng, ACCOUNTS);
	transaction.amount = 1 + (int64_t)rng_below(&rng, 1000);
	return transaction;
}

static size_t body_of(uint64_t number, unsigned part, unsigned char *body)
{
	struct rng rng = { .state = number * 16 + part };
	size_t length = 16 + rng_below(&rng, BODY_MAX - 16);

	for (size_t i = 0; i < length; i++)
		body[i] = (unsigned char)rng_next(&rng);
	return length;
}

static bool failed(sqlite3 *db, const char *what)
{
	fprintf(stderr, "sqlite_load: %s: %s\n", what, sqlite3_errmsg(db));
	return false;
}

static bool run(sqlite3 *db, const char *sql)
{
	return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK || failed(db, sql);
}

static bool run_bound(sqlite3 *db, const char *sql, int64_t first, int64_t second)
{
	sqlite3_stmt *statement;
	int result;

	if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK)
		return failed(db, sql);
	sqlite3_bind_int64(statement, 1, first);
	sqlite3_bind_int64(statement, 2, second);
	while ((result = sqlite3_step(statement)) == SQLITE_ROW)
		;
	sqlite3_finalize(statement);
	return result == SQLITE_DONE || failed(db, sql);
}

static bool insert_entry(sqlite3 *db, uint64_t number, unsigned part)
{
	unsigned char body[BODY_MAX];
	size_t length = body_of(number, part, body);
	sqlite3_stmt *statement;
	int result;

	if (sqlite3_prepare_v2(db, "INSERT INTO entry VALUES (?, ?, ?)", -1, &statement, NULL) != SQLITE_OK)
		return failed(db, "insert");
	sqlite3_bind_int64(statement, 1, (int64_t)number);
	sqlite3_bind_int64(statement, 2, part);
	sqlite3_bind_blob(statement, 3, body, (int)length, SQLITE_STATIC);
	result = sqlite3_step(statement);
	sqlite3_finalize(statement);
	return result == SQLITE_DONE || failed(db, "insert");
}

static bool commit_transaction(sqlite3 *db, uint64_t number)
{
	struct transaction transaction = transaction_of(number);

	if (!run(db, "BEGIN IMMEDIATE"))
		return false;
	for (unsigned part = 0; part < transaction.parts; part++)
		if (!insert_entry(db, number, part))
			return false;
	return run_bound(db, "UPDATE account SET balance = balance - ?2 WHERE id = ?1", transaction.from,
			 transaction.amount) &&
	       run_bound(db, "UPDATE account SET balance = balance + ?2 WHERE id = ?1", transaction.to,
			 transaction.amount) &&
	       run_bound(db, "DELETE FROM entry WHERE number <= ?1 - ?2", (int64_t)number, ENTRIES_KEPT) &&
	       run_bound(db, "UPDATE head SET number = ?1", (int64_t)number, 0) && run(db, "COMMIT");
}

static int64_t ask(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *statement;
	int64_t answer = -1;

	if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK)
		return -1;
	if (sqlite3_step(statement) == SQLITE_ROW)
		answer = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	return answer;
}

static bool open_for_writing(const char *path, const char *journal, const char *synchronous, sqlite3 **db)
{
	char pragma[128];

	if (sqlite3_open(path, db) != SQLITE_OK)
		return failed(*db, path);
	snprintf(pragma, sizeof(pragma), "PRAGMA synchronous=%s", synchronous);
	if (!run(*db, pragma))
		return false;
	snprintf(pragma, sizeof(pragma), "PRAGMA journal_mode=%s", journal);
	/* A checkpoint every few commits, so that cuts fall into some. */
	if (!run(*db, pragma) || !run(*db, "PRAGMA wal_autocheckpoint=24") || !run(*db, "BEGIN IMMEDIATE"))
		return false;
	if (ask(*db, "SELECT count(*) FROM sqlite_schema WHERE name = 'head'") == 0) {
		if (!run(*db, "CREATE TABLE entry(number INTEGER, part INTEGER, body BLOB, "
			      "PRIMARY KEY(number, part))") ||
		    !run(*db, "CREATE TABLE account(id INTEGER PRIMARY KEY, balance INTEGER)") ||
		    !run(*db, "CREATE TABLE head(number INTEGER)") ||
		    !run(*db, "INSERT INTO head VALUES (0)"))
			return false;
		for (int id = 0; id < ACCOUNTS; id++)
			if (!run_bound(*db, "INSERT INTO account VALUES (?1, ?2)", id, 0))
				return false;
	}
	return run(*db, "COMMIT");
}

static int command_write(const char *path, const char *journal, const char *synchronous, uint64_t count)
{
	sqlite3 *db;
	int64_t number;

	if (!open_for_writing(path, journal, synchronous, &db))
		return 1;
	number = ask(db, "SELECT number FROM head");
	if (number < 0)
		return failed(db, "head") ? 0 : 1;
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (; count; count--) {
		if (!commit_transaction(db, (uint64_t)++number))
			return 1;
		printf("%" PRId64 "\n", number);
	}
	sqlite3_close(db);
	return 0;
}

static bool verify_accounts(sqlite3 *db, uint64_t last)
{
	int64_t balance[ACCOUNTS] = { 0 };
	char sql[80];

	for (uint64_t number = 1; number <= last; number++) {
		struct transaction transaction = transaction_of(number);

		balance[transaction.from] -= transaction.amount;
		balance[transaction.to] += transaction.amount;
	}
	for (int id = 0; id < ACCOUNTS; id++) {
		snprintf(sql, sizeof(sql),
			 "SELECT count(*) FROM account WHERE id = %d AND balance = %" PRId64, id,
			 balance[id]);
		if (ask(db, sql) != 1) {
			printf("account %d is not what transactions 1 to %" PRIu64 " leave in it\n", id,
			       last);
			return false;
		}
	}
	return true;
}

static bool next_entry(sqlite3_stmt *statement, uint64_t number, unsigned part)
{
	unsigned char body[BODY_MAX];
	size_t length = body_of(number, part, body);

	return sqlite3_step(statement) == SQLITE_ROW &&
	       sqlite3_column_int64(statement, 0) == (int64_t)number &&
	       sqlite3_column_int(statement, 1) == (int)part &&
	       sqlite3_column_bytes(statement, 2) == (int)length &&
	       memcmp(sqlite3_column_blob(statement, 2), body, length) == 0;
}

static bool verify_entries(sqlite3 *db, uint64_t last)
{
	uint64_t first = last > ENTRIES_KEPT ? last - ENTRIES_KEPT + 1 : 1;
	sqlite3_stmt *statement;
	bool good = true;

	if (sqlite3_prepare_v2(db, "SELECT * FROM entry ORDER BY number, part", -1, &statement, NULL) !=
	    SQLITE_OK)
		return false;
	for (uint64_t number = first; good && number <= last; number++)
		for (unsigned part = 0; good && part < transaction_of(number).parts; part++) {
			good = next_entry(statement, number, part);
			if (!good)
				printf("part %u of transaction %" PRIu64 " is missing or wrong\n", part,
				       number);
		}
	if (good && sqlite3_step(statement) != SQLITE_DONE) {
		printf("there are entries beyond transaction %" PRIu64 "\n", last);
		good = false;
	}
	sqlite3_finalize(statement);
	return good;
}

static bool verify_integrity(sqlite3 *db)
{
	sqlite3_stmt *statement;
	bool good = false;

	if (sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &statement, NULL) == SQLITE_OK &&
	    sqlite3_step(statement) == SQLITE_ROW) {
		const char *answer = (const char *)sqlite3_column_text(statement, 0);

		good = answer && strcmp(answer, "ok") == 0;
		if (!good)
			printf("integrity_check: %s\n", answer ? answer : "no answer");
	} else {
		printf("integrity_check: %s\n", sqlite3_errmsg(db));
	}
	sqlite3_finalize(statement);
	return good;
}

static int command_verify(const char *path, uint64_t acknowledged)
{
	sqlite3 *db;
	int64_t last;

	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK) {
		printf("%s: %s\n", path, sqlite3_errmsg(db));
		return 1;
	}
	if (!verify_integrity(db))
		return 1;
	last = ask(db, "SELECT number FROM head");
	if (last < 0 && acknowledged == 0 && ask(db, "SELECT count(*) FROM sqlite_schema") == 0) {
		printf("0\n");
		return 0;
	}
	if (last < (int64_t)acknowledged) {
		printf("%" PRIu64 " commits were acknowledged, the database has %" PRId64 "\n", acknowledged,
		       last);
		return 1;
	}
	if (last > (int64_t)acknowledged + 1) {
		printf("the database has %" PRId64 " commits, %" PRIu64 " and one in flight were made\n",
		       last, acknowledged);
		return 1;
	}
	if (!verify_accounts(db, (uint64_t)last) || !verify_entries(db, (uint64_t)last))
		return 1;
	sqlite3_close(db);
	printf("%" PRId64 "\n", last);
	return 0;
}

static int command_bench(const char *path, const char *journal, const char *synchronous, uint64_t count)
{
	struct timespec start, end;
	sqlite3 *db;

	if (!open_for_writing(path, journal, synchronous, &db) || !run(db, "PRAGMA wal_autocheckpoint=1000"))
		return 1;
	clock_gettime(CLOCK_MONOTONIC, &start);
	for (uint64_t number = 1; number <= count; number++)
		if (!run_bound(db, "UPDATE account SET balance = balance + ?2 WHERE id = ?1",
			       (int64_t)(rng_mix(number) % ACCOUNTS), (int64_t)number))
			return 1;
	clock_gettime(CLOCK_MONOTONIC, &end);
	printf("%.1f\n", (double)count / ((double)(end.tv_sec - start.tv_sec) +
					  (double)(end.tv_nsec - start.tv_nsec) / 1e9));
	sqlite3_close(db);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 5 && strcmp(argv[1], "write") == 0)
		return command_write(argv[2], argv[3], argv[4], UINT64_MAX);
	if (argc == 6 && strcmp(argv[1], "write") == 0)
		return command_write(argv[2], argv[3], argv[4], strtoull(argv[5], NULL, 10));
	if (argc == 4 && strcmp(argv[1], "verify") == 0)
		return command_verify(argv[2], acknowledged_of(argv[3]));
	if (argc == 6 && strcmp(argv[1], "bench") == 0)
		return command_bench(argv[2], argv[3], argv[4], strtoull(argv[5], NULL, 10));
	fprintf(stderr, "usage: sqlite_load write|verify|bench DB ...\n");
	return 2;
}
