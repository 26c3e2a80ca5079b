/* SPDX-License-Identifier: BSD-3-Clause */
#include "region/backend.h"

#include <errno.h>

static int devmem_open(struct region *region, const char *where, struct message *message)
{
	return message_fail(message, -ENOSYS, "region %s: not built yet", region->spec);
}

const struct backend backend_devmem = {
	.scheme = "devmem",
	.open = devmem_open,
};
