/* SPDX-License-Identifier: BSD-3-Clause */
/* Which users may connect to a server, and how many places each of them gets. */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "servertest.h"
#include "skipping.h"

/* Serve the members of a group too. */
static void serve_users(struct bench *bench)
{
	if (geteuid() != 0)
		skip_because("only root can become another user");
	server_stop(bench->server);
	bench->options.has_group = true;
	bench->options.group = 65533;
	servertest_listen(bench);
	assert_int_equal(chmod(bench->directory, 0755), 0);
}

/* ---- Who may talk --------------------------------------------------------------------- */

static uint64_t status_for(struct bench *bench, uid_t uid)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		char text[256];
		int fd;

		if (setgid(uid) < 0 || setuid(uid) < 0)
			_exit(255);
		fd = raw_connect(bench);
		raw_ask(fd, "{\"verb\":\"status\"}");
		_exit((int)raw_final(fd, text));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return (uint64_t)WEXITSTATUS(status);
}

static void a_user_outside_of_the_group_is_refused(void **state)
{
	struct bench *bench = *state;
	struct stat st;

	assert_int_equal(stat(bench->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	if (geteuid() != 0)
		skip_because("only root can become another user");
	/* Even if the mode of the file allows it, the credentials are checked. */
	assert_int_equal(chmod(bench->directory, 0755), 0);
	assert_int_equal(chmod(bench->path, 0666), 0);
	assert_int_equal(status_for(bench, 65534), EACCES);
	assert_int_equal(status_for(bench, 0), 0);
}

static void a_member_of_the_group_is_served(void **state)
{
	struct bench *bench = *state;
	struct stat st;

	serve_users(bench);
	assert_int_equal(stat(bench->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	assert_int_equal(st.st_gid, 65533);
	assert_int_equal(status_for(bench, 65533), 0);
	assert_int_equal(chmod(bench->path, 0666), 0);
	assert_int_equal(status_for(bench, 65534), EACCES);
}

/* ---- Places ------------------------------------------------------------------------------ */

/* Connect with a process of this user, which is a member of the group. */
static int connect_as(struct bench *bench, uid_t uid)
{
	int ends[2], fd = -1;
	pid_t child;
	int status;
	struct msghdr message = { 0 };
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { .header = { .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
				  .cmsg_len = CMSG_LEN(sizeof(int)) } };
	struct iovec byte = { .iov_base = (char[]){ 0 }, .iov_len = 1 };

	message = (struct msghdr){ .msg_iov = &byte, .msg_iovlen = 1, .msg_control = &control,
				   .msg_controllen = sizeof(control) };
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	child = fork();
	if (child == 0) {
		if (setgid(65533) < 0 || setuid(uid) < 0)
			_exit(1);
		fd = raw_connect(bench);
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
		_exit(sendmsg(ends[1], &message, 0) == 1 ? 0 : 1);
	}
	assert_int_equal(recvmsg(ends[0], &message, 0), 1);
	memcpy(&fd, CMSG_DATA(&control.header), sizeof(fd));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	close(ends[0]);
	close(ends[1]);
	return fd;
}

/* A client whose request is being handled, so that it keeps its place. */
static int busy_client(struct bench *bench, uid_t uid)
{
	int fd = connect_as(bench, uid);

	raw_ask(fd, "{\"verb\":\"mark\",\"text\":\"x\"}");
	while (sem_wait(&bench->entered) < 0)
		;
	return fd;
}

static void a_user_gets_at_most_half_of_what_is_free(void **state)
{
	struct bench *bench = *state;
	int fds[PLACES], refused;
	char text[256];

	serve_users(bench);
	/*
	 * Of four places, the first user gets two and the second one. The last one is left to the
	 * daemon's user.
	 */
	fds[0] = busy_client(bench, 65533);
	fds[1] = busy_client(bench, 65533);
	refused = connect_as(bench, 65533);
	assert_int_equal(raw_final(refused, text), EBUSY);
	assert_non_null(strstr(text, "this user's clients have all the places"));
	close(refused);
	fds[2] = busy_client(bench, 65532);
	refused = connect_as(bench, 65532);
	assert_int_equal(raw_final(refused, text), EBUSY);
	close(refused);
	fds[3] = busy_client(bench, 0);
	raw_finish_all(bench, fds);
	assert_serves(bench);
}

/* Nobody else is accepted while the server waits for a place for one of them. */
static void a_user_who_connects_again_and_again_is_refused_without_a_wait(void **state)
{
	const time_t begun = time(NULL);
	struct bench *bench = *state;
	int fds[PLACES], refused, leaving;
	char text[256];

	serve_users(bench);
	fds[0] = busy_client(bench, 65533);
	fds[1] = busy_client(bench, 65533);
	for (int i = 0; i < 40; i++) {
		refused = connect_as(bench, 65533);
		assert_int_equal(raw_final(refused, text), EBUSY);
		close(refused);
	}
	fds[2] = busy_client(bench, 65532);
	/* One of them has hung up, and its thread does not notice. */
	leaving = dup(fds[1]);
	assert_int_equal(shutdown(leaving, SHUT_WR), 0);
	close(leaving);
	for (int i = 0; i < 40; i++) {
		refused = connect_as(bench, 65533);
		assert_int_equal(raw_final(refused, text), EBUSY);
		close(refused);
	}
	/* Half a second each would be 40 seconds. */
	assert_in_range(time(NULL) - begun, 0, 20);
	fds[3] = busy_client(bench, 0);
	raw_finish_all(bench, fds);
	assert_serves(bench);
}

static void an_idle_client_is_evicted_for_a_new_one_of_the_same_user(void **state)
{
	struct bench *bench = *state;
	int others, idle, fresh, busy;
	char text[256];

	serve_users(bench);
	others = connect_as(bench, 65532);
	idle = connect_as(bench, 65533);
	busy = busy_client(bench, 65533);
	fresh = connect_as(bench, 65533);
	raw_ask(fresh, "{\"verb\":\"status\"}");
	assert_int_equal(raw_final(fresh, text), 0);
	assert_hung_up(idle);
	/* It has kept the server waiting longest, but belongs to another user. */
	raw_ask(others, "{\"verb\":\"status\"}");
	assert_int_equal(raw_final(others, text), 0);
	sem_post(&bench->leave);
	assert_int_equal(raw_final(busy, text), 0);
	close(others);
	close(fresh);
	close(busy);
}

/* ---- Threads that begin late ------------------------------------------------------------- */

static int begin_late(struct server_client *client, struct message *message)
{
	(void)client;
	(void)message;
	return 0;
}

/* As long as the test wants, the client's thread has not come to where it waits for a request. */
static bool serve_late(struct server_client *client)
{
	struct bench *bench = server_context(client);

	while (sem_wait(&bench->leave) < 0)
		;
	return false;
}

static void end_late(struct server_client *client)
{
	(void)client;
}

static void refuse_late(struct server_client *client, int error, const char *why)
{
	(void)client;
	(void)error;
	(void)why;
}

static void an_idle_client_is_evicted_before_its_thread_runs(void **state)
{
	static const struct server_ops ops = {
		.client_bytes = sizeof(struct server_client),
		.begin = begin_late,
		.serve = serve_late,
		.end = end_late,
		.refuse = refuse_late,
	};
	struct bench *bench = *state;
	struct server_options options = {
		.path = bench->path, .name = "test", .type = SOCK_STREAM, .has_group = true, .group = 65533,
		.clients = PLACES, .stack_bytes = 64 << 10, .ops = &ops, .context = bench,
	};
	struct message message;
	struct pollfd fds[3];

	serve_users(bench);
	server_stop(bench->server);
	assert_int_equal(server_listen(&options, &bench->server, &message), 0);
	assert_int_equal(server_start(bench->server), 0);
	/* One has sent a request: it does not keep the server waiting. The other one is idle. */
	fds[0].fd = connect_as(bench, 65533);
	raw_send(fds[0].fd, "x", 1);
	fds[1].fd = connect_as(bench, 65533);
	fds[2].fd = connect_as(bench, 65533);
	for (int i = 0; i < 3; i++)
		fds[i].events = POLLIN;
	assert_true(poll(fds, 3, -1) > 0);
	for (int i = 0; i < 3; i++) {
		sem_post(&bench->leave);
		close(fds[i].fd);
	}
	assert_int_equal(fds[0].revents, 0);
	assert_true(fds[1].revents & POLLHUP);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, servertest_setup, servertest_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_user_outside_of_the_group_is_refused),
		TEST(a_member_of_the_group_is_served),
		TEST(a_user_gets_at_most_half_of_what_is_free),
		TEST(a_user_who_connects_again_and_again_is_refused_without_a_wait),
		TEST(an_idle_client_is_evicted_for_a_new_one_of_the_same_user),
		TEST(an_idle_client_is_evicted_before_its_thread_runs),
	};

	/* A test that blocks for ever would prevent the others from running. */
	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
