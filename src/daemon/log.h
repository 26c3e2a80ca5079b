/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SRC_LOG_H
#define SRC_LOG_H

#include <stdbool.h>
#include <syslog.h>

/* The daemon's log: a line for each event, on stderr or, in the background, to syslog. Thread safe. */
struct log {
	bool verbose; /* LOG_DEBUG lines too */
	bool syslog;
	bool journal; /* stderr leads to the systemd journal: begin each line with its priority */
};

void log_open(struct log *log, bool verbose);
/* Call it once stderr is /dev/null: lines go to syslog from here on. */
void log_to_syslog(struct log *log);
void log_line(const struct log *log, int priority, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* For a struct log_sink: `context` is the struct log, the priority LOG_INFO. */
void log_callback(void *context, const char *line);

#endif
