/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * memcpy(3), strcpy(3) and their like, while the process is recorded: a call is one range, by its
 * caller. These functions are in the library that `softpmem record` preloads only. Compiled with
 * -fno-builtin: nothing here may become a call of these very functions.
 */

/* The functions themselves are defined here, not their checked forms. */
#undef _FORTIFY_SOURCE

#include <dlfcn.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "client/compiler.h"
#include "client/modules.h"
#include "client/record/record.h"

typedef void *copy_fn(void *to, const void *from, size_t length);
typedef void *set_fn(void *to, int value, size_t length);

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

/*
 * libc's, once they are looked for. Before, other libraries' constructors may copy, and the lookup does.
 */
static copy_fn *_Atomic next_memcpy = plain_move, *_Atomic next_memmove = plain_move;
static set_fn *_Atomic next_memset = plain_set;

static AT_LOAD void find_next(void)
{
	atomic_store(&next_memcpy, (copy_fn *)dlsym(RTLD_NEXT, "memcpy"));
	atomic_store(&next_memmove, (copy_fn *)dlsym(RTLD_NEXT, "memmove"));
	atomic_store(&next_memset, (set_fn *)dlsym(RTLD_NEXT, "memset"));
}

/*
 * noinline: the address that they return to is that of the interposed function, which calls them last; and in
 * all other cases that saves no register for them.
 */
static __attribute__((noinline)) void *copy_near_pool(copy_fn *next, void *to, const void *from,
						      size_t length, const void *caller)
{
	if (!record_concerns_in_full((uintptr_t)to, length))
		return next(to, from, length);
	record_move(to, from, length, false, client_modules_caller((uintptr_t)caller));
	return to;
}

static __attribute__((noinline)) void *set_near_pool(set_fn *next, void *to, int value, size_t length,
						     const void *caller)
{
	if (!record_concerns_in_full((uintptr_t)to, length))
		return next(to, value, length);
	record_fill(to, value, length, false, client_modules_caller((uintptr_t)caller));
	return to;
}

static inline __attribute__((always_inline)) void *copy(copy_fn *_Atomic *next, void *to, const void *from,
							 size_t length, const void *caller)
{
	copy_fn *found = atomic_load_explicit(next, memory_order_relaxed);

	if (likely(record_is_far((uintptr_t)to, length)))
		return found(to, from, length);
	return copy_near_pool(found, to, from, length, caller);
}

static inline __attribute__((always_inline)) void *set(void *to, int value, size_t length, const void *caller)
{
	set_fn *found = atomic_load_explicit(&next_memset, memory_order_relaxed);

	if (likely(record_is_far((uintptr_t)to, length)))
		return found(to, value, length);
	return set_near_pool(found, to, value, length, caller);
}

#define CALLER __builtin_return_address(0)

PUBLIC void *memcpy(void *to, const void *from, size_t length)
{
	return copy(&next_memcpy, to, from, length, CALLER);
}

PUBLIC void *memmove(void *to, const void *from, size_t length)
{
	return copy(&next_memmove, to, from, length, CALLER);
}

PUBLIC void *mempcpy(void *to, const void *from, size_t length)
{
	return (unsigned char *)copy(&next_memcpy, to, from, length, CALLER) + length;
}

PUBLIC void *memset(void *to, int value, size_t length)
{
	return set(to, value, length, CALLER);
}

/*
 * With _FORTIFY_SOURCE: libc's forms of them end the program if `object`, what there is room for, is too
 * small.
 */
static inline __attribute__((always_inline)) void check_room(size_t length, size_t object)
{
	extern _Noreturn void __chk_fail(void);

	if (unlikely(length > object))
		__chk_fail();
}

#define FORTIFIED_COPY(function, plain)                                                              \
	PUBLIC void *function(void *to, const void *from, size_t length, size_t object);             \
	PUBLIC void *function(void *to, const void *from, size_t length, size_t object)              \
	{                                                                                            \
		check_room(length, object);                                                          \
		return copy(&plain, to, from, length, CALLER);                                       \
	}
FORTIFIED_COPY(__memcpy_chk, next_memcpy)
FORTIFIED_COPY(__memmove_chk, next_memmove)

PUBLIC void *__memset_chk(void *to, int value, size_t length, size_t object);
PUBLIC void *__memset_chk(void *to, int value, size_t length, size_t object)
{
	check_room(length, object);
	return set(to, value, length, CALLER);
}

/* ---- Strings -------------------------------------------------------------------------------- */

PUBLIC char *strcpy(char *to, const char *from)
{
	copy(&next_memcpy, to, from, strlen(from) + 1, CALLER);
	return to;
}

PUBLIC char *stpcpy(char *to, const char *from)
{
	const size_t length = strlen(from);

	copy(&next_memcpy, to, from, length + 1, CALLER);
	return to + length;
}

/* What is left of the room is filled with zeros. Returns where they begin. */
static inline __attribute__((always_inline)) char *copy_and_fill(char *to, const char *from, size_t room,
								 const void *caller)
{
	const size_t length = strnlen(from, room);

	copy(&next_memcpy, to, from, length, caller);
	set(to + length, 0, room - length, caller);
	return to + length;
}

PUBLIC char *strncpy(char *to, const char *from, size_t room)
{
	copy_and_fill(to, from, room, CALLER);
	return to;
}

PUBLIC char *stpncpy(char *to, const char *from, size_t room)
{
	return copy_and_fill(to, from, room, CALLER);
}

PUBLIC char *strcat(char *to, const char *from)
{
	copy(&next_memcpy, to + strlen(to), from, strlen(from) + 1, CALLER);
	return to;
}

static inline __attribute__((always_inline)) void append(char *to, const char *from, size_t most,
							 const void *caller)
{
	const size_t length = strnlen(from, most);
	char *end = to + strlen(to);

	copy(&next_memcpy, end, from, length, caller);
	set(end + length, 0, 1, caller);
}

PUBLIC char *strncat(char *to, const char *from, size_t most)
{
	append(to, from, most, CALLER);
	return to;
}

PUBLIC void bzero(void *to, size_t length)
{
	set(to, 0, length, CALLER);
}

PUBLIC void explicit_bzero(void *to, size_t length)
{
	set(to, 0, length, CALLER);
}

PUBLIC char *__strcpy_chk(char *to, const char *from, size_t object);
PUBLIC char *__strcpy_chk(char *to, const char *from, size_t object)
{
	const size_t bytes = strlen(from) + 1;

	check_room(bytes, object);
	copy(&next_memcpy, to, from, bytes, CALLER);
	return to;
}

PUBLIC char *__stpcpy_chk(char *to, const char *from, size_t object);
PUBLIC char *__stpcpy_chk(char *to, const char *from, size_t object)
{
	const size_t bytes = strlen(from) + 1;

	check_room(bytes, object);
	copy(&next_memcpy, to, from, bytes, CALLER);
	return to + bytes - 1;
}

PUBLIC char *__strncpy_chk(char *to, const char *from, size_t room, size_t object);
PUBLIC char *__strncpy_chk(char *to, const char *from, size_t room, size_t object)
{
	check_room(room, object);
	copy_and_fill(to, from, room, CALLER);
	return to;
}

PUBLIC char *__stpncpy_chk(char *to, const char *from, size_t room, size_t object);
PUBLIC char *__stpncpy_chk(char *to, const char *from, size_t room, size_t object)
{
	check_room(room, object);
	return copy_and_fill(to, from, room, CALLER);
}

PUBLIC char *__strcat_chk(char *to, const char *from, size_t object);
PUBLIC char *__strcat_chk(char *to, const char *from, size_t object)
{
	const size_t length = strlen(to), bytes = strlen(from) + 1;

	check_room(length + bytes, object);
	copy(&next_memcpy, to + length, from, bytes, CALLER);
	return to;
}

PUBLIC char *__strncat_chk(char *to, const char *from, size_t most, size_t object);
PUBLIC char *__strncat_chk(char *to, const char *from, size_t most, size_t object)
{
	check_room(strlen(to) + strnlen(from, most) + 1, object);
	append(to, from, most, CALLER);
	return to;
}

PUBLIC void __explicit_bzero_chk(void *to, size_t length, size_t object);
PUBLIC void __explicit_bzero_chk(void *to, size_t length, size_t object)
{
	check_room(length, object);
	set(to, 0, length, CALLER);
}
