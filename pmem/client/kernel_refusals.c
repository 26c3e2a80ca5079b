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

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>

#include "client/compiler.h"
#include "client/errormsg.h"
#include "client/output_marks.h"
#include "client/record/record.h"

typedef long six_fn(long a, long b, long c, long d, long e, long f);

struct refusal {
	const char *name;
	six_fn *_Atomic next;
};

static six_fn *next_of(struct refusal *refusal)
{
	six_fn *next = atomic_load_explicit(&refusal->next, memory_order_acquire);

	if (unlikely(!next)) {
		next = (six_fn *)dlsym(RTLD_NEXT, refusal->name);
		atomic_store_explicit(&refusal->next, next, memory_order_release);
	}
	return next;
}

static void refuse(const char *name)
{
	client_complain("the kernel cannot store to a pool while it is recorded: ", name);
	record_stop("a system call stores to a pool");
}

/* `results`: bit i is set if argument i is the address of a result. */
static long call(struct refusal *refusal, unsigned results, const long arguments[6])
{
	six_fn *next = next_of(refusal);

	for (unsigned i = 0; i < 6; i++)
		if ((results >> i & 1) && unlikely(record_concerns((uintptr_t)arguments[i], 1)))
			refuse(refusal->name);
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
		static struct refusal refusal = { .name = #function };                               \
                                                                                                     \
		return call(&refusal, results, (const long[6]){ a, b, c, d, e, f });                  \
	}

/* Files. */
REFUSE(getcwd, A(0))
REFUSE(readlink, A(1))
REFUSE(readlinkat, A(2))
REFUSE(stat, A(1))
REFUSE(lstat, A(1))
REFUSE(fstat, A(1))
REFUSE(fstatat, A(2))
REFUSE(stat64, A(1))
REFUSE(lstat64, A(1))
REFUSE(fstat64, A(1))
REFUSE(fstatat64, A(2))
REFUSE(__xstat, A(2))
REFUSE(__lxstat, A(2))
REFUSE(__fxstat, A(2))
REFUSE(__fxstatat, A(3))
REFUSE(statx, A(4))
REFUSE(statfs, A(1))
REFUSE(fstatfs, A(1))
REFUSE(statfs64, A(1))
REFUSE(fstatfs64, A(1))
REFUSE(getdents64, A(1))
REFUSE(getxattr, A(2))
REFUSE(lgetxattr, A(2))
REFUSE(fgetxattr, A(2))
REFUSE(listxattr, A(1))
REFUSE(llistxattr, A(1))
REFUSE(flistxattr, A(1))
REFUSE(ioctl, A(2))
REFUSE(fcntl, A(2))
REFUSE(fcntl64, A(2))
REFUSE(sendfile, A(2))
REFUSE(sendfile64, A(2))
REFUSE(splice, A(1) | A(3))
REFUSE(copy_file_range, A(1) | A(3))
/* Descriptors and sockets. */
REFUSE(pipe, A(0))
REFUSE(pipe2, A(0))
REFUSE(socketpair, A(3))
REFUSE(accept, A(1) | A(2))
REFUSE(accept4, A(1) | A(2))
REFUSE(getsockname, A(1) | A(2))
REFUSE(getpeername, A(1) | A(2))
REFUSE(getsockopt, A(3) | A(4))
REFUSE(recvmmsg, A(1))
REFUSE(poll, A(0))
REFUSE(ppoll, A(0))
REFUSE(__poll_chk, A(0))
REFUSE(select, A(1) | A(2) | A(3) | A(4))
REFUSE(pselect, A(1) | A(2) | A(3))
REFUSE(epoll_wait, A(1))
REFUSE(epoll_pwait, A(1))
REFUSE(eventfd_read, A(1))
REFUSE(msgrcv, A(1))
REFUSE(mq_receive, A(1) | A(3))
REFUSE(mq_timedreceive, A(1) | A(3))
/* Processes, signals and time. */
REFUSE(wait, A(0))
REFUSE(waitpid, A(1))
REFUSE(wait3, A(0) | A(2))
REFUSE(wait4, A(1) | A(3))
REFUSE(waitid, A(2))
REFUSE(getrusage, A(1))
REFUSE(getrlimit, A(1))
REFUSE(getrlimit64, A(1))
REFUSE(prlimit, A(3))
REFUSE(prlimit64, A(3))
REFUSE(uname, A(0))
REFUSE(sysinfo, A(0))
REFUSE(times, A(0))
REFUSE(getgroups, A(1))
REFUSE(getresuid, A(0) | A(1) | A(2))
REFUSE(getresgid, A(0) | A(1) | A(2))
REFUSE(sched_getaffinity, A(2))
REFUSE(sched_getparam, A(1))
REFUSE(prctl, A(1))
REFUSE(process_vm_readv, A(1))
REFUSE(sigpending, A(0))
REFUSE(sigwait, A(1))
REFUSE(sigwaitinfo, A(1))
REFUSE(sigtimedwait, A(1))
REFUSE(sigaltstack, A(1))
REFUSE(nanosleep, A(1))
REFUSE(clock_nanosleep, A(3))
REFUSE(getitimer, A(1))
REFUSE(setitimer, A(2))
REFUSE(timer_gettime, A(1))
REFUSE(timer_settime, A(3))
REFUSE(timerfd_gettime, A(1))
REFUSE(timerfd_settime, A(3))

/* ---- Asynchronous reads ------------------------------------------------------------------- */

/* The address of the buffer is the third word of struct aiocb. */
#define REFUSE_AIO(function)                                                               \
	PUBLIC long refusing_##function(void *const block[]) __asm__(#function);           \
	PUBLIC long refusing_##function(void *const block[])                               \
	{                                                                                  \
		static struct refusal refusal = { .name = #function };                     \
                                                                                           \
		return call(&refusal, A(0) | A(1), (const long[6]){ (long)block, (long)block[2] }); \
	}
REFUSE_AIO(aio_read)
REFUSE_AIO(aio_read64)

/* Where the kernel stores later, nobody sees it. Programs go on without these. */
static long refuse_rings(const char *name)
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
		return refuse_rings(#function);                        \
	}
REFUSE_RINGS(io_uring_queue_init)
REFUSE_RINGS(io_uring_queue_init_params)
REFUSE_RINGS(io_uring_queue_init_mem)
REFUSE_RINGS(io_uring_setup)
REFUSE_RINGS(io_setup)
REFUSE_RINGS(io_queue_init)
REFUSE_RINGS(lio_listio)
REFUSE_RINGS(lio_listio64)

/* ---- syscall(2) ------------------------------------------------------------------------------ */

#define FUTEX_COMMAND 127 /* without FUTEX_PRIVATE_FLAG and FUTEX_CLOCK_REALTIME */

/* Calls that store to no memory, whatever they are given; a futex's waits and wakes among them. */
static bool stores_nothing(long number, long futex)
{
	static const long plain[] = { SYS_write,  SYS_pwrite64, SYS_writev, SYS_pwritev,
				      SYS_sendto, SYS_sendmsg,	SYS_msync,  SYS_madvise,
				      SYS_mlock,  SYS_munlock,	SYS_open,   SYS_openat };

	if (number == SYS_futex)
		return (futex & FUTEX_COMMAND) <= 4 || (futex & FUTEX_COMMAND) == 9 ||
		       (futex & FUTEX_COMMAND) == 10;
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		if (number == plain[i])
			return true;
	return false;
}

typedef long seven_fn(long number, long a, long b, long c, long d, long e, long f);

PUBLIC long refusing_syscall(long number, long a, long b, long c, long d, long e, long f) __asm__("syscall");
PUBLIC long refusing_syscall(long number, long a, long b, long c, long d, long e, long f)
{
	static struct refusal refusal = { .name = "syscall" };
	const long arguments[6] = { a, b, c, d, e, f };
	long result;

	if (number == SYS_io_uring_setup || number == SYS_io_setup) {
		errno = (int)-refuse_rings(number == SYS_io_setup ? "io_setup" : "io_uring_setup");
		return -1;
	}
	for (unsigned i = 0; i < 6 && !stores_nothing(number, b); i++)
		if (unlikely(record_concerns((uintptr_t)arguments[i], 1)))
			refuse(refusal.name);
	result = ((seven_fn *)(void *)next_of(&refusal))(number, a, b, c, d, e, f);
	client_mark_output(number, a, b, c, result);
	return result;
}

/* ---- Mutexes that the kernel changes --------------------------------------------------------------- */

/*
 * The kernel owns those that inherit priority. When a thread ends, it marks robust ones that the thread
 * holds.
 */
PUBLIC int pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes)
{
	static int (*_Atomic next)(pthread_mutex_t *, const pthread_mutexattr_t *);
	static atomic_bool told;
	int robust = 0, protocol = 0;

	if (!atomic_load(&next))
		atomic_store(&next, (int (*)(pthread_mutex_t *, const pthread_mutexattr_t *))dlsym(
					    RTLD_NEXT, "pthread_mutex_init"));
	if (attributes && record_concerns((uintptr_t)mutex, 1)) {
		pthread_mutexattr_getrobust(attributes, &robust);
		pthread_mutexattr_getprotocol(attributes, &protocol);
		if (protocol == PTHREAD_PRIO_INHERIT)
			refuse("pthread_mutex_init() of a mutex that inherits priority");
		if (robust != PTHREAD_MUTEX_STALLED && !atomic_exchange(&told, true))
			client_complain("a robust mutex in a pool stays locked if its owner dies ",
					"while it is recorded");
	}
	return atomic_load(&next)(mutex, attributes);
}
