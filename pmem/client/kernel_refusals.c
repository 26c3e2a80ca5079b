/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Functions by which the kernel stores results to memory of the program, and which are not recorded (see
 * kernel_stores.c for those that are). If the result would be stored to a pool, the process ends with the
 * function's name: the kernel could not store it, and the program might not notice.
 *
 * Each function is declared with six integer arguments, as many as there are argument registers; those that
 * it does not have are passed on as they come. Headers that declare them otherwise are not included, so the
 * names in C differ from those in the library.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "abi/rawcall.h"
#include "client/compiler.h"
#include "client/errormsg.h"
#include "client/kernel_calls.h"
#include "client/kernel_refusals.h"
#include "client/next_function.h"
#include "client/output_marks.h"
#include "client/record/record.h"
#include "client/recording.h"
#include "client/stack_refusals.h"

void client_refuse_kernel_store(const char *name, const char *way_out)
{
	client_complain("the kernel cannot store to a pool while it is recorded: ", name);
	client_complain("to record this program, ", way_out);
	record_stop("a system call stores to a pool");
}

static bool concerns(const void *address)
{
	return unlikely(record_concerns((uintptr_t)address, 1));
}

/* `results`: bit i is set if argument i is the address of a result. */
static long call(struct next_function *refusal, unsigned results, const long arguments[6])
{
	next_function_fn *next = next_function(refusal);

	for (unsigned i = 0; i < 6; i++)
		if ((results >> i & 1) && unlikely(record_concerns((uintptr_t)arguments[i], 1)))
			client_refuse_kernel_store(refusal->name, CLIENT_STORE_ELSEWHERE);
	if (!next) {
		errno = ENOSYS;
		return -1;
	}
	return next(arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
}

#define A(i) (1u << (i))
#define REFUSE(function, results)                                                                    \
	PUBLIC long refusing_##function(long a, long b, long c, long d, long e, long f) __asm__(#function); \
	PUBLIC long refusing_##function(long a, long b, long c, long d, long e, long f)              \
	{                                                                                            \
		static struct next_function refusal = { .name = #function };                               \
                                                                                                     \
		return call(&refusal, results, (const long[6]){ a, b, c, d, e, f });                  \
	}

/* A stream reads into its buffer. */
REFUSE(setbuf, A(1))
REFUSE(setbuffer, A(1))
REFUSE(setvbuf, A(1))
REFUSE(_IO_setbuffer, A(1))
REFUSE(_IO_setvbuf, A(1))
/* A segment in the place of a pool's mapping. */
REFUSE(shmat, A(1))

/* ---- Asynchronous reads ------------------------------------------------------------------- */

/* The address of the buffer is the third word of struct aiocb. */
#define REFUSE_AIO(function)                                                               \
	PUBLIC long refusing_##function(void *const block[]) __asm__(#function);           \
	PUBLIC long refusing_##function(void *const block[])                               \
	{                                                                                  \
		static struct next_function refusal = { .name = #function };                     \
                                                                                           \
		return call(&refusal, A(0) | A(1), (const long[6]){ (long)block, (long)block[2] }); \
	}
REFUSE_AIO(aio_read)
REFUSE_AIO(aio_read64)

/* Where the kernel stores later, nobody sees it. Programs go on without these. */
long client_refuse_rings(const char *name)
{
	static atomic_bool told;

	if (!atomic_exchange(&told, true))
		client_complain(name, " fails with ENOSYS while this process is recorded");
	return -ENOSYS;
}

#define REFUSE_RINGS(function)                                         \
	PUBLIC long refusing_##function(void) __asm__(#function);      \
	PUBLIC long refusing_##function(void)                          \
	{                                                              \
		return client_refuse_rings(#function);                        \
	}
REFUSE_RINGS(io_uring_queue_init)
REFUSE_RINGS(io_uring_queue_init_params)
REFUSE_RINGS(io_uring_queue_init_mem)
REFUSE_RINGS(io_uring_setup)
REFUSE_RINGS(lio_listio)
REFUSE_RINGS(lio_listio64)

/* ---- Numbers of threads -------------------------------------------------------------------------- */

/*
 * The kernel stores these when a thread begins and when it ends, and reports no error if it cannot. A thread
 * that waits for the number to be cleared would wait for ever.
 */
void client_refuse_thread_numbers(unsigned long flags, const void *parent, const void *child)
{
	if ((flags & (CLONE_PARENT_SETTID | CLONE_PIDFD)) && concerns(parent))
		client_refuse_kernel_store("clone() with CLONE_PARENT_SETTID or CLONE_PIDFD",
					   CLIENT_STORE_ELSEWHERE);
	if ((flags & (CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID)) && concerns(child))
		client_refuse_kernel_store("clone() with CLONE_CHILD_SETTID or CLONE_CHILD_CLEARTID",
					   CLIENT_STORE_ELSEWHERE);
}

/*
 * What this thread's stubs keep is in its thread-local variables. The parent of a vfork() waits meanwhile.
 */
void client_refuse_shared_variables(unsigned long flags)
{
	if ((flags & CLONE_VM) && !(flags & (CLONE_VFORK | CLONE_SETTLS)) && client_recording())
		record_stop("clone() with CLONE_VM, but without CLONE_SETTLS or CLONE_VFORK, makes a thread "
			    "that has the thread-local variables of another");
}

void client_refuse_clone(unsigned long flags, uintptr_t stack, const void *parent, const void *child)
{
	client_refuse_thread_numbers(flags, parent, child);
	client_refuse_shared_variables(flags);
	/* It grows down from there. */
	if (stack)
		client_refuse_stack(stack - 1, 1, "clone");
}
