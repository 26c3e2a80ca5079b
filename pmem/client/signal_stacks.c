/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/signal_stacks.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/mman.h>

#include "abi/rawcall.h"
#include "client/address_space.h"
#include "client/compiler.h"
#include "client/signals.h"
#include "common/align.h"

/*
 * In a handler there may be the registers of two signals, of which each takes 3.5 KiB on processors with
 * AVX-512, and what makes a stub. The runtime of Go has stacks of 32 KiB, and looks whether it is on them.
 */
#define ENOUGH_BYTES ((size_t)32 << 10)
#define OWN_BYTES ((size_t)64 << 10)
/*
 * What the kernel has if a child of vfork(2) asked for a little stack: it has the variables of its parent,
 * which waits, but not its stack in the kernel. By this length the two are told apart.
 */
#define OWN_BYTES_OF_CHILD (OWN_BYTES - PAGE_BYTES)

static THREAD_HOT void *own;	  /* memory of ours; NULL: the thread has had no little stack */
/* The program's, in whose place it is. */
static THREAD_HOT stack_t wanted, wanted_of_child;
static pthread_key_t thread_end;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool have_key;

static void end_thread(void *memory)
{
	const stack_t none = { .ss_flags = SS_DISABLE };

	RAW2(sigaltstack, &none, NULL);
	RAW2(munmap, memory, OWN_BYTES);
	own = NULL;
}

static void make_key(void)
{
	have_key = pthread_key_create(&thread_end, end_thread) == 0;
}

static bool take_memory(void)
{
	long at;

	if (own)
		return true;
	pthread_once(&once, make_key);
	at = have_key ? RAW6(mmap, NULL, OWN_BYTES, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) :
			-ENOMEM;
	if (raw_failed(at))
		return false;
	if (pthread_setspecific(thread_end, (void *)at) != 0) {
		RAW2(munmap, at, OWN_BYTES);
		return false;
	}
	own = (void *)at;
	return true;
}

/* Have handlers run on a stack of ours, if the program's is little. */
static void enlarge(const stack_t *program)
{
	const bool child = address_space_is_anothers();
	stack_t larger = { .ss_flags = program->ss_flags,
			   .ss_size = child ? OWN_BYTES_OF_CHILD : OWN_BYTES };

	if ((program->ss_flags & SS_DISABLE) || program->ss_size >= ENOUGH_BYTES || !take_memory())
		return;
	larger.ss_sp = own;
	*(child ? &wanted_of_child : &wanted) = *program;
	RAW2(sigaltstack, &larger, NULL);
}

long client_signal_stack_set(const stack_t *stack, stack_t *old)
{
	const uint64_t signals = signals_block();
	/* The kernel says what is wrong with it. */
	const long error = RAW2(sigaltstack, stack, old);

	if (!error && own && old->ss_sp == own) {
		const stack_t *program = old->ss_size == OWN_BYTES ? &wanted : &wanted_of_child;

		old->ss_sp = program->ss_sp;
		old->ss_size = program->ss_size;
	}
	if (!error && stack)
		enlarge(stack);
	signals_restore(signals);
	return error;
}

void client_signal_stack_own(void)
{
	stack_t now;

	if (RAW2(sigaltstack, NULL, &now) == 0 && !(now.ss_flags & SS_ONSTACK))
		enlarge(&now);
}
