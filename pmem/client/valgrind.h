/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLIENT_VALGRIND_H
#define CLIENT_VALGRIND_H

/*
 * Requests to Valgrind. On a processor the instructions do nothing; Valgrind recognises them (see its manual,
 * "The Client Request mechanism"). Written out here so that the library does not need Valgrind's headers.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline uint64_t valgrind_request(uint64_t request, uint64_t first, uint64_t second)
{
	volatile uint64_t arguments[6] = { request, first, second };
	uint64_t result = 0;

	__asm__ volatile("rolq $3, %%rdi; rolq $13, %%rdi; rolq $61, %%rdi; rolq $51, %%rdi\n\t"
			 "xchgq %%rbx, %%rbx"
			 : "+d"(result)
			 : "a"(arguments)
			 : "cc", "memory");
	return result;
}

static inline bool valgrind_is_running(void)
{
	return valgrind_request(0x1001 /* RUNNING_ON_VALGRIND */, 0, 0) != 0;
}

/* For memcheck: these bytes are initialised. Other tools ignore it. */
static inline void valgrind_make_defined(const void *address, size_t length)
{
	valgrind_request(0x4d430002 /* MAKE_MEM_DEFINED */, (uintptr_t)address, length);
}

#endif
