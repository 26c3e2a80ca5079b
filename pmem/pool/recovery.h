/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef POOL_RECOVERY_H
#define POOL_RECOVERY_H

/*
 * Private to pmem/pool: completes what a crash left half done. Called while opening, when no other thread
 * runs.
 */

#include "pool/pools.h"

/*
 * Complete all of pools->fixes, and rewrite maps of which one copy was damaged. -EIO: one cannot be
 * written.
 */
int pools_finish_crash(struct pools *pools);
/* Zero the bytes behind the size of each file in its last page, where they are not zero. */
void pools_zero_tails(struct pools *pools);

#endif
