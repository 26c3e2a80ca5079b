/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fileops DIR: checks that files on a mount behave as POSIX and Linux require. As root it checks
 * permissions too.
 */
#include "fileops.h"

#include <fcntl.h>
#include <grp.h>
#include <stdlib.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

unsigned tap_run, tap_failed;

int put(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	ssize_t length = (ssize_t)strlen(text);
	bool good;

	if (fd < 0)
		return -1;
	good = write(fd, text, (size_t)length) == length;
	return close(fd) || !good ? -1 : 0;
}

bool holds(const char *name, const char *text)
{
	char bytes[256];
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	ssize_t got;

	if (fd < 0)
		return false;
	got = read(fd, bytes, sizeof(bytes));
	close(fd);
	return got == (ssize_t)strlen(text) && !memcmp(bytes, text, (size_t)got);
}

bool same_file(const char *a, const char *b)
{
	struct stat one, other;

	return !lstat(a, &one) && !lstat(b, &other) && one.st_ino == other.st_ino &&
	       one.st_dev == other.st_dev;
}

nlink_t links_of(const char *name)
{
	struct stat st;

	return lstat(name, &st) ? 0 : st.st_nlink;
}

bool linux_is_at_least(unsigned version, unsigned patchlevel)
{
	unsigned running, level;
	struct utsname name;

	if (uname(&name) || sscanf(name.release, "%u.%u", &running, &level) != 2)
		return false;
	return running > version || (running == version && level >= patchlevel);
}

static int as_nobody_with_groups(const gid_t *groups, size_t count, int (*what)(void))
{
	pid_t child;
	int status;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		if (setgroups(count, groups) || setgid(65534) || setuid(65534))
			_exit(99);
		_exit(what());
	}
	if (child < 0 || waitpid(child, &status, 0) < 0 || !WIFEXITED(status))
		return 98;
	return WEXITSTATUS(status);
}

int as_nobody(int (*what)(void))
{
	return as_nobody_with_groups(NULL, 0, what);
}

int as_nobody_in_group(gid_t group, int (*what)(void))
{
	return as_nobody_with_groups(&group, 1, what);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*check)(void);
	} subjects[] = {
		{ "names", check_names },
		{ "links", check_links },
		{ "renames", check_renames },
		{ "directories", check_directories },
		{ "listings", check_listings },
		{ "removed", check_removed },
		{ "special", check_special },
		{ "attributes", check_attributes },
		{ "permissions", check_permissions },
		{ "data", check_data },
		{ "sizes", check_sizes },
		{ "allocation", check_allocation },
		{ "mappings", check_mappings },
		{ "cache", check_cache },
		{ "locks", check_locks },
		{ "space", check_space },
	};
	size_t i;

	if (argc != 2 || chdir(argv[1])) {
		fprintf(stderr, "usage: fileops DIR\n");
		return 2;
	}
	umask(022);
	for (i = 0; i < sizeof(subjects) / sizeof(subjects[0]); i++) {
		printf("# %s\n", subjects[i].name);
		if (mkdir(subjects[i].name, 0755) || chdir(subjects[i].name)) {
			OK(false, "a directory for the subject is made");
			continue;
		}
		subjects[i].check();
		OK(!chdir(".."), "the working directory is left again");
	}
	return tap_done();
}
