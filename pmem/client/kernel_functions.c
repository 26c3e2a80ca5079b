/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Functions of libc that make a system call whose arguments and results theirs are, and of which more than
 * the arguments say what it stores: they are treated like the call by an instruction (special_calls.c).
 *
 * Headers that declare them otherwise are not included, so the names in C differ from those in the library.
 */

#include <errno.h>
#include <stdbool.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "abi/rawcall.h"
#include "client/kernel_calls.h"
#include "client/modules.h"
#include "client/next_function.h"
#include "common/align.h"

static long value_or_errno(long result)
{
	if (!raw_failed(result))
		return result;
	errno = (int)-result;
	return -1;
}

static long call(struct next_function *function, client_make_call *make, int number, const uint64_t a[6],
		 const void *caller)
{
	next_function_fn *next = next_function(function);

	if (!next)
		return value_or_errno(-ENOSYS);
	if (likely(!record_system_call_concerns(number, a)))
		return next((long)a[0], (long)a[1], (long)a[2], (long)a[3], (long)a[4], (long)a[5]);
	return value_or_errno(client_kernel_call(number, a, (uintptr_t)caller, make));
}

#define U(value) ((uint64_t)(value))
/* A client_make_call of a function that returns this type, of which an int may leave half of a register. */
#define DEFINE_MAKE(function, type)                                                                     \
	static struct next_function next_##function = { .name = #function };                            \
	static long make_##function(int number, const uint64_t a[6])                                    \
	{                                                                                               \
		const long result = (type)next_function(&next_##function)(                              \
			(long)a[0], (long)a[1], (long)a[2], (long)a[3], (long)a[4], (long)a[5]);        \
                                                                                                        \
		return result == -1 ? -errno : result;                                                  \
	}
#define CALL_AS(function, number, type)                                                                 \
	DEFINE_MAKE(function, type)                                                                     \
	PUBLIC next_function_fn calling_##function __asm__(#function);                                  \
	PUBLIC long calling_##function(long a, long b, long c, long d, long e, long f)                  \
	{                                                                                               \
		return call(&next_##function, make_##function, number,                                  \
			    (const uint64_t[6]){ U(a), U(b), U(c), U(d), U(e), U(f) },                  \
			    __builtin_return_address(0));                                               \
	}

CALL_AS(ioctl, SYS_ioctl, int)
CALL_AS(fcntl, SYS_fcntl, int)
CALL_AS(fcntl64, SYS_fcntl, int)
CALL_AS(__fcntl, SYS_fcntl, int)
CALL_AS(prctl, SYS_prctl, int)
CALL_AS(shmctl, SYS_shmctl, int)
CALL_AS(msgctl, SYS_msgctl, int)
CALL_AS(semctl, SYS_semctl, int)
CALL_AS(quotactl, SYS_quotactl, int)
CALL_AS(name_to_handle_at, SYS_name_to_handle_at, int)
CALL_AS(arch_prctl, SYS_arch_prctl, int)
CALL_AS(__arch_prctl, SYS_arch_prctl, int)
CALL_AS(sigaltstack, SYS_sigaltstack, int)
CALL_AS(msgrcv, SYS_msgrcv, long)
CALL_AS(vmsplice, SYS_vmsplice, long)
CALL_AS(process_vm_readv, SYS_process_vm_readv, long)
CALL_AS(process_vm_writev, SYS_process_vm_writev, long)

/* ---- Parts and messages -------------------------------------------------------------------------------- */

/*
 * As the hook finds out, without the system calls by which it reads memory that may not be there: that is the
 * kernel's matter.
 */
static bool is_there(const void *memory, size_t length)
{
	const uintptr_t first = (uintptr_t)memory;

	for (uintptr_t at = first; at - first < length; at = align_down(at, PAGE_BYTES) + PAGE_BYTES)
		if (!record_can_load(at))
			return false;
	return true;
}

static bool parts_concern(const struct iovec *parts, size_t count)
{
	if (!record_has_pools() || count > KERNEL_PARTS_MAX || !is_there(parts, count * sizeof(*parts)))
		return false;
	for (size_t i = 0; i < count; i++)
		if (unlikely(record_concerns((uintptr_t)parts[i].iov_base, parts[i].iov_len)))
			return true;
	return false;
}

#define CALL_OF_PARTS(function, number)                                                                 \
	DEFINE_MAKE(function, long)                                                                     \
	PUBLIC next_function_fn calling_##function __asm__(#function);                                  \
	PUBLIC long calling_##function(long a, long b, long c, long d, long e, long f)                  \
	{                                                                                               \
		if (likely(!parts_concern((const struct iovec *)b, (uint32_t)c)))                       \
			return next_function(&next_##function)(a, b, c, d, e, f);                       \
		return call(&next_##function, make_##function, number,                                  \
			    (const uint64_t[6]){ U(a), U(b), (uint32_t)c, U(d), U(e), U(f) },           \
			    __builtin_return_address(0));                                               \
	}

CALL_OF_PARTS(readv, SYS_readv)
CALL_OF_PARTS(preadv, SYS_preadv)
CALL_OF_PARTS(preadv64, SYS_preadv)
CALL_OF_PARTS(preadv2, SYS_preadv2)
CALL_OF_PARTS(preadv64v2, SYS_preadv2)

static bool message_concerns(const struct msghdr *message)
{
	if (!record_has_pools() || !is_there(message, sizeof(*message)))
		return false;
	return record_concerns((uintptr_t)message, sizeof(*message)) ||
	       record_concerns((uintptr_t)message->msg_name, message->msg_namelen) ||
	       record_concerns((uintptr_t)message->msg_control, message->msg_controllen) ||
	       parts_concern(message->msg_iov, message->msg_iovlen);
}

DEFINE_MAKE(recvmsg, long)
PUBLIC long calling_recvmsg(long fd, const struct msghdr *message, long flags) __asm__("recvmsg");
PUBLIC long calling_recvmsg(long fd, const struct msghdr *message, long flags)
{
	if (likely(!message_concerns(message)))
		return next_function(&next_recvmsg)(fd, (long)message, flags, 0, 0, 0);
	return call(&next_recvmsg, make_recvmsg, SYS_recvmsg,
		    (const uint64_t[6]){ U(fd), U(message), U(flags) }, __builtin_return_address(0));
}

DEFINE_MAKE(recvmmsg, int)
PUBLIC long calling_recvmmsg(long fd, const struct mmsghdr *messages, long count, long flags, long timeout)
	__asm__("recvmmsg");
PUBLIC long calling_recvmmsg(long fd, const struct mmsghdr *messages, long count, long flags, long timeout)
{
	bool concerns = record_concerns(U(timeout), KERNEL_TIMESPEC_BYTES);

	for (size_t i = 0; !concerns && i < (uint32_t)count && i < KERNEL_PARTS_MAX; i++)
		concerns = message_concerns(&messages[i].msg_hdr);
	if (likely(!concerns))
		return next_function(&next_recvmmsg)(fd, (long)messages, count, flags, timeout, 0);
	return call(&next_recvmmsg, make_recvmmsg, SYS_recvmmsg,
		    (const uint64_t[6]){ U(fd), U(messages), U(count), U(flags), U(timeout) },
		    __builtin_return_address(0));
}

/* ---- posix_spawn(3) ---------------------------------------------------------------------------- */

/* libc stores the number while it blocks all signals: a first store there would end the process. */
#define SPAWN(function)                                                                                 \
	static struct next_function next_##function = { .name = #function };                            \
	PUBLIC next_function_fn calling_##function __asm__(#function);                                  \
	PUBLIC long calling_##function(long pid, long b, long c, long d, long e, long f)                \
	{                                                                                               \
		int number, error;                                                                      \
                                                                                                        \
		if (likely(!record_concerns(U(pid), sizeof(number))))                                   \
			return (int)next_function(&next_##function)(pid, b, c, d, e, f);                \
		error = (int)next_function(&next_##function)((long)&number, b, c, d, e, f);             \
		if (!error)                                                                             \
			record_move((void *)pid, &number, sizeof(number), false,                        \
				    client_modules_caller((uintptr_t)__builtin_return_address(0)));     \
		return error;                                                                           \
	}
SPAWN(posix_spawn)
SPAWN(posix_spawnp)

/* ---- Those whose results are not as others' ------------------------------------------------------ */

/* -1 may be what it has read, in libc's own memory. */
static bool peeks(long request)
{
	return request == PTRACE_PEEKTEXT || request == PTRACE_PEEKDATA || request == PTRACE_PEEKUSER;
}

DEFINE_MAKE(ptrace, long)
PUBLIC long calling_ptrace(long request, long pid, long address, long data) __asm__("ptrace");
PUBLIC long calling_ptrace(long request, long pid, long address, long data)
{
	if (peeks(request))
		return next_function(&next_ptrace)(request, pid, address, data, 0, 0);
	return call(&next_ptrace, make_ptrace, SYS_ptrace,
		    (const uint64_t[6]){ U(request), U(pid), U(address), U(data) },
		    __builtin_return_address(0));
}

/* It does not set errno. */
static struct next_function next_modify_ldt = { .name = "modify_ldt" };

static long make_modify_ldt(int number, const uint64_t a[6])
{
	(void)number;
	return (int)next_function(&next_modify_ldt)((long)a[0], (long)a[1], (long)a[2], 0, 0, 0);
}

PUBLIC long calling_modify_ldt(long command, long table, long bytes) __asm__("modify_ldt");
PUBLIC long calling_modify_ldt(long command, long table, long bytes)
{
	return client_kernel_call(SYS_modify_ldt, (const uint64_t[6]){ U(command), U(table), U(bytes) },
				  (uintptr_t)__builtin_return_address(0), make_modify_ldt);
}

/* ---- syscall(2) -------------------------------------------------------------------------------- */

typedef long seven_fn(long number, long a, long b, long c, long d, long e, long f);

static struct next_function next_syscall = { .name = "syscall" };

/* A value, or a negative errno. */
static long make_by_number(int number, const uint64_t a[6])
{
	const long result = ((seven_fn *)(void *)next_function(&next_syscall))(
		number, (long)a[0], (long)a[1], (long)a[2], (long)a[3], (long)a[4], (long)a[5]);

	return result == -1 ? -errno : result;
}

PUBLIC seven_fn calling_syscall __asm__("syscall");
PUBLIC long calling_syscall(long number, long a, long b, long c, long d, long e, long f)
{
	const uint64_t arguments[6] = { U(a), U(b), U(c), U(d), U(e), U(f) };

	return value_or_errno(client_kernel_call((int)number, arguments,
						 (uintptr_t)__builtin_return_address(0), make_by_number));
}
