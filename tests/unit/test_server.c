/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/client.h"
#include "servertest.h"

/* ---- What is answered ------------------------------------------------------------ */

static void one_connection_carries_many_requests(void **state)
{
	int fd = raw_connect(*state);
	char text[256];

	for (int i = 0; i < 100; i++) {
		raw_ask(fd, "{\"verb\":\"status\"}");
		assert_int_equal(raw_final(fd, text), 0);
		raw_ask(fd, "{\"verb\":\"path\",\"path\":\"/a\"}");
		assert_int_equal(raw_final(fd, text), ENOENT);
		assert_string_equal(text, "the text");
	}
	close(fd);
}

struct heard {
	uint64_t items, progress;
};

static void count_item(void *context, struct json_object *item)
{
	struct heard *heard = context;
	uint64_t offset;

	assert_int_equal(control_get_u64(item, "offset", &offset), 0);
	assert_int_equal(offset, heard->items);
	heard->items++;
}

static void count_progress(void *context, const char *what, uint64_t done, uint64_t total)
{
	struct heard *heard = context;

	assert_string_equal(what, "counting");
	assert_true(done <= total && total == 1000);
	heard->progress++;
}

static void the_client_hears_every_item_in_order(void **state)
{
	struct bench *bench = *state;
	CLEANUP_JSON struct json_object *request = json_tokener_parse("{\"verb\": \"check\"}");
	struct heard heard = { 0 };
	uint64_t uid = 0;
	struct client_answer answer = { .item = count_item, .progress = count_progress, .context = &heard };
	CLEANUP_JSON struct json_object *result = NULL;
	struct message message;
	struct client *client;

	assert_int_equal(client_connect(bench->path, &client, &message), 0);
	assert_int_equal(client_ask(client, request, &answer, &result, &message), 0);
	assert_int_equal(heard.items, 1000);
	assert_true(heard.progress >= 1);
	assert_int_equal(control_get_u64(result, "uid", &uid), 0);
	assert_int_equal(uid, geteuid());
	client_close(client);
}

static void the_client_hears_errors(void **state)
{
	struct bench *bench = *state;
	CLEANUP_JSON struct json_object *request = json_tokener_parse("{\"verb\": \"path\"}");
	struct client_answer answer = { 0 };
	CLEANUP_JSON struct json_object *result = NULL;
	struct message message;
	struct client *client;

	assert_int_equal(client_connect(bench->path, &client, &message), 0);
	assert_int_equal(client_ask(client, request, &answer, &result, &message), -ENOENT);
	assert_string_equal(message.text, "the text");
	client_close(client);
}

static void the_client_says_when_nobody_answers(void **state)
{
	struct bench *bench = *state;
	struct message message;
	struct client *client;

	server_stop(bench->server);
	bench->server = NULL;
	assert_int_equal(client_connect(bench->path, &client, &message), -ENOENT);
	assert_non_null(strstr(message.text, "start softpmemd"));
}

/* ---- Who misbehaves ---------------------------------------------------------------- */

static void garbage_is_told_so_and_hung_up_on(void **state)
{
	int fd = raw_connect(*state);
	char text[256];

	raw_send(fd, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 35);
	assert_int_equal(raw_final(fd, text), EBADMSG);
	assert_hung_up(fd);
	assert_serves(*state);
}

static void another_version_is_told_ours(void **state)
{
	int fd = raw_connect(*state);
	char text[256];

	raw_send(fd, "SPPM\11\0\1\0\0\0\0\0\0\0\0\0", 16);
	assert_int_equal(raw_final(fd, text), EPROTONOSUPPORT);
	assert_non_null(strstr(text, "version 9, and version 1"));
	assert_hung_up(fd);
	assert_serves(*state);
}

static void a_frame_too_long_is_refused_unread(void **state)
{
	int fd = raw_connect(*state);
	char text[256];

	raw_send(fd, "SPPM\1\0\1\0\377\377\377\177\0\0\0\0", 16);
	assert_int_equal(raw_final(fd, text), EMSGSIZE);
	assert_hung_up(fd);
	assert_serves(*state);
}

static void an_answer_is_no_request(void **state)
{
	int fd = raw_connect(*state);
	char text[256];

	raw_send(fd, "SPPM\1\0\4\0\2\0\0\0\0\0\0\0{}", 18);
	assert_int_equal(raw_final(fd, text), EBADMSG);
	assert_hung_up(fd);
}

static void a_bad_body_costs_only_its_request(void **state)
{
	int fd = raw_connect(*state);
	char text[256];

	raw_ask(fd, "{\"verb\":");
	assert_int_equal(raw_final(fd, text), EBADMSG);
	raw_ask(fd, "{\"verb\":\"explode\"}");
	assert_int_equal(raw_final(fd, text), EINVAL);
	raw_ask(fd, "{\"verb\":\"status\"}");
	assert_int_equal(raw_final(fd, text), 0);
	close(fd);
}

static void half_a_message_is_given_up_on(void **state)
{
	int header = raw_connect(*state), body = raw_connect(*state), nothing = raw_connect(*state);

	raw_send(header, "SPPM\1\0", 6);
	raw_send(body, "SPPM\1\0\1\0\40\0\0\0\0\0\0\0{\"verb\"", 23);
	assert_serves(*state);
	assert_hung_up(header);
	assert_hung_up(body);
	assert_hung_up(nothing);
}

static void half_a_message_keeps_nobody_else_waiting(void **state)
{
	int fd = raw_connect(*state);
	char text[256];

	raw_send(fd, "SPPM\1\0\1\0\21\0\0\0\0\0\0\0{\"verb\"", 23);
	assert_serves(*state);
	/* Its other half is as good as ever. */
	raw_send(fd, ":\"status\"}", 10);
	assert_int_equal(raw_final(fd, text), 0);
	close(fd);
}

static void who_stops_reading_is_given_up_on(void **state)
{
	struct bench *bench = *state;
	int fd = raw_connect(bench);

	raw_ask(fd, "{\"verb\":\"list\"}");
	assert_serves(bench);
	/* The handler ends, though nobody has read a byte of what it sends without end. */
	while (sem_wait(&bench->cut_off) < 0)
		;
	assert_serves(bench);
	close(fd);
}

static void who_stops_reading_keeps_nobody_else_waiting(void **state)
{
	struct bench *bench = *state;
	int fd = raw_connect(bench);

	raw_ask(fd, "{\"verb\":\"list\"}");
	for (int i = 0; i < 100; i++)
		assert_serves(bench);
	close(fd);
	while (sem_wait(&bench->cut_off) < 0)
		;
}

static void who_keeps_the_server_waiting_makes_room(void **state)
{
	struct pollfd fds[3 * PLACES];
	int gone = 0;

	for (int i = 0; i < 3 * PLACES; i++) {
		fds[i] = (struct pollfd){ .fd = raw_connect(*state), .events = POLLIN };
		assert_serves(*state);
	}
	/* Only as many as there are places can still be there; the others hear of it. */
	while (gone < 2 * PLACES) {
		assert_true(poll(fds, 3 * PLACES, -1) > 0);
		for (int i = 0; i < 3 * PLACES; i++) {
			if (fds[i].fd >= 0 && fds[i].revents) {
				assert_hung_up(fds[i].fd);
				fds[i].fd = -1;
				gone++;
			}
		}
	}
	for (int i = 0; i < 3 * PLACES; i++)
		if (fds[i].fd >= 0)
			close(fds[i].fd);
}

static void when_all_are_served_the_next_is_told_to_wait(void **state)
{
	struct bench *bench = *state;
	int fds[PLACES], fd;
	char text[256];

	for (int i = 0; i < PLACES; i++) {
		fds[i] = raw_connect(bench);
		raw_ask(fds[i], "{\"verb\":\"mark\",\"text\":\"x\"}");
		while (sem_wait(&bench->entered) < 0)
			;
	}
	fd = raw_connect(bench);
	assert_int_equal(raw_final(fd, text), EBUSY);
	assert_hung_up(fd);
	raw_finish_all(bench, fds);
	assert_serves(bench);
}

static void who_has_just_come_stays_while_others_leave(void **state)
{
	struct bench *bench = *state;
	int fresh, late;
	char text[256];

	for (int i = 0; i < PLACES - 1; i++) {
		int fd = raw_connect(bench);

		raw_ask(fd, "{\"verb\":\"mark\",\"text\":\"x\"}");
		while (sem_wait(&bench->entered) < 0)
			;
		close(fd);
	}
	fresh = raw_connect(bench);
	late = raw_connect(bench);
	/* By then the server has looked for a place for it; if it has not, there is less to see. */
	nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL);
	for (int i = 0; i < PLACES - 1; i++)
		sem_post(&bench->leave);
	raw_ask(fresh, "{\"verb\":\"status\"}");
	assert_int_equal(raw_final(fresh, text), 0);
	raw_ask(late, "{\"verb\":\"status\"}");
	assert_int_equal(raw_final(late, text), 0);
	close(fresh);
	close(late);
}

static void *ask_fifty_times(void *argument)
{
	struct bench *bench = argument;
	CLEANUP_JSON struct json_object *request = json_tokener_parse("{\"verb\": \"status\"}");
	struct client_answer answer = { 0 };
	intptr_t failed = 0;

	for (int i = 0; i < 50; i++) {
		CLEANUP_JSON struct json_object *result = NULL;
		struct message message;
		struct client *client;

		if (client_connect(bench->path, &client, &message) < 0) {
			failed++;
			continue;
		}
		failed += client_ask(client, request, &answer, &result, &message) != 0;
		client_close(client);
	}
	return (void *)failed;
}

static void all_who_fit_are_served(void **state)
{
	pthread_t threads[PLACES / 2];

	for (int i = 0; i < PLACES / 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ask_fifty_times, *state), 0);
	for (int i = 0; i < PLACES / 2; i++) {
		void *failed;

		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
}

/* ---- The socket's place ------------------------------------------------------------------ */

static int try_to_listen(struct bench *bench, struct message *message)
{
	struct control_options options = {
		.path = bench->path, .clients = 1, .patience = 1000, .handle = servertest_handle
	};
	struct server *second;
	int error = control_listen(&options, &second, message);

	if (error == 0)
		server_stop(second);
	return error;
}

static void a_live_socket_is_left_alone(void **state)
{
	struct message message;

	assert_int_equal(try_to_listen(*state, &message), -EADDRINUSE);
	assert_non_null(strstr(message.text, "a daemon answers there already"));
	assert_serves(*state);
}

static void a_stale_socket_is_replaced(void **state)
{
	struct bench *bench = *state;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct message message;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	server_stop(bench->server);
	bench->server = NULL;
	strcpy(address.sun_path, bench->path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 1), 0);
	close(fd);
	assert_int_equal(access(bench->path, F_OK), 0);
	assert_int_equal(try_to_listen(bench, &message), 0);
	assert_int_equal(access(bench->path, F_OK), -1);
}

static void another_file_is_not_replaced(void **state)
{
	struct bench *bench = *state;
	struct message message;

	server_stop(bench->server);
	bench->server = NULL;
	close(open(bench->path, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(try_to_listen(bench, &message), -EEXIST);
	assert_int_equal(access(bench->path, F_OK), 0);
}

static void a_path_too_long_is_refused(void **state)
{
	struct bench *bench = *state;
	char path[200];
	struct control_options options = {
		.path = path, .clients = 1, .patience = 1000, .handle = servertest_handle
	};
	struct message message;
	struct server *server;

	memset(path, 'a', sizeof(path));
	memcpy(path, bench->directory, strlen(bench->directory));
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(control_listen(&options, &server, &message), -ENAMETOOLONG);
}

static void stopping_hangs_up_and_cleans_up(void **state)
{
	struct bench *bench = *state;
	int idle = raw_connect(bench), stuck = raw_connect(bench);

	raw_ask(stuck, "{\"verb\":\"list\"}");
	server_stop(bench->server);
	bench->server = NULL;
	assert_hung_up(idle);
	close(stuck);
	assert_int_equal(access(bench->path, F_OK), -1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, servertest_setup, servertest_teardown)
#define IMPATIENT(name)                                                                                      \
	cmocka_unit_test_setup_teardown(name, servertest_setup_impatient, servertest_teardown)
	const struct CMUnitTest tests[] = {
		TEST(one_connection_carries_many_requests),
		TEST(the_client_hears_every_item_in_order),
		TEST(the_client_hears_errors),
		TEST(the_client_says_when_nobody_answers),
		TEST(garbage_is_told_so_and_hung_up_on),
		TEST(another_version_is_told_ours),
		TEST(a_frame_too_long_is_refused_unread),
		TEST(an_answer_is_no_request),
		TEST(a_bad_body_costs_only_its_request),
		IMPATIENT(half_a_message_is_given_up_on),
		TEST(half_a_message_keeps_nobody_else_waiting),
		IMPATIENT(who_stops_reading_is_given_up_on),
		TEST(who_stops_reading_keeps_nobody_else_waiting),
		TEST(who_keeps_the_server_waiting_makes_room),
		TEST(when_all_are_served_the_next_is_told_to_wait),
		TEST(who_has_just_come_stays_while_others_leave),
		TEST(all_who_fit_are_served),
		TEST(a_live_socket_is_left_alone),
		TEST(a_stale_socket_is_replaced),
		TEST(another_file_is_not_replaced),
		TEST(a_path_too_long_is_refused),
		TEST(stopping_hangs_up_and_cleans_up),
	};

	/* A test that waits for ever would keep the others from running. */
	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
