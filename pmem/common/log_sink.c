/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/log_sink.h"

#include <stdarg.h>
#include <stdio.h>

void log_sink_print(const struct log_sink *sink, const char *format, ...)
{
	char line[1024];
	va_list args;

	if (!sink->line)
		return;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	sink->line(sink->context, line);
}
