/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/persistence.h"

#include <errno.h>
#include <string.h>

static const char *const names[] = {
	[PERSISTENCE_MEMORY_CONTROLLER] = "memory_controller",
	[PERSISTENCE_CPU_CACHE] = "cpu_cache",
};

const char *persistence_domain_name(enum persistence_domain domain)
{
	return names[domain];
}

int persistence_domain_parse(const char *text, enum persistence_domain *domain)
{
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(text, names[i]) == 0) {
			*domain = (enum persistence_domain)i;
			return 0;
		}
	}
	return -EINVAL;
}
