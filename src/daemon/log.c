/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "wire/text.h"

/*
 * JOURNAL_STREAM names the socket to which systemd connected stderr (systemd.exec(5)). Other processes
 * inherit the variable, so compare it.
 */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
	       fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

void log_open(struct log *log, bool verbose)
{
	*log = (struct log){ .verbose = verbose, .journal = stderr_is_journal() };
}

void log_to_syslog(struct log *log)
{
	openlog("softpmemd", LOG_PID, LOG_DAEMON);
	log->syslog = true;
}

void log_line(const struct log *log, int priority, const char *format, ...)
{
	char text[2048];
	CLEANUP_FREE char *line = NULL;
	va_list args;

	if (priority == LOG_DEBUG && !log->verbose)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	line = text_printable(text);
	if (!line)
		return;
	if (log->syslog)
		syslog(priority, "%s", line);
	else if (log->journal)
		fprintf(stderr, "<%d>%s\n", priority, line);
	else
		fprintf(stderr, "softpmemd: %s\n", line);
}

void log_callback(void *context, const char *line)
{
	log_line(context, LOG_INFO, "%s", line);
}
