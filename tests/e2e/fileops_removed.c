/* SPDX-License-Identifier: BSD-3-Clause */

/* Directories that change while they are listed, and files and directories without a name that are in use. */

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fileops.h"

/* How many entries a listing has while `change` is called for each of them; stops at `limit`. */
static int entries_while(void (*change)(const char *name, int number), int limit)
{
	DIR *directory = opendir(".");
	struct dirent *entry;
	int count = 0;

	if (!directory)
		return limit;
	while (count < limit && (entry = readdir(directory))) {
		if (entry->d_name[0] == '.')
			continue;
		change(entry->d_name, count++);
	}
	closedir(directory);
	return count;
}

static void rename_it(const char *name, int number)
{
	char to[32];

	snprintf(to, sizeof(to), "renamed%d", number);
	if (rename(name, to))
		perror(to);
}

static void replace_it(const char *name, int number)
{
	char to[32];

	snprintf(to, sizeof(to), "replaced%d", number);
	if (unlink(name) || put(to, ""))
		perror(to);
}

static int entries_after_rewind(int expected)
{
	DIR *directory = opendir(".");
	struct dirent *entry;
	int count = 0;

	while (directory && readdir(directory))
		count++;
	if (!directory || count != expected || put("late", ""))
		return -1;
	rewinddir(directory);
	for (count = 0; (entry = readdir(directory));)
		count += !strcmp(entry->d_name, "late");
	closedir(directory);
	return count;
}

void check_listings(void)
{
	enum { COUNT = 600 };
	char name[32];
	bool good = true;

	for (int i = 0; i < COUNT && good; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		good = !put(name, "");
	}
	OK(good, "600 files are created in one directory");
	OK(entries_while(rename_it, 10 * COUNT) <= COUNT,
	   "a listing ends although each listed name is renamed");
	OK(entries_while(replace_it, 10 * COUNT) <= COUNT,
	   "a listing ends although each listed file is replaced by a new one");
	OK(entries_after_rewind(COUNT + 2) == 1,
	   "rewinddir(3) makes a name visible that was added meanwhile");
}

static bool is_unlinked(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && st.st_nlink == 0;
}

static bool lists_nothing(const char *path)
{
	DIR *directory = opendir(path);
	struct dirent *entry;
	bool nothing = true;

	/* An error ends a listing, too. */
	while (directory && (entry = readdir(directory)))
		nothing = false;
	if (directory)
		closedir(directory);
	return nothing;
}

static void check_removed_working_directory(void)
{
	const struct timespec times[2] = { { .tv_sec = 11 }, { .tv_sec = 12 } };
	int parent = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st, before;

	OK(!mkdir("cwd", 0755) && !chdir("cwd") && !stat(".", &before) && !rmdir("../cwd"),
	   "a working directory is removed");
	OK(!stat(".", &st) && S_ISDIR(st.st_mode) && st.st_nlink == 0 && st.st_ino == before.st_ino,
	   "stat(2) of a removed working directory shows the same directory with nlink 0");
	OK(!chmod(".", 0700) && !stat(".", &st) && (st.st_mode & 07777) == 0700,
	   "chmod(2) of a removed working directory changes its mode");
	OK(!utimensat(AT_FDCWD, ".", times, 0) && !stat(".", &st) && st.st_mtim.tv_sec == 12,
	   "utimensat(2) of a removed working directory sets its times");
	OK(lists_nothing("."), "a removed working directory lists nothing");
	FAILS(open("x", O_WRONLY | O_CREAT | O_CLOEXEC, 0600), ENOENT,
	      "creating a file in a removed working directory is ENOENT");
	FAILS(mkdir("x", 0700), ENOENT, "mkdir(2) in a removed working directory is ENOENT");
	OK(!fchdir(parent), "a removed working directory is left");
	FAILS(stat("cwd", &st), ENOENT, "the name of a removed working directory is ENOENT");
	close(parent);
}

static void check_replaced_directory(void)
{
	int fd;

	OK(!mkdir("over", 0755) && !mkdir("under", 0755), "two directories are created");
	fd = open("under", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	OK(!rename("over", "under") && is_unlinked(fd) && links_of("under") == 2,
	   "an open directory that rename(2) replaced has nlink 0");
	OK(!fchmod(fd, 0711) && !fsync(fd), "an open directory that was replaced is changed and synced");
	close(fd);
	OK(!rmdir("under"), "the directory that replaced it is removed");
}

void check_removed(void)
{
	int fd;

	check_removed_working_directory();
	check_replaced_directory();
	OK(!put("file", "x"), "a file is created");
	fd = open("file", O_PATH | O_CLOEXEC);
	OK(!unlink("file") && is_unlinked(fd),
	   "a file that is unlinked while it is open with O_PATH has nlink 0");
	close(fd);
}
