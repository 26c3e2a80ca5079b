/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_OBJECTS_H
#define TESTS_OBJECTS_H

/* A libpmemobj program to be cut short, and the judge of what is left. */

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum { WORKERS = 4 }; /* threads of the program, each with a list, a map, a page and objects of its own */

/* In memory that outlives the program: what each worker has committed. */
struct journal {
	_Atomic uint64_t committed[WORKERS];
};

/* All of these print what is wrong, and return 0, or what the process should exit with. */
int objects_create(const char *path, size_t size);
/* Go on until each of the first `workers` has done so many steps in all. */
int objects_run(const char *path, struct journal *journal, unsigned workers, uint64_t steps);
/*
 * Is the pool consistent, and does it hold of every worker exactly the steps
 * that the journal says are committed, or one more? The journal is brought up to it.
 */
int objects_check(const char *path, struct journal *journal);

#endif
