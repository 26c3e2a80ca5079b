/* SPDX-License-Identifier: BSD-3-Clause */

/* Errors as libpmem(7) tells them: a sentence a thread. And the version check, which answers with one. */

#include "client/private.h"

#include <errno.h>
#include <libpmem.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char message[PATH_MAX + 256];

void message_set(int error, const char *format, ...)
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
		message_set(0, "libpmem major version mismatch (need %u, found %u)", major_required,
			    PMEM_MAJOR_VERSION);
		return message;
	}
	if (minor_required > PMEM_MINOR_VERSION) {
		message_set(0, "libpmem minor version mismatch (need %u, found %u)", minor_required,
			    PMEM_MINOR_VERSION);
		return message;
	}
	return NULL;
}
