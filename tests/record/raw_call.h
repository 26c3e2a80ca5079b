/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RECORD_RAW_CALL_H
#define RECORD_RAW_CALL_H

/* A system call by an instruction of the program, whose place a signal handler can tell. For one file. */
extern const char call_begins[], call_ends[];
long call(long number, ...);
__asm__(".text\n\t.globl call\n\t.type call, @function\ncall:\n"
	"mov %rdi, %rax\n\tmov %rsi, %rdi\n\tmov %rdx, %rsi\n\tmov %rcx, %rdx\n\tmov %r8, %r10\n\t"
	"mov %r9, %r8\n\tmov 8(%rsp), %r9\n"
	".globl call_begins\ncall_begins:\n\tsyscall\n.globl call_ends\ncall_ends:\n\tret\n"
	".size call, . - call");

#endif
