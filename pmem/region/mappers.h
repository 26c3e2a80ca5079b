/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REGION_MAPPERS_H
#define REGION_MAPPERS_H

/* Private to pmem/region: who else has a device mapped. */

#include <stdbool.h>
#include <stdint.h>

#include "common/message.h"

/*
 * Is there a process under ROOT/proc, other than this one, that maps some of
 * [start, start+size) of `device` ("/dev/mem")? *who is then "NAME (pid N)".
 * With `only_writers` those that only read are passed over. Processes that may
 * not be looked at, and a node of another name, are not found.
 */
bool mappers_find(const char *root, const char *device, uint64_t start, uint64_t size, bool only_writers,
		  struct message *who);

#endif
