/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A checker that is a fork server (explore/fork_protocol.h). The lines of a state are exchanged with the
 * image's own for as long as the state is checked, so that neither a copy nor a message holds them.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/write_all.h"
#include "explore/checker_private.h"
#include "explore/fork_protocol.h"
#include "explore/spawn.h"

/* Bytes that stand in an image, or that belong there while a state's stand in it. */
struct exchange {
	struct explore_image *image;
	uint64_t offset;
	uint32_t length;
	unsigned char bytes[LINE_SIZE];
};

struct forked {
	struct explore_checker base;
	pid_t server;	 /* 0: not running */
	int requests;	 /* the writing end */
	int unread;	 /* the reading end, kept so that a write to a server that has ended is no SIGPIPE */
	int replies;	 /* the reading end */
	int table, marks, output; /* memfds */
	size_t mark_count; /* that `marks` has, up to `marks_end` */
	uint64_t marks_end;
	VECTOR(uint64_t) capacities; /* of each file, as the server was told; 0: it was not */
	VECTOR(struct exchange) exchanges;
	VECTOR(unsigned char) text; /* of the table */
};

/* ---- The server -------------------------------------------------------------------------- */

static void close_end(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* End the server and what it has forked. Returns its status. */
static int stop_server(struct forked *forked)
{
	struct fork_table table = { 0 };
	int status = 0;

	if (!forked->server)
		return 0;
	if (pread(forked->table, &table, sizeof(table), 0) == sizeof(table) && table.child > 1)
		kill(-table.child, SIGKILL);
	kill(-forked->server, SIGKILL);
	while (waitpid(forked->server, &status, 0) < 0 && errno == EINTR)
		;
	table.child = 0;
	(void)!pwrite(forked->table, &table, sizeof(table), 0);
	forked->server = 0;
	close_end(&forked->requests);
	close_end(&forked->unread);
	close_end(&forked->replies);
	forked->capacities.count = 0;
	return status;
}

static int request(const struct forked *forked, enum fork_request_kind kind, uint32_t file, int fd,
		   uint64_t length)
{
	const struct fork_request sent = { .kind = kind, .file = file, .fd = fd, .length = length };
	ssize_t written;

	do
		written = write(forked->requests, &sent, sizeof(sent));
	while (written < 0 && errno == EINTR);
	return written == (ssize_t)sizeof(sent) ? 0 : -EPIPE;
}

/* 1 and a reply; 0: none came in time; -EPIPE: the server has ended. */
static int receive(const struct forked *forked, unsigned timeout_ms, struct fork_reply *reply)
{
	struct pollfd poll_for = { .fd = forked->replies, .events = POLLIN };
	int ready;
	ssize_t got;

	do
		ready = poll(&poll_for, 1, (int)timeout_ms);
	while (ready < 0 && errno == EINTR);
	if (ready <= 0)
		return ready < 0 ? -errno : 0;
	got = read(forked->replies, reply, sizeof(*reply));
	return got == (ssize_t)sizeof(*reply) ? 1 : -EPIPE;
}

static int spawn_server(struct forked *forked, int from, int to)
{
	static char variable[] = FORK_VARIABLE "=1";
	CLEANUP_FREE char **environment = explore_environment(1);
	const struct explore_spawn spawn = {
		.argv = forked->base.options.argv,
		.environment = environment,
		.output = forked->output,
		.errors = forked->output,
		.more = { { from, FORK_REQUESTS }, { to, FORK_REPLIES } },
		.more_count = 2,
	};
	int error;

	if (!environment)
		return -ENOMEM;
	environment[0] = variable;
	error = explore_spawn(&spawn, &forked->server);
	if (error)
		forked->server = 0;
	return error;
}

/* A pipe whose ends are none of the numbers that the server gets. */
static int make_pipe(int ends[2])
{
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	for (unsigned i = 0; i < 2; i++) {
		int moved = fcntl(ends[i], F_DUPFD_CLOEXEC, FORK_REPLIES + 1);

		close(ends[i]);
		ends[i] = moved;
	}
	return ends[0] < 0 || ends[1] < 0 ? -EMFILE : 0;
}

/* The first reply. */
static int await_start(struct forked *forked, struct message *message)
{
	const char *program = forked->base.options.argv[0];
	struct fork_reply hello;
	int got = receive(forked, forked->base.options.timeout_ms, &hello);

	if (got == 1 && hello.version == FORK_PROTOCOL_VERSION && hello.status == 0)
		return 0;
	stop_server(forked);
	if (got == 1 && hello.version == FORK_PROTOCOL_VERSION)
		return message_fail(message, -ECANCELED,
				    "checker %s: softpmem_checker_start() did not return 0", program);
	return message_fail(message, -EPROTO,
			    "checker %s: it does not start as a fork server: link it with "
			    "-lsoftpmem_checker of this softpmem",
			    program);
}

static int start_server(struct forked *forked, struct message *message)
{
	int down[2] = { -1, -1 }, up[2] = { -1, -1 };
	int error = make_pipe(down);

	if (!error)
		error = make_pipe(up);
	if (!error)
		error = spawn_server(forked, down[0], up[1]);
	close_end(&up[1]);
	forked->unread = down[0];
	forked->requests = down[1];
	forked->replies = up[0];
	if (error) {
		close_end(&forked->unread);
		close_end(&forked->requests);
		close_end(&forked->replies);
		return message_fail(message, error, "checker %s: cannot start it: %s",
				    forked->base.options.argv[0], strerror(-error));
	}
	error = await_start(forked, message);
	if (!error)
		error = request(forked, FORK_TABLE, 0, forked->table, 0);
	return error ? error : request(forked, FORK_MARKS, 0, forked->marks, 0);
}

/* ---- A state --------------------------------------------------------------------------------- */

struct collection {
	struct forked *forked;
	const struct explore_file *file;
	uint64_t size;
};

static int collect(const struct collection *collection, uint64_t offset, const void *bytes, uint32_t length)
{
	struct exchange one = { .image = collection->file->image, .offset = offset, .length = length };

	memcpy(one.bytes, bytes, length);
	return vector_append(&collection->forked->exchanges, one);
}

static int collect_line(void *context, uint64_t offset, const unsigned char *bytes)
{
	const struct collection *collection = context;

	if (offset + LINE_SIZE > explore_image_capacity(collection->file->image))
		return offset < collection->size ? -EFBIG : 0;
	return collect(collection, offset, bytes, LINE_SIZE);
}

/* In a mapping of a file the bytes of its last page that lie past its end are zero. */
static int collect_tail(const struct collection *collection)
{
	static const unsigned char zeros[LINE_SIZE];
	const uint64_t end = align_up(collection->size, PAGE_BYTES);
	int error = 0;

	for (uint64_t at = collection->size, next; !error && at < end; at = next) {
		next = align_down(at, LINE_SIZE) + LINE_SIZE;
		error = collect(collection, at, zeros, (uint32_t)(next - at));
	}
	return error;
}

/* The lines of a state in a file, and the file in the server. */
static int lay_out_file(struct forked *forked, const struct explore_state *state,
			const struct explore_tree *tree, size_t index)
{
	const struct explore_file *file = explore_walk_file(state->walk, index);
	struct collection collection = { .forked = forked, .file = file, .size = tree->sizes[index] };
	int error = explore_image_reserve(file->image, collection.size);
	const uint64_t capacity = explore_image_capacity(file->image);

	if (!error && forked->capacities.items[index] != capacity) {
		error = request(forked, FORK_FILE, (uint32_t)index, explore_image_fd(file->image), capacity);
		forked->capacities.items[index] = capacity;
	}
	if (!error)
		error = explore_state_lines(state, file, collect_line, &collection);
	return error ? error : collect_tail(&collection);
}

/* A head, and a text with its NUL and what follows up to the next one. */
static int add_text(struct forked *forked, const void *head, size_t head_bytes, const char *text,
		    size_t length)
{
	static const unsigned char zeros[FORK_ALIGNMENT];
	int error = vector_append_all(&forked->text, head, head_bytes);

	if (!error)
		error = vector_append_all(&forked->text, text, length);
	return error ? error :
		       vector_append_all(&forked->text, zeros, (size_t)(fork_text_bytes(length) - length));
}

static int write_table(struct forked *forked, const struct explore_state *state,
		       const struct explore_tree *tree)
{
	struct fork_table head = { .marks = explore_walk_marks(state->walk) };
	int error;

	forked->text.count = 0;
	error = vector_append_all(&forked->text, &head, sizeof(head));
	for (size_t i = 0; !error && i < tree->count; i++) {
		const struct explore_tree_entry *entry = &tree->items[i];
		struct fork_entry one;

		if (!entry->file)
			continue;
		one = (struct fork_entry){ .file = (uint32_t)entry->file->index,
					   .path_length = (uint32_t)strlen(entry->path),
					   .size = tree->sizes[entry->file->index] };
		head.entries++;
		error = add_text(forked, &one, sizeof(one), entry->path, one.path_length);
	}
	if (error || forked->text.count > FORK_AREA_BYTES)
		return error ? error : -EFBIG;
	memcpy(forked->text.items, &head, sizeof(head));
	return write_all_at(forked->table, forked->text.items, forked->text.count, 0);
}

static int write_marks(struct forked *forked, const struct explore_walk *walk)
{
	for (; forked->mark_count < explore_walk_marks(walk); forked->mark_count++) {
		const struct explore_mark *mark = explore_walk_mark(walk, forked->mark_count);
		const struct fork_mark head = { .length = mark->length };
		int error;

		forked->text.count = 0;
		error = add_text(forked, &head, sizeof(head), mark->text, mark->length);
		if (!error && forked->marks_end + forked->text.count > FORK_AREA_BYTES)
			error = -EFBIG;
		if (!error)
			error = write_all_at(forked->marks, forked->text.items, forked->text.count,
					     forked->marks_end);
		if (error)
			return error;
		forked->marks_end += forked->text.count;
	}
	return 0;
}

static int lay_out(struct forked *forked, const struct explore_state *state)
{
	const size_t files = explore_walk_files(state->walk);
	const struct explore_tree *tree = NULL;
	int error = files > FORK_FILES_MAX ? -EFBIG : explore_state_tree(state, &tree);

	forked->exchanges.count = 0;
	while (!error && forked->capacities.count < files)
		error = vector_append(&forked->capacities, (uint64_t)0);
	for (size_t i = 0; !error && i < files; i++)
		if (tree->present[i])
			error = lay_out_file(forked, state, tree, i);
	if (!error)
		error = write_marks(forked, state->walk);
	return error ? error : write_table(forked, state, tree);
}

static void make_exchange(struct exchange *one)
{
	explore_image_exchange(one->image, one->offset, one->bytes, one->length);
}

/* An exchange may be of bytes of one before it, so they are undone in the opposite order. */
static void put_lines(struct forked *forked)
{
	for (size_t i = 0; i < forked->exchanges.count; i++)
		make_exchange(&forked->exchanges.items[i]);
}

static void take_lines(struct forked *forked)
{
	for (size_t i = forked->exchanges.count; i-- > 0;)
		make_exchange(&forked->exchanges.items[i]);
}

/* ---- A check ----------------------------------------------------------------------------------- */

static void judge_status(int status, struct explore_verdict *verdict)
{
	verdict->result = WIFSIGNALED(status) ? EXPLORE_SIGNALED : EXPLORE_FAILED;
	verdict->code = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

/* 0 and a verdict, or a negative errno. */
static int ask(struct forked *forked, struct explore_verdict *verdict)
{
	struct fork_reply reply = { 0 };
	int got = request(forked, FORK_CHECK, 0, 0, 0);

	if (!got)
		got = receive(forked, forked->base.options.timeout_ms, &reply);
	if (got == 0) {
		verdict->result = EXPLORE_TIMED_OUT;
		stop_server(forked);
	} else if (got < 0) {
		/* A check that ends its server is one that fails. */
		judge_status(stop_server(forked), verdict);
	} else if (reply.error) {
		return reply.error;
	} else if (!reply.returned) {
		judge_status(reply.status, verdict);
	} else if (reply.code) {
		verdict->result = EXPLORE_FAILED;
		verdict->code = reply.code;
	}
	return 0;
}

static void take_output(const struct forked *forked, struct explore_verdict *verdict)
{
	if (lseek(forked->output, 0, SEEK_END) == 0)
		return;
	explore_output_read(forked->output, verdict->output, sizeof(verdict->output));
	if (ftruncate(forked->output, 0) == 0)
		lseek(forked->output, 0, SEEK_SET);
}

static int forked_run(struct explore_checker *checker, const struct explore_state *state,
		      struct explore_verdict *verdict, struct message *message)
{
	struct forked *forked = (struct forked *)checker;
	int error = forked->server ? 0 : start_server(forked, message);

	if (error)
		return error;
	error = lay_out(forked, state);
	if (error)
		return message_fail(message, error, "%s: cannot lay out a crash state: %s",
				    checker->options.argv[0], strerror(-error));
	put_lines(forked);
	error = ask(forked, verdict);
	take_lines(forked);
	take_output(forked, verdict);
	if (error)
		return message_fail(message, error, "checker %s: cannot fork: %s", checker->options.argv[0],
				    strerror(-error));
	return 0;
}

/* If the server has ended, the next check finds that. */
static void forked_new_walk(struct explore_checker *checker)
{
	struct forked *forked = (struct forked *)checker;

	forked->capacities.count = 0;
	forked->mark_count = 0;
	forked->marks_end = 0;
	if (forked->server)
		(void)request(forked, FORK_FORGET, 0, 0, 0);
}

static void forked_destroy(struct explore_checker *checker)
{
	struct forked *forked = (struct forked *)checker;

	stop_server(forked);
	close_end(&forked->table);
	close_end(&forked->marks);
	close_end(&forked->output);
	vector_free(&forked->capacities);
	vector_free(&forked->exchanges);
	vector_free(&forked->text);
	free(forked);
}

static const struct explore_checker_kind forked_kind = {
	.run = forked_run,
	.new_walk = forked_new_walk,
	.destroy = forked_destroy,
};

int explore_forked_create(const struct explore_checker_options *options, struct explore_checker **out,
			  struct message *message)
{
	struct forked *forked = calloc(1, sizeof(*forked));
	int error;

	if (!forked)
		return message_fail(message, -ENOMEM, "checker: out of memory");
	forked->base.kind = &forked_kind;
	forked->base.options = *options;
	forked->requests = forked->unread = forked->replies = -1;
	forked->table = memfd_create("softpmem-checker-table", MFD_CLOEXEC);
	forked->marks = memfd_create("softpmem-checker-marks", MFD_CLOEXEC);
	forked->output = memfd_create("softpmem-checker-output", MFD_CLOEXEC);
	if (forked->table < 0 || forked->marks < 0 || forked->output < 0)
		error = message_fail(message, -errno, "checker: cannot make a place for the state: %s",
				     strerror(errno));
	else
		error = start_server(forked, message);
	if (error)
		forked_destroy(&forked->base);
	else
		*out = &forked->base;
	return error;
}
