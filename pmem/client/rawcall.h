/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLIENT_RAWCALL_H
#define CLIENT_RAWCALL_H

/*
 * System calls that nobody can interpose: we stand in for libc's mmap, and a
 * program may stand in for the rest. They return a negative errno and leave
 * errno alone, so that flushing does, even from a signal handler.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

static inline long raw_call(long number, uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d, uintptr_t e,
			    uintptr_t f)
{
	register uintptr_t r10 __asm__("r10") = d;
	register uintptr_t r8 __asm__("r8") = e;
	register uintptr_t r9 __asm__("r9") = f;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

#define RAW1(name, a) raw_call(SYS_##name, (uintptr_t)(a), 0, 0, 0, 0, 0)
#define RAW2(name, a, b) raw_call(SYS_##name, (uintptr_t)(a), (uintptr_t)(b), 0, 0, 0, 0)
#define RAW3(name, a, b, c) raw_call(SYS_##name, (uintptr_t)(a), (uintptr_t)(b), (uintptr_t)(c), 0, 0, 0)
#define RAW4(name, a, b, c, d)                                                                     \
	raw_call(SYS_##name, (uintptr_t)(a), (uintptr_t)(b), (uintptr_t)(c), (uintptr_t)(d), 0, 0)
#define RAW5(name, a, b, c, d, e)                                                                  \
	raw_call(SYS_##name, (uintptr_t)(a), (uintptr_t)(b), (uintptr_t)(c), (uintptr_t)(d),       \
		 (uintptr_t)(e), 0)
#define RAW6(name, a, b, c, d, e, f)                                                               \
	raw_call(SYS_##name, (uintptr_t)(a), (uintptr_t)(b), (uintptr_t)(c), (uintptr_t)(d),       \
		 (uintptr_t)(e), (uintptr_t)(f))

static inline bool raw_failed(long result)
{
	return (unsigned long)result >= (unsigned long)-4095L;
}

/* All signals wait until the matching raw_signals_restore(): what a handler may do needs the same locks. */
static inline uint64_t raw_signals_block(void)
{
	uint64_t all = ~(uint64_t)0, old = 0;

	RAW4(rt_sigprocmask, 0 /* SIG_BLOCK */, &all, &old, sizeof(old));
	return old;
}

static inline void raw_signals_restore(uint64_t old)
{
	RAW4(rt_sigprocmask, 2 /* SIG_SETMASK */, &old, NULL, sizeof(old));
}

/* A lock that handlers of this thread may want too. Returns what the other takes. */
static inline uint64_t quiet_lock(pthread_mutex_t *lock)
{
	uint64_t signals = raw_signals_block();

	pthread_mutex_lock(lock);
	return signals;
}

static inline void quiet_unlock(pthread_mutex_t *lock, uint64_t signals)
{
	pthread_mutex_unlock(lock);
	raw_signals_restore(signals);
}

#endif
