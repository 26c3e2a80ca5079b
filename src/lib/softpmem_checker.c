/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * main() of a checker that is a fork server: the other end of pmem/explore/checker_forked.c. It is linked
 * into programs of users, and so includes no other part of softpmem.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "explore/fork_protocol.h"
#include "explore/softpmem_checker.h"

#pragma weak softpmem_checker_start

struct view {
	void *bytes;
	uint64_t capacity;
};

struct server {
	pid_t explorer;
	struct fork_table *table;
	const unsigned char *marks_area;
	uint64_t marks_end; /* of the marks that are in the list */
	struct view *views; /* by the number of a file */
	size_t view_count;
	struct softpmem_file *files;
	size_t file_room;
	struct softpmem_mark *marks;
	size_t mark_count, mark_room;
};

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "fork server: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* Room for one more item of so many bytes after `count`. */
static void *grow(void *items, size_t count, size_t *room, size_t size)
{
	if (count < *room)
		return items;
	*room = 2 * count + 16;
	items = reallocarray(items, *room, size);
	if (!items)
		fail("out of memory");
	return items;
}

/* Map what a descriptor of the explorer refers to. */
static void *map(const struct server *server, int fd, uint64_t length, int protection, int flags)
{
	char path[64];
	void *memory;
	int own;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)server->explorer, fd);
	own = open(path, O_RDWR | O_CLOEXEC);
	if (own < 0)
		fail(path);
	memory = mmap(NULL, length, protection, flags | MAP_NORESERVE, own, 0);
	if (memory == MAP_FAILED)
		fail("mmap");
	close(own);
	return memory;
}

static void map_file(struct server *server, const struct fork_request *request)
{
	struct view *view;

	errno = EINVAL;
	if (request->file >= FORK_FILES_MAX)
		fail("the number of a file");
	if (request->file >= server->view_count) {
		server->views = reallocarray(server->views, request->file + 1, sizeof(*server->views));
		if (!server->views)
			fail("out of memory");
		memset(server->views + server->view_count, 0,
		       (request->file + 1 - server->view_count) * sizeof(*server->views));
		server->view_count = request->file + 1;
	}
	view = &server->views[request->file];
	if (view->bytes)
		munmap(view->bytes, view->capacity);
	view->bytes = map(server, request->fd, request->length, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	view->capacity = request->length;
}

static void forget(struct server *server)
{
	for (size_t i = 0; i < server->view_count; i++)
		if (server->views[i].bytes)
			munmap(server->views[i].bytes, server->views[i].capacity);
	server->view_count = 0;
	server->mark_count = 0;
	server->marks_end = 0;
}

/* The marks of a walk only become more. */
static void list_marks(struct server *server)
{
	while (server->mark_count < server->table->marks) {
		const unsigned char *at = server->marks_area + server->marks_end;
		struct fork_mark mark;

		memcpy(&mark, at, sizeof(mark));
		server->marks = grow(server->marks, server->mark_count, &server->mark_room,
				     sizeof(*server->marks));
		server->marks[server->mark_count++] = (struct softpmem_mark){
			.text = (const char *)at + sizeof(mark),
			.length = mark.length,
		};
		server->marks_end += sizeof(mark) + fork_text_bytes(mark.length);
	}
}

static void list_files(struct server *server)
{
	const unsigned char *at = (const unsigned char *)(server->table + 1);

	for (size_t i = 0; i < server->table->entries; i++) {
		struct fork_entry entry;

		memcpy(&entry, at, sizeof(entry));
		server->files = grow(server->files, i, &server->file_room, sizeof(*server->files));
		server->files[i] = (struct softpmem_file){
			.path = (const char *)at + sizeof(entry),
			.bytes = server->views[entry.file].bytes,
			.size = entry.size,
		};
		at += sizeof(entry) + fork_text_bytes(entry.path_length);
	}
}

static _Noreturn void run_child(struct server *server)
{
	const struct softpmem_state state = {
		.size = sizeof(state),
		.file_count = (uint32_t)server->table->entries,
		.files = server->files,
		.mark_count = server->table->marks,
		.marks = server->marks,
	};

	/* A group of its own, so that what it leaves behind ends with it. */
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(FORK_REQUESTS);
	close(FORK_REPLIES);
	server->table->code = softpmem_checker_check(&state);
	server->table->returned = 1;
	fflush(NULL);
	_exit(0);
}

static void check(struct server *server, struct fork_reply *reply)
{
	pid_t child;

	list_marks(server);
	list_files(server);
	server->table->returned = 0;
	fflush(NULL);
	child = fork();
	if (child == 0)
		run_child(server);
	if (child < 0) {
		reply->error = -errno;
		return;
	}
	setpgid(child, child);
	server->table->child = child;
	while (waitpid(child, &reply->status, 0) < 0 && errno == EINTR)
		;
	kill(-child, SIGKILL);
	server->table->child = 0;
	reply->returned = server->table->returned;
	reply->code = server->table->code;
}

static void answer(const struct fork_reply *reply)
{
	if (write(FORK_REPLIES, reply, sizeof(*reply)) != (ssize_t)sizeof(*reply))
		fail("cannot answer");
}

/* False: the explorer is done. */
static bool next_request(struct fork_request *request)
{
	ssize_t got;

	do
		got = read(FORK_REQUESTS, request, sizeof(*request));
	while (got < 0 && errno == EINTR);
	return got == (ssize_t)sizeof(*request);
}

static void serve(struct server *server)
{
	struct fork_reply reply;
	struct fork_request request;

	while (next_request(&request)) {
		switch (request.kind) {
		case FORK_TABLE:
			server->table = map(server, request.fd, FORK_AREA_BYTES, PROT_READ | PROT_WRITE,
					    MAP_SHARED);
			break;
		case FORK_MARKS:
			server->marks_area =
				map(server, request.fd, FORK_AREA_BYTES, PROT_READ, MAP_SHARED);
			break;
		case FORK_FILE:
			map_file(server, &request);
			break;
		case FORK_FORGET:
			forget(server);
			break;
		case FORK_CHECK:
			reply = (struct fork_reply){ .version = FORK_PROTOCOL_VERSION };
			check(server, &reply);
			answer(&reply);
			break;
		default:
			errno = EPROTO;
			fail("unknown request: link the checker with the library of this softpmem");
		}
	}
}

int main(int argc, char **argv)
{
	struct server server = { .explorer = getppid() };
	struct fork_reply hello = { .version = FORK_PROTOCOL_VERSION };

	if (!getenv(FORK_VARIABLE)) {
		fprintf(stderr,
			"%s: a checker of crash states: softpmem explore --checker fork-server TRACE -- %s\n",
			argv[0], argv[0]);
		return 2;
	}
	unsetenv(FORK_VARIABLE);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	fcntl(FORK_REQUESTS, F_SETFD, FD_CLOEXEC);
	fcntl(FORK_REPLIES, F_SETFD, FD_CLOEXEC);
	if (softpmem_checker_start)
		hello.status = softpmem_checker_start(argc, argv);
	answer(&hello);
	if (hello.status == 0)
		serve(&server);
	return hello.status != 0;
}
