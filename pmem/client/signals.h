/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLIENT_SIGNALS_H
#define CLIENT_SIGNALS_H

/*
 * Locks that a signal handler of the program may need as well: a handler may map, flush and fence. All
 * signals are blocked while such a lock is held, by raw system calls, because a program may interpose
 * pthread_sigmask().
 */

#include <pthread.h>
#include <stdint.h>

#include "abi/rawcall.h"
#include "client/compiler.h"

/* How many locks of the client this thread holds. Zero in code of the program. */
extern THREAD_HOT unsigned signals_locks_held;

/* Block all signals of this thread. Returns the previous mask, for signals_restore(). */
static inline uint64_t signals_block(void)
{
	uint64_t all = ~(uint64_t)0, old = 0;

	RAW4(rt_sigprocmask, 0 /* SIG_BLOCK */, &all, &old, sizeof(old));
	return old;
}

static inline void signals_restore(uint64_t old)
{
	RAW4(rt_sigprocmask, 2 /* SIG_SETMASK */, &old, NULL, sizeof(old));
}

/* Block all signals, then take the lock. Returns the previous mask, for signals_unlock(). */
static inline uint64_t signals_lock(pthread_mutex_t *lock)
{
	uint64_t signals = signals_block();

	signals_locks_held++;
	pthread_mutex_lock(lock);
	return signals;
}

static inline void signals_unlock(pthread_mutex_t *lock, uint64_t signals)
{
	pthread_mutex_unlock(lock);
	signals_locks_held--;
	signals_restore(signals);
}

#endif
