/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * System calls that the program makes by instructions of its own. A call of which the client must know is
 * made in the stub, between two calls of C code, and not by C code: a signal may interrupt it at any time,
 * and its handler must see the program as if it had made the call where it has it.
 */

#include "client/record/calls.h"
#include "client/record/engine.h"
#include "client/record/operand.h"
#include "client/record/thunk.h"
#include "common/align.h"

#define ARGUMENTS 6u
#define LOOKED_AT_MAX ((uint64_t)1 << 40)
#define TRAP_FLAG (1u << 8)
#define RESTART_NUMBER 219 /* restart_syscall(2) */
#define INTERRUPTED (-4L)  /* -EINTR */

static const uint8_t argument_registers[ARGUMENTS] = { RECORD_RDI, RECORD_RSI, RECORD_RDX, 10, 8, 9 };

/* Is there a pool in a chunk that these bytes lie in? */
static bool near_pools(uint64_t address, uint64_t length)
{
	/* A length may be anything, and to look at all of memory takes long. */
	const uint64_t last = address + min_u64(length, LOOKED_AT_MAX);

	for (uint64_t chunk = address >> RECORD_CHUNK_SHIFT; chunk < RECORD_CHUNKS; chunk++) {
		if (chunk << RECORD_CHUNK_SHIFT >= last)
			return false;
		if (record_low->chunks[chunk])
			return true;
	}
	return false;
}

bool record_system_call_concerns(int number, const uint64_t arguments[ARGUMENTS])
{
	const bool known = number >= 0 && number < (int)RECORD_CALL_NUMBERS;
	const unsigned which =
		known && record_low ? record_low->calls[number] : (1u << ARGUMENTS) - 1;
	unsigned first = 0;

	if (!record_engine.started || !record_engine.setup.on_system_call)
		return false;
	if (which & RECORD_CALL_ALWAYS)
		return true;
	for (unsigned i = 0; i < ARGUMENTS; i++)
		if ((which >> i & 1) && record_range_find(arguments[i]))
			return true;
	if (!(which & RECORD_CALL_LENGTH))
		return false;
	while (!(which >> first & 1))
		first++;
	return near_pools(arguments[first], arguments[first + 1]);
}

static uint64_t call_begin(void *call)
{
	return record_engine.setup.on_system_call(call);
}

struct ended {
	struct record_system_call *call;
	long result;
};

static uint64_t call_after(void *argument)
{
	const struct ended *ended = argument;

	return (uint64_t)record_engine.setup.after_system_call(ended->call, ended->result);
}

/* What the program has in its registers when the call returns. */
static void put_result(const struct record_site *site, uint64_t registers[16], long result, uint64_t flags)
{
	registers[RECORD_RAX] = (uint64_t)result;
	registers[RECORD_RCX] = site->address + site->insn.length;
	registers[11] = flags & ~(uint64_t)TRAP_FLAG;
}

static void put_arguments(uint64_t registers[16], const uint64_t arguments[ARGUMENTS])
{
	for (unsigned i = 0; i < ARGUMENTS; i++)
		registers[argument_registers[i]] = arguments[i];
}

void record_system_call_begin(struct record_frame *frame)
{
	struct record_system_call *call = &frame->call;

	frame->resume = frame->site->native_at;
	frame->stack_top = frame->above;
	for (unsigned i = 0; i < ARGUMENTS; i++)
		call->arguments[i] = call->replaced[i] = frame->registers[argument_registers[i]];
	call->number = (int)frame->registers[RECORD_RAX];
	call->site = frame->site->id;
	call->address = frame->site->address;
	call->kept = NULL;
	if (!record_system_call_concerns(call->number, call->arguments))
		return;
	switch (record_keeping_vectors(call_begin, call)) {
	case RECORD_CALL_DONE:
		put_result(frame->site, frame->registers, call->result, frame->flags);
		frame->resume = frame->site->address + frame->site->insn.length;
		break;
	case RECORD_CALL_REPLACED:
		put_arguments(frame->registers, call->replaced);
		frame->outer = record_self.open;
		record_self.open = frame;
		frame->resume = frame->site->call_at;
		frame->stack_top = (uint64_t)frame;
		break;
	default:
		break;
	}
}

void record_system_call_end(struct record_frame *frame, const struct record_frame *after)
{
	struct ended ended = { .call = &frame->call, .result = (long)after->registers[RECORD_RAX] };
	long result = (long)record_keeping_vectors(call_after, &ended);

	for (unsigned i = 0; i < 16; i++)
		frame->registers[i] = after->registers[i];
	put_arguments(frame->registers, frame->call.arguments);
	put_result(frame->site, frame->registers, result, after->flags);
	frame->flags = after->flags;
	frame->resume = frame->site->address + frame->site->insn.length;
	frame->stack_top = frame->above;
}

uint64_t record_system_call_settle(const struct record_site *site, bool replaced, bool made,
				   uint64_t registers[16], uint64_t flags)
{
	struct record_frame *frame = record_self.open;
	long result = (long)registers[RECORD_RAX];

	if (replaced) {
		if (!frame || frame->site != site)
			record_die("a system call was made that had not begun", site);
		record_self.open = frame->outer;
		record_self.stack_top = frame->above;
		/* The kernel would go on with the replaced arguments; a handler interrupts it for good. */
		if (!made && (int)result == RESTART_NUMBER && frame->call.number != RESTART_NUMBER) {
			made = true;
			result = INTERRUPTED;
		}
		result = record_engine.setup.after_system_call(&frame->call,
							       made ? result : RECORD_CALL_ABANDONED);
		put_arguments(registers, frame->call.arguments);
	}
	if (!made)
		return site->address;
	put_result(site, registers, result, flags);
	return site->address + site->insn.length;
}
