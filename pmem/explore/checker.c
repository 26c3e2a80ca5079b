/* SPDX-License-Identifier: BSD-3-Clause */
#include "explore/checker_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/write_all.h"
#include "explore/walk_names.h"

int explore_checker_create(const struct explore_checker_options *options, struct explore_checker **out,
			   struct message *message)
{
	size_t length = strlen(options->argv[0]);

	if (length > 3 && strcmp(options->argv[0] + length - 3, ".so") == 0)
		return explore_loaded_create(options, out, message);
	return explore_command_create(options, out, message);
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
	}
}

/* ---- The files of a state ------------------------------------------------------ */

uint64_t explore_state_size(const struct explore_state *state, const struct explore_file *file)
{
	return explore_places_size(state->places, state->versions, file);
}

int explore_state_lines(const struct explore_state *state, const struct explore_file *file,
			int (*line)(void *context, uint64_t offset, const unsigned char *bytes),
			void *context)
{
	const struct explore_places *places = state->places;
	size_t i = 0;
	int error = 0;

	while (!error && i < places->count && places->items[i].kind == EXPLORE_PLACE_LINE) {
		uint64_t address = align_down(places->items[i].address, LINE_SIZE);
		unsigned char bytes[LINE_SIZE];
		const size_t first = i;
		bool newer = false;

		if (places->items[i].file != file) {
			i++;
			continue;
		}
		error = explore_places_line(state->walk, places, state->versions, &i, bytes);
		for (size_t place = first; place < i; place++)
			newer = newer || state->versions[place];
		if (!error && newer)
			error = line(context, address - file->address, bytes);
	}
	return error;
}

static int save_line(void *context, uint64_t offset, const unsigned char *bytes)
{
	return write_all_at(*(const int *)context, bytes, LINE_SIZE, offset);
}

static int save_bytes(const struct explore_state *state, const struct explore_file *file, int fd)
{
	uint64_t size = explore_state_size(state, file), page = 0;
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

/* Directories that have no regular file are part of a state too. */
static int make_directories(const struct explore_walk *walk, int at)
{
	const struct walk_names *names = explore_walk_names(walk);

	for (size_t i = 0; i < explore_walk_names_directories(names); i++) {
		const char *path = explore_walk_names_directory(names, i);

		if (stays_inside(path) && mkdirat(at, path, 0700) < 0 && errno != EEXIST && errno != ENOENT)
			return -errno;
	}
	return 0;
}

/*
 * The name of a file's copy below the directory: its path in the trace. A path that
 * leads out of the directory, or that is none, becomes "file-N": a trace may be hostile.
 */
static void copy_name(const struct explore_file *file, size_t index, char *name, size_t size)
{
	const char *path = file->path;

	while (*path == '/')
		path++;
	if (!stays_inside(path) || (size_t)snprintf(name, size, "%s", path) >= size)
		snprintf(name, size, "file-%zu", index + 1);
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

static void remove_copy(const struct explore_file *file, size_t index, int at)
{
	char name[TRACE_PATH_MAX + 1];

	copy_name(file, index, name, sizeof(name));
	unlinkat(at, name, 0);
}

int explore_state_save(const struct explore_state *state, const char *directory, struct message *message)
{
	CLEANUP_FD int at = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int error;

	if (at < 0)
		return message_fail(message, -errno, "%s: %s", directory, strerror(errno));
	error = make_directories(state->walk, at);
	if (error)
		return message_fail(message, error, "%s: %s", directory, strerror(-error));
	/* First those that are gone: another file may have the name now. */
	for (size_t i = 0; i < explore_walk_files(state->walk); i++)
		if (explore_walk_file(state->walk, i)->removed)
			remove_copy(explore_walk_file(state->walk, i), i, at);
	for (size_t i = 0; i < explore_walk_files(state->walk); i++) {
		struct explore_file *file = explore_walk_file(state->walk, i);
		char name[TRACE_PATH_MAX + 1];

		if (file->removed)
			continue;
		copy_name(file, i, name, sizeof(name));
		error = make_parents(at, name);
		CLEANUP_FD int fd =
			error ? -1 :
				openat(at, name, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (!error)
			error = fd < 0 ? -errno : save_bytes(state, file, fd);
		if (error)
			return message_fail(message, error, "%s/%s: %s", directory, name, strerror(-error));
	}
	return 0;
}
