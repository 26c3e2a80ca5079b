/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * memcpy(3) and its like, while the process is recorded: a call is one range, by its caller. These
 * functions are in the library that `softpmem record` preloads only. Compiled with -fno-builtin: nothing
 * here may become a call of these very functions.
 */

#include <dlfcn.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "client/compiler.h"
#include "client/modules.h"
#include "client/record/record.h"

typedef void *copy_fn(void *to, const void *from, size_t length);
typedef void *set_fn(void *to, int value, size_t length);

/*
 * libc's; NULL until they are looked for, which other libraries' constructors may need before ours has run.
 */
static copy_fn *_Atomic next_memcpy, *_Atomic next_memmove;
static set_fn *_Atomic next_memset;

/* The lookup itself copies. */
static void *plain_move(void *to, const void *from, size_t length)
{
	unsigned char *at = to;
	const unsigned char *source = from;

	if ((uintptr_t)at - (uintptr_t)source < length) {
		at += length - 1;
		source += length - 1;
		__asm__ volatile("std\n\trep movsb\n\tcld"
				 : "+D"(at), "+S"(source), "+c"(length)
				 :
				 : "memory");
	} else {
		__asm__ volatile("rep movsb" : "+D"(at), "+S"(source), "+c"(length) : : "memory");
	}
	return to;
}

static void *plain_set(void *to, int value, size_t length)
{
	unsigned char *at = to;

	__asm__ volatile("rep stosb" : "+D"(at), "+c"(length) : "a"(value) : "memory");
	return to;
}

static __attribute__((constructor)) void find_next(void)
{
	atomic_store(&next_memcpy, (copy_fn *)dlsym(RTLD_NEXT, "memcpy"));
	atomic_store(&next_memmove, (copy_fn *)dlsym(RTLD_NEXT, "memmove"));
	atomic_store(&next_memset, (set_fn *)dlsym(RTLD_NEXT, "memset"));
}

/* noinline: the address that they return to is that of the interposed function, which calls them last. */
static __attribute__((noinline)) void *record_copy(void *to, const void *from, size_t length,
						   const void *caller)
{
	record_move(to, from, length, false, client_modules_caller((uintptr_t)caller));
	return to;
}

static __attribute__((noinline)) void *record_set(void *to, int value, size_t length, const void *caller)
{
	record_fill(to, value, length, false, client_modules_caller((uintptr_t)caller));
	return to;
}

static inline __attribute__((always_inline)) void *copy(copy_fn *_Atomic *next, void *to, const void *from,
							 size_t length, const void *caller)
{
	copy_fn *found = atomic_load_explicit(next, memory_order_relaxed);

	if (unlikely(record_concerns((uintptr_t)to, length)))
		return record_copy(to, from, length, caller);
	return likely(found != NULL) ? found(to, from, length) : plain_move(to, from, length);
}

static inline __attribute__((always_inline)) void *set(void *to, int value, size_t length, const void *caller)
{
	set_fn *found = atomic_load_explicit(&next_memset, memory_order_relaxed);

	if (unlikely(record_concerns((uintptr_t)to, length)))
		return record_set(to, value, length, caller);
	return likely(found != NULL) ? found(to, value, length) : plain_set(to, value, length);
}

#define CALLER __builtin_return_address(0)

PUBLIC void *memcpy(void *to, const void *from, size_t length);
PUBLIC void *memcpy(void *to, const void *from, size_t length)
{
	return copy(&next_memcpy, to, from, length, CALLER);
}

PUBLIC void *memmove(void *to, const void *from, size_t length);
PUBLIC void *memmove(void *to, const void *from, size_t length)
{
	return copy(&next_memmove, to, from, length, CALLER);
}

PUBLIC void *mempcpy(void *to, const void *from, size_t length);
PUBLIC void *mempcpy(void *to, const void *from, size_t length)
{
	return (unsigned char *)copy(&next_memcpy, to, from, length, CALLER) + length;
}

PUBLIC void *memset(void *to, int value, size_t length);
PUBLIC void *memset(void *to, int value, size_t length)
{
	return set(to, value, length, CALLER);
}

/*
 * With _FORTIFY_SOURCE: libc's forms of them end the program if `object`, what there is room for, is too
 * small.
 */
#define FORTIFIED_COPY(function, plain)                                                              \
	PUBLIC void *function(void *to, const void *from, size_t length, size_t object);             \
	PUBLIC void *function(void *to, const void *from, size_t length, size_t object)              \
	{                                                                                            \
		extern _Noreturn void __chk_fail(void);                                              \
                                                                                                     \
		if (unlikely(length > object))                                                       \
			__chk_fail();                                                                \
		return copy(&plain, to, from, length, CALLER);                                       \
	}
FORTIFIED_COPY(__memcpy_chk, next_memcpy)
FORTIFIED_COPY(__memmove_chk, next_memmove)

PUBLIC void *__memset_chk(void *to, int value, size_t length, size_t object);
PUBLIC void *__memset_chk(void *to, int value, size_t length, size_t object)
{
	extern _Noreturn void __chk_fail(void);

	if (unlikely(length > object))
		__chk_fail();
	return set(to, value, length, CALLER);
}
