/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/output_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"

static int fail(const struct output_file *file, int error, struct message *message)
{
	return message_fail(message, error, "%s: %s", file->path, strerror(-error));
}

static bool is_input(const struct stat *to, char *const *inputs)
{
	struct stat from;

	for (; *inputs; inputs++)
		if (stat(*inputs, &from) == 0 && from.st_dev == to->st_dev && from.st_ino == to->st_ino)
			return true;
	return false;
}

/* Names of open descriptors, as /dev/stdout, whatever file they stand for. */
static bool is_alias(const char *path)
{
	return strncmp(path, "/dev/", 5) == 0 || strncmp(path, "/proc/", 6) == 0;
}

static mode_t default_mode(void)
{
	const mode_t mask = umask(0);

	umask(mask);
	return 0666 & ~mask;
}

static char *beside(const char *target)
{
	char *name;

	return asprintf(&name, "%s.XXXXXX", target) < 0 ? NULL : name;
}

/* A new file in the directory of the target: without a name, where the file system has such files. */
static int create(struct output_file *file, mode_t mode)
{
	CLEANUP_FREE char *directory = strdup(file->target);
	char *slash = directory ? strrchr(directory, '/') : NULL;

	if (!directory)
		return -ENOMEM;
	if (slash)
		slash[slash == directory] = '\0';
	file->fd = open(slash ? directory : ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	/* EISDIR: the kernel knows no O_TMPFILE. */
	if (file->fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {
		file->name = beside(file->target);
		file->fd = file->name ? mkostemp(file->name, O_CLOEXEC) : -1;
		if (file->fd < 0) {
			free(file->name);
			file->name = NULL;
		}
	}
	if (file->fd < 0)
		return -errno;
	return fchmod(file->fd, mode) < 0 ? -errno : 0;
}

/* The file itself, which is not kept. */
static int open_directly(struct output_file *file, int flags)
{
	file->fd = open(file->path, O_WRONLY | O_CLOEXEC | flags, 0666);
	return file->fd < 0 ? -errno : 0;
}

static int replace(struct output_file *file, const struct stat *old)
{
	int error;

	if (access(file->path, W_OK) < 0)
		return -errno;
	file->target = realpath(file->path, NULL);
	if (!file->target)
		return -errno;
	error = create(file, old->st_mode & 07777);
	if (!error) {
		(void)!fchown(file->fd, old->st_uid, old->st_gid);
		return 0;
	}
	/* A file may be writable in a directory that is not. */
	output_file_cancel(file);
	return error == -EACCES || error == -EROFS ? open_directly(file, O_TRUNC) : error;
}

static int make(struct output_file *file)
{
	struct stat link;

	/* A link to nothing: the file is made where it points to. */
	if (lstat(file->path, &link) == 0)
		return open_directly(file, O_CREAT);
	file->target = strdup(file->path);
	return file->target ? create(file, default_mode()) : -ENOMEM;
}

int output_file_open(struct output_file *file, const char *path, char *const *inputs,
		     struct message *message)
{
	struct stat old;
	int error;

	*file = (struct output_file){ .fd = -1, .path = path };
	if (stat(path, &old) < 0)
		error = errno == ENOENT ? make(file) : -errno;
	else if (is_input(&old, inputs))
		return message_fail(message, -EEXIST, "%s: it is a file that is read: name another one",
				    path);
	else if (S_ISREG(old.st_mode) && !is_alias(path))
		error = replace(file, &old);
	else
		error = open_directly(file, 0);
	if (!error)
		return 0;
	output_file_cancel(file);
	return fail(file, error, message);
}

/* Give a file without a name one. */
static int name_it(struct output_file *file)
{
	const unsigned first = (unsigned)getpid();
	char link[64];

	snprintf(link, sizeof(link), "/proc/self/fd/%d", file->fd);
	for (unsigned tries = 0; tries < 100; tries++) {
		file->name = beside(file->target);
		if (!file->name)
			return -ENOMEM;
		/* linkat(2) replaces nothing. */
		snprintf(strrchr(file->name, '.'), 8, ".%06x", (first + tries) & 0xffffffu);
		if (linkat(AT_FDCWD, link, AT_FDCWD, file->name, AT_SYMLINK_FOLLOW) == 0)
			return 0;
		free(file->name);
		file->name = NULL;
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

int output_file_commit(struct output_file *file, struct message *message)
{
	int error = file->target && !file->name ? name_it(file) : 0;

	/* Some file systems report a full disk here. */
	if (close(file->fd) < 0 && !error)
		error = -errno;
	file->fd = -1;
	if (!error && file->target && rename(file->name, file->target) < 0)
		error = -errno;
	if (!error) {
		free(file->name);
		file->name = NULL;
	}
	output_file_cancel(file);
	return error ? fail(file, error, message) : 0;
}

void output_file_cancel(struct output_file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	if (file->name)
		unlink(file->name);
	free(file->name);
	free(file->target);
	*file = (struct output_file){ .fd = -1, .path = file->path };
}
