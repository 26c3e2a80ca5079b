/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command/standard_files.h"
#include "common/cleanup.h"
#include "common/size.h"
#include "daemon/daemon.h"
#include "daemon/process.h"
#include "daemon/sandbox.h"
#include "daemon/served.h"
#include "daemon/snapshots.h"
#include "daemon/spawner.h"
#include "wire/spawner_protocol.h"

#define CLIENTS 128
#define PATIENCE_MS 10000

/* ---- The mount ------------------------------------------------------------------ */

static void *serve_mount(void *argument)
{
	struct daemon *daemon = argument;
	int error = fusefs_serve(daemon->fusefs);

	if (error < 0)
		log_line(&daemon->log, LOG_ERR, "mount %s: %s", daemon->mountpoint, strerror(-error));
	(void)!write(daemon->ended_fd, &(uint64_t){ 1 }, sizeof(uint64_t));
	return NULL;
}

/* Absolute, because the path is used in the background and printed by `softpmem path`. */
static int resolve_mountpoint(struct daemon *daemon, struct message *message)
{
	const char *mount = daemon->options.mount;
	CLEANUP_FREE char *here = NULL;

	if (!mount)
		return 0;
	daemon->mountpoint = realpath(mount, NULL);
	if (daemon->mountpoint)
		return 0;
	/* A mount whose daemon died answers no call: fusefs_mount() unmounts it. */
	if (errno != ENOTCONN)
		return message_fail(message, -errno,
				    "mount %s: %s: make the directory, or give --mount another", mount,
				    strerror(errno));
	here = *mount == '/' ? NULL : getcwd(NULL, 0);
	if (asprintf(&daemon->mountpoint, "%s%s%s", here ? here : "", here ? "/" : "", mount) < 0)
		return message_fail(message, -ENOMEM, "mount %s: out of memory", mount);
	return 0;
}

static int start_mount(struct daemon *daemon, struct message *message)
{
	struct fusefs_options options = {
		.mountpoint = daemon->mountpoint,
		.allow_other = daemon->options.allow_other,
		.check_permissions = daemon->options.allow_other || !daemon->may_all,
		.read_only = daemon->options.read_only,
		.nonempty = daemon->options.nonempty,
		.threads = daemon->options.threads,
		.recorder = daemon->recorder,
		.log = { log_callback, &daemon->log },
	};
	struct fusefs_region regions[REGIONS_MAX];
	int error;

	if (!daemon->mountpoint)
		return 0;
	for (unsigned i = 0; i < daemon->region_count; i++)
		regions[i] = (struct fusefs_region){ .pools = daemon->regions[i].pools,
						     .name = daemon->regions[i].name };
	error = fusefs_mount(regions, daemon->region_count, &options, &daemon->fusefs, message);
	if (error)
		return error;
	error = -pthread_create(&daemon->serving, NULL, serve_mount, daemon);
	if (error) {
		fusefs_unmount(daemon->fusefs);
		daemon->fusefs = NULL;
		return message_fail(message, error, "mount %s: cannot start a thread: %s", daemon->mountpoint,
				    strerror(-error));
	}
	return 0;
}

static void stop_mount(struct daemon *daemon)
{
	if (!daemon->fusefs)
		return;
	fusefs_stop(daemon->fusefs);
	pthread_join(daemon->serving, NULL);
	fusefs_unmount(daemon->fusefs);
	daemon->fusefs = NULL;
}

/* ---- From start to stop ----------------------------------------------------------- */

static int find_group(const char *name, bool *given, gid_t *id, struct message *message)
{
	struct group *group;

	*given = name;
	if (!name)
		return 0;
	group = getgrnam(name);
	if (!group)
		return message_fail(message, -ENOENT, "group %s: no such group", name);
	*id = group->gr_gid;
	return 0;
}

static int open_sockets(struct daemon *daemon, struct message *message)
{
	const struct log_sink log = { .line = log_callback, .context = &daemon->log };
	struct attach_options attach = { .path = daemon->options.socket, .log = log };
	struct control_options *control = &daemon->control;
	int error;

	*control = (struct control_options){
		.path = daemon->options.socket,
		.clients = CLIENTS,
		.patience = PATIENCE_MS,
		.handle = verbs_handle,
		.context = daemon,
		.log = log,
	};
	error = find_group(daemon->options.group, &control->has_group, &control->group, message);
	attach.has_group = control->has_group;
	attach.group = control->group;
	if (!error)
		error = control_listen(control, &daemon->server, message);
	return error ? error : attach_listen(&attach, &daemon->attach, message);
}

static void pool_changed(void *context, struct pool *pool)
{
	struct daemon *daemon = context;

	if (daemon->fusefs)
		fusefs_pool_changed(daemon->fusefs, pool);
}

static void client_marked(void *context, uid_t uid, const char *text)
{
	daemon_set_mark(context, uid, text);
}

static void client_fence(void *context, enum attach_fence_event event, const void *client, pid_t pid)
{
	moment_meet_fence(context, event, client, pid);
}

static int start_sockets(struct daemon *daemon, struct message *message)
{
	struct attach_served served = {
		.regions = daemon->region_count,
		.device = daemon->fusefs ? fusefs_device(daemon->fusefs) : 0,
		.recorder = daemon->recorder,
		.changed = pool_changed,
		.marked = client_marked,
		.fence = client_fence,
		.context = daemon,
	};
	int error;

	for (unsigned i = 0; i < daemon->region_count; i++) {
		served.pools[i] = daemon->regions[i].pools;
		served.names[i] = daemon->regions[i].name;
	}
	error = attach_start(daemon->attach, &served);
	if (!error)
		error = server_start(daemon->server);
	if (error)
		return message_fail(message, error, "socket %s: cannot start a thread: %s",
				    daemon->options.socket, strerror(-error));
	return 0;
}

static int create_recorder(struct daemon *daemon, struct message *message)
{
	struct recorder_region regions[REGIONS_MAX];
	int error;

	for (unsigned i = 0; i < daemon->region_count; i++)
		regions[i] = (struct recorder_region){ .pools = daemon->regions[i].pools,
						       .name = daemon->regions[i].name };
	error = recorder_create(regions, daemon->region_count, &daemon->recorder);
	return error ? message_fail(message, error, "recorder: %s", strerror(-error)) : 0;
}

/* All steps that can fail, ordered by how little a failure costs. */
static int start(struct daemon *daemon, struct message *message)
{
	int error = resolve_mountpoint(daemon, message);

	if (!error)
		error = open_sockets(daemon, message);
	if (!error)
		error = served_open_regions(daemon, message);
	if (error)
		return error;
	process_raise_files();
	daemon->may_all = process_may_all();
	/* Before the first thread is started: capabilities belong to a thread. */
	error = process_drop_privileges(daemon->mountpoint != NULL);
	if (error)
		return message_fail(message, error, "cannot drop privileges: %s", strerror(-error));
	error = sandbox_enter(daemon->mountpoint != NULL);
	if (error)
		return message_fail(message, error, "cannot restrict system calls: %s", strerror(-error));
	error = served_open_pools(daemon, message);
	if (!error)
		error = create_recorder(daemon, message);
	if (!error)
		error = start_mount(daemon, message);
	if (error)
		return error;
	error = sandbox_deny_mounting();
	if (error)
		return message_fail(message, error, "cannot deny mounting: %s", strerror(-error));
	return start_sockets(daemon, message);
}

static void say_ready(struct daemon *daemon)
{
	const struct served_region *first = &daemon->regions[0];
	const char *mount = daemon->mountpoint ? "mount " : "no mount";
	const char *mountpoint = daemon->mountpoint ? daemon->mountpoint : "";
	struct pools_info info;
	char size[32];

	for (unsigned i = 0; i < daemon->region_count && daemon->region_count > 1; i++) {
		const struct served_region *served = &daemon->regions[i];

		pools_info(served->pools, &info);
		size_format(info.size, size, sizeof(size));
		log_line(&daemon->log, LOG_NOTICE, "region %s: %s (%s), generation %llu", served->name,
			 served->spec, size, (unsigned long long)info.generation);
	}
	if (daemon->region_count > 1) {
		log_line(&daemon->log, LOG_NOTICE, "ready: %u regions, socket %s, %s%s", daemon->region_count,
			 daemon->options.socket, mount, mountpoint);
		process_notify("READY=1\nSTATUS=Serving %u regions", daemon->region_count);
		return;
	}
	pools_info(first->pools, &info);
	size_format(info.size, size, sizeof(size));
	log_line(&daemon->log, LOG_NOTICE, "ready: region %s (%s), generation %llu, socket %s, %s%s",
		 first->spec, size, (unsigned long long)info.generation, daemon->options.socket, mount,
		 mountpoint);
	process_notify("READY=1\nSTATUS=Serving %s, generation %llu", first->spec,
		       (unsigned long long)info.generation);
}

/*
 * Where the kernel does not revoke a mapping by itself, two owners may use the memory for this long. A
 * check takes 0.2 ms.
 */
#define WATCH_MS 250

static void wait_for_end(struct daemon *daemon, int signal_fd)
{
	struct pollfd fds[] = { { .fd = signal_fd, .events = POLLIN },
				{ .fd = daemon->ended_fd, .events = POLLIN } };
	struct signalfd_siginfo info;

	while (poll(fds, 2, WATCH_MS) <= 0) {
		served_watch(daemon);
		served_trim(daemon);
	}
	if (fds[0].revents && read(signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		log_line(&daemon->log, LOG_NOTICE, "stopping: SIG%s", sigabbrev_np((int)info.ssi_signo));
	else
		log_line(&daemon->log, LOG_NOTICE, "stopping: the mount has ended");
	process_notify("STOPPING=1\nSTATUS=Draining");
}

static int stop(struct daemon *daemon)
{
	server_stop(daemon->server);
	attach_stop(daemon->attach);
	stop_mount(daemon);
	recorder_destroy(daemon->recorder);
	snapshots_remove_all(daemon);
	return served_close(daemon);
}

static int run(struct daemon *daemon, int signal_fd, int ready_fd)
{
	struct message message = { "" };
	int error = start(daemon, &message);

	if (error) {
		log_line(&daemon->log, LOG_ERR, "%s", message.text);
		process_notify("ERRNO=%d\nSTATUS=%s", -error, message.text);
	} else {
		say_ready(daemon);
		if (ready_fd >= 0) {
			log_to_syslog(&daemon->log);
			process_ready(ready_fd);
		}
		wait_for_end(daemon, signal_fd);
	}
	if (stop(daemon) < 0 || error)
		return 1;
	log_line(&daemon->log, LOG_NOTICE, "stopped");
	return 0;
}

static int block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	/*
	 * Before any thread is started: all threads inherit the mask, so that the signals arrive at the
	 * descriptor only.
	 */
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	/* A trace may reach the limit of file sizes. */
	signal(SIGXFSZ, SIG_IGN);
	/* A process may open the memory of a view while it is asked whether one has it (view_in_use()). */
	signal(SIGIO, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

static int serve(int argc, char **argv)
{
	struct daemon daemon = { .mark_lock = PTHREAD_MUTEX_INITIALIZER,
				 .outage_lock = PTHREAD_MUTEX_INITIALIZER,
				 .loglimit_lock = PTHREAD_MUTEX_INITIALIZER,
				 .recording_lock = PTHREAD_MUTEX_INITIALIZER,
				 .recording_changed = PTHREAD_COND_INITIALIZER };
	int status = daemon_parse_options(argc, argv, &daemon.options);
	int signal_fd, ready_fd = -1;

	if (status >= 0)
		return status;
	moment_init(&daemon.moment);
	log_open(&daemon.log, daemon.options.verbose);
	if (daemon.options.background) {
		int error = process_background(&ready_fd);

		if (error) {
			log_line(&daemon.log, LOG_ERR, "cannot go to the background: %s", strerror(-error));
			return 1;
		}
	}
	signal_fd = block_signals();
	daemon.ended_fd = eventfd(0, EFD_CLOEXEC);
	if (signal_fd < 0 || daemon.ended_fd < 0) {
		log_line(&daemon.log, LOG_ERR, "cannot watch for signals: %s", strerror(errno));
		return 1;
	}
	status = run(&daemon, signal_fd, ready_fd);
	close(signal_fd);
	close(daemon.ended_fd);
	moment_destroy(&daemon.moment);
	free(daemon.mountpoint);
	free(daemon.options.socket);
	return status;
}

int main(int argc, char **argv)
{
	if (standard_files_reserve() < 0)
		return 1;
	if (argc == 2 && strcmp(argv[1], SPAWNER_OPTION) == 0)
		return spawner_run(serve);
	return serve(argc, argv);
}
