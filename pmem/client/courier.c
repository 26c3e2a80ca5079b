/* SPDX-License-Identifier: BSD-3-Clause */

#include "client/courier.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>

#include "abi/rawcall.h"
#include "client/address_space.h"
#include "client/signals.h"
#include "client/valgrind.h"
#include "common/align.h"

/* In the program's own table, where small numbers are the program's, and are closed in loops. */
#define HIGH_DESCRIPTOR 500

/*
 * The memory of the thread, from its lowest address: a guard page, the stack, and the block that the thread
 * pointer points into. Compiled code reads the stack protector's canary from that block, and libc's layout
 * puts thread-local variables below the pointer.
 */
#define GUARD_BYTES ((size_t)PAGE_BYTES)
#define STACK_BYTES ((size_t)64 << 10)
#define BELOW_POINTER_BYTES ((size_t)16 << 10)
#define ABOVE_POINTER_BYTES ((size_t)PAGE_BYTES)
#define THREAD_BYTES (GUARD_BYTES + STACK_BYTES + BELOW_POINTER_BYTES + ABOVE_POINTER_BYTES)
/* How often the thread looks whether it is alone. */
#define LOOK_ROUND_MS 50u
#define CANARY_WORD 5 /* %fs:0x28, the x86-64 ABI of gcc and clang */

enum state { STOPPED, STARTING, READY, UNAVAILABLE };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* Guarded by the lock; the thread itself changes STARTING to READY or UNAVAILABLE. */
static _Atomic uint32_t state = STOPPED;
static int process_fd = -1; /* a pidfd of this process, in the thread's table */
static long owner;	    /* the process that has the thread */
/* One call at a time. `posted` is 1 from when it is complete until the thread has stored the result. */
static _Atomic uint32_t posted;
static struct {
	long (*function)(void *argument);
	void *argument;
	long caller; /* its thread id */
	long result;
} call;

static void futex_wait(_Atomic uint32_t *word, uint32_t value)
{
	RAW4(futex, word, FUTEX_WAIT_PRIVATE, value, NULL);
}

/* True: not for longer than this. */
static bool futex_wait_for(_Atomic uint32_t *word, uint32_t value, unsigned milliseconds)
{
	const struct timespec most = { .tv_nsec = (long)milliseconds * 1000000 };

	return RAW4(futex, word, FUTEX_WAIT_PRIVATE, value, &most) == -ETIMEDOUT;
}

static void futex_wake(_Atomic uint32_t *word)
{
	RAW3(futex, word, FUTEX_WAKE_PRIVATE, 1);
}

/* ---- The thread -------------------------------------------------------------------- */

/* Capabilities are a thread's own. Without this the thread would keep them when the program drops them. */
static void drop_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { { 0 } };

	RAW5(prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	RAW2(capset, &header, none);
}

/* -EBADF from pidfd_getfd(2): it is permitted, and this descriptor does not exist. */
static bool prepare_thread(void)
{
	if (RAW3(close_range, 0, ~0u, CLOSE_RANGE_UNSHARE) != 0)
		return false;
	process_fd = (int)RAW2(pidfd_open, RAW1(getpid, 0), 0);
	if (process_fd < 0 || RAW3(pidfd_getfd, process_fd, INT32_MAX, 0) != -EBADF)
		return false;
	drop_capabilities();
	return true;
}

/* What is behind so many spaces of the line of the first thread's state; NULL: there is none. */
static const char *field_of_first(char text[1024], unsigned spaces)
{
	const long fd = RAW3(open, "/proc/self/stat", O_RDONLY | O_CLOEXEC, 0);
	const long length = fd < 0 ? -1 : RAW3(read, fd, text, 1023);
	const char *found = NULL;

	if (fd >= 0)
		RAW1(close, fd);
	if (length <= 0)
		return NULL;
	text[length] = '\0';
	/* The program's name is in parentheses, and may contain some. */
	for (const char *at = text; *at; at++)
		if (*at == ')')
			found = at;
	while (found && *found && spaces)
		spaces -= *found++ == ' ';
	return found && *found ? found : NULL;
}

/* The first thread, once it has ended, is there as long as there are others. */
static bool first_has_ended(void)
{
	char text[1024];
	const char *thread_state = field_of_first(text, 1);

	return thread_state && *thread_state == 'Z';
}

static unsigned first_status(void)
{
	char text[1024];
	const char *at = field_of_first(text, 50);
	unsigned status = 0;

	for (; at && *at >= '0' && *at <= '9'; at++)
		status = status * 10 + (unsigned)(*at - '0');
	return status >> 8 & 0xff;
}

/*
 * Has the process no other thread? libc ends the process with its last thread, but exit(2) by itself does not
 * as long as there is this one.
 */
static bool is_last(void)
{
	struct stat status;

	/* A directory a thread, and two more links. */
	if (RAW4(newfstatat, AT_FDCWD, "/proc/self/task", &status, 0) != 0)
		return false;
	return status.st_nlink == 3 || (status.st_nlink == 4 && first_has_ended());
}

static void wait_for_call(void)
{
	while (!atomic_load_explicit(&posted, memory_order_acquire))
		if (futex_wait_for(&posted, 0, LOOK_ROUND_MS) && is_last()) {
			/* A process in this memory may go on, and start another one. */
			atomic_store(&state, STOPPED);
			/* The kernel would take the status of the last thread. */
			RAW1(exit, first_status());
		}
}

static void __attribute__((noreturn)) run_thread(void)
{
	const bool usable = prepare_thread();

	atomic_store(&state, usable ? READY : UNAVAILABLE);
	futex_wake(&state);
	while (usable) {
		wait_for_call();
		call.result = call.function(call.argument);
		atomic_store_explicit(&posted, 0, memory_order_release);
		futex_wake(&posted);
	}
	for (;;)
		RAW1(exit, 0);
}

/* clone(2) onto another stack, where the child calls run(). Returns in the parent only. */
static long clone_thread(void *stack_end, void *pointer, void (*run)(void))
{
	const unsigned long flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
				    CLONE_SYSVSEM | CLONE_SETTLS;
	register void *tls __asm__("r8") = pointer;
	register unsigned long child_tid __asm__("r10") = 0;
	register void (*child)(void) __asm__("r12") = run;
	long result;

	__asm__ volatile("syscall\n\t"
			 "testq %%rax, %%rax\n\t"
			 "jnz 1f\n\t"
			 "xorl %%ebp, %%ebp\n\t"
			 "call *%%r12\n\t"
			 "ud2\n"
			 "1:"
			 : "=a"(result)
			 : "a"(SYS_clone), "D"(flags), "S"(stack_end), "d"(0), "r"(child_tid), "r"(tls),
			   "r"(child)
			 : "rcx", "r11", "memory");
	return result;
}

static uintptr_t canary(void)
{
	uintptr_t word;

	__asm__("movq %%fs:0x28, %0" : "=r"(word));
	return word;
}

static void start(void)
{
	long memory = RAW6(mmap, NULL, THREAD_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			   0);
	uintptr_t *pointer;

	if (raw_failed(memory)) {
		state = UNAVAILABLE;
		return;
	}
	RAW3(mprotect, memory, GUARD_BYTES, PROT_NONE);
	/* A forked child has no such thread. */
	RAW3(madvise, memory, THREAD_BYTES, MADV_DONTFORK);
	pointer = (uintptr_t *)(memory + (long)(THREAD_BYTES - ABOVE_POINTER_BYTES));
	pointer[0] = (uintptr_t)pointer;
	pointer[CANARY_WORD] = canary();
	owner = address_space_owner();
	state = STARTING;
	if (clone_thread((void *)(memory + (long)(GUARD_BYTES + STACK_BYTES)), pointer, run_thread) < 0) {
		RAW2(munmap, memory, THREAD_BYTES);
		state = UNAVAILABLE;
		return;
	}
	while (atomic_load(&state) == STARTING)
		futex_wait(&state, STARTING);
}

/* Sanitizers keep state for each thread that they know. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#elif defined(__has_feature)
#define SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define SANITIZED false
#endif

/* The lock is held. */
static bool is_ready(void)
{
	/* A child of the bare system call, for which courier_fork_child() was not called. */
	if (atomic_load(&state) == READY && address_space_owner() != owner) {
		state = STOPPED;
		posted = 0;
	}
	if (atomic_load(&state) == STOPPED) {
		if (SANITIZED || valgrind_is_running())
			state = UNAVAILABLE;
		else
			start();
	}
	return atomic_load(&state) == READY;
}

/* ---- Calls ------------------------------------------------------------------------- */

/* Until the thread has run what was posted. */
static void wait_for_thread(void)
{
	while (atomic_load_explicit(&posted, memory_order_acquire))
		futex_wait(&posted, 1);
}

static void post(long (*function)(void *argument), void *argument)
{
	call.function = function;
	call.argument = argument;
	call.caller = RAW1(gettid, 0);
	atomic_store_explicit(&posted, 1, memory_order_release);
	futex_wake(&posted);
}

static long call_thread(long (*function)(void *argument), void *argument)
{
	wait_for_thread();
	post(function, argument);
	wait_for_thread();
	return call.result;
}

long courier_call(long (*function)(void *argument), void *argument)
{
	uint64_t signals = signals_lock(&lock);
	const bool ready = is_ready();
	long result = ready ? call_thread(function, argument) : 0;

	signals_unlock(&lock, signals);
	return ready ? result : function(argument);
}

void courier_post(long (*function)(void *argument), void *argument)
{
	uint64_t signals = signals_lock(&lock);
	const bool ready = is_ready();

	if (ready) {
		wait_for_thread();
		post(function, argument);
	}
	signals_unlock(&lock, signals);
	if (!ready)
		function(argument);
}

bool courier_hides(void)
{
	uint64_t signals = signals_lock(&lock);
	const bool ready = is_ready();

	signals_unlock(&lock, signals);
	return ready;
}

unsigned courier_threads(void)
{
	return atomic_load(&state) == READY && address_space_owner() == owner;
}

int courier_borrow(int fd)
{
	long copy, thread_fd;

	if (atomic_load(&state) != READY)
		return fd;
	copy = RAW3(pidfd_getfd, process_fd, fd, 0);
	if (copy >= 0)
		return (int)copy;
	/* The first thread has ended, and with it its table: use the caller's. O_EXCL: a thread's pidfd. */
	thread_fd = RAW2(pidfd_open, call.caller, O_EXCL);
	if (thread_fd < 0)
		return (int)copy;
	copy = RAW3(pidfd_getfd, thread_fd, fd, 0);
	RAW1(close, thread_fd);
	return (int)copy;
}

void courier_return(int copy)
{
	if (atomic_load(&state) == READY && copy >= 0)
		RAW1(close, copy);
}

static long borrow(void *argument)
{
	return courier_borrow(*(int *)argument);
}

int courier_adopt(int fd)
{
	long own = courier_hides() ? courier_call(borrow, &fd) :
				     RAW3(fcntl, fd, F_DUPFD_CLOEXEC, HIGH_DESCRIPTOR);

	RAW1(close, fd);
	return (int)own;
}

struct mmap_call {
	void *address;
	size_t length;
	int prot, flags, fd;
	off_t offset;
};

static long call_mmap(void *argument)
{
	const struct mmap_call *map = argument;

	return RAW6(mmap, map->address, map->length, map->prot, map->flags, map->fd, map->offset);
}

long courier_mmap(void *address, size_t length, int prot, int flags, int fd, off_t offset)
{
	struct mmap_call map = { address, length, prot, flags, fd, offset };

	return courier_call(call_mmap, &map);
}

static long call_close(void *argument)
{
	return RAW1(close, *(int *)argument);
}

void courier_close(int fd)
{
	courier_call(call_close, &fd);
}

/* ---- fork ------------------------------------------------------------------------------ */

static uint64_t fork_signals;

void courier_fork_prepare(void)
{
	uint64_t signals = signals_lock(&lock);

	/* The child has no thread that would run it. */
	if (courier_threads())
		wait_for_thread();
	fork_signals = signals;
}

void courier_fork_parent(void)
{
	signals_unlock(&lock, fork_signals);
}

void courier_fork_child(void)
{
	uint64_t signals = fork_signals;

	if (atomic_load(&state) == READY)
		state = STOPPED;
	pthread_mutex_init(&lock, NULL);
	signals_restore(signals);
}
