/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REGION_MAPPERS_H
#define REGION_MAPPERS_H

/* Private to pmem/region: which other processes map a device. */

#include <stdbool.h>
#include <stdint.h>

#include "common/message.h"

/*
 * Is there a process under ROOT/proc, other than this one, that maps some of [start, start+size) of
 * `device` ("/dev/mem")? If so, *who is "NAME (pid N)". With `only_writers`, processes that only read do
 * not count. Processes that this one may not inspect are not found, nor are mappings of another node of
 * the device.
 */
bool mappers_find(const char *root, const char *device, uint64_t start, uint64_t size, bool only_writers,
		  struct message *who);

#endif
