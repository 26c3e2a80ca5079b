/* SPDX-License-Identifier: BSD-3-Clause */

/* Flushes and fences as compilers and people write them, a function each; rdi is the address. */

	.text
/* Padding, so that a jump that is made of what follows leads to where there can be a stub. */
.macro function name
	.balign	16
	.globl	\name
	.type	\name, @function
\name:
	.cfi_startproc
.endm
.macro end name
	.cfi_endproc
	.size	\name, . - \name
.endm

function inline_clwb
	clwb	(%rdi)
	ret
end inline_clwb

function inline_clflushopt
	clflushopt 64(%rdi)
	ret
end inline_clflushopt

function inline_clflush
	clflush	(%rdi)
	ret
end inline_clflush

function inline_clwb_indexed
	clwb	8(%rdi,%rcx,8)
	ret
end inline_clwb_indexed

function inline_clwb_stack
	push	%rdi
	/* rsp + index: rdi minus rsp */
	sub	%rsp, %rdi
	clwb	(%rsp,%rdi)
	pop	%rdi
	ret
end inline_clwb_stack

function inline_sfence
	sfence
	ret
end inline_sfence

function inline_mfence
	mfence
	ret
end inline_mfence

function inline_lock_add
	lock addq $1, (%rdi)
	ret
end inline_lock_add

function inline_lock_or_stack
	lock orl $0, -4(%rsp)
	ret
end inline_lock_or_stack

function inline_xchg
	xchg	%rax, (%rdi)
	ret
end inline_xchg

/* Fails: rax is not what is there. */
function inline_cmpxchg
	lock cmpxchg %rcx, (%rdi)
	ret
end inline_cmpxchg

/* One after the other, all shorter than a jump. */
function inline_row
	clwb	(%rdi)
	clwb	64(%rdi)
	sfence
	lock incl (%rdi)
	mfence
	lock incl (%rdi)
	lock incl (%rdi)
	sfence
	ret
end inline_row

/* libc's way to leave the prefix out where there is one thread. */
function inline_skipped_prefix
	test	%rcx, %rcx
	je	1f
	lock
1:	incl	(%rdi)
	ret
end inline_skipped_prefix

/* What follows the jump is data, no instruction of 64-bit mode. */
function inline_data
	sfence
	jmp	1f
	.byte	0x06, 0x06, 0x06
1:	ret
end inline_data

/* No symbol says that this is a function. */
	.globl	inline_nameless
inline_nameless:
	clwb	(%rdi)
	ret

	.section .note.GNU-stack, "", @progbits
