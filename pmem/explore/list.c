/* SPDX-License-Identifier: BSD-3-Clause */
#include "explore/list.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "explore/checker.h"
#include "explore/digests.h"
#include "explore/state_order.h"
#include "explore/points.h"
#include "explore/xattr_sets.h"
#include "trace/text_form.h"

struct listing {
	struct explore_digests seen;
	VECTOR(char *) states;
	uint64_t most;
	struct message *message;
};

/* The lines that a state has beyond the image, while one file is printed. */
struct overlay {
	VECTOR_FIELDS(struct overlay_line {
		uint64_t offset;
		unsigned char bytes[LINE_SIZE];
	});
};

static int keep_line(void *context, uint64_t offset, const unsigned char *bytes)
{
	struct overlay *overlay = context;
	struct overlay_line line = { .offset = offset };

	memcpy(line.bytes, bytes, LINE_SIZE);
	return vector_append(overlay, line);
}

static void print_line(FILE *out, uint64_t offset, const unsigned char *bytes, uint64_t size)
{
	for (unsigned at = 0; at < LINE_SIZE && offset + at < size; at += 8) {
		uint64_t word = 0;

		memcpy(&word, bytes + at, (size_t)min_u64(8, size - offset - at));
		if (word)
			fprintf(out, " 0x%" PRIx64 "=%" PRIu64, offset + at, word);
	}
}

/* Both the image's pages and the overlay's lines come by ascending offset. */
static int print_bytes(FILE *out, const struct explore_state *state, const struct explore_file *file,
		       uint64_t size)
{
	uint64_t page = 0;
	struct overlay overlay = { 0 };
	int error = explore_state_lines(state, file, keep_line, &overlay);
	size_t next = 0;

	for (; !error && (page = explore_image_next_page(file->image, page)) != UINT64_MAX; page++) {
		for (uint64_t at = 0; at < PAGE_BYTES; at += LINE_SIZE) {
			uint64_t offset = page * PAGE_BYTES + at;
			const unsigned char *bytes = explore_image_page(file->image, page) + at;

			for (; next < overlay.count && overlay.items[next].offset < offset; next++)
				print_line(out, overlay.items[next].offset, overlay.items[next].bytes, size);
			if (next < overlay.count && overlay.items[next].offset == offset)
				bytes = overlay.items[next++].bytes;
			print_line(out, offset, bytes, size);
		}
	}
	for (; next < overlay.count; next++)
		print_line(out, overlay.items[next].offset, overlay.items[next].bytes, size);
	vector_free(&overlay);
	return error;
}

static void print_xattrs(FILE *out, const struct explore_xattrs *set)
{
	for (size_t i = 0; set && i < set->count; i++) {
		const struct explore_xattr *xattr = &set->items[i];

		fprintf(out, " %s=", xattr->name);
		trace_text_quote(out, (struct trace_bytes){ xattr->value, xattr->length });
	}
}

static int print_entry(FILE *out, const struct explore_state *state, const struct explore_tree *tree,
		       const struct explore_tree_entry *entry)
{
	fputs(entry->path, out);
	if (entry->kind == WALK_DIRECTORY)
		fputc('/', out);
	if (entry->kind == WALK_SYMLINK)
		fprintf(out, " -> %s", entry->target);
	if (entry->permissions)
		fprintf(out, " mode=0%" PRIo32, entry->permissions);
	print_xattrs(out, entry->xattrs);
	if (!entry->file)
		return 0;
	fprintf(out, " size=%" PRIu64, tree->sizes[entry->file->index]);
	return print_bytes(out, state, entry->file, tree->sizes[entry->file->index]);
}

static int add_state(struct listing *listing, const struct explore_state *state)
{
	const struct explore_tree *tree = NULL;
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	int error = out ? explore_state_tree(state, &tree) : -ENOMEM;

	for (size_t i = 0; !error && i < tree->count; i++) {
		if (i)
			fputs("; ", out);
		error = print_entry(out, state, tree, &tree->items[i]);
	}
	if (out && fclose(out) != 0)
		error = -ENOMEM;
	if (!error)
		error = vector_append(&listing->states, text);
	if (error)
		free(text);
	return error;
}

static int list_point(struct listing *listing, const struct explore_walk *walk)
{
	struct explore_places places = { 0 };
	struct explore_order *order = NULL;
	enum explore_phase phase;
	int error = explore_places_collect(walk, &places);
	CLEANUP_FREE uint64_t *versions = calloc(places.count + 1, sizeof(*versions));
	const struct explore_state state = { .walk = walk, .places = &places, .versions = versions };

	if (!error && explore_places_states(&places) > listing->most)
		error = -E2BIG;
	if (!error)
		error = versions ? explore_order_create(walk, &places, 0, UINT64_MAX - 1, &order) : -ENOMEM;
	while (!error && explore_order_next(order, versions, &phase)) {
		struct explore_digest digest;
		bool is_new = false;

		error = explore_places_digest(walk, &places, versions, &digest);
		if (!error)
			error = explore_digests_add(&listing->seen, digest, &is_new);
		if (!error && is_new)
			error = add_state(listing, &state);
	}
	explore_order_destroy(order);
	explore_places_clear(&places);
	return error;
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void print_sorted(const struct listing *listing, FILE *out)
{
	if (listing->states.count)
		qsort(listing->states.items, listing->states.count, sizeof(char *), compare_texts);
	for (size_t i = 0; i < listing->states.count; i++)
		/* States that differ only in their marks have equal texts. */
		if (!i || strcmp(listing->states.items[i - 1], listing->states.items[i]) != 0)
			fprintf(out, "%s\n", listing->states.items[i]);
}

static int list_points(struct listing *listing, struct explore_walk *walk,
		       const struct explore_points *points)
{
	int error = 0, step;

	for (size_t i = 0; !error && i < points->count; i++) {
		step = explore_walk_to(walk, points->items[i].after, listing->message);
		error = step < 0 ? step : explore_walk_settle_names(walk);
		if (!error)
			error = list_point(listing, walk);
		if (error == -E2BIG)
			message_fail(listing->message, error,
				     "more than %" PRIu64 " states at one crash point: list a smaller trace",
				     listing->most);
		else if (error)
			message_fail(listing->message, error, "%s", strerror(-error));
	}
	return error;
}

int explore_list_states(int fd, const char *name, const struct explore_walk_options *options, uint64_t most,
			FILE *out, struct message *message)
{
	struct listing listing = { .most = most, .message = message };
	struct explore_points points = { 0 };
	struct explore_walk *walk = NULL;
	int error = explore_points_find(fd, name, options, &points, message);

	if (!error)
		error = explore_walk_create(fd, name, options, &walk, message);
	if (!error)
		error = list_points(&listing, walk, &points);
	if (!error)
		print_sorted(&listing, out);
	for (size_t i = 0; i < listing.states.count; i++)
		free(listing.states.items[i]);
	vector_free(&listing.states);
	explore_digests_clear(&listing.seen);
	explore_points_clear(&points);
	explore_walk_destroy(walk);
	return error;
}
