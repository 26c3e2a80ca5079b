/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLI_MEMTEST_H
#define CLI_MEMTEST_H

#include "cli/cli.h"

/*
 * Run `softpmem regions --test RANGE`: a test that destroys the content of the memory. With `force`, also
 * if it contains pools or, in a file, any bytes. Returns an exit status.
 */
int memtest_verb(struct cli *cli, const char *range, bool force, bool json);

#endif
