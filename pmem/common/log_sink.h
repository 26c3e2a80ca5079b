/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COMMON_LOG_SINK_H
#define COMMON_LOG_SINK_H

/*
 * Where a library's log lines go: a member of its options. All zero drops the lines. The function is
 * called from any thread that logs, with a line that is valid during the call and has no newline.
 */
struct log_sink {
	void (*line)(void *context, const char *line);
	void *context;
};

/* Format a line and hand it on. Longer than 1023 bytes, it is cut. As thread safe as sink->line. */
void log_sink_print(const struct log_sink *sink, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
