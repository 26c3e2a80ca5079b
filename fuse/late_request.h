/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FUSE_LATE_REQUEST_H
#define FUSE_LATE_REQUEST_H

/* Requests that are answered by late work (late_work.h), after their handlers have returned. */

#include "late_work.h"
#include "mount_context.h"
#include "request_gate.h"

/* The first member of a structure of the handler. */
struct late_request {
	struct late_work work;
	fuse_req_t request;
	struct gate_token token; /* given back after the reply */
};

/*
 * By the handler of the request, in the thread that handles it: a structure of `size` bytes that begins with
 * a struct late_request and is otherwise zero. The handler fills the rest, gives it to fusefs_late_add() and
 * returns without a reply. `run` replies and then calls fusefs_late_request_end(). NULL: no memory, and the
 * request was answered with ENOMEM.
 */
void *fusefs_late_request(fuse_req_t request, size_t size,
			  void (*run)(struct fusefs *fs, struct late_work *work, bool kernel_answers));
/* The request has its reply: give its token back, and free the structure. */
void fusefs_late_request_end(struct late_request *late);

#endif
