/* SPDX-License-Identifier: BSD-3-Clause */

/* Stubs take locks from the second process on that maps a pool, and for no other. */

#include <err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../e2e/tap.h"
#include "client/record/record.h"
#include "client/record/state.h"

unsigned tap_run, tap_failed;

#define BYTES 4096u

static uint32_t processes(void)
{
	return atomic_load(&record_low->locks[RECORD_LAST_LOCK].processes);
}

static void start(void)
{
	struct record_setup setup = { .stores = true, .clock_fd = -1, .locks_fd = -1 };
	int error = record_start(&setup);

	if (error)
		errx(1, "record_start: %s", strerror(-error));
}

static bool map_pool(void)
{
	int fd = memfd_create("pool", MFD_CLOEXEC);
	void *pool, *alias;

	if (fd < 0 || ftruncate(fd, BYTES) != 0)
		err(1, "pool");
	pool = mmap(NULL, BYTES, PROT_READ, MAP_SHARED, fd, 0);
	alias = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return pool != MAP_FAILED && alias != MAP_FAILED &&
	       record_range_add((uintptr_t)pool, BYTES, 1, 0, (uintptr_t)alias) == 0;
}

/* In a child: map a pool, or do not. Does it take locks then? */
static bool child_takes_locks(bool maps)
{
	int status;
	pid_t child = fork();

	if (child < 0)
		err(1, "fork");
	if (!child) {
		if (maps && !map_pool())
			_exit(2);
		_exit(record_are_many());
	}
	if (waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) > 1)
		errx(1, "the child failed");
	return WEXITSTATUS(status);
}

int main(void)
{
	start();
	OK(!child_takes_locks(false) && !record_has_pools(), "processes without pools take no locks");
	OK(processes() == 0, "they do not count");
	OK(!child_takes_locks(true), "the first process with a pool takes no locks");
	OK(processes() == 1 && !record_are_many(), "it counts");
	OK(map_pool() && record_has_pools(), "another process maps a pool");
	OK(processes() == 2 && record_are_many(), "with a second one all take locks");
	OK(map_pool() && processes() == 2, "a process counts once");
	return tap_done();
}
