/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/call_stack.h"

#include <signal.h>
#include <stdlib.h>
#include <ucontext.h>
#include <unwind.h>

#include "abi/rawcall.h"
#include "client/compiler.h"
#include "client/next_function.h"
#include "common/align.h"

/* Frames of ours, and of the kernel's, that lie between the function and its caller. */
#define OURS_MOST 40u

struct walk {
	uintptr_t address;
	uintptr_t *frames;
	unsigned most, count, skipped;
	bool found;
};

/* Where client_call_stack() goes on after a fault. */
static THREAD_HOT void *after_fault[5];
static THREAD_HOT bool is_walking;

static _Unwind_Reason_Code note_frame(struct _Unwind_Context *context, void *argument)
{
	struct walk *walk = argument;
	int is_interrupted = 0;
	uintptr_t address = _Unwind_GetIPInfo(context, &is_interrupted);

	if (!walk->found) {
		walk->found = address == walk->address;
		return walk->found || ++walk->skipped < OURS_MOST ? _URC_NO_REASON : _URC_END_OF_STACK;
	}
	if (!address)
		return _URC_END_OF_STACK;
	/* The trace's reader takes the byte before a return address. */
	walk->frames[walk->count++] = address + (is_interrupted != 0);
	return walk->count < walk->most ? _URC_NO_REASON : _URC_END_OF_STACK;
}

/* Not inline: the frame that is returned to must be another one. */
static __attribute__((noinline, noreturn)) void return_from_fault(void)
{
	__builtin_longjmp(after_fault, 1);
}

/*
 * The unwinder calls it where a table says what cannot be, as tables of code that is made at run time do. The
 * stack then ends there.
 */
PUBLIC _Noreturn void abort(void)
{
	static struct next_function next = { .name = "abort" };

	if (is_walking)
		return_from_fault();
	next_function(&next)(0, 0, 0, 0, 0, 0);
	__builtin_unreachable();
}

static __attribute__((noinline)) void walk_stack(struct walk *walk)
{
	/* In a handler all signals are blocked, and the kernel ends a process that faults then. */
	const uint64_t faults = 1u << (SIGSEGV - 1) | 1u << (SIGBUS - 1);
	uint64_t before;

	RAW4(rt_sigprocmask, SIG_UNBLOCK, &faults, &before, sizeof(before));
	if (__builtin_setjmp(after_fault) == 0) {
		is_walking = true;
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
		_Unwind_Backtrace(note_frame, walk);
	}
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	is_walking = false;
	RAW4(rt_sigprocmask, SIG_SETMASK, &before, NULL, sizeof(before));
}

unsigned client_call_stack(uintptr_t address, uintptr_t *frames, unsigned most)
{
	struct walk walk = { .address = address, .frames = frames, .most = most };

	/* In a handler of a signal that came in the middle of it. */
	if (!most || is_walking)
		return 0;
	walk_stack(&walk);
	return walk.count;
}

bool client_call_stack_faulted(void *context_pointer)
{
	ucontext_t *context = context_pointer;
	const uintptr_t stack = (uintptr_t)context->uc_mcontext.gregs[REG_RSP], red_zone = 128;

	if (!is_walking)
		return false;
	/* As if it had been called: 8 bytes below a multiple of 16. */
	context->uc_mcontext.gregs[REG_RSP] = (greg_t)(align_down(stack - red_zone, 16) - 8);
	context->uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)return_from_fault;
	return true;
}
