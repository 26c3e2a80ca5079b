/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Mutexes that the kernel changes, in pools of a recorded program. When a thread ends, the kernel marks
 * the robust mutexes that it holds (FUTEX_OWNER_DIED) and wakes a waiter, but it cannot store to a pool. A
 * killed thread runs no code that could do it, so the waiters do: a thread that waits for a robust mutex
 * looks from time to time whether the owner is alive, and marks the mutex if it is not. A mutex that
 * inherits priority is changed by the kernel whenever threads compete for it, and is refused. This file is
 * in the library that `softpmem record` preloads only.
 */

#include <dlfcn.h>
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

#include "abi/rawcall.h"
#include "client/address_space.h"
#include "client/compiler.h"
#include "client/kernel_refusals.h"
#include "client/record/record.h"

/* Bits of a mutex's kind, in memory that programs share; libc's headers have no names for them. */
#define KIND_ROBUST 16
#define KIND_INHERITS 32

/* How long a waiter waits until it looks whether the owner is alive. */
#define LOOK_AGAIN_NSEC 20000000
#define SECOND_NSEC 1000000000

#define INHERITS " of a mutex that inherits priority"
#define ANOTHER_PROTOCOL "give the mutex the protocol PTHREAD_PRIO_NONE"

typedef int mutex_fn(pthread_mutex_t *mutex);
typedef int init_fn(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes);
typedef int timed_fn(pthread_mutex_t *mutex, const struct timespec *deadline);
typedef int clock_fn(pthread_mutex_t *mutex, clockid_t clock, const struct timespec *deadline);

static init_fn *_Atomic next_init;
static mutex_fn *_Atomic next_lock, *_Atomic next_trylock;
static timed_fn *_Atomic next_timedlock;
static clock_fn *_Atomic next_clocklock;

/* When the library is loaded, or earlier, when a function is called before that. */
static AT_LOAD void find_next(void)
{
	atomic_store(&next_init, (init_fn *)dlsym(RTLD_NEXT, "pthread_mutex_init"));
	atomic_store(&next_trylock, (mutex_fn *)dlsym(RTLD_NEXT, "pthread_mutex_trylock"));
	atomic_store(&next_timedlock, (timed_fn *)dlsym(RTLD_NEXT, "pthread_mutex_timedlock"));
	atomic_store(&next_clocklock, (clock_fn *)dlsym(RTLD_NEXT, "pthread_mutex_clocklock"));
	atomic_store(&next_lock, (mutex_fn *)dlsym(RTLD_NEXT, "pthread_mutex_lock"));
}

#define NEXT(function)                                                              \
	({                                                                          \
		if (unlikely(!atomic_load_explicit(&next_##function, memory_order_acquire))) \
			find_next();                                                \
		atomic_load_explicit(&next_##function, memory_order_acquire);       \
	})

/* ---- Owners ----------------------------------------------------------------------------------- */

/* What the kernel does with the mutex of a thread that ends. True: its owner was dead. */
static bool mark_if_owner_died(pthread_mutex_t *mutex)
{
	_Atomic uint32_t *word = (_Atomic uint32_t *)(void *)&mutex->__data.__lock;
	uint32_t value = atomic_load(word), owner = value & FUTEX_TID_MASK;

	if (!owner || !address_space_thread_has_ended(owner))
		return false;
	/* In a pool: this faults, and is recorded. */
	atomic_compare_exchange_strong(word, &value, (value & FUTEX_WAITERS) | FUTEX_OWNER_DIED);
	return true;
}

/* ---- Locking ---------------------------------------------------------------------------------- */

static bool is_robust_in_pool(const pthread_mutex_t *mutex, const char *name)
{
	int kind;

	if (likely(!record_concerns((uintptr_t)mutex, 1)))
		return false;
	kind = mutex->__data.__kind;
	if (kind & KIND_INHERITS)
		client_refuse_kernel_store(name, ANOTHER_PROTOCOL);
	return kind & KIND_ROBUST;
}

static int try_robust(pthread_mutex_t *mutex)
{
	int error = NEXT(trylock)(mutex);

	while (error == EBUSY && mark_if_owner_died(mutex))
		error = NEXT(trylock)(mutex);
	return error;
}

static bool is_before(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec != b->tv_sec ? a->tv_sec < b->tv_sec : a->tv_nsec < b->tv_nsec;
}

/* deadline NULL: none. */
static int lock_robust(pthread_mutex_t *mutex, clockid_t clock, const struct timespec *deadline)
{
	struct timespec until;
	bool last;
	int error;

	do {
		error = try_robust(mutex);
		if (error != EBUSY)
			return error;
		clock_gettime(clock, &until);
		until.tv_nsec += LOOK_AGAIN_NSEC;
		until.tv_sec += until.tv_nsec / SECOND_NSEC;
		until.tv_nsec %= SECOND_NSEC;
		last = deadline && !is_before(&until, deadline);
		error = NEXT(clocklock)(mutex, clock, last ? deadline : &until);
	} while (error == ETIMEDOUT && !last);
	return error;
}

PUBLIC int pthread_mutex_lock(pthread_mutex_t *mutex)
{
	if (likely(!is_robust_in_pool(mutex, "pthread_mutex_lock()" INHERITS)))
		return NEXT(lock)(mutex);
	return lock_robust(mutex, CLOCK_MONOTONIC, NULL);
}

PUBLIC int pthread_mutex_trylock(pthread_mutex_t *mutex)
{
	if (likely(!is_robust_in_pool(mutex, "pthread_mutex_trylock()" INHERITS)))
		return NEXT(trylock)(mutex);
	return try_robust(mutex);
}

PUBLIC int __pthread_mutex_lock(pthread_mutex_t *mutex);
PUBLIC int __pthread_mutex_lock(pthread_mutex_t *mutex)
{
	return pthread_mutex_lock(mutex);
}

PUBLIC int __pthread_mutex_trylock(pthread_mutex_t *mutex);
PUBLIC int __pthread_mutex_trylock(pthread_mutex_t *mutex)
{
	return pthread_mutex_trylock(mutex);
}

PUBLIC int pthread_mutex_timedlock(pthread_mutex_t *mutex, const struct timespec *deadline)
{
	if (likely(!is_robust_in_pool(mutex, "pthread_mutex_timedlock()" INHERITS)))
		return NEXT(timedlock)(mutex, deadline);
	return lock_robust(mutex, CLOCK_REALTIME, deadline);
}

PUBLIC int pthread_mutex_clocklock(pthread_mutex_t *mutex, clockid_t clock,
				   const struct timespec *deadline)
{
	if (likely(!is_robust_in_pool(mutex, "pthread_mutex_clocklock()" INHERITS)) ||
	    (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC))
		return NEXT(clocklock)(mutex, clock, deadline);
	return lock_robust(mutex, clock, deadline);
}

PUBLIC int pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes)
{
	int protocol = 0;

	if (attributes && record_concerns((uintptr_t)mutex, 1)) {
		pthread_mutexattr_getprotocol(attributes, &protocol);
		if (protocol == PTHREAD_PRIO_INHERIT)
			client_refuse_kernel_store("pthread_mutex_init()" INHERITS, ANOTHER_PROTOCOL);
	}
	return NEXT(init)(mutex, attributes);
}

PUBLIC int __pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes);
PUBLIC int __pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes)
{
	return pthread_mutex_init(mutex, attributes);
}
