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

/* Files. */
REFUSE(ttyname_r, A(1))
REFUSE(__ttyname_r_chk, A(1))
REFUSE(name_to_handle_at, A(2) | A(3))
REFUSE(mincore, A(2))
/* A stream reads into its buffer. */
REFUSE(setbuf, A(1))
REFUSE(setbuffer, A(1))
REFUSE(setvbuf, A(1))
/* Descriptors and sockets. */
REFUSE(accept, A(1) | A(2))
REFUSE(accept4, A(1) | A(2))
REFUSE(getsockname, A(1) | A(2))
REFUSE(getpeername, A(1) | A(2))
REFUSE(getsockopt, A(3) | A(4))
REFUSE(poll, A(0))
REFUSE(ppoll, A(0))
REFUSE(__poll_chk, A(0))
REFUSE(__ppoll_chk, A(0))
REFUSE(select, A(1) | A(2) | A(3) | A(4))
REFUSE(pselect, A(1) | A(2) | A(3))
REFUSE(msgrcv, A(1))
REFUSE(msgctl, A(2))
REFUSE(shmctl, A(2))
REFUSE(mq_receive, A(1) | A(3))
REFUSE(mq_timedreceive, A(1) | A(3))
/* Processes, signals and time. */
REFUSE(sched_getaffinity, A(2))
REFUSE(prctl, A(1))
REFUSE(clock_adjtime, A(1))
REFUSE(adjtimex, A(0))

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
REFUSE_RINGS(io_setup)
REFUSE_RINGS(io_queue_init)
REFUSE_RINGS(lio_listio)
REFUSE_RINGS(lio_listio64)

/* ---- fcntl(2) --------------------------------------------------------------------------------- */

/* Of most commands the third argument is a number, or what happens to be in its register. */
static bool fcntl_stores(long command)
{
	return command == F_GETLK || command == F_OFD_GETLK || command == F_GETOWN_EX ||
	       command == F_GET_RW_HINT || command == F_GET_FILE_RW_HINT;
}

#define REFUSE_FCNTL(function)                                                                         \
	PUBLIC long refusing_##function(long fd, long command, long argument) __asm__(#function);      \
	PUBLIC long refusing_##function(long fd, long command, long argument)                          \
	{                                                                                              \
		static struct next_function refusal = { .name = #function };                                 \
                                                                                                       \
		return call(&refusal, fcntl_stores(command) ? A(2) : 0,                                \
			    (const long[6]){ fd, command, argument });                                 \
	}
REFUSE_FCNTL(fcntl)
REFUSE_FCNTL(fcntl64)

/* ---- Addresses in memory ------------------------------------------------------------------------- */

/* The results go to addresses that are in memory, not in the arguments. */
static bool parts_concern(const struct iovec *parts, unsigned long count)
{
	for (unsigned long i = 0; i < count && i < 1024; i++)
		if (unlikely(record_concerns((uintptr_t)parts[i].iov_base, parts[i].iov_len)))
			return true;
	return false;
}

static void refuse_messages(const struct mmsghdr *messages, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (concerns(&messages[i]) || concerns(messages[i].msg_hdr.msg_name) ||
		    concerns(messages[i].msg_hdr.msg_control) ||
		    parts_concern(messages[i].msg_hdr.msg_iov, messages[i].msg_hdr.msg_iovlen))
			client_refuse_kernel_store("recvmmsg", CLIENT_STORE_ELSEWHERE);
}

PUBLIC long refusing_recvmmsg(long fd, struct mmsghdr *messages, long count, long flags, long timeout)
	__asm__("recvmmsg");
PUBLIC long refusing_recvmmsg(long fd, struct mmsghdr *messages, long count, long flags, long timeout)
{
	static struct next_function refusal = { .name = "recvmmsg" };

	refuse_messages(messages, (unsigned)count);
	return call(&refusal, A(4), (const long[6]){ fd, (long)messages, count, flags, timeout });
}

PUBLIC long refusing_process_vm_readv(long pid, const struct iovec *parts, long count, long remote,
				      long remotes, long flags) __asm__("process_vm_readv");
PUBLIC long refusing_process_vm_readv(long pid, const struct iovec *parts, long count, long remote,
				      long remotes, long flags)
{
	static struct next_function refusal = { .name = "process_vm_readv" };

	if (parts_concern(parts, (unsigned long)count))
		client_refuse_kernel_store(refusal.name, CLIENT_STORE_ELSEWHERE);
	return call(&refusal, 0, (const long[6]){ pid, (long)parts, count, remote, remotes, flags });
}

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

typedef long clone_fn(long start, long stack, long flags, long argument, void *parent, long tls,
		      void *child);

static long refuse_or_clone(struct next_function *function, long start, long stack, long flags, long argument,
			    void *parent, long tls, void *child)
{
	client_refuse_thread_numbers((unsigned long)flags, parent, child);
	return ((clone_fn *)(void *)next_function(function))(start, stack, flags, argument, parent, tls,
							     child);
}

#define REFUSE_CLONE(function)                                                                           \
	PUBLIC clone_fn refusing_##function __asm__(#function);                                          \
	PUBLIC long refusing_##function(long start, long stack, long flags, long argument, void *parent, \
					long tls, void *child)                                           \
	{                                                                                                \
		static struct next_function next = { .name = #function };                                \
                                                                                                         \
		return refuse_or_clone(&next, start, stack, flags, argument, parent, tls, child);        \
	}
REFUSE_CLONE(clone)
REFUSE_CLONE(__clone)

/* ---- syscall(2), ioctl(2) ------------------------------------------------------------------------------ */

typedef long seven_fn(long number, long a, long b, long c, long d, long e, long f);

static struct next_function next_syscall = { .name = "syscall" }, next_ioctl = { .name = "ioctl" };

/* A value, or a negative errno. */
static long make_by_number(int number, const uint64_t a[6])
{
	const long result = ((seven_fn *)(void *)next_function(&next_syscall))(number, (long)a[0], (long)a[1],
									 (long)a[2], (long)a[3], (long)a[4],
									 (long)a[5]);

	return result == -1 ? -errno : result;
}

static long make_ioctl(int number, const uint64_t a[6])
{
	const long result = next_function(&next_ioctl)((long)a[0], (long)a[1], (long)a[2], 0, 0, 0);

	return (int)result == -1 ? -errno : (int)result;
}

static long value_or_errno(long result)
{
	if (!raw_failed(result))
		return result;
	errno = (int)-result;
	return -1;
}

PUBLIC seven_fn calling_syscall __asm__("syscall");
PUBLIC long calling_syscall(long number, long a, long b, long c, long d, long e, long f)
{
	const uint64_t arguments[6] = { (uint64_t)a, (uint64_t)b, (uint64_t)c,
					(uint64_t)d, (uint64_t)e, (uint64_t)f };

	return value_or_errno(client_kernel_call((int)number, arguments,
						 (uintptr_t)__builtin_return_address(0), make_by_number));
}

PUBLIC long calling_ioctl(long fd, long request, long argument) __asm__("ioctl");
PUBLIC long calling_ioctl(long fd, long request, long argument)
{
	const uint64_t arguments[6] = { (uint64_t)fd, (uint64_t)request, (uint64_t)argument };

	return value_or_errno(client_kernel_call(SYS_ioctl, arguments,
						 (uintptr_t)__builtin_return_address(0), make_ioctl));
}
