/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/mount_users.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "attach/attach_mappers.h"
#include "common/cleanup.h"
#include "common/vector.h"
#include "daemon/daemon.h"

#define SEARCHES_MAX 20

/* By its text: stat(2) of the target would be a request on the mount, which may be stopped. */
static bool link_is_below(int directory, const char *name, const char *mountpoint)
{
	const size_t length = strlen(mountpoint);
	char target[PATH_MAX];
	ssize_t got = readlinkat(directory, name, target, sizeof(target) - 1);

	if (got < 0)
		return false;
	target[got] = '\0';
	return strncmp(target, mountpoint, length) == 0 && (target[length] == '/' || target[length] == '\0');
}

/* For closedir(); NULL: it cannot be read. */
static DIR *open_directory(int parent, const char *name)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);

	if (fd >= 0 && !directory)
		close(fd);
	return directory;
}

static bool has_open(int process, const char *mountpoint)
{
	DIR *fds = open_directory(process, "fd");
	struct dirent *entry;
	bool found = false;

	while (!found && fds && (entry = readdir(fds)))
		found = link_is_below(dirfd(fds), entry->d_name, mountpoint);
	if (fds)
		closedir(fds);
	return found;
}

/* A line of /proc/PID/maps: "FROM-TO rw-s OFFSET MAJOR:MINOR INODE PATH". *lives: there is one. */
static bool has_mapped(int process, dev_t device, bool *lives)
{
	CLEANUP_FREE char *line = NULL;
	int fd = openat(process, "maps", O_RDONLY | O_CLOEXEC);
	FILE *maps = fd < 0 ? NULL : fdopen(fd, "r");
	unsigned major_number, minor_number;
	size_t room = 0;
	bool found = false;

	if (!maps) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	while (!found && getline(&line, &room, maps) >= 0) {
		*lives = true;
		found = sscanf(line, "%*s %*s %*s %x:%x", &major_number, &minor_number) == 2 &&
			makedev(major_number, minor_number) == device;
	}
	fclose(maps);
	return found;
}

static bool thread_uses_mount(const struct daemon *daemon, int process, bool *lives)
{
	static const char *const links[] = { "cwd", "root", "exe" };

	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		if (link_is_below(process, links[i], daemon->mountpoint))
			return true;
	return has_open(process, daemon->mountpoint) ||
	       has_mapped(process, fusefs_device(daemon->fusefs), lives);
}

/*
 * By one thread that lives, since threads share files and memory. The first thread may have ended, and then
 * it has neither, while others run.
 */
static bool uses_mount(const struct daemon *daemon, int process)
{
	bool uses = false, lives = false;
	char unused;
	DIR *threads;
	struct dirent *entry;

	/*
	 * Most processes of a machine may not be looked into: leave them with one call, not with one for
	 * each descriptor of each thread.
	 */
	if (readlinkat(process, "cwd", &unused, sizeof(unused)) < 0 && errno == EACCES)
		return false;
	threads = open_directory(process, "task");
	while (!uses && !lives && threads && (entry = readdir(threads))) {
		CLEANUP_FD int thread = -1;

		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		thread = openat(dirfd(threads), entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		uses = thread >= 0 && thread_uses_mount(daemon, thread, &lives);
	}
	if (threads)
		closedir(threads);
	return uses;
}

/*
 * The pidfd is opened first: if the number becomes another process's afterwards, the signal goes to the
 * process that has ended, and is lost.
 */
static bool kill_if_user(const struct daemon *daemon, int proc, const char *number)
{
	CLEANUP_FD int pidfd = (int)syscall(SYS_pidfd_open, (pid_t)atoi(number), 0);
	CLEANUP_FD int process = openat(proc, number, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return pidfd >= 0 && process >= 0 && uses_mount(daemon, process) &&
	       process_kill(pidfd) == 0;
}

struct killed {
	VECTOR(pid_t) pids;
};

static bool was_killed(const struct killed *killed, pid_t pid)
{
	for (size_t i = 0; i < killed->pids.count; i++)
		if (killed->pids.items[i] == pid)
			return true;
	return false;
}

/* False: no further process was found. */
static bool kill_all(const struct daemon *daemon, pid_t spared, struct killed *killed)
{
	DIR *proc = opendir("/proc");
	bool found = false;
	struct dirent *entry;

	while (proc && (entry = readdir(proc))) {
		pid_t pid = isdigit((unsigned char)entry->d_name[0]) ? (pid_t)atoi(entry->d_name) : 0;

		if (pid <= 0 || pid == getpid() || pid == spared || was_killed(killed, pid) ||
		    !kill_if_user(daemon, dirfd(proc), entry->d_name))
			continue;
		found = vector_append(&killed->pids, pid) == 0;
	}
	if (proc)
		closedir(proc);
	return found;
}

unsigned mount_users_kill(const struct daemon *daemon, pid_t spared)
{
	struct killed killed = { 0 };
	unsigned count;

	/* A process that forks during one search leaves its children to the next. */
	for (int search = 0; search < SEARCHES_MAX && daemon->fusefs; search++)
		if (!kill_all(daemon, spared, &killed))
			break;
	count = (unsigned)killed.pids.count;
	vector_free(&killed.pids);
	return count;
}
