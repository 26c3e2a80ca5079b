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

/* True: it is killed now. */
static bool try_to_kill(const struct daemon *daemon, int proc, pid_t pid, pid_t spared, struct killed *killed)
{
	char number[16];

	if (pid <= 0 || pid == getpid() || pid == spared || was_killed(killed, pid))
		return false;
	snprintf(number, sizeof(number), "%d", (int)pid);
	return kill_if_user(daemon, proc, number) && vector_append(&killed->pids, pid) == 0;
}

/* False: no further process was found. */
static bool kill_all(const struct daemon *daemon, pid_t spared, struct killed *killed)
{
	DIR *proc = opendir("/proc");
	bool found = false;
	struct dirent *entry;

	while (proc && (entry = readdir(proc)))
		if (isdigit((unsigned char)entry->d_name[0]) &&
		    try_to_kill(daemon, dirfd(proc), (pid_t)atoi(entry->d_name), spared, killed))
			found = true;
	if (proc)
		closedir(proc);
	return found;
}

/* ---- The descendants of a process ---------------------------------------------- */

/* A process that forks without end must not keep us here. */
#define DESCENDANTS_MAX 65536u

struct descendants {
	VECTOR(pid_t) pids;
};

/* /proc/PID/task/TID/children: the children that this thread has started, or adopted. */
static void add_children_of_thread(int thread, struct descendants *descendants)
{
	int fd = openat(thread, "children", O_RDONLY | O_CLOEXEC);
	FILE *children = fd < 0 ? NULL : fdopen(fd, "r");
	int pid;

	if (fd >= 0 && !children)
		close(fd);
	while (children && descendants->pids.count < DESCENDANTS_MAX && fscanf(children, "%d", &pid) == 1)
		if (vector_append(&descendants->pids, pid) < 0)
			break;
	if (children)
		fclose(children);
}

static void add_children(int proc, pid_t pid, struct descendants *descendants)
{
	char path[32];
	DIR *threads;
	struct dirent *entry;

	snprintf(path, sizeof(path), "%d/task", (int)pid);
	threads = open_directory(proc, path);
	while (threads && (entry = readdir(threads))) {
		CLEANUP_FD int thread = -1;

		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		thread = openat(dirfd(threads), entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (thread >= 0)
			add_children_of_thread(thread, descendants);
	}
	if (threads)
		closedir(threads);
}

/* As kill_all(). A process that was killed may still have children. */
static bool kill_below(const struct daemon *daemon, pid_t ancestor, struct killed *killed)
{
	CLEANUP_FD int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct descendants descendants = { 0 };
	bool found = false;

	if (proc >= 0)
		add_children(proc, ancestor, &descendants);
	for (size_t i = 0; i < descendants.pids.count; i++) {
		const pid_t pid = descendants.pids.items[i];

		found |= try_to_kill(daemon, proc, pid, ancestor, killed);
		add_children(proc, pid, &descendants);
	}
	vector_free(&descendants.pids);
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

/* Without CONFIG_PROC_CHILDREN only a search of all processes finds the children of one. */
static bool kernel_lists_children(void)
{
	return access("/proc/thread-self/children", R_OK) == 0;
}

unsigned mount_users_kill_below(const struct daemon *daemon, pid_t ancestor)
{
	struct killed killed = { 0 };
	unsigned count, in_vain = 0;

	if (ancestor <= 0 || !kernel_lists_children())
		return mount_users_kill(daemon, ancestor);
	/* proc(5): a list may lack a child if another one ends while it is read. So look twice. */
	for (int search = 0; search < SEARCHES_MAX && in_vain < 2 && daemon->fusefs; search++)
		in_vain = kill_below(daemon, ancestor, &killed) ? 0 : in_vain + 1;
	count = (unsigned)killed.pids.count;
	vector_free(&killed.pids);
	return count;
}
