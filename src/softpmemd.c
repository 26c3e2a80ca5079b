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

#include "common/cleanup.h"
#include "common/size.h"
#include "daemon.h"
#include "process.h"
#include "regions.h"

#define CLIENTS 128
#define PATIENCE_MS 10000

/* ---- Region and pools -------------------------------------------------------- */

static void report_progress(void *context, const char *what, uint64_t done, uint64_t total)
{
	struct daemon *daemon = context;

	log_line(&daemon->log, LOG_DEBUG, "%s: %llu of %llu", what, (unsigned long long)done,
		 (unsigned long long)total);
	/* systemd stops a service that takes long to start, unless it says that it is alive. */
	process_notify("STATUS=%s: %llu of %llu\nEXTEND_TIMEOUT_USEC=30000000", what,
		       (unsigned long long)done, (unsigned long long)total);
}

static int format_blank(struct daemon *daemon, struct message *message)
{
	const struct daemon_options *options = &daemon->options;
	struct pools_format_options format = {
		.label = options->label, .mode = options->mode, .uid = geteuid(), .gid = getegid()
	};

	if (options->read_only)
		return message_fail(message, -EUCLEAN,
				    "region %s: it is blank: format it first (softpmem format), or "
				    "start without --read-only",
				    options->region);
	return pools_format(daemon->region, &format, message);
}

static int set_root_mode(struct daemon *daemon, struct message *message)
{
	struct pool_attributes attributes = { .pool_mode = daemon->options.mode };
	struct pool *root;
	int error;

	if (daemon->options.mode == POOL_MODE_INHERIT)
		return 0;
	root = pool_root(daemon->pools);
	error = pool_set_attributes(root, POOL_SET_POOL_MODE, &attributes);
	pool_unref(root, 1);
	if (error)
		return message_fail(message, error,
				    "region %s: cannot set the mode of its root directory: %s",
				    daemon->options.region, strerror(-error));
	return 0;
}

static int open_pools(struct daemon *daemon, struct message *message)
{
	const struct daemon_options *options = &daemon->options;
	struct pools_options pools_options = {
		.domain = options->domain,
		.read_only = options->read_only,
		.progress = report_progress,
		.progress_context = daemon,
		.log = log_callback,
		.log_context = &daemon->log,
	};
	struct pools_info info;
	int error = 0;

	switch (pools_probe(daemon->region)) {
	case POOLS_PROBE_BLANK:
		error = format_blank(daemon, message);
		break;
	case POOLS_PROBE_FOREIGN:
		error = message_fail(message, -EEXIST,
				     "region %s: it holds bytes that are not softpmem's: 'softpmem "
				     "format --force' overwrites them",
				     options->region);
		break;
	case POOLS_PROBE_FORMATTED:
		break;
	}
	if (!error)
		error = pools_open(daemon->region, &pools_options, &daemon->pools, message);
	if (!error)
		error = set_root_mode(daemon, message);
	if (error)
		return error;
	pools_info(daemon->pools, &info);
	if (options->label && strcmp(options->label, info.label) != 0)
		log_line(&daemon->log, LOG_WARNING,
			 "region %s: it keeps its label '%s': --label is for formatting", options->region,
			 info.label);
	return 0;
}

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

/* Absolute, so that it means the same in the background, and to who asks for a pool's path. */
static int resolve_mountpoint(struct daemon *daemon, struct message *message)
{
	const char *mount = daemon->options.mount;
	CLEANUP_FREE char *here = NULL;

	if (!mount)
		return 0;
	daemon->mountpoint = realpath(mount, NULL);
	if (daemon->mountpoint)
		return 0;
	/* A mount whose daemon died answers nothing at all: fusefs_mount() clears it away. */
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
		.read_only = daemon->options.read_only,
		.threads = daemon->options.threads,
		.log = log_callback,
		.log_context = &daemon->log,
	};
	int error;

	if (!daemon->mountpoint)
		return 0;
	error = fusefs_mount(&(struct fusefs_region){ .pools = daemon->pools, .name = "" }, 1, &options,
			     &daemon->fusefs, message);
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
		return message_fail(message, -ENOENT, "group %s: there is no such group", name);
	*id = group->gr_gid;
	return 0;
}

static int open_sockets(struct daemon *daemon, struct message *message)
{
	struct attach_options attach = {
		.path = daemon->options.socket, .log = log_callback, .log_context = &daemon->log
	};
	struct server_options options = {
		.path = daemon->options.socket,
		.clients = CLIENTS,
		.patience = PATIENCE_MS,
		.handle = verbs_handle,
		.context = daemon,
		.log = log_callback,
		.log_context = &daemon->log,
	};
	int error = find_group(daemon->options.group, &options.has_group, &options.group, message);

	attach.has_group = options.has_group;
	attach.group = options.group;
	if (!error)
		error = server_listen(&options, &daemon->server, message);
	return error ? error : attach_listen(&attach, &daemon->attach, message);
}

static void pool_changed(void *context, struct pool *pool)
{
	struct daemon *daemon = context;

	if (daemon->fusefs)
		fusefs_pool_changed(daemon->fusefs, pool);
}

static int start_sockets(struct daemon *daemon, struct message *message)
{
	const struct attach_served served = {
		.pools = { daemon->pools },
		.regions = 1,
		.device = daemon->fusefs ? fusefs_device(daemon->fusefs) : 0,
		.changed = pool_changed,
		.context = daemon,
	};
	int error = attach_start(daemon->attach, &served);

	if (!error)
		error = server_start(daemon->server);
	if (error)
		return message_fail(message, error, "socket %s: cannot start a thread: %s", daemon->options.socket,
				    strerror(-error));
	return 0;
}

static int open_region(struct daemon *daemon, struct message *message)
{
	struct daemon_options *options = &daemon->options;
	const char *platform;
	int error = 0;

	if (strcmp(options->region, "auto") == 0) {
		error = regions_choose(&daemon->chosen_region, message);
		if (error)
			return error;
		options->region = daemon->chosen_region;
	}
	error = region_open(options->region, options->read_only ? REGION_READ_ONLY : REGION_CREATE, &daemon->region,
			    message);
	if (error)
		return error;
	if (region_warning(daemon->region))
		log_line(&daemon->log, LOG_WARNING, "%s", region_warning(daemon->region));
	platform = region_persistence_domain(daemon->region);
	/* What the platform says is one of the words that are parsed. */
	if (platform && !options->has_domain)
		domain_kind_parse(platform, &options->domain);
	return 0;
}

/* Everything that can fail, in the order in which a failure costs least. */
static int start(struct daemon *daemon, struct message *message)
{
	int error = resolve_mountpoint(daemon, message);

	if (!error)
		error = open_sockets(daemon, message);
	if (!error)
		error = open_region(daemon, message);
	if (error)
		return error;
	process_raise_files();
	/* Before the first thread: capabilities are a thread's own. */
	error = process_drop_privileges(daemon->mountpoint != NULL);
	if (error)
		return message_fail(message, error, "cannot drop privileges: %s", strerror(-error));
	error = open_pools(daemon, message);
	if (!error)
		error = start_mount(daemon, message);
	return error ? error : start_sockets(daemon, message);
}

static void say_ready(struct daemon *daemon)
{
	struct pools_info info;
	char size[32];

	pools_info(daemon->pools, &info);
	size_format(info.size, size, sizeof(size));
	log_line(&daemon->log, LOG_NOTICE, "ready: region %s (%s), generation %llu, socket %s, %s%s",
		 daemon->options.region, size, (unsigned long long)info.generation, daemon->options.socket,
		 daemon->mountpoint ? "mount " : "no mount", daemon->mountpoint ? daemon->mountpoint : "");
	process_notify("READY=1\nSTATUS=Serving %s, generation %llu", daemon->options.region,
		       (unsigned long long)info.generation);
}

/* Where the kernel does not take a mapping back by itself, for so long two may use one memory. A look costs 0.2 ms. */
#define WATCH_MS 250

/* The daemon goes on, so that who is at its files and its socket hears what happened. */
static void watch_region(struct daemon *daemon)
{
	struct message message;

	if (region_watch(daemon->region, &message) == 0 || daemon->media_lost_told)
		return;
	daemon->media_lost_told = true;
	log_line(&daemon->log, LOG_ERR, "%s", message.text);
	process_notify("STATUS=Failed: %s", message.text);
	attach_region_lost(daemon->attach, 0, daemon->options.region);
	if (daemon->fusefs)
		fusefs_media_lost(daemon->fusefs, 0);
}

static void wait_for_end(struct daemon *daemon, int signal_fd)
{
	struct pollfd fds[] = { { .fd = signal_fd, .events = POLLIN },
				{ .fd = daemon->ended_fd, .events = POLLIN } };
	struct signalfd_siginfo info;

	while (poll(fds, 2, WATCH_MS) <= 0)
		watch_region(daemon);
	if (fds[0].revents && read(signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		log_line(&daemon->log, LOG_NOTICE, "stopping: SIG%s", sigabbrev_np((int)info.ssi_signo));
	else
		log_line(&daemon->log, LOG_NOTICE, "stopping: the mount has ended");
	process_notify("STOPPING=1\nSTATUS=Draining");
}

static int stop(struct daemon *daemon)
{
	struct message message;
	int error = 0;

	server_stop(daemon->server);
	attach_stop(daemon->attach);
	stop_mount(daemon);
	if (daemon->pools)
		error = pools_close(daemon->pools, &message);
	if (error)
		log_line(&daemon->log, LOG_ERR, "%s", message.text);
	region_close(daemon->region);
	return error;
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
	/* Before any thread: all of them inherit it, and the signals come to nobody but the descriptor. */
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

int main(int argc, char **argv)
{
	struct daemon daemon = { .mark_lock = PTHREAD_MUTEX_INITIALIZER };
	int status = daemon_parse_options(argc, argv, &daemon.options);
	int signal_fd, ready_fd = -1;

	if (status >= 0)
		return status;
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
	free(daemon.chosen_region);
	free(daemon.mountpoint);
	free(daemon.options.socket);
	return status;
}
