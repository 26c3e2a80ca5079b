/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A library that is preloaded before libpmem.so.1 and makes a program fail at its persists:
 *
 *   SOFTPMEM_TEST_CUT_AT=N      the process is killed at its N'th fence, before the fence takes effect
 *   SOFTPMEM_TEST_SKIP_FLUSH=N  every N'th flush is left out
 *
 * Every function of libpmem that flushes or fences is interposed and counted; the next library does the rest.
 * A forked child counts from 0 with the values that its environment has then. The counters are per process,
 * and the functions are as thread-safe as those that they call.
 */

#include <dlfcn.h>
#include <libpmem.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

static uint64_t cut_at, skip_flush;
static _Atomic uint64_t fences, flushes;

static uint64_t number(const char *name)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 10) : 0;
}

static void read_environment(void)
{
	cut_at = number("SOFTPMEM_TEST_CUT_AT");
	skip_flush = number("SOFTPMEM_TEST_SKIP_FLUSH");
	fences = 0;
	flushes = 0;
}

static __attribute__((constructor)) void prepare(void)
{
	read_environment();
	pthread_atfork(NULL, NULL, read_environment);
}

static bool flush_is_left_out(void)
{
	return skip_flush && ++flushes % skip_flush == 0;
}

static void before_fence(void)
{
	if (cut_at && ++fences == cut_at)
		kill(getpid(), SIGKILL);
}

/* The function of this name in the library that follows. Looked up at the first call, and kept. */
#define NEXT(name)                                                                        \
	({                                                                                \
		static __typeof__(&(name)) next;                                          \
		if (!next && !(next = (__typeof__(&(name)))dlsym(RTLD_NEXT, #name)))      \
			abort();                                                          \
		next;                                                                     \
	})

void pmem_flush(const void *addr, size_t len)
{
	if (!flush_is_left_out())
		NEXT(pmem_flush)(addr, len);
}

void pmem_deep_flush(const void *addr, size_t len)
{
	if (!flush_is_left_out())
		NEXT(pmem_deep_flush)(addr, len);
}

void pmem_drain(void)
{
	before_fence();
	NEXT(pmem_drain)();
}

int pmem_deep_drain(const void *addr, size_t len)
{
	before_fence();
	return NEXT(pmem_deep_drain)(addr, len);
}

void pmem_persist(const void *addr, size_t len)
{
	pmem_flush(addr, len);
	pmem_drain();
}

int pmem_deep_persist(const void *addr, size_t len)
{
	pmem_deep_flush(addr, len);
	return pmem_deep_drain(addr, len);
}

int pmem_msync(const void *addr, size_t len)
{
	before_fence();
	return NEXT(pmem_msync)(addr, len);
}

/* ---- Copies: store, flush, fence ------------------------------------------------- */

typedef void *copy_function(void *to, const void *from, size_t length, unsigned flags);

static void *copy(copy_function *next, void *to, const void *from, size_t length, unsigned flags)
{
	if (!(flags & PMEM_F_MEM_NOFLUSH) && flush_is_left_out())
		next(to, from, length, PMEM_F_MEM_NOFLUSH);
	else
		next(to, from, length, flags | PMEM_F_MEM_NODRAIN);
	if (!(flags & (PMEM_F_MEM_NODRAIN | PMEM_F_MEM_NOFLUSH)))
		pmem_drain();
	return to;
}

void *pmem_memmove(void *pmemdest, const void *src, size_t len, unsigned flags)
{
	return copy(NEXT(pmem_memmove), pmemdest, src, len, flags);
}

void *pmem_memcpy(void *pmemdest, const void *src, size_t len, unsigned flags)
{
	return copy(NEXT(pmem_memcpy), pmemdest, src, len, flags);
}

void *pmem_memset(void *pmemdest, int c, size_t len, unsigned flags)
{
	if (!(flags & PMEM_F_MEM_NOFLUSH) && flush_is_left_out())
		NEXT(pmem_memset)(pmemdest, c, len, PMEM_F_MEM_NOFLUSH);
	else
		NEXT(pmem_memset)(pmemdest, c, len, flags | PMEM_F_MEM_NODRAIN);
	if (!(flags & (PMEM_F_MEM_NODRAIN | PMEM_F_MEM_NOFLUSH)))
		pmem_drain();
	return pmemdest;
}

void *pmem_memmove_nodrain(void *pmemdest, const void *src, size_t len)
{
	return pmem_memmove(pmemdest, src, len, PMEM_F_MEM_NODRAIN);
}

void *pmem_memcpy_nodrain(void *pmemdest, const void *src, size_t len)
{
	return pmem_memcpy(pmemdest, src, len, PMEM_F_MEM_NODRAIN);
}

void *pmem_memset_nodrain(void *pmemdest, int c, size_t len)
{
	return pmem_memset(pmemdest, c, len, PMEM_F_MEM_NODRAIN);
}

void *pmem_memmove_persist(void *pmemdest, const void *src, size_t len)
{
	return pmem_memmove(pmemdest, src, len, 0);
}

void *pmem_memcpy_persist(void *pmemdest, const void *src, size_t len)
{
	return pmem_memcpy(pmemdest, src, len, 0);
}

void *pmem_memset_persist(void *pmemdest, int c, size_t len)
{
	return pmem_memset(pmemdest, c, len, 0);
}
