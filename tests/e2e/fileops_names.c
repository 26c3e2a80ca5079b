/* SPDX-License-Identifier: BSD-3-Clause */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include "fileops.h"

static char name255[256], name256[257];

static int make(const char *name, int flags)
{
	int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | flags, 0644);

	return fd < 0 ? -1 : close(fd);
}

static int look(const char *name)
{
	struct stat st;

	return lstat(name, &st);
}

static void check_deep(void)
{
	int top = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), depth;
	bool good = top >= 0;

	for (depth = 0; depth < 300 && good; depth++)
		good = !mkdir("down", 0755) && !chdir("down");
	OK(good, "directories nest 300 deep");
	OK(!put("bottom", "deep") && holds("bottom", "deep"),
	   "a file 300 directories deep is written and read");
	good = !unlink("bottom");
	for (depth = 0; depth < 300 && good; depth++)
		good = !chdir("..") && !rmdir("down");
	OK(good, "nested directories are removed from the bottom up");
	OK(!fchdir(top), "the directory above them is still there");
	close(top);
}

static bool listed(const char *wanted)
{
	DIR *directory = opendir(".");
	struct dirent *entry;
	int found = 0;

	while (directory && (entry = readdir(directory)))
		found += !strcmp(entry->d_name, wanted);
	if (directory)
		closedir(directory);
	return found == 1;
}

void check_names(void)
{
	static const char odd[] = "\xff\xfe not utf-8 \x80\n\t\\";

	memset(name255, 'n', 255);
	memset(name256, 'n', 256);
	FAILS(look("a"), ENOENT, "lstat(2) of an absent name is ENOENT");
	OK(!make("a", O_EXCL), "O_CREAT creates a file");
	FAILS(make("a", O_EXCL), EEXIST, "O_EXCL on an existing name is EEXIST");
	OK(!make("a", 0), "O_CREAT alone opens an existing file");
	FAILS(make("none/a", 0), ENOENT, "creating in an absent directory is ENOENT");
	FAILS(make("a/a", 0), ENOTDIR, "creating below a file is ENOTDIR");
	FAILS(look("a/a"), ENOTDIR, "lstat(2) below a file is ENOTDIR");
	OK(!make(name255, O_EXCL) && listed(name255), "a name of 255 bytes is created and listed");
	FAILS(make(name256, 0), ENAMETOOLONG, "creating a name of 256 bytes is ENAMETOOLONG");
	FAILS(look(name256), ENAMETOOLONG, "lstat(2) of a name of 256 bytes is ENAMETOOLONG");
	FAILS(mkdir(name256, 0755), ENAMETOOLONG, "mkdir(2) of a name of 256 bytes is ENAMETOOLONG");
	FAILS(symlink("a", name256), ENAMETOOLONG, "symlink(2) of a name of 256 bytes is ENAMETOOLONG");
	FAILS(link("a", name256), ENAMETOOLONG, "link(2) of a name of 256 bytes is ENAMETOOLONG");
	FAILS(rename("a", name256), ENAMETOOLONG, "rename(2) to a name of 256 bytes is ENAMETOOLONG");
	FAILS(unlink(name256), ENAMETOOLONG, "unlink(2) of a name of 256 bytes is ENAMETOOLONG");
	OK(!put(odd, "x") && listed(odd) && holds(odd, "x"), "a name of any bytes is listed as it was given");
	FAILS(unlink("none"), ENOENT, "unlink(2) of an absent name is ENOENT");
	OK(!unlink("a"), "unlink(2) succeeds");
	FAILS(look("a"), ENOENT, "an unlinked name is ENOENT");
	FAILS(unlink("."), EISDIR, "unlink(2) of a directory is EISDIR");
	check_deep();
}

void check_links(void)
{
	char target[4097], back[4097];
	struct stat before, after;
	int fd;

	OK(!put("a", "one") && !stat("a", &before), "a file has attributes");
	OK(!link("a", "b") && same_file("a", "b"), "link(2) gives a file a second name");
	OK(!stat("a", &after) && after.st_nlink == 2, "a file with two names has nlink 2");
	OK(before.st_ctim.tv_sec != after.st_ctim.tv_sec || before.st_ctim.tv_nsec != after.st_ctim.tv_nsec,
	   "link(2) moves the ctime");
	FAILS(link("a", "b"), EEXIST, "link(2) to an existing name is EEXIST");
	FAILS(link(".", "c"), EPERM, "link(2) of a directory is EPERM");
	FAILS(link("none", "c"), ENOENT, "link(2) of an absent name is ENOENT");
	OK(!put("b", "two") && holds("a", "two"), "what is written to one name is read from the other");
	fd = open("a", O_RDWR | O_CLOEXEC);
	OK(!unlink("a") && links_of("b") == 1 && holds("b", "two"),
	   "unlink(2) of one name leaves the other with nlink 1");
	OK(!unlink("b") && !fstat(fd, &after) && after.st_nlink == 0,
	   "an open file without a name has nlink 0");
	OK(pwrite(fd, "three", 5, 0) == 5 && pread(fd, back, 5, 0) == 5 && !memcmp(back, "three", 5),
	   "an open file without a name is written and read");
	OK(!ftruncate(fd, 100000) && !fsync(fd) && !fchmod(fd, 0600),
	   "an open file without a name is grown, synced and its mode set");
	close(fd);

	memset(target, 't', 4095);
	target[4095] = '\0';
	OK(!symlink("none", "s") && readlink("s", back, sizeof(back)) == 4 && !memcmp(back, "none", 4),
	   "readlink(2) returns what symlink(2) was given");
	OK(!lstat("s", &after) && S_ISLNK(after.st_mode) && after.st_size == 4,
	   "a symlink has the size of its target");
	FAILS(open("s", O_RDONLY), ENOENT, "open(2) through a dangling symlink is ENOENT");
	FAILS(symlink("none", "s"), EEXIST, "symlink(2) to an existing name is EEXIST");
	FAILS(symlink("", "e"), ENOENT, "symlink(2) with an empty target is ENOENT");
	OK(!symlink(target, "long") && readlink("long", back, sizeof(back)) == 4095 &&
		   !memcmp(back, target, 4095),
	   "a symlink has a target of 4095 bytes");
	OK(!symlink("loop", "loop"), "a symlink to itself is created");
	FAILS(open("loop", O_RDONLY), ELOOP, "open(2) of a symlink to itself is ELOOP");
	OK(!put("real", "r") && !symlink("real", "to") && holds("to", "r"), "open(2) follows a symlink");
	FAILS(readlink("real", back, sizeof(back)), EINVAL, "readlink(2) of a file is EINVAL");
}

static int rename2(const char *from, const char *to, unsigned flags)
{
	return renameat2(AT_FDCWD, from, AT_FDCWD, to, flags);
}

static void check_rename_directories(void)
{
	struct stat st;

	OK(!mkdir("d", 0755) && !mkdir("e", 0755) && !mkdir("d/sub", 0755), "directories are created");
	OK(links_of("d") == 3 && links_of("e") == 2, "the nlink of a directory counts its subdirectories");
	OK(!rename("d/sub", "e/sub") && links_of("d") == 2 && links_of("e") == 3,
	   "a moved directory counts in the nlink of its new parent");
	OK(!stat("e/sub/..", &st) && same_file("e/sub/..", "e"),
	   "the .. of a moved directory is its new parent");
	FAILS(rename("e", "e/sub/e"), EINVAL, "renaming a directory into itself is EINVAL");
	FAILS(rename("d", "e"), ENOTEMPTY, "renaming over a directory that is not empty is ENOTEMPTY");
	OK(!rename("e/sub", "d") && links_of("e") == 2, "renaming over an empty directory replaces it");
	OK(!put("f", "f"), "a file is created beside directories");
	FAILS(rename("f", "d"), EISDIR, "renaming a file over a directory is EISDIR");
	FAILS(rename("d", "f"), ENOTDIR, "renaming a directory over a file is ENOTDIR");
	FAILS(rename("none", "x"), ENOENT, "renaming an absent name is ENOENT");
	FAILS(rmdir("f"), ENOTDIR, "rmdir(2) of a file is ENOTDIR");
	OK(!put("d/x", "x"), "a file is created in a directory");
	FAILS(rmdir("d"), ENOTEMPTY, "rmdir(2) of a directory that is not empty is ENOTEMPTY");
	OK(!unlink("d/x") && !rmdir("d"), "rmdir(2) of an empty directory succeeds");
	FAILS(mkdir("f", 0755), EEXIST, "mkdir(2) of an existing name is EEXIST");
	OK(rmdir(".") < 0 && errno == EINVAL, "rmdir(2) of . is EINVAL");
}

void check_renames(void)
{
	int fd;
	char byte;

	OK(!put("a", "A") && !put("b", "B"), "two files are created");
	fd = open("b", O_RDONLY | O_CLOEXEC);
	OK(!rename("a", "b") && holds("b", "A") && look("a") < 0, "rename(2) over a file replaces it");
	OK(read(fd, &byte, 1) == 1 && byte == 'B', "a replaced file can be read while it is open");
	close(fd);
	OK(!put("a", "C"), "a third file is created");
	FAILS(rename2("a", "b", RENAME_NOREPLACE), EEXIST, "RENAME_NOREPLACE to an existing name is EEXIST");
	OK(!rename2("a", "c", RENAME_NOREPLACE) && holds("c", "C"),
	   "RENAME_NOREPLACE to an absent name renames");
	OK(!rename2("b", "c", RENAME_EXCHANGE) && holds("b", "C") && holds("c", "A"),
	   "RENAME_EXCHANGE exchanges two files");
	FAILS(rename2("b", "none", RENAME_EXCHANGE), ENOENT, "RENAME_EXCHANGE with an absent name is ENOENT");
	FAILS(rename2("b", "c", RENAME_EXCHANGE | RENAME_NOREPLACE), EINVAL,
	      "RENAME_EXCHANGE with RENAME_NOREPLACE is EINVAL");
	FAILS(rename2("b", "w", RENAME_WHITEOUT), EINVAL, "RENAME_WHITEOUT is EINVAL");
	OK(!mkdir("dir", 0755) && !put("dir/in", "in"), "a directory with a file is created");
	OK(!rename2("b", "dir", RENAME_EXCHANGE) && holds("b/in", "in") && holds("dir", "C"),
	   "RENAME_EXCHANGE exchanges a file and a directory");
	OK(!link("c", "same") && !rename("c", "same") && holds("c", "A") && holds("same", "A"),
	   "rename(2) between two names of one file changes nothing");
	OK(!rename("c", "b/c") && holds("b/c", "A"), "rename(2) moves a file into another directory");
	check_rename_directories();
}

/* How many times the directory lists each of f0 .. f<count-1>; -1 if it lists anything else. */
static int census(DIR *directory, unsigned char *seen, int count)
{
	struct dirent *entry;
	int number, dots = 0;

	memset(seen, 0, (size_t)count);
	while ((entry = readdir(directory))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			dots++;
		else if (sscanf(entry->d_name, "f%d", &number) == 1 && number >= 0 && number < count)
			seen[number]++;
		else
			return -1;
	}
	return dots;
}

static bool all_once(const unsigned char *seen, int first, int count, int step)
{
	for (; first < count; first += step)
		if (seen[first] != 1)
			return false;
	return true;
}

void check_directories(void)
{
	enum { COUNT = 1500 };
	static unsigned char seen[COUNT];
	struct dirent *entry;
	char name[32], after[256];
	bool good = true;
	DIR *directory;
	long place;
	int i;

	OK(!mkdir("many", 0755) && !chdir("many"), "a directory is created and entered");
	directory = opendir(".");
	OK(directory && census(directory, seen, COUNT) == 2 && !seen[0],
	   "an empty directory lists . and .. and nothing else");
	for (i = 0; i < COUNT && good; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		good = !make(name, O_EXCL);
	}
	OK(good, "1500 files are created in one directory");
	rewinddir(directory);
	OK(census(directory, seen, COUNT) == 2 && all_once(seen, 0, COUNT, 1),
	   "each of 1500 files is listed once after rewinddir(3)");
	rewinddir(directory);
	for (i = 0; i < 700; i++)
		entry = readdir(directory);
	place = telldir(directory);
	entry = readdir(directory);
	snprintf(after, sizeof(after), "%s", entry ? entry->d_name : "");
	seekdir(directory, place);
	entry = readdir(directory);
	OK(entry && !strcmp(entry->d_name, after), "seekdir(3) returns to a place in a listing");
	rewinddir(directory);
	entry = readdir(directory);
	for (i = 0; i < COUNT && good; i += 2) {
		snprintf(name, sizeof(name), "f%d", i);
		good = !unlink(name);
	}
	OK(good && census(directory, seen, COUNT) >= 1 && all_once(seen, 1, COUNT, 2),
	   "files that stay are listed once while others are removed");
	rewinddir(directory);
	OK(census(directory, seen, COUNT) == 2 && !seen[0] && all_once(seen, 1, COUNT, 2),
	   "after the removal only the files that stayed are listed");
	OK(!fsync(dirfd(directory)), "fsync(2) of a directory succeeds");
	closedir(directory);
	for (i = 1; i < COUNT; i += 2) {
		snprintf(name, sizeof(name), "f%d", i);
		unlink(name);
	}
	directory = opendir(".");
	OK(!chdir("..") && !rmdir("many") && directory && !readdir(directory),
	   "a directory removed while open lists nothing");
	if (directory)
		closedir(directory);
}

static void check_socket(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "sock" };
	int server = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);
	struct stat st;

	OK(!bind(server, (struct sockaddr *)&address, sizeof(address)) && !listen(server, 1),
	   "a socket is bound");
	OK(!stat("sock", &st) && S_ISSOCK(st.st_mode), "a bound socket has the type of a socket");
	OK(!connect(client, (struct sockaddr *)&address, sizeof(address)),
	   "a bound socket can be connected to");
	close(server);
	close(client);
}

void check_special(void)
{
	struct stat st;
	char byte = 0;
	int fd;

	OK(!mkfifo("fifo", 0600) && !stat("fifo", &st) && S_ISFIFO(st.st_mode), "mkfifo(2) makes a fifo");
	fd = open("fifo", O_RDWR | O_CLOEXEC);
	OK(write(fd, "x", 1) == 1 && read(fd, &byte, 1) == 1 && byte == 'x', "a fifo carries bytes");
	close(fd);
	check_socket();
	OK(!mknod("plain", S_IFREG | 0600, 0) && !stat("plain", &st) && S_ISREG(st.st_mode),
	   "mknod(2) makes a regular file");
	FAILS(mknod("device", S_IFCHR | 0600, makedev(1, 3)), EPERM, "mknod(2) of a device is EPERM");
}
