/* SPDX-License-Identifier: BSD-3-Clause */
#include "explore/checker_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/write_all.h"
#include "explore/xattr_sets.h"

bool explore_checker_is_object(const char *name)
{
	const size_t length = strlen(name);

	return length > 3 && strcmp(name + length - 3, ".so") == 0;
}

int explore_checker_create(const struct explore_checker_options *options, struct explore_checker **out,
			   struct message *message)
{
	if (options->oracle)
		return explore_oracle_create(options, out, message);
	if (options->how == EXPLORE_CHECKER_FORK_SERVER)
		return explore_forked_create(options, out, message);
	if (options->how == EXPLORE_CHECKER_ENGINE)
		return explore_engine_create(options, out, message);
	if (options->how == EXPLORE_CHECKER_BY_NAME && explore_checker_is_object(options->argv[0]))
		return explore_loaded_create(options, out, message);
	return explore_command_create(options, out, message);
}

unsigned explore_checker_limit_ms(enum explore_checker_how how, unsigned timeout_ms)
{
	return timeout_ms + 2000 + (how == EXPLORE_CHECKER_ENGINE ? EXPLORE_STOP_MS : 0);
}

void explore_checker_destroy(struct explore_checker *checker)
{
	if (checker)
		checker->kind->destroy(checker);
}

bool explore_checker_is_loaded(const struct explore_checker *checker)
{
	return checker->kind == &explore_loaded_kind;
}

void explore_checker_new_walk(struct explore_checker *checker)
{
	checker->kind->new_walk(checker);
}

int explore_checker_run(struct explore_checker *checker, const struct explore_state *state,
			struct explore_verdict *verdict, struct message *message)
{
	*verdict = (struct explore_verdict){ .result = EXPLORE_PASSED };
	return checker->kind->run(checker, state, verdict, message);
}

void explore_verdict_text(const struct explore_verdict *verdict, unsigned timeout_ms, char *text, size_t size)
{
	switch (verdict->result) {
	case EXPLORE_PASSED:
		snprintf(text, size, "passed");
		break;
	case EXPLORE_FAILED:
		snprintf(text, size, "failed with status %d", verdict->code);
		break;
	case EXPLORE_SIGNALED:
		snprintf(text, size, "was killed by signal %d (%s)", verdict->code, strsignal(verdict->code));
		break;
	case EXPLORE_TIMED_OUT:
		snprintf(text, size, "did not end in %g s", timeout_ms / 1000.0);
		break;
	case EXPLORE_SERVER_ENDED:
		snprintf(text, size, "saw the server end with status %d before it answered", verdict->code);
		break;
	case EXPLORE_SERVER_SIGNALED:
		snprintf(text, size, "saw the server killed by signal %d (%s) before it answered",
			 verdict->code, strsignal(verdict->code));
		break;
	case EXPLORE_SERVER_NOT_READY:
		snprintf(text, size, "saw no server that was ready in %g s", timeout_ms / 1000.0);
		break;
	}
}

/* ---- The files of a state ------------------------------------------------------ */

int explore_state_tree(const struct explore_state *state, const struct explore_tree **tree)
{
	return explore_places_tree(state->walk, state->places, state->versions, tree);
}

int explore_state_lines(const struct explore_state *state, const struct explore_file *file,
			int (*line)(void *context, uint64_t offset, const unsigned char *bytes),
			void *context)
{
	return explore_places_lines(state->walk, state->places, state->versions, file, line, context);
}

static int save_line(void *context, uint64_t offset, const unsigned char *bytes)
{
	return write_all_at(*(const int *)context, bytes, LINE_SIZE, offset);
}

static int save_bytes(const struct explore_state *state, const struct explore_tree *tree,
		      const struct explore_file *file, int fd)
{
	uint64_t size = tree->sizes[file->index], page = 0;
	int error = 0;

	for (; !error &&
	       (page = explore_image_next_page(file->image, page)) < align_up(size, PAGE_BYTES) / PAGE_BYTES;
	     page++)
		error = write_all_at(fd, explore_image_page(file->image, page), PAGE_BYTES,
				     page * PAGE_BYTES);
	if (!error)
		error = explore_state_lines(state, file, save_line, &fd);
	if (!error && ftruncate(fd, (off_t)size) < 0)
		error = -errno;
	return error;
}

static bool stays_inside(const char *path)
{
	return *path && *path != '/' && !strstr(path, "..") && !strstr(path, "//") &&
	       path[strlen(path) - 1] != '/';
}

/*
 * The name of a file's copy below the directory: its path in the trace. A path that
 * leads out of the directory, or that is none, becomes "file-N": a trace may be hostile.
 */
static void copy_name(const char *path, const struct explore_file *file, char *name, size_t size)
{
	while (*path == '/')
		path++;
	if (!stays_inside(path) || (size_t)snprintf(name, size, "%s", path) >= size)
		snprintf(name, size, "file-%zu", file->index + 1);
}

void explore_state_file_name(const struct explore_file *file, char *name, size_t size)
{
	copy_name(file->path, file, name, size);
}

static int make_parents(int directory, char *name)
{
	for (char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/')) {
		int failed;

		*slash = '\0';
		failed = mkdirat(directory, name, 0700) < 0 && errno != EEXIST ? -errno : 0;
		*slash = '/';
		if (failed)
			return failed;
	}
	return 0;
}

/* What is made in a directory, `at`. */
struct saving {
	const struct explore_state *state;
	const struct explore_tree *tree;
	int at;
	size_t *first; /* by the number of a file: its first entry + 1, once that is made */
};

/*
 * Those of users. Others mean something to the kernel, which would obey them in files that were not meant for
 * it.
 */
static int save_xattrs(int fd, const struct explore_xattrs *set)
{
	for (size_t i = 0; set && i < set->count; i++) {
		const struct explore_xattr *xattr = &set->items[i];

		if (strncmp(xattr->name, "user.", 5) == 0 &&
		    fsetxattr(fd, xattr->name, xattr->value, xattr->length, 0) < 0)
			return -errno;
	}
	return 0;
}

static int save_file(const struct saving *saving, size_t index, const char *name)
{
	const struct explore_tree_entry *entry = &saving->tree->items[index];
	size_t *first = &saving->first[entry->file->index];
	char other[TRACE_PATH_MAX + 1];

	if (*first) {
		copy_name(saving->tree->items[*first - 1].path, entry->file, other, sizeof(other));
		return linkat(saving->at, other, saving->at, name, 0) < 0 && errno != EEXIST ? -errno : 0;
	}
	*first = index + 1;
	CLEANUP_FD int fd =
		openat(saving->at, name, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	int error = fd < 0 ? -errno : save_bytes(saving->state, saving->tree, entry->file, fd);

	if (!error)
		error = save_xattrs(fd, entry->xattrs);
	if (!error && entry->permissions && fchmod(fd, entry->permissions) < 0)
		error = -errno;
	return error;
}

/* Symlinks come last, and lead out of nothing: no file is made through one. */
static int save_entry(const struct saving *saving, size_t index, bool symlinks, char name[TRACE_PATH_MAX + 1])
{
	const struct explore_tree_entry *entry = &saving->tree->items[index];
	int error;

	snprintf(name, TRACE_PATH_MAX + 1, "%s", entry->path);
	if (entry->file)
		copy_name(entry->path, entry->file, name, TRACE_PATH_MAX + 1);
	else if (entry->kind == WALK_OTHER || !stays_inside(name))
		return 0;
	if ((entry->kind == WALK_SYMLINK) != symlinks)
		return 0;
	error = make_parents(saving->at, name);
	if (error)
		return error;
	if (entry->file)
		return save_file(saving, index, name);
	if (entry->kind == WALK_DIRECTORY)
		return mkdirat(saving->at, name, 0700) < 0 && errno != EEXIST ? -errno : 0;
	return stays_inside(entry->target) && symlinkat(entry->target, saving->at, name) < 0 ? -errno : 0;
}

static int save_mode(int at, const char *name, const struct explore_tree_entry *entry)
{
	CLEANUP_FD int fd = -1;
	int error = 0;

	if (entry->xattrs) {
		fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		error = fd < 0 ? -errno : save_xattrs(fd, entry->xattrs);
	}
	if (!error && entry->permissions && fchmodat(at, name, entry->permissions, 0) < 0)
		error = -errno;
	return error;
}

/* Once all is made: a directory may be one that its owner cannot write to. What is in it comes before it. */
static int save_modes(const struct saving *saving, char name[TRACE_PATH_MAX + 1])
{
	int error = 0;

	for (size_t i = saving->tree->count; !error && i-- > 0;) {
		const struct explore_tree_entry *entry = &saving->tree->items[i];

		snprintf(name, TRACE_PATH_MAX + 1, "%s", entry->path);
		if (entry->kind == WALK_DIRECTORY && stays_inside(name))
			error = save_mode(saving->at, name, entry);
	}
	return error;
}

int explore_state_save(const struct explore_state *state, const char *directory, struct message *message)
{
	CLEANUP_FD int at = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	CLEANUP_FREE size_t *first = calloc(explore_walk_files(state->walk) + 1, sizeof(*first));
	struct saving saving = { .state = state, .at = at, .first = first };
	char name[TRACE_PATH_MAX + 1] = "";
	int error = at < 0 ? -errno : first ? explore_state_tree(state, &saving.tree) : -ENOMEM;

	for (unsigned symlinks = 0; !error && symlinks < 2; symlinks++)
		for (size_t i = 0; !error && i < saving.tree->count; i++)
			error = save_entry(&saving, i, symlinks, name);
	if (!error)
		error = save_modes(&saving, name);
	if (error == -EOPNOTSUPP)
		return message_fail(message, error,
				    "%s/%s: the file system has no extended attributes of users, which the "
				    "state has: set TMPDIR to a directory of one that has",
				    directory, name);
	if (error)
		return message_fail(message, error, "%s/%s: %s", directory, name, strerror(-error));
	return 0;
}
