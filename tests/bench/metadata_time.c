/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * metadata_time create DIR FILES: the median microseconds of creating a file of one page and syncing it, in a
 * directory that has so many other files.
 * metadata_time names DIR FILES: how many names a second are made, changed and removed: so many small files
 * are created, renamed and unlinked, one after the other.
 * metadata_time make DIR FILES: make so many empty files.
 * metadata_time hold DIR FILES: hold so many files of one page open until the standard input ends. Prints
 * "ready" when they are open.
 */
#include <err.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "now.h"

#define MEASURED 1000

static const char page[4096] = "page";

static int open_file(const char *prefix, unsigned number, int flags)
{
	char name[32];
	int fd;

	snprintf(name, sizeof(name), "%s%u", prefix, number);
	fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | flags, 0644);
	if (fd < 0)
		err(1, "%s", name);
	return fd;
}

static void write_and_sync(int fd)
{
	if (pwrite(fd, page, sizeof(page), 0) != sizeof(page) || fsync(fd))
		err(1, "write");
}

static int by_value(const void *a, const void *b)
{
	double one = *(const double *)a, other = *(const double *)b;

	return (one > other) - (one < other);
}

static void create(unsigned files)
{
	static double times[MEASURED];
	char name[32];

	for (unsigned i = 0; i < files; i++)
		close(open_file("other", i, 0));
	for (unsigned i = 0; i < MEASURED; i++) {
		double from = now();
		int fd = open_file("new", i, O_EXCL);

		write_and_sync(fd);
		close(fd);
		times[i] = (now() - from) * 1e6;
	}
	for (unsigned i = 0; i < MEASURED; i++) {
		snprintf(name, sizeof(name), "new%u", i);
		unlink(name);
	}
	qsort(times, MEASURED, sizeof(times[0]), by_value);
	printf("%.2f\n", times[MEASURED / 2]);
}

static void change_names(unsigned files)
{
	double from = now();
	char name[32], new_name[32];

	for (unsigned i = 0; i < files; i++) {
		int fd = open_file("small", i, O_EXCL);

		if (write(fd, page, 100) != 100)
			err(1, "write");
		close(fd);
		snprintf(name, sizeof(name), "small%u", i);
		snprintf(new_name, sizeof(new_name), "renamed%u", i);
		if (rename(name, new_name) || unlink(new_name))
			err(1, "%s", name);
	}
	printf("%.0f\n", 3.0 * files / (now() - from));
}

static void make(unsigned files)
{
	for (unsigned i = 0; i < files; i++)
		close(open_file("made", i, O_EXCL));
}

static void hold(unsigned files)
{
	const struct rlimit limit = { .rlim_cur = files + 100, .rlim_max = files + 100 };

	if (setrlimit(RLIMIT_NOFILE, &limit))
		err(1, "setrlimit");
	for (unsigned i = 0; i < files; i++)
		write_and_sync(open_file("held", i, 0));
	puts("ready");
	fflush(stdout);
	while (getchar() != EOF)
		;
}

static const struct {
	const char *name;
	void (*run)(unsigned files);
} commands[] = { { "create", create }, { "names", change_names }, { "make", make }, { "hold", hold } };

int main(int argc, char **argv)
{
	unsigned files = argc == 4 ? (unsigned)strtoul(argv[3], NULL, 10) : 0;

	for (size_t i = 0; files && i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(argv[1], commands[i].name) != 0)
			continue;
		if (chdir(argv[2]))
			err(1, "%s", argv[2]);
		commands[i].run(files);
		return 0;
	}
	fprintf(stderr, "usage: metadata_time create|names|make|hold DIR FILES\n");
	return 2;
}
