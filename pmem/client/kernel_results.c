/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Functions of libc by which the kernel stores results of a known size to memory of the program. What would
 * go to a pool goes to memory of ours first, and is then stored to the pool and recorded. These functions are
 * in the library that `softpmem record` preloads only.
 *
 * Headers that declare them otherwise are not included, so the names in C differ from those in the library.
 */

#include <errno.h>
#include <string.h>

#include "client/kernel_calls.h"
#include "client/modules.h"
#include "client/next_function.h"

static long call_by_bounce(next_function_fn *next, struct record_system_call *call,
			   const struct kernel_output *outputs, unsigned count)
{
	const uint64_t *a = call->replaced;
	long result;
	int error;

	call->site = client_modules_caller(call->address);
	if (kernel_call_bounce(call, outputs, count) == RECORD_CALL_DONE) {
		errno = (int)-call->result;
		return -1;
	}
	result = next((long)a[0], (long)a[1], (long)a[2], (long)a[3], (long)a[4], (long)a[5]);
	error = errno;
	/* Of a function that returns an int, half of the register has any value. */
	kernel_call_store(call, outputs[0].size == 1 ? result : (int)result);
	errno = error;
	return result;
}

static long call(struct next_function *function, const struct kernel_output *outputs, unsigned count,
		 const uint64_t a[6], const void *caller)
{
	struct record_system_call call = { .number = KERNEL_CALL_NONE, .address = (uintptr_t)caller };
	next_function_fn *next = next_function(function);
	bool concerned = false;

	if (!next) {
		errno = ENOSYS;
		return -1;
	}
	for (unsigned i = 0; i < count; i++)
		concerned |= record_concerns(a[outputs[i].argument], 1);
	if (likely(!concerned))
		return next((long)a[0], (long)a[1], (long)a[2], (long)a[3], (long)a[4], (long)a[5]);
	for (unsigned i = 0; i < 6; i++)
		call.arguments[i] = call.replaced[i] = a[i];
	return call_by_bounce(next, &call, outputs, count);
}

#define U(value) ((uint64_t)(value))
#define RECORD(function, ...)                                                                           \
	PUBLIC next_function_fn recorded_##function __asm__(#function);                                 \
	PUBLIC long recorded_##function(long a, long b, long c, long d, long e, long f)                 \
	{                                                                                               \
		static struct next_function next = { .name = #function };                               \
		static const struct kernel_output outputs[] = { __VA_ARGS__ };                          \
                                                                                                        \
		return call(&next, outputs, sizeof(outputs) / sizeof(outputs[0]),                       \
			    (const uint64_t[6]){ U(a), U(b), U(c), U(d), U(e), U(f) },                  \
			    __builtin_return_address(0));                                               \
	}
#define FIXED KERNEL_FIXED
#define COUNTED KERNEL_COUNTED

/* Files. */
RECORD(readlink, COUNTED(1, 2, 1))
RECORD(__readlink_chk, COUNTED(1, 2, 1))
RECORD(readlinkat, COUNTED(2, 3, 1))
RECORD(__readlinkat_chk, COUNTED(2, 3, 1))
RECORD(stat, FIXED(1, KERNEL_STAT_BYTES))
RECORD(lstat, FIXED(1, KERNEL_STAT_BYTES))
RECORD(fstat, FIXED(1, KERNEL_STAT_BYTES))
RECORD(fstatat, FIXED(2, KERNEL_STAT_BYTES))
RECORD(stat64, FIXED(1, KERNEL_STAT_BYTES))
RECORD(lstat64, FIXED(1, KERNEL_STAT_BYTES))
RECORD(fstat64, FIXED(1, KERNEL_STAT_BYTES))
RECORD(fstatat64, FIXED(2, KERNEL_STAT_BYTES))
RECORD(__xstat, FIXED(2, KERNEL_STAT_BYTES))
RECORD(__lxstat, FIXED(2, KERNEL_STAT_BYTES))
RECORD(__fxstat, FIXED(2, KERNEL_STAT_BYTES))
RECORD(__fxstatat, FIXED(3, KERNEL_STAT_BYTES))
RECORD(__xstat64, FIXED(2, KERNEL_STAT_BYTES))
RECORD(__lxstat64, FIXED(2, KERNEL_STAT_BYTES))
RECORD(__fxstat64, FIXED(2, KERNEL_STAT_BYTES))
RECORD(__fxstatat64, FIXED(3, KERNEL_STAT_BYTES))
RECORD(statx, FIXED(4, KERNEL_STATX_BYTES))
RECORD(statfs, FIXED(1, KERNEL_STATFS_BYTES))
RECORD(fstatfs, FIXED(1, KERNEL_STATFS_BYTES))
RECORD(statfs64, FIXED(1, KERNEL_STATFS_BYTES))
RECORD(fstatfs64, FIXED(1, KERNEL_STATFS_BYTES))
RECORD(getdents64, COUNTED(1, 2, 1))
RECORD(getxattr, COUNTED(2, 3, 1))
RECORD(lgetxattr, COUNTED(2, 3, 1))
RECORD(fgetxattr, COUNTED(2, 3, 1))
RECORD(listxattr, COUNTED(1, 2, 1))
RECORD(llistxattr, COUNTED(1, 2, 1))
RECORD(flistxattr, COUNTED(1, 2, 1))
RECORD(sendfile, FIXED(2, 8))
RECORD(sendfile64, FIXED(2, 8))
RECORD(splice, FIXED(1, 8), FIXED(3, 8))
RECORD(copy_file_range, FIXED(1, 8), FIXED(3, 8))
/* Descriptors and sockets. */
RECORD(pipe, FIXED(0, 8))
RECORD(pipe2, FIXED(0, 8))
RECORD(socketpair, FIXED(3, 8))
RECORD(epoll_wait, COUNTED(1, 2, KERNEL_EPOLL_EVENT_BYTES))
RECORD(epoll_pwait, COUNTED(1, 2, KERNEL_EPOLL_EVENT_BYTES))
RECORD(epoll_pwait2, COUNTED(1, 2, KERNEL_EPOLL_EVENT_BYTES))
RECORD(eventfd_read, FIXED(1, 8))
/* Processes, signals and time. */
RECORD(wait, FIXED(0, 4))
RECORD(waitpid, FIXED(1, 4))
RECORD(wait3, FIXED(0, 4), FIXED(2, KERNEL_RUSAGE_BYTES))
RECORD(wait4, FIXED(1, 4), FIXED(3, KERNEL_RUSAGE_BYTES))
RECORD(waitid, FIXED(2, KERNEL_SIGINFO_BYTES))
RECORD(getrusage, FIXED(1, KERNEL_RUSAGE_BYTES))
RECORD(getrlimit, FIXED(1, 16))
RECORD(getrlimit64, FIXED(1, 16))
RECORD(prlimit, FIXED(3, 16))
RECORD(prlimit64, FIXED(3, 16))
RECORD(uname, FIXED(0, KERNEL_UTSNAME_BYTES))
RECORD(sysinfo, FIXED(0, KERNEL_SYSINFO_BYTES))
RECORD(times, FIXED(0, 32))
RECORD(getgroups, COUNTED(1, 0, 4))
RECORD(__getgroups_chk, COUNTED(1, 0, 4))
RECORD(getresuid, FIXED(0, 4), FIXED(1, 4), FIXED(2, 4))
RECORD(getresgid, FIXED(0, 4), FIXED(1, 4), FIXED(2, 4))
RECORD(sched_getparam, FIXED(1, 4))
RECORD(sigpending, FIXED(0, 8))
RECORD(sigwait, FIXED(1, 4))
RECORD(sigwaitinfo, FIXED(1, KERNEL_SIGINFO_BYTES))
RECORD(sigtimedwait, FIXED(1, KERNEL_SIGINFO_BYTES))
RECORD(sigaltstack, FIXED(1, 24))
RECORD(nanosleep, FIXED(1, KERNEL_TIMESPEC_BYTES))
RECORD(clock_nanosleep, FIXED(3, KERNEL_TIMESPEC_BYTES))
RECORD(getitimer, FIXED(1, KERNEL_ITIMER_BYTES))
RECORD(setitimer, FIXED(2, KERNEL_ITIMER_BYTES))
RECORD(timer_gettime, FIXED(1, KERNEL_ITIMER_BYTES))
RECORD(timer_settime, FIXED(3, KERNEL_ITIMER_BYTES))
RECORD(timerfd_gettime, FIXED(1, KERNEL_ITIMER_BYTES))
RECORD(timerfd_settime, FIXED(3, KERNEL_ITIMER_BYTES))
RECORD(clock_getres, FIXED(1, KERNEL_TIMESPEC_BYTES))
RECORD(sched_rr_get_interval, FIXED(1, KERNEL_TIMESPEC_BYTES))

/* ---- getcwd(3), which returns the buffer ----------------------------------------------------------- */

static long get_directory(struct next_function *function, long buffer, long size, long object,
			  const void *caller)
{
	static const struct kernel_output output = COUNTED(0, 1, 1);
	struct record_system_call call = { .number = KERNEL_CALL_NONE, .address = (uintptr_t)caller };
	next_function_fn *next = next_function(function);
	long got;
	int error;

	if (likely(!record_concerns(U(buffer), 1)))
		return next(buffer, size, object, 0, 0, 0);
	call.arguments[0] = call.replaced[0] = U(buffer);
	call.arguments[1] = call.replaced[1] = U(size);
	call.site = client_modules_caller(call.address);
	kernel_call_bounce(&call, &output, 1);
	got = next((long)call.replaced[0], size, object, 0, 0, 0);
	error = errno;
	kernel_call_store(&call, got ? (long)strlen((const char *)got) + 1 : 0);
	errno = error;
	return got ? buffer : 0;
}

#define GETCWD(function)                                                                             \
	PUBLIC long recorded_##function(long buffer, long size, long object) __asm__(#function);     \
	PUBLIC long recorded_##function(long buffer, long size, long object)                         \
	{                                                                                            \
		static struct next_function next = { .name = #function };                            \
                                                                                                     \
		return get_directory(&next, buffer, size, object, __builtin_return_address(0));      \
	}
GETCWD(getcwd)
GETCWD(__getcwd_chk)
