/* SPDX-License-Identifier: BSD-3-Clause */
#include "region/file_place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"

#define LINKS_MAX 40 /* as the kernel */

struct walk {
	int directory;
	struct stat at; /* the directory */
	char rest[2 * PATH_MAX];
	unsigned links;
	bool whole; /* the path as a whole was a link */
};

/*
 * Can strangers make names in it? A group that may write to a directory that is not sticky is often that of
 * its user alone.
 */
static bool is_shared(const struct stat *directory)
{
	const mode_t sticky_group = S_ISVTX | S_IWGRP;

	return (directory->st_mode & S_IWOTH) || (directory->st_mode & sticky_group) == sticky_group;
}

static int enter(struct walk *walk, int directory)
{
	if (directory < 0)
		return -errno;
	if (walk->directory >= 0)
		close(walk->directory);
	walk->directory = directory;
	return fstat(directory, &walk->at) < 0 ? -errno : 0;
}

/* Take the next name from the path; *last: no other name follows. */
static int next_name(struct walk *walk, char name[NAME_MAX + 1], bool *last)
{
	size_t start = strspn(walk->rest, "/"), length = strcspn(walk->rest + start, "/");
	size_t end = start + length;

	if (length > NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(name, walk->rest + start, length);
	name[length] = '\0';
	end += strspn(walk->rest + end, "/");
	*last = !walk->rest[end];
	memmove(walk->rest, walk->rest + end, strlen(walk->rest + end) + 1);
	if (!length)
		strcpy(name, ".");
	return 0;
}

static int follow(struct walk *walk, int link)
{
	char target[PATH_MAX], rest[sizeof(walk->rest)];
	ssize_t length = readlinkat(link, "", target, sizeof(target) - 1);

	if (length < 0)
		return -errno;
	if (++walk->links > LINKS_MAX)
		return -ELOOP;
	target[length] = '\0';
	strcpy(rest, walk->rest);
	if ((size_t)snprintf(walk->rest, sizeof(walk->rest), "%s%s%s", target, *rest ? "/" : "", rest) >=
	    sizeof(walk->rest))
		return -ENAMETOOLONG;
	return *target == '/' ? enter(walk, open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)) : 0;
}

/* As the kernel decides if fs.protected_symlinks is set, which protects sticky directories only. */
static bool is_strange(const struct walk *walk, const struct stat *link)
{
	return is_shared(&walk->at) && link->st_uid != geteuid() && link->st_uid != walk->at.st_uid;
}

static int find(struct walk *walk, bool any_link, const char *spec, struct file_place *out,
		struct message *message)
{
	for (;;) {
		bool last;
		int error = next_name(walk, out->name, &last);
		CLEANUP_FD int fd = -1;
		struct stat st;

		if (error)
			return error;
		fd = openat(walk->directory, out->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			return errno != ENOENT || !last ? -errno : walk->whole ? -EEXIST : 0;
		if (fstat(fd, &st) < 0)
			return -errno;
		if (S_ISLNK(st.st_mode)) {
			if (!any_link && is_strange(walk, &st))
				return message_fail(message, -EPERM,
						    "region %s: '%s' is a symbolic link of another user (uid "
						    "%u) in a directory that others may write to: name the "
						    "file itself",
						    spec, out->name, st.st_uid);
			walk->whole |= last;
			error = follow(walk, fd);
		} else if (last) {
			return 0;
		} else {
			error = enter(walk, steal_fd(&fd));
		}
		if (error)
			return error;
	}
}

int file_place_find(const char *path, bool any_link, const char *spec, struct file_place *out,
		    struct message *message)
{
	struct walk walk = { .directory = -1 };
	int error = enter(&walk, open(*path == '/' ? "/" : ".", O_PATH | O_DIRECTORY | O_CLOEXEC));

	if (!error && strlen(path) >= PATH_MAX)
		error = -ENAMETOOLONG;
	if (!error) {
		strcpy(walk.rest, path);
		error = find(&walk, any_link, spec, out, message);
	}
	out->shared = is_shared(&walk.at);
	out->directory = error ? -1 : walk.directory;
	if (error && walk.directory >= 0)
		close(walk.directory);
	return error;
}
