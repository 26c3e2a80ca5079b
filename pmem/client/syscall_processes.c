/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * syscall(2), where it makes a process with memory of its own: see processes.c. All other calls go on to
 * libc's. In the library of `softpmem record` kernel_functions.c has a syscall() for every call.
 *
 * The header that declares it otherwise is not included.
 */

#include <linux/sched.h>
#include <stdbool.h>
#include <sys/uio.h>

#include "abi/rawcall.h"
#include "client/next_function.h"
#include "client/queues.h"

typedef long seven_fn(long number, long a, long b, long c, long d, long e, long f);

static struct next_function next_syscall = { .name = "syscall" };

/* Now, and not at the first use, which may be in a signal handler. */
static AT_LOAD void find(void)
{
	next_function(&next_syscall);
}

/* What cannot be read is not: the kernel refuses it. */
static struct clone_args read_arguments(uintptr_t at, size_t length)
{
	struct clone_args arguments = { .flags = CLONE_VM };
	const struct iovec local = { .iov_base = &arguments, .iov_len = CLONE_ARGS_SIZE_VER0 };
	const struct iovec remote = { .iov_base = (void *)at, .iov_len = CLONE_ARGS_SIZE_VER0 };

	if (length >= CLONE_ARGS_SIZE_VER0)
		RAW6(process_vm_readv, RAW1(getpid, 0), &local, 1, &remote, 1, 0);
	return arguments;
}

/*
 * Does it return in a process that has a copy of this memory? On another stack, or with other thread-local
 * variables, it would not come back to this code, or not to a thread that this library knows.
 */
static bool copies_memory(long number, long a, long b)
{
	struct clone_args arguments = { .flags = (uint64_t)a, .stack = (uint64_t)b };

	if (number == SYS_fork)
		return true;
	if (number == SYS_clone3)
		arguments = read_arguments((uintptr_t)a, (size_t)b);
	else if (number != SYS_clone)
		return false;
	return !(arguments.flags & (CLONE_VM | CLONE_SETTLS)) && !arguments.stack;
}

/* Not in line: this keeps the frame of other calls as it is, which a child of vfork(2) returns through. */
static __attribute__((noinline)) long make_process(long number, long a, long b, long c, long d, long e,
						   long f)
{
	long pid;

	client_fork_prepare();
	pid = ((seven_fn *)(void *)next_function(&next_syscall))(number, a, b, c, d, e, f);
	client_fork_done(pid);
	return pid;
}

PUBLIC seven_fn calling_syscall __asm__("syscall");
PUBLIC long calling_syscall(long number, long a, long b, long c, long d, long e, long f)
{
	if (unlikely(copies_memory(number, a, b)))
		return make_process(number, a, b, c, d, e, f);
	return ((seven_fn *)(void *)next_function(&next_syscall))(number, a, b, c, d, e, f);
}
