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
#include <sys/syscall.h>

#include "client/kernel_calls.h"
#include "client/modules.h"
#include "client/next_function.h"
#include "common/align.h"

/* Apart from call(), which most calls of a clock need no more of. */
static __attribute__((noinline)) long call_by_bounce(next_function_fn *next,
						     const struct kernel_output *outputs, unsigned count,
						     const uint64_t arguments[6], const void *caller)
{
	CLEANUP_CALL struct record_system_call call = { .number = KERNEL_CALL_NONE,
							.address = (uintptr_t)caller };
	const uint64_t *a = call.replaced;
	long result;
	int error;

	memcpy(call.arguments, arguments, sizeof(call.arguments));
	memcpy(call.replaced, arguments, sizeof(call.replaced));
	call.site = client_modules_caller(call.address);
	if (kernel_call_bounce(&call, outputs, count) == RECORD_CALL_DONE) {
		errno = (int)-call.result;
		return -1;
	}
	result = next((long)a[0], (long)a[1], (long)a[2], (long)a[3], (long)a[4], (long)a[5]);
	error = errno;
	/* Of a function that returns an int, half of the register has any value. */
	kernel_call_store(&call, outputs[0].size != 1 || (int)result == -1 ? (int)result : result);
	errno = error;
	return result;
}

static bool is_concerned(const struct kernel_output *output, const uint64_t a[6])
{
	uint64_t length = 1;

	if (output->kind == KERNEL_OUTPUT_NONE)
		return false;
	if (output->kind == KERNEL_OUTPUT_COUNTED)
		length = min_u64(a[output->length], KERNEL_TRANSFER_MAX) * output->size;
	return record_concerns(a[output->argument], length);
}

static long call(struct next_function *function, const struct kernel_output *outputs, unsigned count,
		 const uint64_t a[6], const void *caller)
{
	next_function_fn *next = next_function(function);
	bool concerned = false;

	if (!next) {
		errno = ENOSYS;
		return -1;
	}
	for (unsigned i = 0; i < count; i++)
		concerned |= is_concerned(&outputs[i], a);
	if (likely(!concerned))
		return next((long)a[0], (long)a[1], (long)a[2], (long)a[3], (long)a[4], (long)a[5]);
	return call_by_bounce(next, outputs, count, a, caller);
}

#define U(value) ((uint64_t)(value))
#define DEFINE(function, outputs, count)                                                                \
	PUBLIC next_function_fn recorded_##function __asm__(#function);                                 \
	PUBLIC long recorded_##function(long a, long b, long c, long d, long e, long f)                 \
	{                                                                                               \
		static struct next_function next = { .name = #function };                               \
                                                                                                        \
		return call(&next, outputs, count,                                                      \
			    (const uint64_t[6]){ U(a), U(b), U(c), U(d), U(e), U(f) },                  \
			    __builtin_return_address(0));                                               \
	}
/* Its arguments and results are those of the system call. */
#define RECORD_AS(function, number)                                                                     \
	DEFINE(function, kernel_call_by_number(number)->outputs, KERNEL_OUTPUTS_MAX)
#define RECORD(function, ...)                                                                           \
	static const struct kernel_output outputs_of_##function[] = { __VA_ARGS__ };                    \
	DEFINE(function, outputs_of_##function,                                                         \
	       sizeof(outputs_of_##function) / sizeof(outputs_of_##function[0]))
#define FIXED KERNEL_FIXED
#define ARRAY KERNEL_ARRAY
#define BITS KERNEL_BITS
#define COUNTED KERNEL_COUNTED
#define RECEIVED KERNEL_RECEIVED

/* Files. */
RECORD_AS(read, SYS_read)
RECORD_AS(__read, SYS_read)
RECORD_AS(__read_chk, SYS_read)
RECORD_AS(pread, SYS_pread64)
RECORD_AS(pread64, SYS_pread64)
RECORD_AS(__pread64, SYS_pread64)
RECORD_AS(__pread_chk, SYS_pread64)
RECORD_AS(__pread64_chk, SYS_pread64)
RECORD_AS(getrandom, SYS_getrandom)
RECORD_AS(readlink, SYS_readlink)
RECORD_AS(__readlink_chk, SYS_readlink)
RECORD_AS(readlinkat, SYS_readlinkat)
RECORD_AS(__readlinkat_chk, SYS_readlinkat)
RECORD_AS(stat, SYS_stat)
RECORD_AS(lstat, SYS_lstat)
RECORD_AS(fstat, SYS_fstat)
RECORD_AS(fstatat, SYS_newfstatat)
RECORD_AS(stat64, SYS_stat)
RECORD_AS(lstat64, SYS_lstat)
RECORD_AS(fstat64, SYS_fstat)
RECORD_AS(fstatat64, SYS_newfstatat)
RECORD(__xstat, FIXED(2, KERNEL_STAT_BYTES))
RECORD(__lxstat, FIXED(2, KERNEL_STAT_BYTES))
RECORD(__fxstat, FIXED(2, KERNEL_STAT_BYTES))
RECORD(__fxstatat, FIXED(3, KERNEL_STAT_BYTES))
RECORD(__xstat64, FIXED(2, KERNEL_STAT_BYTES))
RECORD(__lxstat64, FIXED(2, KERNEL_STAT_BYTES))
RECORD(__fxstat64, FIXED(2, KERNEL_STAT_BYTES))
RECORD(__fxstatat64, FIXED(3, KERNEL_STAT_BYTES))
RECORD_AS(statx, SYS_statx)
RECORD_AS(statfs, SYS_statfs)
RECORD_AS(__statfs, SYS_statfs)
RECORD_AS(fstatfs, SYS_fstatfs)
RECORD_AS(statfs64, SYS_statfs)
RECORD_AS(fstatfs64, SYS_fstatfs)
RECORD_AS(getdents64, SYS_getdents64)
RECORD_AS(getxattr, SYS_getxattr)
RECORD_AS(lgetxattr, SYS_lgetxattr)
RECORD_AS(fgetxattr, SYS_fgetxattr)
RECORD_AS(listxattr, SYS_listxattr)
RECORD_AS(llistxattr, SYS_llistxattr)
RECORD_AS(flistxattr, SYS_flistxattr)
RECORD_AS(sendfile, SYS_sendfile)
RECORD_AS(sendfile64, SYS_sendfile)
RECORD_AS(splice, SYS_splice)
RECORD_AS(copy_file_range, SYS_copy_file_range)
RECORD_AS(mincore, SYS_mincore)
RECORD(ttyname_r, ARRAY(1, 2, 1))
RECORD(__ttyname_r_chk, ARRAY(1, 2, 1))
RECORD(getdirentries, ARRAY(1, 2, 1), FIXED(3, 8))
RECORD(getdirentries64, ARRAY(1, 2, 1), FIXED(3, 8))
/* Descriptors and sockets. */
RECORD_AS(pipe, SYS_pipe)
RECORD_AS(__pipe, SYS_pipe)
RECORD_AS(pipe2, SYS_pipe2)
RECORD_AS(socketpair, SYS_socketpair)
RECORD_AS(epoll_wait, SYS_epoll_wait)
RECORD_AS(epoll_pwait, SYS_epoll_pwait)
RECORD_AS(epoll_pwait2, SYS_epoll_pwait2)
RECORD(eventfd_read, FIXED(1, 8))
RECORD_AS(poll, SYS_poll)
RECORD_AS(__poll, SYS_poll)
RECORD_AS(__poll_chk, SYS_poll)
RECORD_AS(ppoll, SYS_poll)
RECORD_AS(__ppoll_chk, SYS_poll)
RECORD_AS(select, SYS_select)
RECORD_AS(__select, SYS_select)
RECORD(pselect, BITS(1, 0), BITS(2, 0), BITS(3, 0))
RECORD_AS(accept, SYS_accept)
RECORD_AS(accept4, SYS_accept4)
RECORD_AS(getsockname, SYS_getsockname)
RECORD_AS(getpeername, SYS_getpeername)
RECORD_AS(getsockopt, SYS_getsockopt)
RECORD_AS(recvfrom, SYS_recvfrom)
RECORD(recv, RECEIVED(1, 2, 3))
RECORD(__recv_chk, RECEIVED(1, 2, 4))
RECORD(sendmmsg, ARRAY(1, 2, KERNEL_MMSGHDR_BYTES))
RECORD_AS(mq_receive, SYS_mq_timedreceive)
RECORD_AS(mq_timedreceive, SYS_mq_timedreceive)
RECORD_AS(mq_setattr, SYS_mq_getsetattr)
RECORD(mq_getattr, FIXED(1, KERNEL_MQ_ATTR_BYTES))
/* Processes, signals and time. */
RECORD(wait, FIXED(0, 4))
RECORD(__wait, FIXED(0, 4))
RECORD(waitpid, FIXED(1, 4))
RECORD(__waitpid, FIXED(1, 4))
RECORD(wait3, FIXED(0, 4), FIXED(2, KERNEL_RUSAGE_BYTES))
RECORD_AS(wait4, SYS_wait4)
RECORD(waitid, FIXED(2, KERNEL_SIGINFO_BYTES))
RECORD_AS(getrusage, SYS_getrusage)
RECORD_AS(getrlimit, SYS_getrlimit)
RECORD_AS(getrlimit64, SYS_getrlimit)
RECORD_AS(prlimit, SYS_prlimit64)
RECORD_AS(prlimit64, SYS_prlimit64)
RECORD_AS(uname, SYS_uname)
RECORD_AS(sysinfo, SYS_sysinfo)
RECORD_AS(times, SYS_times)
RECORD_AS(getgroups, SYS_getgroups)
RECORD_AS(__getgroups_chk, SYS_getgroups)
RECORD_AS(getresuid, SYS_getresuid)
RECORD_AS(getresgid, SYS_getresgid)
RECORD_AS(sched_getparam, SYS_sched_getparam)
RECORD_AS(__sched_getparam, SYS_sched_getparam)
RECORD(sched_getaffinity, ARRAY(2, 1, 1))
RECORD(pthread_getaffinity_np, ARRAY(2, 1, 1))
RECORD(pthread_getname_np, ARRAY(1, 2, 1))
RECORD_AS(capget, SYS_capget)
RECORD_AS(capset, SYS_capset)
RECORD_AS(klogctl, SYS_syslog)
RECORD_AS(sigpending, SYS_rt_sigpending)
RECORD(sigwait, FIXED(1, 4))
RECORD(sigwaitinfo, FIXED(1, KERNEL_SIGINFO_BYTES))
RECORD(sigtimedwait, FIXED(1, KERNEL_SIGINFO_BYTES))
RECORD_AS(nanosleep, SYS_nanosleep)
RECORD_AS(__nanosleep, SYS_nanosleep)
RECORD_AS(clock_nanosleep, SYS_clock_nanosleep)
RECORD_AS(getitimer, SYS_getitimer)
RECORD_AS(setitimer, SYS_setitimer)
RECORD_AS(timer_gettime, SYS_timer_gettime)
RECORD_AS(timer_settime, SYS_timer_settime)
RECORD_AS(timerfd_gettime, SYS_timerfd_gettime)
RECORD_AS(timerfd_settime, SYS_timerfd_settime)
RECORD(thrd_sleep, FIXED(1, KERNEL_TIMESPEC_BYTES))
/*
 * The vDSO fills these in by itself where it can, and lets the kernel do it where it cannot: for the clocks
 * of processes and threads always, and for all clocks on a machine whose clock it cannot read. Its
 * instructions cannot be patched.
 */
RECORD_AS(clock_gettime, SYS_clock_gettime)
RECORD_AS(clock_getres, SYS_clock_getres)
RECORD(timespec_get, FIXED(0, KERNEL_TIMESPEC_BYTES))
RECORD(timespec_getres, FIXED(0, KERNEL_TIMESPEC_BYTES))
RECORD_AS(gettimeofday, SYS_gettimeofday)
RECORD_AS(__gettimeofday, SYS_gettimeofday)
RECORD_AS(time, SYS_time)
RECORD_AS(getcpu, SYS_getcpu)
RECORD_AS(clock_adjtime, SYS_clock_adjtime)
RECORD_AS(adjtimex, SYS_adjtimex)
RECORD_AS(__adjtimex, SYS_adjtimex)
RECORD_AS(ntp_adjtime, SYS_adjtimex)
RECORD_AS(sched_rr_get_interval, SYS_sched_rr_get_interval)

/* ---- getcwd(3), which returns the buffer ----------------------------------------------------------- */

static long get_directory(struct next_function *function, long buffer, long size, long object,
			  const void *caller)
{
	static const struct kernel_output output = COUNTED(0, 1, 1);
	CLEANUP_CALL struct record_system_call call = { .number = KERNEL_CALL_NONE,
							.address = (uintptr_t)caller };
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
