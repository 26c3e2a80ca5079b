/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLI_TORTURE_PRINT_H
#define CLI_TORTURE_PRINT_H

/* The result of a campaign, on standard output. */

#include "cli/torture_campaign.h"

void torture_print(const struct torture_campaign *campaign, const struct torture_settings *settings,
		   bool json);

#endif
