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

/* Nothing but "." and "..". */
static bool lists_nothing(const char *path)
{
	DIR *directory = opendir(path);
	struct dirent *entry;
	bool nothing = true;

	/* An error ends a listing, too. */
	while (directory && (entry = readdir(directory)))
		nothing = nothing && (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."));
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

static int link_descriptor(int fd, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, path, AT_FDCWD, name, AT_SYMLINK_FOLLOW);
}

/* Linux sends O_TMPFILE to a FUSE file system since 6.1. */
static void check_nameless(void)
{
	int fd = open(".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0640);
	struct stat st;

	if (fd < 0 && errno == EOPNOTSUPP && !linux_is_at_least(6, 1)) {
		tap_run++;
		printf("ok %u - O_TMPFILE creates a file # SKIP Linux is older than 6.1\n", tap_run);
		return;
	}
	OK(fd >= 0 && is_unlinked(fd) && !fstat(fd, &st) && S_ISREG(st.st_mode) &&
		   (st.st_mode & 07777) == 0640 && st.st_uid == geteuid(),
	   "O_TMPFILE creates a regular file without a name");
	OK(write(fd, "bytes", 5) == 5 && !fsync(fd) && lists_nothing("."),
	   "a file of O_TMPFILE is written and synced, and its directory lists nothing");
	OK(!link_descriptor(fd, "named") && holds("named", "bytes") && !fstat(fd, &st) && st.st_nlink == 1,
	   "linkat(2) names a file of O_TMPFILE");
	close(fd);
	OK(holds("named", "bytes") && !unlink("named"), "a named file of O_TMPFILE remains after close(2)");
	fd = open(".", O_RDWR | O_TMPFILE | O_EXCL | O_CLOEXEC, 0600);
	OK(fd >= 0, "O_TMPFILE with O_EXCL creates a file");
	FAILS(link_descriptor(fd, "named"), ENOENT, "linkat(2) of a file of O_TMPFILE with O_EXCL is ENOENT");
	close(fd);
	FAILS(open("none", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600), ENOENT,
	      "O_TMPFILE in an absent directory is ENOENT");
}

void check_removed(void)
{
	int fd;

	check_removed_working_directory();
	check_replaced_directory();
	OK(!mkdir("nameless", 0755) && !chdir("nameless"), "a directory for files without a name is entered");
	check_nameless();
	OK(!chdir("..") && !rmdir("nameless"), "the directory for files without a name is empty and removed");
	OK(!put("file", "x"), "a file is created");
	fd = open("file", O_PATH | O_CLOEXEC);
	OK(!unlink("file") && is_unlinked(fd),
	   "a file that is unlinked while it is open with O_PATH has nlink 0");
	close(fd);
}
