/* SPDX-License-Identifier: BSD-3-Clause */

#include "client/errormsg.h"

#include <errno.h>
#include <libpmem.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "abi/rawcall.h"
#include "client/compiler.h"

void client_complain(const char *what, const char *detail)
{
	char text[400] = "softpmem: ";

	strncat(text, what, 200);
	strncat(text, detail, 150);
	strcat(text, "\n");
	RAW3(write, 2, text, strlen(text));
}

static _Thread_local char message[PATH_MAX + 256];

void client_set_errormsg(int error, const char *format, ...)
{
	va_list arguments;
	size_t used;

	va_start(arguments, format);
	vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	used = strlen(message);
	if (error)
		snprintf(message + used, sizeof(message) - used, ": %s", strerrordesc_np(error));
	errno = error ? error : errno;
}

PUBLIC const char *pmem_errormsg(void)
{
	return message;
}

PUBLIC const char *pmem_check_version(unsigned major_required, unsigned minor_required)
{
	if (major_required != PMEM_MAJOR_VERSION) {
		client_set_errormsg(0, "libpmem major version mismatch (need %u, found %u)", major_required,
			    PMEM_MAJOR_VERSION);
		return message;
	}
	if (minor_required > PMEM_MINOR_VERSION) {
		client_set_errormsg(0, "libpmem minor version mismatch (need %u, found %u)", minor_required,
			    PMEM_MINOR_VERSION);
		return message;
	}
	return NULL;
}
