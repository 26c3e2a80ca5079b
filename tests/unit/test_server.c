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

static void the_client_receives_all_items_in_order(void **state)
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

static void the_client_receives_the_errors_of_the_daemon(void **state)
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

static void the_client_reports_that_no_daemon_answers(void **state)
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

static void a_client_that_sends_garbage_gets_a_message_and_is_disconnected(void **state)
{
	int fd = raw_connect(*state);
	char text[256];

	raw_send(fd, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 35);
	assert_int_equal(raw_final(fd, text), EBADMSG);
	assert_hung_up(fd);
	assert_serves(*state);
}

static void a_client_of_another_version_learns_the_version_of_the_server(void **state)
{
	int fd = raw_connect(*state);
	char text[256];

	raw_send(fd, "SPPM\11\0\1\0\0\0\0\0\0\0\0\0", 16);
	assert_int_equal(raw_final(fd, text), EPROTONOSUPPORT);
	assert_non_null(strstr(text, "version 9, and version 1"));
	assert_hung_up(fd);
	assert_serves(*state);
}

static void a_frame_that_is_too_long_is_refused_without_reading_it(void **state)
{
	int fd = raw_connect(*state);
	char text[256];

	raw_send(fd, "SPPM\1\0\1\0\377\377\377\177\0\0\0\0", 16);
	assert_int_equal(raw_final(fd, text), EMSGSIZE);
	assert_hung_up(fd);
	assert_serves(*state);
}

static void a_frame_that_is_not_a_request_is_refused(void **state)
{
	int fd = raw_connect(*state);
	char text[256];

	raw_send(fd, "SPPM\1\0\4\0\2\0\0\0\0\0\0\0{}", 18);
	assert_int_equal(raw_final(fd, text), EBADMSG);
	assert_hung_up(fd);
}

static void a_malformed_body_fails_only_its_own_request(void **state)
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

static void a_client_that_sends_half_a_message_is_disconnected_in_the_end(void **state)
{
	int header = raw_connect(*state), body = raw_connect(*state), nothing = raw_connect(*state);

	raw_send(header, "SPPM\1\0", 6);
	raw_send(body, "SPPM\1\0\1\0\40\0\0\0\0\0\0\0{\"verb\"", 23);
	assert_serves(*state);
	assert_hung_up(header);
	assert_hung_up(body);
	assert_hung_up(nothing);
}

static void half_a_message_does_not_delay_other_clients(void **state)
{
	int fd = raw_connect(*state);
	char text[256];

	raw_send(fd, "SPPM\1\0\1\0\21\0\0\0\0\0\0\0{\"verb\"", 23);
	assert_serves(*state);
	/* The other half of the message still arrives. */
	raw_send(fd, ":\"status\"}", 10);
	assert_int_equal(raw_final(fd, text), 0);
	close(fd);
}

static void a_client_that_stops_reading_is_disconnected_in_the_end(void **state)
{
	struct bench *bench = *state;
	int fd = raw_connect(bench);

	raw_ask(fd, "{\"verb\":\"list\"}");
	assert_serves(bench);
	/* The handler ends, although nobody has read a byte of its endless output. */
	while (sem_wait(&bench->cut_off) < 0)
		;
	assert_serves(bench);
	close(fd);
}

static void a_client_that_stops_reading_does_not_delay_others(void **state)
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

static void a_client_that_keeps_the_server_waiting_is_evicted_for_a_new_one(void **state)
{
	struct pollfd fds[3 * PLACES];
	int gone = 0;

	for (int i = 0; i < 3 * PLACES; i++) {
		fds[i] = (struct pollfd){ .fd = raw_connect(*state), .events = POLLIN };
		assert_serves(*state);
	}
	/* At most as many clients as there are places can still be connected; the others get a message. */
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

static void a_client_without_a_place_is_refused_with_ebusy(void **state)
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

static void a_new_client_is_not_evicted_while_others_leave(void **state)
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
	/* By then the server has looked for a place for it. If it has not, the test is only weaker. */
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

static void as_many_clients_as_there_are_places_are_served(void **state)
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

/* ---- Waiting for those who leave ----------------------------------------------------------- */

static _Atomic bool may_return;

static void *let_handler_return(void *argument)
{
	struct bench *bench = argument;

	usleep(50000);
	may_return = true;
	sem_post(&bench->leave);
	return NULL;
}

static void awaiting_those_who_leave_lasts_until_their_threads_are_done(void **state)
{
	struct bench *bench = *state;
	int fd = raw_connect(bench);
	pthread_t thread;

	may_return = false;
	raw_ask(fd, "{\"verb\":\"mark\",\"text\":\"x\"}");
	sem_wait(&bench->entered);
	close(fd);
	assert_int_equal(pthread_create(&thread, NULL, let_handler_return, bench), 0);
	server_await_leaving(bench->server);
	assert_true(may_return);
	pthread_join(thread, NULL);
}

static void those_who_stay_are_not_awaited(void **state)
{
	struct bench *bench = *state;
	int idle = raw_connect(bench), busy = raw_connect(bench);

	raw_ask(busy, "{\"verb\":\"mark\",\"text\":\"x\"}");
	sem_wait(&bench->entered);
	server_await_leaving(bench->server);
	sem_post(&bench->leave);
	close(busy);
	close(idle);
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

static void a_socket_on_which_a_daemon_listens_is_not_replaced(void **state)
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

static void a_file_that_is_not_a_socket_is_not_replaced(void **state)
{
	struct bench *bench = *state;
	struct message message;

	server_stop(bench->server);
	bench->server = NULL;
	close(open(bench->path, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(try_to_listen(bench, &message), -EEXIST);
	assert_int_equal(access(bench->path, F_OK), 0);
}

static void a_path_that_is_too_long_for_a_socket_is_refused(void **state)
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

static void stopping_disconnects_clients_and_removes_the_socket(void **state)
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
		TEST(the_client_receives_all_items_in_order),
		TEST(the_client_receives_the_errors_of_the_daemon),
		TEST(the_client_reports_that_no_daemon_answers),
		TEST(a_client_that_sends_garbage_gets_a_message_and_is_disconnected),
		TEST(a_client_of_another_version_learns_the_version_of_the_server),
		TEST(a_frame_that_is_too_long_is_refused_without_reading_it),
		TEST(a_frame_that_is_not_a_request_is_refused),
		TEST(a_malformed_body_fails_only_its_own_request),
		IMPATIENT(a_client_that_sends_half_a_message_is_disconnected_in_the_end),
		TEST(half_a_message_does_not_delay_other_clients),
		IMPATIENT(a_client_that_stops_reading_is_disconnected_in_the_end),
		TEST(a_client_that_stops_reading_does_not_delay_others),
		TEST(a_client_that_keeps_the_server_waiting_is_evicted_for_a_new_one),
		TEST(a_client_without_a_place_is_refused_with_ebusy),
		TEST(a_new_client_is_not_evicted_while_others_leave),
		TEST(as_many_clients_as_there_are_places_are_served),
		TEST(awaiting_those_who_leave_lasts_until_their_threads_are_done),
		TEST(those_who_stay_are_not_awaited),
		TEST(a_socket_on_which_a_daemon_listens_is_not_replaced),
		TEST(a_stale_socket_is_replaced),
		TEST(a_file_that_is_not_a_socket_is_not_replaced),
		TEST(a_path_that_is_too_long_for_a_socket_is_refused),
		TEST(stopping_disconnects_clients_and_removes_the_socket),
	};

	/* A test that blocks for ever would prevent the others from running. */
	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
