/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COMMON_PROCESSORS_H
#define COMMON_PROCESSORS_H

#include <sched.h>
#include <unistd.h>

/* How many processors the calling thread may use, as nproc(1) counts: at least 1. */
static inline unsigned processors_usable(void)
{
	cpu_set_t usable;
	long online;

	if (sched_getaffinity(0, sizeof(usable), &usable) == 0)
		return (unsigned)CPU_COUNT(&usable);
	/* The kernel knows of more processors than the set has room for. */
	online = sysconf(_SC_NPROCESSORS_ONLN);
	return online > 0 ? (unsigned)online : 1;
}

#endif
