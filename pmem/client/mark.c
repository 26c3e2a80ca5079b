/* SPDX-License-Identifier: BSD-3-Clause */

/* What softpmem_mark(3) finds in this library. */

#include <errno.h>
#include <string.h>

#include "abi/attach_protocol.h"
#include "client/compiler.h"
#include "client/connection.h"
#include "client/settings.h"

PUBLIC int softpmem_send_mark(const char *text);

PUBLIC int softpmem_send_mark(const char *text)
{
	const size_t length = strnlen(text, ATTACH_MARK_BYTES);
	char bytes[ATTACH_MARK_BYTES] = { 0 };
	int error;

	if (length == 0 || length == sizeof(bytes)) {
		errno = EINVAL;
		return -1;
	}
	/* Preloaded without `softpmem run`: there is no daemon. */
	if (!client_settings()->attach_path)
		return 0;
	memcpy(bytes, text, length);
	error = connection_mark(bytes);
	if (error)
		errno = -error;
	return error ? -1 : 0;
}
