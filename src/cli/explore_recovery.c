/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/explore_recovery.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/torture_daemon.h"
#include "common/cleanup.h"
#include "common/remove_tree.h"
#include "explore/walk_names.h"
#include "wire/frame.h"

/* For the files that the recovery makes. */
#define SPARE_BYTES ((uint64_t)256 << 20)
/* For the daemon, and for recording a program, which is slower than to run it. */
#define TIMEOUT_FACTOR 3u

void explore_recovery_clear(struct explore_recovery *recovery)
{
	if (recovery->fd >= 0)
		close(recovery->fd);
	free(recovery->name);
	explore_recovery_facts_clear(&recovery->facts);
	*recovery = (struct explore_recovery){ .fd = -1 };
}

/* Files are sparse, and so is the region. */
static int region_size(const struct explore_state *state, uint64_t *size)
{
	const struct explore_tree *tree;
	int error = explore_state_tree(state, &tree);

	*size = SPARE_BYTES;
	for (size_t i = 0; !error && i < explore_walk_files(state->walk); i++)
		if (tree->present[i] && __builtin_add_overflow(*size, tree->sizes[i], size))
			error = -EFBIG;
	*size = align_up(*size, PAGE_BYTES);
	return error;
}

/* What power failures of the run could do to files, those of the recovery can. */
static int take_rules(const struct explore_state *state, struct torture_daemon *daemon)
{
	const struct explore_tree *tree;
	uint32_t sector = UINT32_MAX;
	int error = explore_state_tree(state, &tree);

	for (size_t i = 0; !error && i < explore_walk_files(state->walk); i++)
		if (tree->present[i])
			sector = (uint32_t)min_u64(sector, explore_walk_file(state->walk, i)->sector);
	if (sector == 512)
		daemon->mode = "sector:512";
	else if (sector == 4096)
		daemon->mode = "sector";
	daemon->auto_da_alloc = explore_walk_names_has_da_alloc(explore_walk_names(state->walk));
	return error;
}

static int give_mode(const struct torture_daemon *daemon, const char *directory, enum metadata_mode mode,
		     struct message *message)
{
	CLEANUP_JSON struct json_object *request = cli_request("create"), *result = NULL;
	CLEANUP_FREE char *path = NULL;

	if (!request || asprintf(&path, "/%s", directory) < 0) {
		path = NULL;
		return message_fail(message, -ENOMEM, "out of memory");
	}
	cli_put(request, "path", path);
	cli_put(request, "metadata", metadata_mode_name(mode));
	cli_put_true(request, "directory", true);
	cli_put_true(request, "change", true);
	/* Required, and without effect on a directory that exists. */
	control_put_u64(request, "perm", 0700);
	return torture_daemon_ask(daemon, request, NULL, NULL, &result, message);
}

/* The state's directories, which are there, get the metadata modes that those of the run had. */
static int give_modes(const struct torture_daemon *daemon, const struct explore_state *state,
		      struct message *message)
{
	const struct walk_names *names = explore_walk_names(state->walk);
	const struct explore_tree *tree;
	enum metadata_mode mode;
	int error = explore_state_tree(state, &tree);

	if (error)
		return message_fail(message, error, "cannot record a recovery: %s", strerror(-error));
	if (explore_walk_names_own_mode(names, explore_walk_names_root(names), &mode))
		error = give_mode(daemon, "", mode, message);
	for (size_t i = 0; !error && i < tree->count; i++)
		if (tree->items[i].kind == WALK_DIRECTORY &&
		    explore_walk_names_own_mode(names, tree->items[i].inode, &mode))
			error = give_mode(daemon, tree->items[i].path, mode, message);
	return error;
}

static int run(const struct torture_daemon *daemon, const struct explore_state *state,
	       const struct explore_options *options, const char *directory,
	       struct explore_recovery *recovery, struct message *message)
{
	struct explore_checker_options checker = explore_search_checker(options, directory);
	char self[PATH_MAX];
	const ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *const before[] = { self, (char *)"--socket", daemon->socket, (char *)"record",
				 (char *)"-o", recovery->name, (char *)"--", NULL };

	const int old = personality(0xffffffff);
	int error;

	self[length > 0 ? length : 0] = '\0';
	checker.timeout_ms *= TIMEOUT_FACTOR;
	/*
	 * Addresses that a program stores are to be the same each time. Where that is forbidden, a
	 * recovery that stores them is found not to repeat.
	 */
	personality((unsigned long)old | ADDR_NO_RANDOMIZE);
	error = explore_checker_run_in(&checker, state, daemon->mount, before, &recovery->first,
				       &recovery->verdict, message);
	personality((unsigned long)old);
	return error;
}

static int record(const struct explore_state *state, const struct explore_options *options,
		  const char *directory, struct explore_recovery *recovery, struct message *message)
{
	CLEANUP_FREE char *program = torture_daemon_program(), *place = NULL;
	struct torture_daemon daemon;
	uint64_t size;
	int error = region_size(state, &size);

	if (!error && asprintf(&place, "%s/daemon", directory) < 0) {
		place = NULL;
		error = -ENOMEM;
	}
	if (error)
		return message_fail(message, error, "cannot record a recovery: %s", strerror(-error));
	if (!program)
		return message_fail(message, -ENOENT, "there is no softpmemd beside this program");
	error = torture_daemon_create(&daemon, program, "ordered", place, message);
	if (!error)
		error = take_rules(state, &daemon);
	if (!error)
		error = torture_daemon_start(&daemon, size, NULL, message);
	if (!error)
		error = explore_state_save(state, daemon.mount, message);
	if (!error)
		error = give_modes(&daemon, state, message);
	if (!error)
		error = run(&daemon, state, options, directory, recovery, message);
	torture_daemon_destroy(&daemon);
	remove_tree(place);
	return error;
}

int explore_recovery_record(const struct explore_state *state, const struct explore_options *options,
			    const char *directory, struct explore_recovery *recovery,
			    struct message *message)
{
	int error;

	*recovery = (struct explore_recovery){ .fd = -1 };
	if (asprintf(&recovery->name, "%s/recovery.trace", directory) < 0) {
		recovery->name = NULL;
		return message_fail(message, -ENOMEM, "out of memory");
	}
	error = record(state, options, directory, recovery, message);
	if (error || recovery->verdict.result != EXPLORE_PASSED)
		return error;
	recovery->fd = open(recovery->name, O_RDONLY | O_CLOEXEC);
	if (recovery->fd < 0)
		return message_fail(message, -errno, "%s: %s", recovery->name, strerror(errno));
	return explore_recovery_read(recovery->fd, recovery->name, &recovery->facts, message);
}
