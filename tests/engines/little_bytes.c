/* SPDX-License-Identifier: BSD-3-Clause */

/* Engines whose mistake loses bytes: names may be durable at once. */

#include "little_engines.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static void make_file(const char *name, unsigned number, unsigned lines)
{
	int fd = little_open(name, O_WRONLY | O_CREAT);

	little_write(fd, number, lines, 0);
	little_sync(fd);
	little_close(fd);
	little_sync_directory();
}

static void make_empty(const char *name)
{
	little_close(little_open(name, O_WRONLY | O_CREAT));
	little_sync_directory();
}

/* ---- Rename before the data is synced ----------------------------------------------------- */

static void rename_setup(void)
{
	make_file("state", 0, 4);
}

static void rename_work(bool fixed)
{
	for (unsigned step = 1; step <= STEPS; step++) {
		int fd = little_open("state.tmp", O_WRONLY | O_CREAT | O_TRUNC);

		little_write(fd, step, 4, 0);
		if (fixed)
			little_sync(fd);
		little_close(fd);
		little_must(rename("state.tmp", "state"), "rename");
		little_sync_directory();
		little_acknowledge(step);
	}
}

static bool rename_check(void)
{
	return little_read("state", 4, 0) >= little_acknowledged();
}

const struct little_engine little_rename = { "rename", rename_setup, rename_work, rename_check };

/* ---- The journal is not synced before the files that it can restore are changed -------------- */

static void journal_setup(void)
{
	make_file("a", 0, 1);
	make_file("b", 0, 1);
	make_empty("journal");
}

static void journal_work(bool fixed)
{
	int a = little_open("a", O_WRONLY), b = little_open("b", O_WRONLY);
	int journal = little_open("journal", O_WRONLY);

	for (unsigned step = 1; step <= STEPS; step++) {
		little_write(journal, step - 1, 1, 0);
		if (fixed)
			little_sync(journal);
		little_write(a, step, 1, 0);
		little_sync(a);
		little_write(b, step, 1, 0);
		little_sync(b);
		little_must(ftruncate(journal, 0), "ftruncate");
		little_sync(journal);
		little_acknowledge(step);
	}
}

static bool journal_check(void)
{
	int old = little_read("journal", 1, 0);

	if (old >= 0) {
		make_file("a", (unsigned)old, 1);
		make_file("b", (unsigned)old, 1);
	}
	return little_read("a", 1, 0) >= little_acknowledged() &&
	       little_read("a", 1, 0) == little_read("b", 1, 0);
}

const struct little_engine little_journal = { "journal", journal_setup, journal_work, journal_check };

/* ---- fsync of the wrong descriptor ------------------------------------------------------------ */

static void descriptor_setup(void)
{
	make_empty("data");
	make_empty("lock");
}

static void descriptor_work(bool fixed)
{
	int data = little_open("data", O_WRONLY), lock = little_open("lock", O_WRONLY);

	for (unsigned step = 1; step <= STEPS; step++) {
		little_write(data, step, 1, (long)(step - 1) * LINE);
		little_sync(fixed ? data : lock);
		little_acknowledge(step);
	}
}

/* Every record up to the last one that was acknowledged. */
static bool records_check(void)
{
	for (int step = 1; step <= little_acknowledged(); step++)
		if (little_read("data", 1, (long)(step - 1) * LINE) != step)
			return false;
	return true;
}

const struct little_engine little_descriptor = { "descriptor", descriptor_setup, descriptor_work,
						 records_check };

/* ---- The commit record is in the same write as the data ---------------------------------------- */

/* The first line commits the slot with the same parity. */
#define SLOT 4
#define SLOT_OFFSET(number) ((1 + (long)((number) % 2) * SLOT) * LINE)

static void commit_setup(void)
{
	make_file("table", 0, 1 + 2 * SLOT);
}

static void commit_work(bool fixed)
{
	int fd = little_open("table", O_RDWR);

	for (unsigned step = 1; step <= STEPS; step++) {
		char all[(1 + SLOT * 2) * LINE];

		if (fixed) {
			little_write(fd, step, SLOT, SLOT_OFFSET(step));
			little_sync(fd);
			little_write(fd, step, 1, 0);
		} else {
			little_must(pread(fd, all, sizeof(all), 0) == (ssize_t)sizeof(all) ? 0 : -1, "pread");
			little_line(step, all);
			for (long i = 0; i < SLOT; i++)
				little_line(step, all + SLOT_OFFSET(step) + i * LINE);
			little_must(pwrite(fd, all, sizeof(all), 0) == (ssize_t)sizeof(all) ? 0 : -1,
				    "pwrite");
		}
		little_sync(fd);
		little_acknowledge(step);
	}
}

static bool commit_check(void)
{
	int number = little_read("table", 1, 0);

	return number >= little_acknowledged() && little_read("table", SLOT, SLOT_OFFSET(number)) == number;
}

const struct little_engine little_commit = { "commit", commit_setup, commit_work, commit_check };

/* ---- O_DSYNC is forgotten when the file is opened again ------------------------------------------ */

static void reopen_setup(void)
{
	make_empty("data");
}

static void reopen_work(bool fixed)
{
	int fd = little_open("data", O_WRONLY | O_DSYNC);

	for (unsigned step = 1; step <= STEPS; step++) {
		little_write(fd, step, 1, (long)(step - 1) * LINE);
		little_acknowledge(step);
		little_close(fd);
		fd = little_open("data", O_WRONLY | (fixed ? O_DSYNC : 0));
	}
}

const struct little_engine little_reopen = { "reopen", reopen_setup, reopen_work, records_check };

/* ---- A commit of two files without an order between them ------------------------------------------ */

static void two_files_setup(void)
{
	make_empty("data");
	make_empty("index");
}

static void two_files_work(bool fixed)
{
	int data = little_open("data", O_WRONLY), index = little_open("index", O_WRONLY);

	for (unsigned step = 1; step <= STEPS; step++) {
		const long offset = (long)(step - 1) * LINE;

		little_write(data, step, 1, offset);
		if (fixed)
			little_sync(data);
		little_write(index, step, 1, offset);
		little_sync(index);
		if (!fixed)
			little_sync(data);
		little_acknowledge(step);
	}
}

/* Every entry of the index has its record. */
static bool two_files_check(void)
{
	for (int step = 1; step <= STEPS; step++)
		if (little_read("index", 1, (long)(step - 1) * LINE) == step &&
		    little_read("data", 1, (long)(step - 1) * LINE) != step)
			return false;
	return records_check();
}

const struct little_engine little_two_files = { "two-files", two_files_setup, two_files_work,
						two_files_check };
