/* SPDX-License-Identifier: BSD-3-Clause */
#include "attach/attach_mappers.h"

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

#include "common/cleanup.h"
#include "common/vector.h"

/* A process that forks during one search leaves its children to the next. */
#define ROUNDS 64
#define END_MS 5000

struct victims {
	VECTOR_FIELDS(int); /* pidfds */
	bool incomplete;    /* one could not be killed, or is not waited for */
};

static int send_signal(int pidfd, int signal)
{
	return syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0) < 0 ? -errno : 0;
}

int process_kill(int pidfd)
{
	return send_signal(pidfd, SIGKILL);
}

bool process_ends(int pidfd, int milliseconds)
{
	struct pollfd fd = { .fd = pidfd, .events = POLLIN };
	int ready;

	do
		ready = poll(&fd, 1, milliseconds);
	while (ready < 0 && errno == EINTR);
	return ready > 0;
}

/* The view that a line of /proc/PID/maps is a mapping of, or NULL. */
static const struct view_memory *line_view(const char *line, const struct view_memory *views, size_t count,
					   bool writable)
{
	unsigned long long inode;
	unsigned device_major, device_minor;
	char access[8];

	if (!strstr(line, "/memfd:softpmem-view") ||
	    sscanf(line, "%*x-%*x %7s %*x %x:%x %llu", access, &device_major, &device_minor, &inode) != 4 ||
	    (writable && !strchr(access, 'w')))
		return NULL;
	for (size_t i = 0; i < count; i++)
		if (views[i].ino == inode && views[i].dev == makedev(device_major, device_minor))
			return &views[i];
	return NULL;
}

/* Call found() for each mapping of one of the views, until it returns false. */
struct search {
	const struct view_memory *views;
	size_t count;
	bool writable; /* only mappings through which the process can store */
	bool (*found)(void *context, const struct view_memory *view);
	void *context;
	int *error; /* set if a process could not be looked at; may be NULL */
};

/* False: found() has ended the search. *empty: the file has no line. */
static bool search_file(const char *path, const struct search *search, bool *empty)
{
	FILE *maps = fopen(path, "re");
	CLEANUP_FREE char *line = NULL;
	size_t size = 0;
	bool more = true;

	*empty = true;
	/* A process that has ended, or of a user whose processes cannot have a view, is none that counts. */
	if (!maps && search->error && errno != ENOENT && errno != ESRCH && errno != EACCES)
		*search->error = -errno;
	if (!maps)
		return true;
	while (more && getline(&line, &size, maps) > 0) {
		const struct view_memory *view = line_view(line, search->views, search->count,
							  search->writable);

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
	/* The first thread may have ended, and then its maps are empty, while others run. */
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

static bool stop_at_first(void *context, const struct view_memory *view)
{
	return false;
}

static bool process_maps(const char *pid, const struct view_memory *views, size_t count, bool writable)
{
	const struct search search = {
		.views = views, .count = count, .writable = writable, .found = stop_at_first
	};

	return !search_process(pid, &search);
}

/* The next process other than this one, as /proc names it; NULL: there is none left. */
static const char *next_process(DIR *processes)
{
	struct dirent *entry;

	while ((entry = readdir(processes)))
		if (isdigit((unsigned char)*entry->d_name) && atoi(entry->d_name) != getpid())
			return entry->d_name;
	return NULL;
}

/*
 * A pidfd of the process if it maps one of the views, or -1. The number may become another process's before
 * the pidfd is opened, so it is searched again. If the process has ended since, a signal has no effect.
 */
static int open_if_mapping(const char *pid, const struct view_memory *views, size_t count, bool writable)
{
	CLEANUP_FD int pidfd = -1;

	if (!process_maps(pid, views, count, writable))
		return -1;
	pidfd = (int)syscall(SYS_pidfd_open, atoi(pid), 0);
	return pidfd >= 0 && process_maps(pid, views, count, writable) ? steal_fd(&pidfd) : -1;
}

/* Indices of views; a view may be mapped more than once. */
struct collection {
	const struct view_memory *views;
	bool *mapped;
};

static bool collect(void *context, const struct view_memory *view)
{
	const struct collection *collection = context;

	collection->mapped[view - collection->views] = true;
	return true;
}

int mappers_views_of(const struct peer *peer, const struct view_memory *views, size_t count,
		     size_t **mapped, size_t *mapped_count)
{
	CLEANUP_FREE bool *is_mapped = calloc(count + 1, sizeof(bool));
	struct collection collection = { .views = views, .mapped = is_mapped };
	const struct search search = {
		.views = views, .count = count, .found = collect, .context = &collection
	};
	char pid[16];

	*mapped_count = 0;
	*mapped = calloc(count + 1, sizeof(size_t));
	if (!is_mapped || !*mapped)
		return -ENOMEM;
	if (!peer_is_alive(peer))
		return -ESRCH;
	snprintf(pid, sizeof(pid), "%d", (int)peer->pid);
	search_process(pid, &search);
	/* If the process still lives, no other process had its number in between. */
	if (!peer_is_alive(peer))
		return -ESRCH;
	/* Checked last: a program of another user maps nothing before it is that user's. */
	if (!peer_has_same_user(peer))
		return -EPERM;
	for (size_t i = 0; i < count; i++)
		if (is_mapped[i])
			(*mapped)[(*mapped_count)++] = i;
	return 0;
}

int mappers_mark(const struct view_memory *views, size_t count, bool *mapped)
{
	struct collection collection = { .views = views, .mapped = mapped };
	int error = 0;
	const struct search search = { .views = views,
				       .count = count,
				       .found = collect,
				       .context = &collection,
				       .error = &error };
	DIR *processes = opendir("/proc");
	const char *pid;

	if (!processes)
		return -errno;
	while ((pid = next_process(processes)))
		search_process(pid, &search);
	closedir(processes);
	return error;
}

static void add_victim(struct victims *victims, int pidfd)
{
	if (vector_append(victims, pidfd) == 0)
		return;
	/* It was killed, but cannot be waited for. */
	victims->incomplete = true;
	close(pidfd);
}

static void kill_if_mapping(const struct log_sink *log, const char *pid, const struct view_memory *views,
			    size_t count, struct victims *victims)
{
	CLEANUP_FD int pidfd = open_if_mapping(pid, views, count, false);
	int error;

	if (pidfd < 0)
		return;
	error = process_kill(pidfd);
	if (error && error != -ESRCH) {
		log_sink_print(log, "attach: pid %s maps a pool and cannot be killed: %s", pid,
			   strerror(-error));
		victims->incomplete = true;
	} else {
		add_victim(victims, steal_fd(&pidfd));
	}
}

/* How many were killed. *complete: they have ended, and no others were found. */
static size_t kill_round(const struct log_sink *log, const struct view_memory *views, size_t count,
			 bool *complete)
{
	struct victims victims = { 0 };
	DIR *processes = opendir("/proc");
	const char *pid;

	while (processes && (pid = next_process(processes)))
		kill_if_mapping(log, pid, views, count, &victims);
	*complete = processes && !victims.incomplete;
	if (processes)
		closedir(processes);
	for (size_t i = 0; i < victims.count; i++) {
		if (!process_ends(victims.items[i], END_MS)) {
			log_sink_print(log, "attach: a process that maps a pool was killed and does not end");
			*complete = false;
		}
		close(victims.items[i]);
	}
	count = victims.count;
	vector_free(&victims);
	return count;
}

bool mappers_kill(const struct log_sink *log, const struct view_memory *views, size_t count)
{
	bool complete = true;

	for (int round = 0; count && round < ROUNDS; round++)
		if (kill_round(log, views, count, &complete) == 0)
			return complete;
	if (count)
		log_sink_print(log,
			   "attach: processes that map pools are forked faster than they can be killed");
	return count == 0;
}

/* False: the process can store to none of the views, or was not reached. */
static bool signal_if_mapping(const char *pid, const struct view_memory *views, size_t count, int signal)
{
	CLEANUP_FD int pidfd = open_if_mapping(pid, views, count, true);

	return pidfd >= 0 && send_signal(pidfd, signal) == 0;
}

static bool is_among(const pid_t *pids, size_t count, pid_t pid)
{
	for (size_t i = 0; i < count; i++)
		if (pids[i] == pid)
			return true;
	return false;
}

size_t mappers_signal(const struct view_memory *views, size_t count, const pid_t *first, size_t first_count,
		      int signal)
{
	const char *pid;
	size_t found = 0;
	DIR *processes;
	char number[16];

	for (size_t i = 0; i < first_count; i++) {
		snprintf(number, sizeof(number), "%d", (int)first[i]);
		found += signal_if_mapping(number, views, count, signal);
	}
	processes = opendir("/proc");
	while (processes && (pid = next_process(processes)))
		if (!is_among(first, first_count, atoi(pid)))
			found += signal_if_mapping(pid, views, count, signal);
	if (processes)
		closedir(processes);
	return found;
}
