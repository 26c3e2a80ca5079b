/* SPDX-License-Identifier: BSD-3-Clause */
#include "servertest.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static void list_without_end(struct bench *bench, struct reply *reply)
{
	char text[1024];
	int error = 0;

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	while (error == 0) {
		struct json_object *item = json_object_new_object();

		control_put_string(item, "path", text);
		error = reply_item(reply, item);
	}
	assert_int_equal(error, -EPIPE);
	sem_post(&bench->cut_off);
}

static void count_to_thousand(struct reply *reply)
{
	for (uint64_t i = 0; i < 1000; i++) {
		struct json_object *item = json_object_new_object();

		control_put_u64(item, "offset", i);
		reply_progress(reply, "counting", i, 1000);
		reply_item(reply, item);
	}
}

void servertest_handle(void *context, struct json_object *request, const struct peer *peer,
		       struct reply *reply)
{
	struct bench *bench = context;
	struct json_object *result = json_object_new_object();
	const char *verb = "";
	int error = 0;

	control_get_string(request, "verb", &verb);
	if (strcmp(verb, "mark") == 0) {
		sem_post(&bench->entered);
		while (sem_wait(&bench->leave) < 0)
			;
	} else if (strcmp(verb, "list") == 0) {
		list_without_end(bench, reply);
	} else if (strcmp(verb, "check") == 0) {
		count_to_thousand(reply);
	} else if (strcmp(verb, "path") == 0) {
		error = -ENOENT;
	} else if (strcmp(verb, "status") != 0) {
		error = -EINVAL;
	}
	control_put_u64(result, "uid", peer->uid);
	reply_final(reply, error, "the text", result);
}

void servertest_listen(struct bench *bench)
{
	struct message message;

	assert_int_equal(control_listen(&bench->options, &bench->server, &message), 0);
	assert_int_equal(server_start(bench->server), 0);
}

static int setup_with(void **state, unsigned patience)
{
	struct bench *bench = calloc(1, sizeof(*bench));

	strcpy(bench->directory, "/tmp/softpmem-server.XXXXXX");
	assert_non_null(mkdtemp(bench->directory));
	snprintf(bench->path, sizeof(bench->path), "%s/control.sock", bench->directory);
	sem_init(&bench->entered, 0, 0);
	sem_init(&bench->leave, 0, 0);
	sem_init(&bench->cut_off, 0, 0);
	bench->options = (struct control_options){
		.path = bench->path,
		.clients = PLACES,
		.patience = patience,
		.handle = servertest_handle,
		.context = bench,
	};
	servertest_listen(bench);
	*state = bench;
	return 0;
}

int servertest_setup(void **state)
{
	return setup_with(state, 3600 * 1000);
}

int servertest_setup_impatient(void **state)
{
	return setup_with(state, 100);
}

int servertest_teardown(void **state)
{
	struct bench *bench = *state;

	server_stop(bench->server);
	unlink(bench->path);
	rmdir(bench->directory);
	free(bench);
	return 0;
}

/* ---- A client in the raw -------------------------------------------------------- */

int raw_connect(struct bench *bench)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, bench->path);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

void raw_send(int fd, const void *bytes, size_t length)
{
	/* A client that is refused at once may be disconnected before it has sent everything. */
	if (send(fd, bytes, length, MSG_NOSIGNAL) < 0)
		assert_true(errno == EPIPE || errno == ECONNRESET);
}

void raw_ask(int fd, const char *body)
{
	struct control_header header = {
		.magic = htole32(CONTROL_MAGIC),
		.version = htole16(CONTROL_VERSION),
		.type = htole16(CONTROL_REQUEST),
		.length = htole32((uint32_t)strlen(body)),
	};

	raw_send(fd, &header, sizeof(header));
	raw_send(fd, body, strlen(body));
}

uint64_t raw_final(int fd, char text[256])
{
	CLEANUP_JSON struct json_object *object = NULL;
	struct control_frame frame;
	struct message message;
	unsigned char header[16];
	const char *found;
	uint64_t status;
	char body[4096];

	assert_int_equal(recv(fd, header, sizeof(header), MSG_WAITALL), sizeof(header));
	assert_int_equal(control_header_decode(header, sizeof(body), &frame, &message), 0);
	assert_int_equal(frame.type, CONTROL_FINAL);
	assert_int_equal(recv(fd, body, frame.length, MSG_WAITALL), frame.length);
	assert_int_equal(control_body_decode(body, frame.length, &object, &message), 0);
	assert_int_equal(control_get_u64(object, "status", &status), 0);
	assert_int_equal(control_get_string(object, "message", &found), 0);
	snprintf(text, 256, "%s", found);
	return status;
}

void assert_hung_up(int fd)
{
	char byte;
	ssize_t got = recv(fd, &byte, 1, 0);

	assert_true(got == 0 || (got < 0 && errno == ECONNRESET));
	close(fd);
}

void assert_serves(struct bench *bench)
{
	char text[256];
	int fd = raw_connect(bench);

	raw_ask(fd, "{\"verb\":\"status\"}");
	assert_int_equal(raw_final(fd, text), 0);
	close(fd);
}

void raw_finish_all(struct bench *bench, const int fds[PLACES])
{
	char text[256];

	for (int i = 0; i < PLACES; i++)
		sem_post(&bench->leave);
	for (int i = 0; i < PLACES; i++) {
		assert_int_equal(raw_final(fds[i], text), 0);
		close(fds[i]);
	}
}
