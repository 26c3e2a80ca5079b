/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_ATTACHING_H
#define TESTS_ATTACHING_H

/* A small client of abi/attach_protocol.h, without libpmem. */

#include <stddef.h>
#include <stdint.h>

#include "abi/attach_protocol.h"
#include "domain/wpq.h"

struct mapping {
	int connection;
	int fd; /* of the file of the pool on the mount */
	unsigned char *bytes;
	uint64_t size;
	uint32_t region;
	uint32_t view;
};

/*
 * Connect to the attach socket that belongs to the control socket `socket` ($SOFTPMEM_SOCKET if NULL).
 * Returns a descriptor, or -1 with errno.
 */
int attach_connect(const char *socket);
/* Send these bytes and descriptors. 0 or -1 with errno. */
int attach_send(int connection, const void *bytes, size_t size, const int *fds, size_t fd_count);
/*
 * Receive a reply. -1 with errno; ECONNRESET at the end of the connection. *fd is -1 if no descriptor
 * came; fd may be NULL.
 */
int attach_receive(int connection, struct attach_reply *reply, int *fd);
/* Send a request of this type and receive the answer: the error in the reply, or -EPIPE. */
int attach_ask(int connection, unsigned type, int with_fd, struct attach_reply *reply, int *fd);

/* Connect, greet, open the file and map its view. 0 or a negative errno. */
int mapping_open(struct mapping *mapping, const char *path);
/* Get a new WPQ on the connection of the mapping. */
int mapping_wpq(struct mapping *mapping, struct wpq_producer *producer);
/* Flush a range of the mapping; fence with wpq_fence(). */
bool mapping_flush(struct mapping *mapping, struct wpq_producer *producer, const void *at, size_t length);

#endif
