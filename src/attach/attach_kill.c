/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Who maps a view, as /proc tells. When power or a region fails, nothing of that
 * runs on, whoever the parent was.
 */

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "attach/attach_private.h"
#include "common/cleanup.h"

/* A process that forks while it is looked for leaves children for the next round. */
#define ROUNDS 64
#define GONE_MS 5000

struct victims {
	int *pidfds;
	size_t count, room;
	bool some_stay; /* could not be killed, or not waited for */
};

int process_kill(int pidfd)
{
	return syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) < 0 ? -errno : 0;
}

bool process_gone(int pidfd, int milliseconds)
{
	struct pollfd fd = { .fd = pidfd, .events = POLLIN };
	int ready;

	do
		ready = poll(&fd, 1, milliseconds);
	while (ready < 0 && errno == EINTR);
	return ready > 0;
}

/* The view that a line of maps is of, or NULL. */
static const struct view_memory *line_view(const char *line, const struct view_memory *views, size_t count)
{
	unsigned long long inode;
	unsigned device_major, device_minor;

	if (!strstr(line, "/memfd:softpmem-view") ||
	    sscanf(line, "%*x-%*x %*s %*x %x:%x %llu", &device_major, &device_minor, &inode) != 3)
		return NULL;
	for (size_t i = 0; i < count; i++)
		if (views[i].ino == inode && views[i].dev == makedev(device_major, device_minor))
			return &views[i];
	return NULL;
}

/* Views that are looked for, and what is to be done about each mapping of one. */
struct search {
	const struct view_memory *views;
	size_t count;
	/* True: go on. */
	bool (*found)(void *context, const struct view_memory *view);
	void *context;
};

/* False: it was told not to go on. *empty: there was not a line. */
static bool search_file(const char *path, const struct search *search, bool *empty)
{
	FILE *maps = fopen(path, "re");
	CLEANUP_FREE char *line = NULL;
	size_t size = 0;
	bool more = true;

	*empty = true;
	if (!maps)
		return true;
	while (more && getline(&line, &size, maps) > 0) {
		const struct view_memory *view = line_view(line, search->views, search->count);

		*empty = false;
		more = !view || search->found(search->context, view);
	}
	fclose(maps);
	return more;
}

static bool search_process(const char *pid, const struct search *search)
{
	struct dirent *entry;
	char path[512];
	bool empty, more;
	DIR *threads;

	snprintf(path, sizeof(path), "/proc/%s/maps", pid);
	more = search_file(path, search, &empty);
	if (!more || !empty)
		return more;
	/* The first thread may have ended, and its maps with it, while others run. */
	snprintf(path, sizeof(path), "/proc/%s/task", pid);
	threads = opendir(path);
	while (more && threads && (entry = readdir(threads))) {
		snprintf(path, sizeof(path), "/proc/%s/task/%s/maps", pid, entry->d_name);
		if (isdigit((unsigned char)*entry->d_name) && strcmp(entry->d_name, pid) != 0)
			more = search_file(path, search, &empty);
	}
	if (threads)
		closedir(threads);
	return more;
}

static bool one_is_enough(void *context, const struct view_memory *view)
{
	return false;
}

static bool process_maps(const char *pid, const struct view_memory *views, size_t count)
{
	const struct search search = { .views = views, .count = count, .found = one_is_enough };

	return !search_process(pid, &search);
}

void mapped_views(pid_t pid, const struct view_memory *views, size_t count,
		  bool (*found)(void *context, const struct view_memory *view), void *context)
{
	const struct search search = { .views = views, .count = count, .found = found, .context = context };
	char name[16];

	snprintf(name, sizeof(name), "%d", (int)pid);
	search_process(name, &search);
}

static void add_victim(struct victims *victims, int pidfd)
{
	if (victims->count == victims->room) {
		size_t room = victims->room ? 2 * victims->room : 16;
		void *grown = reallocarray(victims->pidfds, room, sizeof(int));

		if (!grown) { /* it has been killed; only, nobody waits for it */
			victims->some_stay = true;
			close(pidfd);
			return;
		}
		victims->pidfds = grown;
		victims->room = room;
	}
	victims->pidfds[victims->count++] = pidfd;
}

static void kill_if_mapping(struct attach_server *server, const char *pid, const struct view_memory *views,
			    size_t count, struct victims *victims)
{
	CLEANUP_FD int pidfd = -1;
	int error;

	if (!process_maps(pid, views, count))
		return;
	/* The number may be another process's by the time the descriptor is open: look again. */
	pidfd = (int)syscall(SYS_pidfd_open, atoi(pid), 0);
	if (pidfd < 0 || !process_maps(pid, views, count))
		return;
	error = process_kill(pidfd);
	if (error && error != -ESRCH) {
		log_sink_print(&server->options.log,
			       "attach: pid %s maps a pool and cannot be killed: %s: it runs on", pid,
			       strerror(-error));
		victims->some_stay = true;
	} else {
		add_victim(victims, steal_fd(&pidfd));
	}
}

/* How many were killed. *gone: all of them, and they have ended. */
static size_t kill_round(struct attach_server *server, const struct view_memory *views, size_t count,
			 bool *gone)
{
	struct victims victims = { 0 };
	DIR *processes = opendir("/proc");
	struct dirent *entry;
	char self[16];

	snprintf(self, sizeof(self), "%d", (int)getpid());
	while (processes && (entry = readdir(processes)))
		if (isdigit((unsigned char)*entry->d_name) && strcmp(entry->d_name, self) != 0)
			kill_if_mapping(server, entry->d_name, views, count, &victims);
	*gone = processes && !victims.some_stay;
	if (processes)
		closedir(processes);
	for (size_t i = 0; i < victims.count; i++) {
		if (!process_gone(victims.pidfds[i], GONE_MS)) {
			log_sink_print(&server->options.log,
				       "attach: a process that was killed does not end");
			*gone = false;
		}
		close(victims.pidfds[i]);
	}
	free(victims.pidfds);
	return victims.count;
}

bool kill_mappers(struct attach_server *server, const struct view_memory *views, size_t count)
{
	bool gone = true;

	for (int round = 0; count && round < ROUNDS; round++)
		if (kill_round(server, views, count, &gone) == 0)
			return gone;
	if (count)
		log_sink_print(&server->options.log,
			       "attach: processes that map pools multiply faster than they can be killed");
	return count == 0;
}
