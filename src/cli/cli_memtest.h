/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLI_MEMTEST_H
#define CLI_MEMTEST_H

#include "cli/cli.h"

/*
 * softpmem regions --test RANGE: test memory, whose content is lost. `force`: also if it holds pools or, in
 * a file, anything. Returns an exit status.
 */
int memtest_verb(struct cli *cli, const char *range, bool force, bool json);

#endif
