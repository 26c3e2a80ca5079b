/* SPDX-License-Identifier: BSD-3-Clause */
#include "mountpoint.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse_log.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include "common/cleanup.h"
#include "invalidate.h"
#include "negotiate.h"
#include "park.h"

#define SOURCE "softpmem"

/* Why a mount failed. libfuse passes the reason to a log function, in the thread that mounts. */
static _Thread_local char libfuse_message[256];

__attribute__((format(printf, 2, 0)))
static void keep_libfuse_message(enum fuse_log_level level, const char *format, va_list arguments)
{
	vsnprintf(libfuse_message, sizeof(libfuse_message), format, arguments);
	libfuse_message[strcspn(libfuse_message, "\n")] = '\0';
}

/* In mountinfo a blank, tab, newline or backslash is written as \ and three octal digits. */
static void unescape(char *text)
{
	char *to = text;

	for (; *text; text++, to++) {
		if (text[0] == '\\' && text[1] && text[2] && text[3]) {
			*to = (char)((text[1] - '0') << 6 | (text[2] - '0') << 3 | (text[3] - '0'));
			text += 3;
		} else {
			*to = *text;
		}
	}
	*to = '\0';
}

/* Is the topmost mount at this place one of softpmem's? */
static bool is_ours(const char *mountpoint)
{
	FILE *mounts = fopen("/proc/self/mountinfo", "re");
	CLEANUP_FREE char *line = NULL;
	size_t size = 0;
	bool ours = false;

	if (!mounts)
		return false;
	while (getline(&line, &size, mounts) > 0) {
		char place[4096 + 1], source[64];
		char *tail = strstr(line, " - ");

		if (!tail || sscanf(line, "%*s %*s %*s %*s %4096s", place) != 1)
			continue;
		unescape(place);
		if (!strcmp(place, mountpoint))
			ours = sscanf(tail, " - fuse.softpmem %63s", source) == 1 && !strcmp(source, SOURCE);
	}
	fclose(mounts);
	return ours;
}

static int run_fusermount(const char *mountpoint, bool lazy)
{
	char *arguments[] = { "fusermount3",
			      "-u",
			      "-q",
			      lazy ? "-z" : "--",
			      lazy ? "--" : (char *)mountpoint,
			      lazy ? (char *)mountpoint : NULL,
			      NULL };
	pid_t child;
	int status;

	if (posix_spawnp(&child, arguments[0], NULL, NULL, arguments, environ))
		return -EPERM;
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EBUSY;
}

static int unmount(const char *mountpoint, bool lazy)
{
	if (!umount2(mountpoint, UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0)))
		return 0;
	return errno == EPERM ? run_fusermount(mountpoint, lazy) : -errno;
}

/*
 * A daemon that was killed leaves a mount on which every call fails with
 * ENOTCONN. statfs(2) is never answered from a cache.
 */
static int clear_stale(struct fusefs *fs, const char *mountpoint, struct message *message)
{
	struct statfs st;
	int error;

	while (statfs(mountpoint, &st) < 0 && errno == ENOTCONN) {
		if (!is_ours(mountpoint))
			return message_fail(message, -EBUSY,
					    "%s: a dead mount of another file system is there; remove it "
					    "with: fusermount3 -u %s",
					    mountpoint, mountpoint);
		error = unmount(mountpoint, true);
		if (error)
			return message_fail(
				message, error,
				"%s: cannot clear the mount that a dead daemon left (%s); as its "
				"owner or root: fusermount3 -u -z %s",
				mountpoint, strerror(-error), mountpoint);
		log_sink_print(&fs->options.log, "mount %s: cleared the mount that a dead daemon left there",
			       mountpoint);
	}
	if (is_ours(mountpoint))
		return message_fail(
			message, -EBUSY,
			"%s: another softpmemd is mounted there; stop it, or choose another directory",
			mountpoint);
	return 0;
}

/* With a trailing slash realpath() asks the file system that is mounted there, and a dead one fails. */
static char *absolute(const char *mountpoint)
{
	CLEANUP_FREE char *path = strdup(mountpoint);
	size_t length = path ? strlen(path) : 0;

	while (length > 1 && path[length - 1] == '/')
		path[--length] = '\0';
	return path ? realpath(path, NULL) : NULL;
}

/* A directory that cannot be read counts as empty: the daemon can mount over it. */
static bool is_empty(const char *directory)
{
	DIR *stream = opendir(directory);
	const struct dirent *entry;
	bool empty = true;

	while (stream && empty && (entry = readdir(stream)))
		empty = !strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..");
	if (stream)
		closedir(stream);
	return empty;
}

static int check_place(const struct fusefs *fs, const char *mountpoint, struct message *message)
{
	struct stat st;

	if (stat(mountpoint, &st) < 0) {
		int error = -errno;

		return message_fail(message, error, "%s: %s", mountpoint, strerror(-error));
	}
	if (!S_ISDIR(st.st_mode))
		return message_fail(message, -ENOTDIR, "%s: not a directory; give --mount a directory",
				    mountpoint);
	if (geteuid() && access(mountpoint, W_OK))
		return message_fail(
			message, -EPERM,
			"%s: mounting needs write access to it; use a directory of yours",
			mountpoint);
	if (!fs->options.nonempty && !is_empty(mountpoint))
		return message_fail(message, -ENOTEMPTY,
				    "%s: the directory has files, which the mount would hide; use an empty "
				    "directory, or give --nonempty",
				    mountpoint);
	return 0;
}

static bool fusermount_exists(void)
{
	const char *path = getenv("PATH");
	CLEANUP_FREE char *copy = NULL;
	char *place, *state = NULL;

	if (asprintf(&copy, "/usr/bin:/bin:%s", path ? path : "") < 0)
		return false;
	for (place = strtok_r(copy, ":", &state); place; place = strtok_r(NULL, ":", &state)) {
		CLEANUP_FREE char *program = NULL;

		if (asprintf(&program, "%s/fusermount3", place) > 0 && !access(program, X_OK))
			return true;
	}
	return false;
}

static int check_fuse(struct message *message)
{
	CLEANUP_FD int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	if (fd < 0 && (errno == EACCES || errno == EPERM))
		return message_fail(message, -EPERM,
				    "/dev/fuse: no permission to open it; ask for access, or run "
				    "without --mount");
	if (fd < 0)
		return message_fail(
			message, -ENODEV,
			"/dev/fuse: %s; load the kernel's fuse module (modprobe fuse), or run without "
			"--mount",
			strerror(errno));
	if (geteuid() && !fusermount_exists())
		return message_fail(
			message, -EPERM,
			"fusermount3: not found; it is needed to mount without root (Debian package fuse3)");
	return 0;
}

int fusefs_mountpoint_attach(struct fusefs *fs, struct message *message)
{
	int error;

	fs->mountpoint = absolute(fs->options.mountpoint);
	if (!fs->mountpoint) {
		error = -errno;
		return message_fail(message, error, "%s: %s", fs->options.mountpoint, strerror(-error));
	}
	error = clear_stale(fs, fs->mountpoint, message);
	if (!error)
		error = check_place(fs, fs->mountpoint, message);
	if (!error)
		error = check_fuse(message);
	if (error)
		return error;
	fuse_set_log_func(keep_libfuse_message);
	libfuse_message[0] = '\0';
	errno = 0;
	if (!fuse_session_mount(fs->session, fs->mountpoint))
		return fusefs_negotiate_begin(fs);
	error = errno == EACCES || !errno ? -EPERM : -errno;
	return message_fail(message, error, "%s: cannot mount: %s%s", fs->mountpoint,
			    libfuse_message[0] ? libfuse_message : strerror(-error),
			    geteuid() && fs->options.allow_other ?
				    "; --allow-other needs user_allow_other in /etc/fuse.conf" :
				    "");
}

/* st_dev of what is at the mountpoint, without asking a file system. 0: unknown. */
static dev_t device_at(const char *mountpoint)
{
	struct statx stx;

	if (statx(AT_FDCWD, mountpoint, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_TYPE, &stx))
		return 0;
	return makedev(stx.stx_dev_major, stx.stx_dev_minor);
}

static void write_limit(dev_t device, const char *name, const char *value)
{
	char path[96];
	CLEANUP_FD int fd = -1;

	snprintf(path, sizeof(path), "/sys/class/bdi/%u:%u/%s", major(device), minor(device), name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	/* Only root may, and not in every kernel. Without it the mount is slower, but correct. */
	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		return;
}

void fusefs_mountpoint_tune(struct fusefs *fs)
{
	fs->device = device_at(fs->mountpoint);
	/* The share of memory that may be dirty pages of mappings: FUSE's default is a strict 1 %. */
	write_limit(fs->device, "strict_limit", "0");
	write_limit(fs->device, "max_ratio", "100");
}

static bool wait_for_workers(struct fusefs *fs)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 2;
	while (atomic_load(&fs->workers_running))
		if (sem_timedwait(&fs->wake, &until) && errno == ETIMEDOUT)
			return false;
	return true;
}

static bool is_on_top(const struct fusefs *fs)
{
	return fs->device && device_at(fs->mountpoint) == fs->device;
}

void fusefs_mountpoint_detach(struct fusefs *fs)
{
	if (is_on_top(fs) && !unmount(fs->mountpoint, false) && wait_for_workers(fs))
		return;
	atomic_store(&fs->detached, true);
	/* The mount is in use. What was stored so far is kept; what follows fails. */
	fusefs_park_requests(fs);
	fusefs_invalidate_all(fs);
	if (is_on_top(fs) && unmount(fs->mountpoint, true))
		log_sink_print(&fs->options.log,
			       "mount %s: cannot unmount it; as its owner or root: fusermount3 -u -z %s",
			       fs->mountpoint, fs->mountpoint);
}

/* libfuse unmounts nothing if poll(2) of its descriptor reports an error, as for a pipe without readers. */
void fusefs_mountpoint_sever(struct fusefs *fs)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC))
		return;
	close(ends[0]);
	dup3(ends[1], fuse_session_fd(fs->session), O_CLOEXEC);
	close(ends[1]);
}
