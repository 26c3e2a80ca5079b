/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_ATTACHING_H
#define TESTS_ATTACHING_H

/* A client of abi/attach_protocol.h in a few lines, without libpmem. */

#include <stddef.h>
#include <stdint.h>

#include "abi/attach_protocol.h"
#include "domain/wpq.h"

struct mapping {
	int connection;
	int fd; /* of the pool's file on the mount */
	unsigned char *bytes;
	uint64_t size;
	uint32_t region;
	uint32_t view;
};

/* SOCKET is the control socket's path, or $SOFTPMEM_SOCKET if NULL. -1 with errno. */
int attach_connect(const char *socket);
/* Send so many bytes of what is given, with descriptors. 0 or -1 with errno. */
int attach_send(int connection, const void *bytes, size_t size, const int *fds, size_t fd_count);
/* -1 with errno; ECONNRESET at the end of the connection. *fd is -1 if none came; fd may be NULL. */
int attach_receive(int connection, struct attach_reply *reply, int *fd);
/* A request of this type and its answer: the reply's error, or -EPIPE. */
int attach_ask(int connection, unsigned type, int with_fd, struct attach_reply *reply, int *fd);

/* Connect, greet, open the file and map its view. 0 or a negative errno. */
int mapping_open(struct mapping *mapping, const char *path);
/* A new WPQ of the mapping's connection. */
int mapping_wpq(struct mapping *mapping, struct wpq_producer *producer);
/* Flush a range of the mapping; fence with wpq_fence(). */
bool mapping_flush(struct mapping *mapping, struct wpq_producer *producer, const void *at, size_t length);

#endif
