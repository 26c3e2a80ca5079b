/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SOFTPMEM_CHECKER_H
#define SOFTPMEM_CHECKER_H

/*
 * The interface of a checker that `softpmem explore` loads as a shared object, which is
 * the fastest way to check a crash state. Write two functions, compile them with
 *
 *	cc -shared -fPIC -o checker.so checker.c
 *
 * and give the file in place of a command: softpmem explore run.trace -- ./checker.so
 *
 * The same functions make a fork server, a program that starts once and is forked for each state. It is
 * slower, and a state sees nothing of what the checker did to its memory in earlier ones, whatever that
 * allocates, changes or leaks:
 *
 *	cc -o checker checker.c -lsoftpmem_checker
 *	softpmem explore --checker fork-server run.trace -- ./checker
 *
 * A checker may change the bytes of a state, as a recovery does. The next state is not
 * affected. As a shared object it must not keep state of its own that depends on earlier states, and
 * must release what it allocates for one.
 */

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct softpmem_file {
	const char *path; /* as the trace names it */
	void *bytes;	  /* a private, writable mapping, aligned to a page */
	uint64_t size;	  /* in bytes. The mapping is this long, rounded up to whole pages */
};

struct softpmem_mark {
	const char *text; /* NUL terminated */
	size_t length;
};

struct softpmem_state {
	uint32_t size; /* of this struct; later versions are larger */
	uint32_t file_count;
	const struct softpmem_file *files;
	/* What the program had acknowledged before the crash, in order. */
	uint64_t mark_count;
	const struct softpmem_mark *marks;
};

/*
 * Called once, with the name of the shared object or program and the words after it. Returns 0, or anything
 * else to give up. Optional.
 */
int softpmem_checker_start(int argc, char **argv);

/* Called for each state. Returns 0 if recovery from it works, else a number of its choice from 1 to 255. */
int softpmem_checker_check(const struct softpmem_state *state);

#ifdef __cplusplus
}
#endif

#endif
