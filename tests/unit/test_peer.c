/* SPDX-License-Identifier: BSD-3-Clause */
/* The process at the other end of a connection, and the limit of log lines for each user. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/loglimit.h"
#include "server/peer.h"

/* ---- Peers ------------------------------------------------------------------------ */

/* Start a child that connects, and exits when `go` is closed. *fd is the server's end of the connection. */
static pid_t connected_child(int *fd, int *go)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), ends[2];
	socklen_t length = sizeof(address);
	pid_t child;

	/* Bind to an abstract name, which the kernel chooses. */
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(sa_family_t)), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(pipe(ends), 0);
	child = fork();
	if (child == 0) {
		int connection = socket(AF_UNIX, SOCK_STREAM, 0);
		char byte;

		close(ends[1]);
		if (connect(connection, (struct sockaddr *)&address, length) < 0)
			_exit(1);
		_exit(read(ends[0], &byte, 1) == 0 ? 0 : 1);
	}
	close(ends[0]);
	*fd = accept(listener, NULL, NULL);
	*go = ends[1];
	close(listener);
	return child;
}

static void a_peer_is_alive_until_its_process_ends(void **state)
{
	struct peer peer;
	int fd, go, status;
	pid_t child = connected_child(&fd, &go);

	assert_int_equal(peer_identify(&peer, fd), 0);
	assert_int_equal(peer.pid, child);
	assert_int_equal(peer.uid, geteuid());
	assert_true(peer_is_alive(&peer));
	close(go);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_false(peer_is_alive(&peer));
	peer_clear(&peer);
	assert_false(peer_is_alive(&peer));
	close(fd);
}

static void a_peer_that_ended_before_it_was_accepted_is_not_alive(void **state)
{
	struct peer peer;
	int fd, go, status;
	pid_t child = connected_child(&fd, &go);

	close(go);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(peer_identify(&peer, fd), 0);
	assert_false(peer_is_alive(&peer));
	peer_clear(&peer);
	close(fd);
}

static void a_pid_of_another_user_is_not_the_peer(void **state)
{
	int pidfd = peer_pidfd_by_number(getpid(), geteuid());
	struct peer self = { .pid = getpid(), .uid = geteuid(), .pidfd = pidfd };

	assert_true(pidfd >= 0);
	assert_true(peer_is_alive(&self));
	peer_clear(&self);
	assert_int_equal(peer_pidfd_by_number(getpid(), geteuid() + 1), -1);
}

static void the_pid_of_an_ended_process_has_no_pidfd(void **state)
{
	int status;
	pid_t child = fork();

	if (child == 0)
		_exit(0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(peer_pidfd_by_number(child, geteuid()), -1);
}

static void a_peer_that_is_another_users_process_now_is_told(void **state)
{
	struct peer self = { .pid = getpid(), .uid = geteuid(), .gid = getegid(),
			     .pidfd = peer_pidfd_by_number(getpid(), geteuid()) };

	assert_true(peer_has_same_user(&self));
	self.gid = getegid() + 1;
	/* What root's process has become has no more rights than root. */
	assert_int_equal(peer_has_same_user(&self), geteuid() == 0);
	self.gid = getegid();
	self.uid = geteuid() + 1;
	assert_false(peer_has_same_user(&self));
	peer_clear(&self);
	assert_false(peer_has_same_user(&self));
}

/* ---- Log lines ---------------------------------------------------------------------- */

static void a_user_causes_at_most_the_limit_of_log_lines_in_a_period(void **state)
{
	struct loglimit *limit = calloc(1, sizeof(*limit));
	unsigned suppressed;

	for (unsigned i = 0; i < LOGLIMIT_LINES; i++)
		assert_true(loglimit_allows(limit, 7, 1000, &suppressed));
	for (unsigned i = 0; i < 1000; i++)
		assert_false(loglimit_allows(limit, 7, 1000 + LOGLIMIT_PERIOD_MS - 1, &suppressed));
	assert_true(loglimit_allows(limit, 7, 1000 + LOGLIMIT_PERIOD_MS, &suppressed));
	assert_int_equal(suppressed, 1000);
	assert_true(loglimit_allows(limit, 7, 1000 + LOGLIMIT_PERIOD_MS, &suppressed));
	assert_int_equal(suppressed, 0);
	free(limit);
}

static void the_log_lines_of_one_user_do_not_count_for_another(void **state)
{
	struct loglimit *limit = calloc(1, sizeof(*limit));
	unsigned suppressed;

	for (unsigned i = 0; i < 10 * LOGLIMIT_LINES; i++)
		loglimit_allows(limit, 7, 1000, &suppressed);
	assert_false(loglimit_allows(limit, 7, 1000, &suppressed));
	assert_true(loglimit_allows(limit, 8, 1000, &suppressed));
	free(limit);
}

static void the_limit_holds_with_more_users_than_are_remembered(void **state)
{
	struct loglimit *limit = calloc(1, sizeof(*limit));
	unsigned suppressed;

	for (uid_t uid = 0; uid < 10 * LOGLIMIT_USERS; uid++)
		assert_true(loglimit_allows(limit, uid, uid, &suppressed));
	for (unsigned i = 0; i < LOGLIMIT_LINES; i++)
		assert_true(loglimit_allows(limit, 12345, 1000, &suppressed));
	assert_false(loglimit_allows(limit, 12345, 1000, &suppressed));
	free(limit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_peer_is_alive_until_its_process_ends),
		cmocka_unit_test(a_peer_that_ended_before_it_was_accepted_is_not_alive),
		cmocka_unit_test(a_pid_of_another_user_is_not_the_peer),
		cmocka_unit_test(the_pid_of_an_ended_process_has_no_pidfd),
		cmocka_unit_test(a_peer_that_is_another_users_process_now_is_told),
		cmocka_unit_test(a_user_causes_at_most_the_limit_of_log_lines_in_a_period),
		cmocka_unit_test(the_log_lines_of_one_user_do_not_count_for_another),
		cmocka_unit_test(the_limit_holds_with_more_users_than_are_remembered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
