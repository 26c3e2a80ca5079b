/* SPDX-License-Identifier: BSD-3-Clause */
#include "dispatch.h"

#include <errno.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "deferral.h"
#include "negotiate.h"
#include "newer_requests.h"
#include "regions_root.h"
#include "request_path.h"
#include "set_id_bits.h"

void fusefs_answer(struct fusefs *fs, const struct fuse_in_header *in, int error, const void *body,
		   size_t size)
{
	struct fuse_out_header out = {
		.len = (uint32_t)(sizeof(out) + size),
		.error = error,
		.unique = in->unique,
	};
	struct iovec iov[2] = {
		{ .iov_base = &out, .iov_len = sizeof(out) },
		{ .iov_base = (void *)(uintptr_t)body, .iov_len = size },
	};

	/* It fails only if the process that waited for the answer is gone. */
	if (writev(fuse_session_fd(fs->session), iov, size ? 2 : 1) < 0)
		return;
}

static void park(struct fusefs *fs, const struct fuse_buf *request)
{
	if (fusefs_parking_add(&fs->parking, request->mem, request->size) < 0)
		fusefs_answer(fs, request->mem, -ENOMEM, NULL, 0);
}

static void write_while_parked(struct fusefs *fs, const struct fuse_buf *request, enum gate_phase phase)
{
	const struct fuse_in_header *in = request->mem;
	const struct fuse_write_in *write = (const void *)(in + 1);

	if (!(write->write_flags & FUSE_WRITE_CACHE)) {
		fusefs_answer(fs, in, -EIO, NULL, 0);
	} else if (phase == GATE_WRITE_BACK) {
		fuse_session_process_buf(fs->session, request);
	} else {
		struct fuse_write_out done = { .size = write->size };

		fusefs_answer(fs, in, 0, &done, sizeof(done));
	}
}

/*
 * A process that is killed cannot end before its request is answered, and an outage waits for the end of the
 * processes that map pools. So a parked request can be interrupted.
 */
static void interrupt_while_parked(struct fusefs *fs, const struct fuse_buf *request)
{
	const struct fuse_in_header *in = request->mem;
	const struct fuse_interrupt_in *interrupt = (const void *)(in + 1);
	const struct fuse_in_header interrupted = { .unique = interrupt->unique };

	if (in->len >= sizeof(*in) + sizeof(*interrupt) &&
	    fusefs_parking_remove(&fs->parking, interrupt->unique))
		fusefs_answer(fs, &interrupted, -EINTR, NULL, 0);
	else
		fuse_session_process_buf(fs->session, request);
}

/*
 * A request during which the kernel may hold a page lock, or keep write-back
 * waiting (a change of size), must be answered at once, or invalidation never
 * ends. All others are parked, and served in the next generation.
 */
static void handle_while_parked(struct fusefs *fs, const struct fuse_buf *request, enum gate_phase phase)
{
	const struct fuse_in_header *in = request->mem;
	const struct fuse_setattr_in *setattr = (const void *)(in + 1);

	switch (in->opcode) {
	case FUSE_WRITE:
		write_while_parked(fs, request, phase);
		break;
	case FUSE_SETATTR:
		if (setattr->valid & FATTR_SIZE)
			fusefs_answer(fs, in, -EIO, NULL, 0);
		else
			park(fs, request);
		break;
	case FUSE_READ:
	case FUSE_FSYNC:
	case FUSE_FALLOCATE:
	case FUSE_LSEEK:
	case FUSE_COPY_FILE_RANGE:
		fusefs_answer(fs, in, -EIO, NULL, 0);
		break;
	case FUSE_FLUSH:
		/* A process that is killed closes its files, and cannot be interrupted in it. */
		fusefs_answer(fs, in, 0, NULL, 0);
		break;
	case FUSE_INTERRUPT:
		interrupt_while_parked(fs, request);
		break;
	case FUSE_INIT:
		fuse_session_process_buf(fs->session, request);
		break;
	default:
		park(fs, request);
	}
}

/* A RELEASE is answered with an error too: open files are freed with the mount, as nodes are. */
static void handle_without_media(struct fusefs *fs, const struct fuse_buf *request)
{
	const struct fuse_in_header *in = request->mem;

	switch (in->opcode) {
	case FUSE_FORGET:
		break;
	default:
		fusefs_answer(fs, in, -EIO, NULL, 0);
	}
}

static bool asks_attributes(uint32_t opcode)
{
	return opcode == FUSE_GETATTR || opcode == FUSEFS_STATX;
}

/* The nodeid of a request that concerns no file (INIT, DESTROY, INTERRUPT, BATCH_FORGET) is 0. */
static bool media_are_lost(struct fusefs *fs, const struct fuse_in_header *in)
{
	const struct node *node = in->nodeid ? fusefs_node(fs, in->nodeid) : NULL;

	if (!node || !node->tree || !fusefs_tree_is_lost(node->tree))
		return false;
	/* Where there are several regions, the directory of a lost one is still listed. */
	return node == fs->root || node != &node->tree->root || !asks_attributes(in->opcode);
}

void fusefs_dispatch(struct fusefs *fs, const struct fuse_buf *request)
{
	const struct fuse_in_header *in = request->mem;
	struct gate_token token;
	enum gate_phase phase;
	bool users_end = false;

	fusefs_newer_translate(request->mem);
	fusefs_gate_enter(&fs->gate, &token);
	fusefs_deferral_begin(&token);
	phase = fusefs_gate_token_phase(&token);
	if (phase == GATE_OPEN)
		fusefs_events_note(fs, in);
	if (phase == GATE_OPEN && fusefs_moment_meet(fs, in)) {
		fusefs_gate_leave(&token);
		fusefs_gate_enter(&fs->gate, &token);
		phase = fusefs_gate_token_phase(&token);
	}
	if (phase != GATE_OPEN && in->opcode != FUSE_FLUSH)
		users_end = fusefs_moment_hold(&fs->moment);
	if (fusefs_is_regions_root(fs, in->nodeid) && fusefs_changes_entry(in->opcode)) {
		fusefs_answer(fs, in, -EPERM, NULL, 0);
	} else if (media_are_lost(fs, in)) {
		handle_without_media(fs, request);
	} else if (phase == GATE_OPEN) {
		fusefs_negotiate_note_request(fs, in);
		fusefs_set_id_note_request(fs, in);
		if (!fusefs_newer_answer(fs, in))
			fuse_session_process_buf(fs->session, request);
	} else if (users_end && in->opcode != FUSE_WRITE &&
		   fusefs_request_kind(in) == FUSEFS_REQUEST_CHANGE) {
		/* Its process is killed. The interrupt that tells so may have come before this. */
		fusefs_answer(fs, in, -EIO, NULL, 0);
	} else {
		handle_while_parked(fs, request, phase);
	}
	fusefs_deferral_end();
	/* Nothing to give back if the reply was deferred: fusefs_defer_reply() took the token over. */
	fusefs_gate_leave(&token);
}

void fusefs_dispatch_parked(struct fusefs *fs)
{
	struct parked_request *parked = fusefs_parking_take(&fs->parking), *next;

	for (; parked; parked = next) {
		struct fuse_buf request = { .size = parked->size, .mem = parked->bytes };

		next = parked->next;
		fusefs_dispatch(fs, &request);
		free(parked);
	}
}
