/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_SERVERTEST_H
#define TESTS_SERVERTEST_H

/* A server of the control socket with verbs of its own, and a raw client. Failures go through cmocka. */

#include <semaphore.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/frame.h"
#include "server/control_server.h"

#define PLACES 4

/* The server under test, with verbs of its own: see servertest_handle(). */
struct bench {
	char directory[64];
	char path[96];
	struct control_options options;
	struct server *server;
	sem_t entered; /* the handler of a "mark" is running */
	sem_t leave;   /* the handler of a "mark" may return */
	sem_t cut_off; /* the handler of a "list" got -EPIPE for its client */
};

/*
 * "status" succeeds, "mark" waits for `leave`, "list" sends without end, "check" sends 1000 items, "path" is
 * -ENOENT, all else -EINVAL.
 */
void servertest_handle(void *context, struct json_object *request, const struct peer *peer,
		       struct reply *reply);

/* Listen with bench->options, and serve. */
void servertest_listen(struct bench *bench);

/* A patience that does not end while a test runs. */
int servertest_setup(void **state);
int servertest_setup_impatient(void **state);
int servertest_teardown(void **state);

int raw_connect(struct bench *bench);
void raw_send(int fd, const void *bytes, size_t length);
void raw_ask(int fd, const char *body);
/* The final frame's status and text. */
uint64_t raw_final(int fd, char text[256]);
/*
 * Let all handlers return, and check that each client, one for each place, gets its answer. Closes the
 * clients.
 */
void raw_finish_all(struct bench *bench, const int fds[PLACES]);
/* Closes the connection too. */
void assert_hung_up(int fd);
/* Assert that the server answers other clients, whatever a misbehaving one does. */
void assert_serves(struct bench *bench);

#endif
