/* SPDX-License-Identifier: BSD-3-Clause */
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
#include "private.h"

#define SOURCE "softpmem"

/* libfuse says why a mount failed through a hook of the process, on the thread that mounts. */
static _Thread_local char libfuse_words[256];

__attribute__((format(printf, 2, 0)))
static void hear_libfuse(enum fuse_log_level level, const char *format, va_list arguments)
{
	vsnprintf(libfuse_words, sizeof(libfuse_words), format, arguments);
	libfuse_words[strcspn(libfuse_words, "\n")] = '\0';
}

/* In mountinfo, a blank, tab, newline or backslash is \ and three octal digits. */
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
 * A daemon that was killed leaves a mount on which everything is ENOTCONN. statfs(2) is never answered from a
 * cache.
 */
static int clear_stale(struct fusefs *fs, const char *mountpoint, struct message *message)
{
	struct statfs st;
	int error;

	while (statfs(mountpoint, &st) < 0 && errno == ENOTCONN) {
		if (!is_ours(mountpoint))
			return message_fail(message, -EBUSY,
					    "%s: another file system's dead mount is there; remove it with: "
					    "fusermount3 -u %s",
					    mountpoint, mountpoint);
		error = unmount(mountpoint, true);
		if (error)
			return message_fail(
				message, error,
				"%s: cannot clear the mount a dead daemon left (%s); as its owner or "
				"root: fusermount3 -u -z %s",
				mountpoint, strerror(-error), mountpoint);
		log_sink_print(&fs->options.log, "mount %s: cleared what a daemon that died had left there",
			       mountpoint);
	}
	if (is_ours(mountpoint))
		return message_fail(
			message, -EBUSY,
			"%s: another softpmemd is mounted there; stop it, or choose another directory",
			mountpoint);
	return 0;
}

/* realpath() asks a file system behind a trailing slash, and a dead one does not answer. */
static char *absolute(const char *mountpoint)
{
	CLEANUP_FREE char *path = strdup(mountpoint);
	size_t length = path ? strlen(path) : 0;

	while (length > 1 && path[length - 1] == '/')
		path[--length] = '\0';
	return path ? realpath(path, NULL) : NULL;
}

static int check_place(const char *mountpoint, struct message *message)
{
	struct stat st;

	if (stat(mountpoint, &st) < 0) {
		int error = -errno;

		return message_fail(message, error, "%s: %s", mountpoint, strerror(-error));
	}
	if (!S_ISDIR(st.st_mode))
		return message_fail(message, -ENOTDIR, "%s: not a directory; a mount needs one", mountpoint);
	if (geteuid() && access(mountpoint, W_OK))
		return message_fail(
			message, -EPERM,
			"%s: you may not write to it, and so not mount on it; use a directory of yours",
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
			"fusermount3: not found; who is not root needs it to mount (Debian package fuse3)");
	return 0;
}

int mount_attach(struct fusefs *fs, struct message *message)
{
	int error;

	fs->mountpoint = absolute(fs->options.mountpoint);
	if (!fs->mountpoint) {
		error = -errno;
		return message_fail(message, error, "%s: %s", fs->options.mountpoint, strerror(-error));
	}
	error = clear_stale(fs, fs->mountpoint, message);
	if (!error)
		error = check_place(fs->mountpoint, message);
	if (!error)
		error = check_fuse(message);
	if (error)
		return error;
	fuse_set_log_func(hear_libfuse);
	libfuse_words[0] = '\0';
	errno = 0;
	if (!fuse_session_mount(fs->session, fs->mountpoint))
		return negotiate_begin(fs);
	error = errno == EACCES || !errno ? -EPERM : -errno;
	return message_fail(message, error, "%s: cannot mount: %s%s", fs->mountpoint,
			    libfuse_words[0] ? libfuse_words : strerror(-error),
			    geteuid() && fs->options.allow_other ?
				    "; --allow-other needs user_allow_other in /etc/fuse.conf" :
				    "");
}

/* Of what is at the mountpoint; asks nobody but the kernel. 0: cannot tell. */
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
	/* Root's to change, and not in every kernel; without it the mount is slower and no less right. */
	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		return;
}

void mount_tune(struct fusefs *fs)
{
	fs->device = device_at(fs->mountpoint);
	/* How much of memory may be dirty pages of mappings: FUSE's default is 1 %, held strictly. */
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

void mount_detach(struct fusefs *fs)
{
	if (is_on_top(fs) && !unmount(fs->mountpoint, false) && wait_for_workers(fs))
		return;
	atomic_store(&fs->detached, true);
	/* Somebody uses it. What they stored counts; what they do from here on fails. */
	park_requests(fs);
	invalidate_all(fs);
	if (is_on_top(fs) && unmount(fs->mountpoint, true))
		log_sink_print(&fs->options.log,
			       "mount %s: cannot unmount it; as its owner or root: fusermount3 -u -z %s",
			       fs->mountpoint, fs->mountpoint);
}

/* libfuse unmounts what is at the place unless the connection is broken: show it one that is. */
void mount_sever(struct fusefs *fs)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC))
		return;
	close(ends[0]);
	dup3(ends[1], fuse_session_fd(fs->session), O_CLOEXEC);
	close(ends[1]);
}
