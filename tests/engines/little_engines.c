/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * little_engines ENGINE setup|buggy|fixed|check|explored
 *
 * See little_engines.h. Exit status: 0; 1 if the check fails; 2 for wrong words, or a call that failed.
 */
#include "little_engines.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/softpmem.h"

static const struct little_engine *const engines[] = {
	&little_create,	    &little_rename, &little_logs,   &little_journal,	&little_descriptor,
	&little_commit,	    &little_truncate, &little_reopen, &little_two_files, &little_swap,
};
#define ENGINES (sizeof(engines) / sizeof(engines[0]))

void little_must(int result, const char *what)
{
	if (result >= 0)
		return;
	perror(what);
	exit(2);
}

int little_open(const char *name, int flags)
{
	int fd = open(name, flags | O_CLOEXEC, 0600);

	little_must(fd, name);
	return fd;
}

void little_line(unsigned number, char line[LINE])
{
	char text[LINE];

	memset(line, '.', LINE);
	snprintf(text, sizeof(text), "number %u", number);
	memcpy(line, text, strlen(text));
	line[LINE - 1] = '\n';
}

void little_write(int fd, unsigned number, unsigned lines, long offset)
{
	char bytes[16 * LINE];

	for (unsigned i = 0; i < lines; i++)
		little_line(number, bytes + i * LINE);
	little_must(pwrite(fd, bytes, lines * LINE, offset) == (ssize_t)(lines * LINE) ? 0 : -1, "pwrite");
}

int little_read(const char *name, unsigned lines, long offset)
{
	char bytes[LINE], wanted[LINE];
	int fd = open(name, O_RDONLY | O_CLOEXEC), number = -1;

	for (unsigned i = 0; fd >= 0 && i < lines; i++) {
		int found = -1;

		if (pread(fd, bytes, LINE, offset + (long)i * LINE) == LINE && bytes[LINE - 1] == '\n' &&
		    sscanf(bytes, "number %d", &found) == 1 && found >= 0) {
			little_line((unsigned)found, wanted);
			if (memcmp(bytes, wanted, LINE) != 0)
				found = -1;
		}
		if (found < 0 || (i && found != number)) {
			number = -1;
			break;
		}
		number = found;
	}
	if (fd >= 0)
		close(fd);
	return number;
}

void little_sync(int fd)
{
	little_must(fsync(fd), "fsync");
}

void little_sync_directory(void)
{
	int fd = little_open(".", O_RDONLY | O_DIRECTORY);

	little_sync(fd);
	little_close(fd);
}

void little_close(int fd)
{
	little_must(close(fd), "close");
}

void little_acknowledge(unsigned number)
{
	char line[32];
	int length = snprintf(line, sizeof(line), "%u\n", number);

	little_must(write(STDOUT_FILENO, line, (size_t)length) == length ? 0 : -1, "stdout");
	line[length - 1] = '\0';
	little_must(softpmem_mark(line), "softpmem_mark");
}

int little_acknowledged(void)
{
	const char *path = getenv("SOFTPMEM_ACKNOWLEDGED");
	FILE *file = path ? fopen(path, "re") : NULL;
	int last = 0, number;

	little_must(file ? 0 : -1, "SOFTPMEM_ACKNOWLEDGED");
	while (fscanf(file, "%d", &number) == 1)
		last = number;
	fclose(file);
	return last;
}

/* The check as `softpmem explore` runs it. Before the end of the setup there is nothing to recover. */
static bool check_explored(const struct little_engine *engine)
{
	const char *state = getenv("SOFTPMEM_STATE"), *marks = getenv("SOFTPMEM_MARKS");
	struct stat st;

	little_must(state && marks && stat(marks, &st) == 0 ? 0 : -1, "SOFTPMEM_MARKS");
	little_must(chdir(state), state);
	little_must(setenv("SOFTPMEM_ACKNOWLEDGED", marks, 1), "setenv");
	return !st.st_size || engine->check();
}

static int usage(void)
{
	fputs("usage: little_engines ENGINE setup|buggy|fixed|check|explored\nengines:", stderr);
	for (size_t i = 0; i < ENGINES; i++)
		fprintf(stderr, " %s", engines[i]->name);
	fputc('\n', stderr);
	return 2;
}

int main(int argc, char **argv)
{
	const struct little_engine *engine = NULL;

	for (size_t i = 0; argc == 3 && i < ENGINES; i++)
		if (strcmp(engines[i]->name, argv[1]) == 0)
			engine = engines[i];
	if (!engine)
		return usage();
	if (strcmp(argv[2], "setup") == 0) {
		engine->setup();
		little_must(softpmem_mark("0"), "softpmem_mark");
	} else if (strcmp(argv[2], "buggy") == 0 || strcmp(argv[2], "fixed") == 0)
		engine->work(strcmp(argv[2], "fixed") == 0);
	else if (strcmp(argv[2], "check") == 0)
		return engine->check() ? 0 : 1;
	else if (strcmp(argv[2], "explored") == 0)
		return check_explored(engine) ? 0 : 1;
	else
		return usage();
	return 0;
}
