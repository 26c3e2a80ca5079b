/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/message.h"

#include <stdarg.h>
#include <stdio.h>

int message_fail(struct message *message, int error, const char *format, ...)
{
	va_list args;

	if (!message)
		return error;
	va_start(args, format);
	vsnprintf(message->text, sizeof(message->text), format, args);
	va_end(args);
	return error;
}
