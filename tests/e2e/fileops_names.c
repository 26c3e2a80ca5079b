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
	OK(good, "a tree 300 directories deep");
	OK(!put("bottom", "deep") && holds("bottom", "deep"), "a file at its bottom");
	good = !unlink("bottom");
	for (depth = 0; depth < 300 && good; depth++)
		good = !chdir("..") && !rmdir("down");
	OK(good, "and taken down again, from the bottom up");
	OK(!fchdir(top), "whose top is still there");
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
	FAILS(look("a"), ENOENT, "a name that is not there");
	OK(!make("a", O_EXCL), "create");
	FAILS(make("a", O_EXCL), EEXIST, "O_EXCL on a name that is there");
	OK(!make("a", 0), "O_CREAT alone opens it");
	FAILS(make("none/a", 0), ENOENT, "create below nothing");
	FAILS(make("a/a", 0), ENOTDIR, "create below a file");
	FAILS(look("a/a"), ENOTDIR, "look below a file");
	OK(!make(name255, O_EXCL) && listed(name255), "a name of 255 bytes");
	FAILS(make(name256, 0), ENAMETOOLONG, "a name of 256 bytes: create");
	FAILS(look(name256), ENAMETOOLONG, "a name of 256 bytes: stat");
	FAILS(mkdir(name256, 0755), ENAMETOOLONG, "a name of 256 bytes: mkdir");
	FAILS(symlink("a", name256), ENAMETOOLONG, "a name of 256 bytes: symlink");
	FAILS(link("a", name256), ENAMETOOLONG, "a name of 256 bytes: link");
	FAILS(rename("a", name256), ENAMETOOLONG, "a name of 256 bytes: rename");
	FAILS(unlink(name256), ENAMETOOLONG, "a name of 256 bytes: unlink");
	OK(!put(odd, "x") && listed(odd) && holds(odd, "x"), "a name of any bytes, given back as it was");
	FAILS(unlink("none"), ENOENT, "unlink what is not there");
	OK(!unlink("a"), "unlink");
	FAILS(look("a"), ENOENT, "then it is gone");
	FAILS(unlink("."), EISDIR, "unlink a directory");
	check_deep();
}

void check_links(void)
{
	char target[4097], back[4097];
	struct stat before, after;
	int fd;

	OK(!put("a", "one") && !stat("a", &before), "a file");
	OK(!link("a", "b") && same_file("a", "b"), "link(2) names it again");
	OK(!stat("a", &after) && after.st_nlink == 2, "nlink is 2");
	OK(before.st_ctim.tv_sec != after.st_ctim.tv_sec || before.st_ctim.tv_nsec != after.st_ctim.tv_nsec,
	   "ctime moved");
	FAILS(link("a", "b"), EEXIST, "link over a name");
	FAILS(link(".", "c"), EPERM, "link of a directory");
	FAILS(link("none", "c"), ENOENT, "link of nothing");
	OK(!put("b", "two") && holds("a", "two"), "one content");
	fd = open("a", O_RDWR | O_CLOEXEC);
	OK(!unlink("a") && links_of("b") == 1 && holds("b", "two"), "unlink takes one name");
	OK(!unlink("b") && !fstat(fd, &after) && after.st_nlink == 0, "open without a name: nlink 0");
	OK(pwrite(fd, "three", 5, 0) == 5 && pread(fd, back, 5, 0) == 5 && !memcmp(back, "three", 5),
	   "and still written and read");
	OK(!ftruncate(fd, 100000) && !fsync(fd) && !fchmod(fd, 0600), "and grown, synced, changed");
	close(fd);

	memset(target, 't', 4095);
	target[4095] = '\0';
	OK(!symlink("none", "s") && readlink("s", back, sizeof(back)) == 4 && !memcmp(back, "none", 4),
	   "symlink");
	OK(!lstat("s", &after) && S_ISLNK(after.st_mode) && after.st_size == 4, "its size is its target's");
	FAILS(open("s", O_RDONLY), ENOENT, "open through a dangling one");
	FAILS(symlink("none", "s"), EEXIST, "symlink over a name");
	FAILS(symlink("", "e"), ENOENT, "an empty target");
	OK(!symlink(target, "long") && readlink("long", back, sizeof(back)) == 4095 &&
		   !memcmp(back, target, 4095),
	   "a target of 4095 bytes");
	OK(!symlink("loop", "loop"), "a symlink to itself");
	FAILS(open("loop", O_RDONLY), ELOOP, "cannot be followed");
	OK(!put("real", "r") && !symlink("real", "to") && holds("to", "r"), "open through a symlink");
	FAILS(readlink("real", back, sizeof(back)), EINVAL, "readlink of a file");
}

static int rename2(const char *from, const char *to, unsigned flags)
{
	return renameat2(AT_FDCWD, from, AT_FDCWD, to, flags);
}

static void check_rename_directories(void)
{
	struct stat st;

	OK(!mkdir("d", 0755) && !mkdir("e", 0755) && !mkdir("d/sub", 0755), "directories");
	OK(links_of("d") == 3 && links_of("e") == 2, "nlink counts subdirectories");
	OK(!rename("d/sub", "e/sub") && links_of("d") == 2 && links_of("e") == 3,
	   "a moved one counts where it is");
	OK(!stat("e/sub/..", &st) && same_file("e/sub/..", "e"), "and its .. follows");
	FAILS(rename("e", "e/sub/e"), EINVAL, "into itself");
	FAILS(rename("d", "e"), ENOTEMPTY, "over a directory that is not empty");
	OK(!rename("e/sub", "d") && links_of("e") == 2, "over an empty one");
	OK(!put("f", "f"), "a file");
	FAILS(rename("f", "d"), EISDIR, "a file over a directory");
	FAILS(rename("d", "f"), ENOTDIR, "a directory over a file");
	FAILS(rename("none", "x"), ENOENT, "what is not there");
	FAILS(rmdir("f"), ENOTDIR, "rmdir of a file");
	OK(!put("d/x", "x"), "a file in a directory");
	FAILS(rmdir("d"), ENOTEMPTY, "rmdir of what is not empty");
	OK(!unlink("d/x") && !rmdir("d"), "rmdir of what is");
	FAILS(mkdir("f", 0755), EEXIST, "mkdir over a name");
	OK(rmdir(".") < 0 && errno == EINVAL, "rmdir of .");
}

void check_renames(void)
{
	int fd;
	char byte;

	OK(!put("a", "A") && !put("b", "B"), "two files");
	fd = open("b", O_RDONLY | O_CLOEXEC);
	OK(!rename("a", "b") && holds("b", "A") && look("a") < 0, "rename over");
	OK(read(fd, &byte, 1) == 1 && byte == 'B', "what was replaced lives while it is open");
	close(fd);
	OK(!put("a", "C"), "another");
	FAILS(rename2("a", "b", RENAME_NOREPLACE), EEXIST, "RENAME_NOREPLACE on a name that is there");
	OK(!rename2("a", "c", RENAME_NOREPLACE) && holds("c", "C"), "and on one that is not");
	OK(!rename2("b", "c", RENAME_EXCHANGE) && holds("b", "C") && holds("c", "A"), "RENAME_EXCHANGE");
	FAILS(rename2("b", "none", RENAME_EXCHANGE), ENOENT, "with nothing");
	FAILS(rename2("b", "c", RENAME_EXCHANGE | RENAME_NOREPLACE), EINVAL, "flags that contradict");
	FAILS(rename2("b", "w", RENAME_WHITEOUT), EINVAL, "whiteouts");
	OK(!mkdir("dir", 0755) && !put("dir/in", "in"), "a directory");
	OK(!rename2("b", "dir", RENAME_EXCHANGE) && holds("b/in", "in") && holds("dir", "C"),
	   "a file for a directory");
	OK(!link("c", "same") && !rename("c", "same") && holds("c", "A") && holds("same", "A"),
	   "between two names of one file nothing happens");
	OK(!rename("c", "b/c") && holds("b/c", "A"), "into another directory");
	check_rename_directories();
}

/* How often the directory lists each of f0 .. f<count-1>; -1 if anything else is in it. */
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

	OK(!mkdir("many", 0755) && !chdir("many"), "an empty directory");
	directory = opendir(".");
	OK(directory && census(directory, seen, COUNT) == 2 && !seen[0], "has . and .. and nothing else");
	for (i = 0; i < COUNT && good; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		good = !make(name, O_EXCL);
	}
	OK(good, "1500 files");
	rewinddir(directory);
	OK(census(directory, seen, COUNT) == 2 && all_once(seen, 0, COUNT, 1),
	   "each listed once after rewinddir");
	rewinddir(directory);
	for (i = 0; i < 700; i++)
		entry = readdir(directory);
	place = telldir(directory);
	entry = readdir(directory);
	snprintf(after, sizeof(after), "%s", entry ? entry->d_name : "");
	seekdir(directory, place);
	entry = readdir(directory);
	OK(entry && !strcmp(entry->d_name, after), "seekdir comes back to the place");
	rewinddir(directory);
	entry = readdir(directory);
	for (i = 0; i < COUNT && good; i += 2) {
		snprintf(name, sizeof(name), "f%d", i);
		good = !unlink(name);
	}
	OK(good && census(directory, seen, COUNT) >= 1 && all_once(seen, 1, COUNT, 2),
	   "what stays is seen once while the rest is removed");
	rewinddir(directory);
	OK(census(directory, seen, COUNT) == 2 && !seen[0] && all_once(seen, 1, COUNT, 2), "and then alone");
	OK(!fsync(dirfd(directory)), "fsync of a directory");
	closedir(directory);
	for (i = 1; i < COUNT; i += 2) {
		snprintf(name, sizeof(name), "f%d", i);
		unlink(name);
	}
	directory = opendir(".");
	OK(!chdir("..") && !rmdir("many") && directory && !readdir(directory),
	   "removed while open: nothing is in it");
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
	OK(!stat("sock", &st) && S_ISSOCK(st.st_mode), "and shown as one");
	OK(!connect(client, (struct sockaddr *)&address, sizeof(address)), "and connected to");
	close(server);
	close(client);
}

void check_special(void)
{
	struct stat st;
	char byte = 0;
	int fd;

	OK(!mkfifo("fifo", 0600) && !stat("fifo", &st) && S_ISFIFO(st.st_mode), "mkfifo");
	fd = open("fifo", O_RDWR | O_CLOEXEC);
	OK(write(fd, "x", 1) == 1 && read(fd, &byte, 1) == 1 && byte == 'x', "a fifo carries bytes");
	close(fd);
	check_socket();
	OK(!mknod("plain", S_IFREG | 0600, 0) && !stat("plain", &st) && S_ISREG(st.st_mode),
	   "mknod of a file");
	FAILS(mknod("device", S_IFCHR | 0600, makedev(1, 3)), EPERM, "mknod of a device");
	FAILS(open(".", O_RDWR | O_TMPFILE, 0600), EOPNOTSUPP, "O_TMPFILE is not there");
}
