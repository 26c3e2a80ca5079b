/* SPDX-License-Identifier: BSD-3-Clause */
#include "softpmem.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>

#define TEXT_MAX 255

typedef int send_mark(const char *text);

int softpmem_mark(const char *text)
{
	/* Of the library that `softpmem run` preloads. */
	void *symbol = dlsym(RTLD_DEFAULT, "softpmem_send_mark");
	send_mark *send;

	memcpy(&send, &symbol, sizeof(send));
	if (send)
		return send(text);
	if (*text && strnlen(text, TEXT_MAX + 1) <= TEXT_MAX)
		return 0;
	errno = EINVAL;
	return -1;
}
