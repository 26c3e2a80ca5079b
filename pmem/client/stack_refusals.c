/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Stacks in pools. The kernel could put no handler's frame there, and would end the process without a word at
 * the first store.
 */

#include "client/stack_refusals.h"

#include <ucontext.h>

#include "client/errormsg.h"
#include "client/next_function.h"
#include "client/record/record.h"

void client_refuse_stack(uintptr_t lowest, size_t size, const char *name)
{
	if (!record_concerns(lowest, size))
		return;
	client_complain("a stack cannot be in a pool while it is recorded: ", name);
	record_stop("handlers of signals could not run on such a stack");
}

void client_refuse_thread_stack(const pthread_attr_t *attributes)
{
	void *lowest = NULL;
	size_t size = 0;

	/* Without one of its own it is libc's. */
	if (pthread_attr_getstack(attributes, &lowest, &size) == 0 && lowest && size)
		client_refuse_stack((uintptr_t)lowest, size, "pthread_create");
}

/* What makecontext() is called with follows, in any number: so it is not called, but jumped to. */
__attribute__((used)) static next_function_fn *refuse_context(const ucontext_t *context)
{
	static struct next_function next = { .name = "makecontext" };

	client_refuse_stack((uintptr_t)context->uc_stack.ss_sp, context->uc_stack.ss_size, "makecontext");
	return next_function(&next);
}

__asm__(".text\n\t.globl makecontext\n\t.type makecontext, @function\nmakecontext:\n\t.cfi_startproc\n\t"
	"push %rdi\n\t.cfi_adjust_cfa_offset 8\n\tpush %rsi\n\t.cfi_adjust_cfa_offset 8\n\t"
	"push %rdx\n\t.cfi_adjust_cfa_offset 8\n\tpush %rcx\n\t.cfi_adjust_cfa_offset 8\n\t"
	"push %r8\n\t.cfi_adjust_cfa_offset 8\n\tpush %r9\n\t.cfi_adjust_cfa_offset 8\n\t"
	"sub $8, %rsp\n\t.cfi_adjust_cfa_offset 8\n\tcall refuse_context\n\tadd $8, %rsp\n\t"
	".cfi_adjust_cfa_offset -8\n\tpop %r9\n\t.cfi_adjust_cfa_offset -8\n\tpop %r8\n\t"
	".cfi_adjust_cfa_offset -8\n\tpop %rcx\n\t.cfi_adjust_cfa_offset -8\n\tpop %rdx\n\t"
	".cfi_adjust_cfa_offset -8\n\tpop %rsi\n\t.cfi_adjust_cfa_offset -8\n\tpop %rdi\n\t"
	".cfi_adjust_cfa_offset -8\n\tjmp *%rax\n\t.cfi_endproc\n\t.size makecontext, . - makecontext");
