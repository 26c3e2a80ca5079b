/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ABI_RAWCALL_H
#define ABI_RAWCALL_H

/*
 * System calls without libc. libpmem.so.1 interposes mmap() and its relatives, and the program may
 * interpose any other wrapper, so what runs inside the program's calls issues system calls directly.
 *
 * Each returns what the kernel returns: a value, or a negative errno. They leave errno alone and are
 * async-signal-safe and thread-safe.
 */

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

/* True if `result` of a call that returns an address is a negative errno. */
static inline bool raw_failed(long result)
{
	return (unsigned long)result >= (unsigned long)-4095L;
}

#endif
