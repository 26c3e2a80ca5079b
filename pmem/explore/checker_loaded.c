/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A checker that is a shared object: each state is a private mapping of the image with the state's lines on
 * it.
 */

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "explore/checker_private.h"
#include "explore/softpmem_checker.h"

struct view {
	unsigned char *memory;
	uint64_t capacity;
	uint64_t size; /* in the present state */
};

struct loaded {
	struct explore_checker base;
	void *object;
	int (*check)(const struct softpmem_state *state);
	VECTOR(struct view) views; /* one a file, by its number */
	VECTOR(struct softpmem_file) files;
	VECTOR(struct softpmem_mark) marks;
};

static void loaded_new_walk(struct explore_checker *checker)
{
	struct loaded *loaded = (struct loaded *)checker;

	for (size_t i = 0; i < loaded->views.count; i++)
		if (loaded->views.items[i].memory)
			munmap(loaded->views.items[i].memory, loaded->views.items[i].capacity);
	loaded->views.count = 0;
	loaded->marks.count = 0;
}

static void loaded_destroy(struct explore_checker *checker)
{
	struct loaded *loaded = (struct loaded *)checker;

	loaded_new_walk(checker);
	vector_free(&loaded->views);
	vector_free(&loaded->files);
	vector_free(&loaded->marks);
	if (loaded->object)
		dlclose(loaded->object);
	free(loaded);
}

/* The mapping follows the image, which can only grow. */
static int map_view(struct view *view, const struct explore_file *file)
{
	uint64_t capacity = explore_image_capacity(file->image);
	void *memory;

	if (view->capacity == capacity)
		return 0;
	memory = mmap(NULL, capacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE,
		      explore_image_fd(file->image), 0);
	if (memory == MAP_FAILED)
		return -errno;
	if (view->memory)
		munmap(view->memory, view->capacity);
	view->memory = memory;
	view->capacity = capacity;
	return 0;
}

static int put_line(void *context, uint64_t offset, const unsigned char *bytes)
{
	struct view *view = context;

	if (offset + LINE_SIZE > view->capacity)
		return offset < view->size ? -EFBIG : 0;
	memcpy(view->memory + offset, bytes, LINE_SIZE);
	return 0;
}

/* In a mapping of a file the bytes of its last page that lie past its end are zero. */
static void blank_tail(const struct view *view)
{
	uint64_t end = align_up(view->size, PAGE_BYTES);

	if (end > view->size)
		memset(view->memory + view->size, 0, end - view->size);
}

/* The bytes of a file in its view. */
static int lay_out_bytes(const struct explore_state *state, const struct explore_tree *tree,
			 const struct explore_file *file, struct view *view)
{
	int error;

	view->size = tree->sizes[file->index];
	error = explore_image_reserve(file->image, view->size);
	if (!error)
		error = map_view(view, file);
	if (!error)
		error = explore_state_lines(state, file, put_line, view);
	if (!error)
		blank_tail(view);
	return error;
}

static int lay_out(struct loaded *loaded, const struct explore_state *state)
{
	const struct explore_tree *tree = NULL;
	int error = explore_state_tree(state, &tree);

	while (!error && loaded->views.count < explore_walk_files(state->walk))
		error = vector_append(&loaded->views, (struct view){ 0 });
	loaded->files.count = 0;
	for (size_t i = 0; !error && i < explore_walk_files(state->walk); i++)
		if (tree->present[i])
			error = lay_out_bytes(state, tree, explore_walk_file(state->walk, i),
					      &loaded->views.items[i]);
	for (size_t i = 0; !error && i < tree->count; i++) {
		const struct explore_tree_entry *entry = &tree->items[i];
		const struct view *view;

		if (!entry->file)
			continue;
		view = &loaded->views.items[entry->file->index];
		error = vector_append(&loaded->files, (struct softpmem_file){ .path = entry->path,
									      .bytes = view->memory,
									      .size = view->size });
	}
	return error;
}

static int list_marks(struct loaded *loaded, const struct explore_walk *walk)
{
	size_t count = explore_walk_marks(walk);

	while (loaded->marks.count < count) {
		const struct explore_mark *mark = explore_walk_mark(walk, loaded->marks.count);

		if (vector_append(&loaded->marks,
				  (struct softpmem_mark){ .text = mark->text, .length = mark->length }))
			return -ENOMEM;
	}
	return 0;
}

static int loaded_run(struct explore_checker *checker, const struct explore_state *state,
		      struct explore_verdict *verdict, struct message *message)
{
	struct loaded *loaded = (struct loaded *)checker;
	struct softpmem_state shown = { .size = sizeof(shown) };
	int error = list_marks(loaded, state->walk);

	if (!error)
		error = lay_out(loaded, state);
	if (error)
		return message_fail(message, error, "%s: cannot map a crash state: %s",
				    checker->options.argv[0], strerror(-error));
	shown.files = loaded->files.items;
	shown.file_count = (uint32_t)loaded->files.count;
	shown.marks = loaded->marks.items;
	shown.mark_count = loaded->marks.count;
	verdict->code = loaded->check(&shown);
	verdict->result = verdict->code ? EXPLORE_FAILED : EXPLORE_PASSED;
	for (size_t i = 0; i < loaded->views.count; i++)
		if (loaded->views.items[i].memory)
			madvise(loaded->views.items[i].memory, loaded->views.items[i].capacity,
				MADV_DONTNEED);
	return 0;
}

const struct explore_checker_kind explore_loaded_kind = {
	.run = loaded_run,
	.new_walk = loaded_new_walk,
	.destroy = loaded_destroy,
};

int explore_loaded_create(const struct explore_checker_options *options, struct explore_checker **out,
			  struct message *message)
{
	struct loaded *loaded = calloc(1, sizeof(*loaded));
	int (*start)(int argc, char **argv);
	int argc = 0;

	if (!loaded)
		return message_fail(message, -ENOMEM, "checker: out of memory");
	loaded->base.kind = &explore_loaded_kind;
	loaded->base.options = *options;
	loaded->object = dlopen(options->argv[0], RTLD_NOW | RTLD_LOCAL);
	if (loaded->object)
		loaded->check = (int (*)(const struct softpmem_state *))(
			uintptr_t)dlsym(loaded->object, "softpmem_checker_check");
	if (!loaded->check) {
		message_fail(message, -ELIBBAD, "checker %s: %s", options->argv[0],
			     loaded->object ? "it has no function softpmem_checker_check" : dlerror());
		loaded_destroy(&loaded->base);
		return -ELIBBAD;
	}
	start = (int (*)(int, char **))(uintptr_t)dlsym(loaded->object, "softpmem_checker_start");
	while (options->argv[argc])
		argc++;
	if (start && start(argc, (char **)(uintptr_t)options->argv) != 0) {
		message_fail(message, -ECANCELED, "checker %s: softpmem_checker_start() did not return 0",
			     options->argv[0]);
		loaded_destroy(&loaded->base);
		return -ECANCELED;
	}
	*out = &loaded->base;
	return 0;
}
