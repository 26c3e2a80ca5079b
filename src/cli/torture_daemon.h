/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLI_TORTURE_DAEMON_H
#define CLI_TORTURE_DAEMON_H

/*
 * A private softpmemd with a mount. One directory has all that is its own but the log: "image" (the region
 * that a setup fills), "mount" and "socket". Used by one thread.
 */

#include <sys/types.h>

#include "cli/client.h"

struct torture_daemon {
	const char *program; /* the path of softpmemd */
	const char *metadata; /* its metadata mode */
	/* Set by the caller, before the start. */
	const char *mode; /* of pools; NULL: the default */
	bool auto_da_alloc;
	char *directory, *image, *mount, *socket;
	int log; /* a memfd: what it says of a full disk must not need room there */
	pid_t spawner; /* a softpmemd that starts the others; 0: it does not run */
	int spawner_fd;
	int pidfd; /* of the daemon; -1: it does not run */
};

/* The path of the softpmemd that belongs to this program, for the caller to free; NULL: there is none. */
char *torture_daemon_program(void);

/* Make the directories; the first two strings must outlive it. 0 or a negative errno with a message. */
int torture_daemon_create(struct torture_daemon *daemon, const char *program, const char *metadata,
			  const char *directory, struct message *message);
/* Stop it if it runs. Only after torture_daemon_create(), whatever that returned. */
void torture_daemon_destroy(struct torture_daemon *daemon);

/*
 * Start it, and wait until it serves. `image`: a region's file, of which it gets a private copy; NULL: its
 * own image, which is created with `size` bytes.
 */
int torture_daemon_start(struct torture_daemon *daemon, uint64_t size, const char *image,
			 struct message *message);
/*
 * Go back to the state after the start, with an image. No process uses the mount. 0, or a negative errno with
 * a message: the daemon is to be stopped.
 */
int torture_daemon_reset(struct torture_daemon *daemon, struct message *message);
/* Stop it cleanly. What is open on the mount is lost. A daemon that does not run is ignored. */
void torture_daemon_stop(struct torture_daemon *daemon);

/* One request and its answer, as client_ask(). `item` may be NULL. */
int torture_daemon_ask(const struct torture_daemon *daemon, struct json_object *request,
		       void (*item)(void *context, struct json_object *item), void *context,
		       struct json_object **result, struct message *message);

#endif
