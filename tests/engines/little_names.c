/* SPDX-License-Identifier: BSD-3-Clause */

/* Engines whose mistake loses a name, or leaves a moment at which there is none. */

#include "little_engines.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static void make_synced(const char *name, unsigned number)
{
	int fd = little_open(name, O_WRONLY | O_CREAT | O_TRUNC);

	little_write(fd, number, 2, 0);
	little_sync(fd);
	little_close(fd);
}

static void state_setup(void)
{
	make_synced("state", 0);
	little_sync_directory();
}

static bool state_check(void)
{
	return little_read("state", 2, 0) >= little_acknowledged();
}

static void numbered(const char *prefix, unsigned number, char name[32])
{
	snprintf(name, 32, "%s.%u", prefix, number);
}

/* ---- A file is created, and its directory is not synced ------------------------------------- */

static void create_setup(void)
{
}

static void create_work(bool fixed)
{
	for (unsigned step = 1; step <= STEPS; step++) {
		char name[32];

		numbered("table", step, name);
		make_synced(name, step);
		if (fixed)
			little_sync_directory();
		little_acknowledge(step);
	}
}

static bool create_check(void)
{
	for (int step = 1; step <= little_acknowledged(); step++) {
		char name[32];

		numbered("table", (unsigned)step, name);
		if (little_read(name, 2, 0) != step)
			return false;
	}
	return true;
}

const struct little_engine little_create = { "create", create_setup, create_work, create_check };

/* ---- The old log is removed before the name of the new one is synced ---------------------------- */

static void logs_setup(void)
{
	make_synced("log.0", 0);
	little_sync_directory();
}

static void logs_work(bool fixed)
{
	for (unsigned step = 1; step <= STEPS; step++) {
		char name[32];

		numbered("log", step, name);
		make_synced(name, step);
		if (fixed)
			little_sync_directory();
		numbered("log", step - 1, name);
		little_must(unlink(name), "unlink");
	}
}

/* One log is there at each moment. */
static bool logs_check(void)
{
	for (unsigned step = 0; step <= STEPS; step++) {
		char name[32];

		numbered("log", step, name);
		if (little_read(name, 2, 0) == (int)step)
			return true;
	}
	return false;
}

const struct little_engine little_logs = { "logs", logs_setup, logs_work, logs_check };

/* ---- A file is truncated and written in place ------------------------------------------------------ */

static void replace(unsigned step)
{
	make_synced("state.tmp", step);
	little_must(rename("state.tmp", "state"), "rename");
	little_sync_directory();
}

static void truncate_work(bool fixed)
{
	for (unsigned step = 1; step <= STEPS; step++) {
		if (fixed)
			replace(step);
		else
			make_synced("state", step);
		little_acknowledge(step);
	}
}

const struct little_engine little_truncate = { "truncate", state_setup, truncate_work, state_check };

/* ---- A name is swapped by unlink and link ------------------------------------------------------------ */

static void swap_work(bool fixed)
{
	for (unsigned step = 1; step <= STEPS; step++) {
		if (fixed) {
			replace(step);
		} else {
			make_synced("state.tmp", step);
			little_must(unlink("state"), "unlink");
			little_must(link("state.tmp", "state"), "link");
			little_must(unlink("state.tmp"), "unlink");
			little_sync_directory();
		}
		little_acknowledge(step);
	}
}

const struct little_engine little_swap = { "swap", state_setup, swap_work, state_check };
