/* SPDX-License-Identifier: BSD-3-Clause */

/* System calls that store to several buffers, of which an array in memory says where they are. */

#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "client/bounce_rooms.h"
#include "client/kernel_calls.h"
#include "client/recording.h"
#include "common/align.h"

/* The kernel takes no longer address. */
#define NAME_MAX_BYTES sizeof(struct sockaddr_storage)

struct message {
	struct msghdr program;	    /* as it was before the call, but for... */
	struct iovec *parts;	    /* a copy of its parts */
	/* The same with memory of ours in the place of pools; until it is there, how long it is to be. */
	struct iovec *kernel_parts;
	/* Copies of what is replaced; NULL: not needed. With MSG_TRUNC a stream counts what it discards. */
	struct iovec *parts_before;
	size_t count;		    /* of parts */
	/* In the place of pools; NULL: they are in none. And copies of them as they were. */
	unsigned char *name, *control;
	const unsigned char *name_before, *control_before;
	size_t name_bytes, control_bytes;
	bool name_ends, control_ends; /* see kernel_call_piece() */
};

struct kept_messages {
	struct kernel_kept kept;
	uintptr_t array; /* of the program's headers; 0: there are parts alone */
	size_t stride;	 /* of a header: of a struct msghdr or a struct mmsghdr */
	size_t count;
	bool discards; /* with MSG_TRUNC */
	unsigned char *headers; /* the kernel's, a room */
	unsigned char *buffers; /* a room; NULL: none is in a pool */
	size_t buffer_bytes;
	struct message messages[];
};

/* ---- Before the call ----------------------------------------------------------------------- */

static struct msghdr *header_of(const struct kept_messages *kept, size_t index)
{
	return (struct msghdr *)(void *)(kept->headers + index * kept->stride);
}

static size_t length_of(const struct iovec *part)
{
	return min_u64(part->iov_len, KERNEL_TRANSFER_MAX);
}

static size_t room_of_parts(const struct message *message)
{
	size_t bytes = 0;
	bool ends;

	for (size_t i = 0; i < message->count; i++) {
		const struct iovec *part = &message->parts[i];
		const size_t length = kernel_call_piece((uintptr_t)part->iov_base, length_of(part), &ends);

		message->kernel_parts[i].iov_len = length;
		if (length)
			bytes += client_piece_bytes(length, ends);
		if (message->parts_before)
			bytes += client_piece_bytes(length, false);
	}
	return bytes;
}

/* *bytes: how many are replaced. With room for a copy of them. */
static size_t room_of(const void *program, size_t length, size_t *bytes, bool *ends)
{
	*bytes = kernel_call_piece((uintptr_t)program, program ? length : 0, ends);
	return *bytes ? client_piece_bytes(*bytes, *ends) + client_piece_bytes(*bytes, false) : 0;
}

/* What the kernel leaves alone stays as it is. NULL: it is no pool, or it is not there. */
static unsigned char *copy_piece(unsigned char **room, const void *program, size_t bytes, bool ends,
				 const unsigned char **before)
{
	unsigned char *piece = bytes ? client_piece_take(room, bytes, ends) : NULL;

	if (!piece || !kernel_call_read(piece, (uintptr_t)program, bytes))
		return NULL;
	*before = client_piece_copy(room, piece, bytes);
	return piece;
}

/* Memory in the place of a part, of which `bytes` are in a pool. */
static void *place_part(struct message *message, size_t index, size_t bytes, unsigned char **room)
{
	const struct iovec *part = &message->parts[index];
	const bool ends = bytes < length_of(part);
	const unsigned char *before;
	unsigned char *piece;

	if (!message->parts_before)
		return client_piece_take(room, bytes, ends);
	piece = copy_piece(room, part->iov_base, bytes, ends, &before);
	if (!piece)
		return part->iov_base;
	message->parts_before[index] =
		(struct iovec){ .iov_base = (void *)(uintptr_t)before, .iov_len = bytes };
	return piece;
}

static void place_parts(struct message *message, unsigned char **room)
{
	for (size_t i = 0; i < message->count; i++) {
		struct iovec *kernel = &message->kernel_parts[i];

		if (kernel->iov_len)
			kernel->iov_base = place_part(message, i, kernel->iov_len, room);
		kernel->iov_len = message->parts[i].iov_len;
	}
}

static void place_message(struct message *message, struct msghdr *kernel, unsigned char **room)
{
	place_parts(message, room);
	message->name = copy_piece(room, message->program.msg_name, message->name_bytes, message->name_ends,
				   &message->name_before);
	message->control = copy_piece(room, message->program.msg_control, message->control_bytes,
				      message->control_ends, &message->control_before);
	if (message->count)
		kernel->msg_iov = message->kernel_parts;
	if (message->name)
		kernel->msg_name = message->name;
	if (message->control)
		kernel->msg_control = message->control;
}

/* How many arrays of its parts a message has. */
static size_t arrays_of_parts(bool discards)
{
	return discards ? 3 : 2;
}

/* Read its parts to memory from `parts` on, and the same again. Returns the room for what is in pools. */
static size_t read_message(struct message *message, const struct msghdr *header, struct iovec *parts,
			   bool discards)
{
	const size_t count = header->msg_iovlen;
	const size_t bytes = count * sizeof(*parts);

	*message = (struct message){ .program = *header, .parts = parts, .kernel_parts = parts + count };
	if (discards)
		message->parts_before = parts + 2 * count;
	/* Else the kernel is to find what is wrong with them. */
	if (count <= KERNEL_PARTS_MAX && kernel_call_read(parts, (uintptr_t)header->msg_iov, bytes)) {
		message->count = count;
		memcpy(message->kernel_parts, parts, bytes);
	}
	return room_of_parts(message) +
	       room_of(header->msg_name, min_u64(header->msg_namelen, NAME_MAX_BYTES), &message->name_bytes,
		       &message->name_ends) +
	       room_of(header->msg_control, min_u64(header->msg_controllen, KERNEL_TRANSFER_MAX),
		       &message->control_bytes, &message->control_ends);
}

static void give_rooms(struct kernel_kept *kept_base)
{
	struct kept_messages *kept = (struct kept_messages *)kept_base;

	if (kept->buffers)
		client_room_give(kept->buffers, kept->buffer_bytes);
	if (kept->headers)
		client_room_give(kept->headers, kept->count * kept->stride);
}

static void store_messages(const struct record_system_call *call, struct kernel_kept *kept_base, long result);

/* With room for the parts of so many headers, which it takes over. */
static struct kept_messages *keep(const unsigned char *headers, size_t stride, size_t count, bool discards,
				  struct iovec **parts)
{
	size_t bytes = sizeof(struct kept_messages) + count * sizeof(struct message), before;
	struct kept_messages *kept;
	struct msghdr header;

	before = bytes;
	for (size_t i = 0; i < count; i++) {
		memcpy(&header, headers + i * stride, sizeof(header));
		if (header.msg_iovlen <= KERNEL_PARTS_MAX)
			bytes += arrays_of_parts(discards) * header.msg_iovlen * sizeof(struct iovec);
	}
	kept = client_room_take(bytes);
	*kept = (struct kept_messages){
		.kept = { .bytes = bytes, .store = store_messages, .give = give_rooms },
		.stride = stride,
		.count = count,
		.discards = discards,
	};
	*parts = (struct iovec *)(void *)((unsigned char *)kept + before);
	return kept;
}

static void read_messages(struct kept_messages *kept, const unsigned char *headers, struct iovec *parts)
{
	struct msghdr header;

	for (size_t i = 0; i < kept->count; i++) {
		memcpy(&header, headers + i * kept->stride, sizeof(header));
		kept->buffer_bytes += read_message(&kept->messages[i], &header, parts, kept->discards);
		parts += arrays_of_parts(kept->discards) * kept->messages[i].count;
	}
}

/* How many of the headers can be read. */
static size_t read_headers(unsigned char *headers, uintptr_t array, size_t count, size_t stride)
{
	size_t have = 0;

	if (kernel_call_read(headers, array, count * stride))
		return count;
	while (have < count && kernel_call_read(headers + have * stride, array + have * stride, stride))
		have++;
	return have;
}

static enum record_call_way bounce(struct record_system_call *call, unsigned argument, size_t count,
				   size_t stride, uint64_t flags)
{
	const uintptr_t array = call->arguments[argument];
	unsigned char *headers = client_room_take(count * stride), *room;
	const size_t storable = client_recording_storable(array, count * stride);
	/* Other headers are the kernel's matter: it stores to them, too, and fails. */
	const size_t have = min_u64(read_headers(headers, array, count, stride), storable / stride);
	struct kept_messages *kept;
	struct iovec *parts;

	kept = keep(headers, stride, have, flags & MSG_TRUNC, &parts);
	read_messages(kept, headers, parts);
	if (!have || (!kept->buffer_bytes && !record_concerns(array, have * stride))) {
		client_room_give(kept, kept->kept.bytes);
		client_room_give(headers, count * stride);
		return RECORD_CALL_AS_IT_IS;
	}
	kept->array = array;
	kept->headers = headers;
	if (kept->buffer_bytes)
		kept->buffers = client_room_take(kept->buffer_bytes);
	room = kept->buffers;
	for (size_t i = 0; i < kept->count; i++)
		place_message(&kept->messages[i], header_of(kept, i), &room);
	kernel_call_keep(call, &kept->kept);
	call->replaced[argument] = (uint64_t)headers;
	if (stride == sizeof(struct mmsghdr))
		call->replaced[argument + 1] = have;
	return RECORD_CALL_REPLACED;
}

enum record_call_way kernel_call_bounce_message(struct record_system_call *call, unsigned argument)
{
	return bounce(call, argument, 1, sizeof(struct msghdr), call->arguments[argument + 1]);
}

enum record_call_way kernel_call_bounce_messages(struct record_system_call *call, unsigned argument,
						 size_t count)
{
	const size_t some = min_u64(count, KERNEL_PARTS_MAX);

	return some ? bounce(call, argument, some, sizeof(struct mmsghdr), call->arguments[argument + 2]) :
		      RECORD_CALL_AS_IT_IS;
}

enum record_call_way kernel_call_bounce_parts(struct record_system_call *call, unsigned argument,
					      size_t count)
{
	const struct msghdr header = { .msg_iov = (struct iovec *)call->arguments[argument],
				       .msg_iovlen = count };
	struct kept_messages *kept;
	struct iovec *parts;
	unsigned char *room;

	if (!count || count > KERNEL_PARTS_MAX)
		return RECORD_CALL_AS_IT_IS;
	kept = keep((const unsigned char *)&header, sizeof(header), 1, false, &parts);
	read_messages(kept, (const unsigned char *)&header, parts);
	if (!kept->buffer_bytes) {
		client_room_give(kept, kept->kept.bytes);
		return RECORD_CALL_AS_IT_IS;
	}
	room = kept->buffers = client_room_take(kept->buffer_bytes);
	place_parts(&kept->messages[0], &room);
	kernel_call_keep(call, &kept->kept);
	call->replaced[argument] = (uint64_t)kept->messages[0].kernel_parts;
	return RECORD_CALL_REPLACED;
}

/* ---- After it ------------------------------------------------------------------------------ */

static void store_changed_parts(const struct record_system_call *call, const struct message *message)
{
	for (size_t i = 0; i < message->count; i++) {
		const struct iovec *program = &message->parts[i], *kernel = &message->kernel_parts[i];

		if (program->iov_base != kernel->iov_base)
			kernel_call_store_changes((uintptr_t)program->iov_base,
						  message->parts_before[i].iov_base, kernel->iov_base,
						  message->parts_before[i].iov_len, call->site);
	}
}

/* As parts of the buffers that are in pools, in their order. */
static void store_parts(const struct record_system_call *call, const struct message *message, uint64_t left)
{
	for (size_t i = 0; i < message->count && left; i++) {
		const struct iovec *program = &message->parts[i], *kernel = &message->kernel_parts[i];
		const uint64_t some = min_u64(left, program->iov_len);

		if (program->iov_base != kernel->iov_base)
			record_move(program->iov_base, kernel->iov_base, some, false, call->site);
		left -= some;
	}
}

/* What the kernel changes in the structure itself. */
static void store_header(const struct record_system_call *call, const struct kept_messages *kept,
			 size_t index)
{
	struct mmsghdr *program = (struct mmsghdr *)(kept->array + index * kept->stride);
	const struct mmsghdr *kernel = (const struct mmsghdr *)(const void *)header_of(kept, index);
	const struct msghdr *was = &kept->messages[index].program;
	struct msghdr now = *was;

	now.msg_namelen = kernel->msg_hdr.msg_namelen;
	now.msg_controllen = kernel->msg_hdr.msg_controllen;
	now.msg_flags = kernel->msg_hdr.msg_flags;
	kernel_call_store_changes((uintptr_t)program, was, &now, sizeof(now), call->site);
	if (kept->stride == sizeof(*program))
		record_move(&program->msg_len, &kernel->msg_len, sizeof(program->msg_len), false, call->site);
}

static void store_message(const struct record_system_call *call, const struct kept_messages *kept,
			  size_t index, uint64_t bytes)
{
	const struct message *message = &kept->messages[index];

	if (message->parts_before)
		store_changed_parts(call, message);
	else
		store_parts(call, message, bytes);
	if (message->name)
		kernel_call_store_changes((uintptr_t)message->program.msg_name, message->name_before,
					  message->name, message->name_bytes, call->site);
	if (message->control)
		kernel_call_store_changes((uintptr_t)message->program.msg_control, message->control_before,
					  message->control, message->control_bytes, call->site);
	store_header(call, kept, index);
}

static void store_messages(const struct record_system_call *call, struct kernel_kept *kept_base, long result)
{
	const struct kept_messages *kept = (const struct kept_messages *)kept_base;

	if (result < 0)
		return;
	if (!kept->array)
		store_parts(call, &kept->messages[0], (uint64_t)result);
	else if (kept->stride == sizeof(struct msghdr))
		store_message(call, kept, 0, (uint64_t)result);
	else
		for (size_t i = 0; i < kept->count && i < (uint64_t)result; i++)
			store_message(call, kept, i,
				      ((const struct mmsghdr *)(const void *)header_of(kept, i))->msg_len);
}
