/* SPDX-License-Identifier: BSD-3-Clause */
#include "model/chooser.h"

#include <errno.h>
#include <string.h>

static const char *const names[] = {
	[CHOOSER_LOSE] = "lose",
	[CHOOSER_KEEP] = "keep",
	[CHOOSER_RANDOM] = "random",
};

const char *chooser_policy_name(enum chooser_policy policy)
{
	return names[policy];
}

int chooser_policy_parse(const char *text, enum chooser_policy *policy)
{
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(text, names[i]) == 0) {
			*policy = (enum chooser_policy)i;
			return 0;
		}
	}
	return -EINVAL;
}
