/* SPDX-License-Identifier: BSD-3-Clause */

#include "client/record/thunk.h"

/* Offsets in a frame: the registers by their numbers. */
#define RAX 0
#define RCX 8
#define RDX 16
#define RBX 24
#define RSP 32
#define RBP 40
#define RSI 48
#define RDI 56

	.text
	.hidden record_thunk_first
	.globl record_thunk_first
record_thunk_first:

	.hidden record_thunk_begin
	.globl record_thunk_begin
	.type record_thunk_begin, @function
record_thunk_begin:
	pushfq
	push	%rax
	push	%rcx
	lea	record_call_begin(%rip), %rax
	jmp	1f
	.size record_thunk_begin, . - record_thunk_begin

	.hidden record_thunk_end
	.globl record_thunk_end
	.type record_thunk_end, @function
record_thunk_end:
	pushfq
	push	%rax
	push	%rcx
	lea	record_call_end(%rip), %rax
	jmp	1f

	.hidden record_thunk_fence
	.globl record_thunk_fence
	.type record_thunk_fence, @function
record_thunk_fence:
	pushfq
	push	%rax
	push	%rcx
	lea	record_call_fence(%rip), %rax
1:	push	%rax
	/* rsp: 0 function, 8 rcx, 16 rax, 24 flags, 32 return, 40 site id; the program's is 176 higher. */
	cld
2:	mov	record_self@gottpoff(%rip), %rcx
	mov	%fs:THUNK_STACK_TOP(%rcx), %rax
	test	%rax, %rax
	jz	3f
	cmpl	$0, %fs:THUNK_INSIDE(%rcx)
	jne	4f
	/* First the depth: who finds the frame's room in use must see that somebody is inside. */
5:	incl	%fs:THUNK_INSIDE(%rcx)
	sub	$THUNK_FRAME_BYTES, %rax
	mov	%rdx, RDX(%rax)
	mov	%rbx, RBX(%rax)
	mov	%rbp, RBP(%rax)
	mov	%rsi, RSI(%rax)
	mov	%rdi, RDI(%rax)
	mov	%r8, 64(%rax)
	mov	%r9, 72(%rax)
	mov	%r10, 80(%rax)
	mov	%r11, 88(%rax)
	mov	%r12, 96(%rax)
	mov	%r13, 104(%rax)
	mov	%r14, 112(%rax)
	mov	%r15, 120(%rax)
	mov	16(%rsp), %rdx
	mov	%rdx, RAX(%rax)
	mov	8(%rsp), %rdx
	mov	%rdx, RCX(%rax)
	lea	176(%rsp), %rdx
	mov	%rdx, RSP(%rax)
	mov	24(%rsp), %rdx
	mov	%rdx, THUNK_FRAME_FLAGS(%rax)
	mov	32(%rsp), %rdx
	mov	%rdx, THUNK_FRAME_RESUME(%rax)
	mov	40(%rsp), %esi
	mov	%fs:THUNK_STACK_TOP(%rcx), %rdx
	mov	%rdx, THUNK_FRAME_ABOVE(%rax)
	mov	(%rsp), %rdx
	mov	%rax, %fs:THUNK_STACK_TOP(%rcx)
	mov	%rax, %rdi
	mov	%rax, %rsp
	call	*%rdx
	.hidden record_thunk_tail
	.globl record_thunk_tail
record_thunk_tail:
	/*
	 * rax: the frame to go on with. What the last instructions need is moved to the program's stack,
	 * below its red zone; then the frame's room is given back.
	 */
	mov	RSP(%rax), %rdx
	sub	$160, %rdx
	mov	THUNK_FRAME_RESUME(%rax), %rcx
	mov	%rcx, 24(%rdx)
	mov	THUNK_FRAME_FLAGS(%rax), %rcx
	mov	%rcx, 16(%rdx)
	mov	RCX(%rax), %rcx
	mov	%rcx, 8(%rdx)
	mov	RAX(%rax), %rcx
	mov	%rcx, (%rdx)
	mov	%rdx, %rsp
	mov	RDX(%rax), %rdx
	mov	RBX(%rax), %rbx
	mov	RBP(%rax), %rbp
	mov	RSI(%rax), %rsi
	mov	RDI(%rax), %rdi
	mov	64(%rax), %r8
	mov	72(%rax), %r9
	mov	80(%rax), %r10
	mov	88(%rax), %r11
	mov	96(%rax), %r12
	mov	104(%rax), %r13
	mov	112(%rax), %r14
	mov	120(%rax), %r15
	mov	record_self@gottpoff(%rip), %rcx
	mov	THUNK_FRAME_TOP(%rax), %rax
	mov	%rax, %fs:THUNK_STACK_TOP(%rcx)
	decl	%fs:THUNK_INSIDE(%rcx)
	pop	%rax
	pop	%rcx
	popfq
	ret	$128

	.hidden record_thunk_setup
	.globl record_thunk_setup
record_thunk_setup:
	/* The first call of this thread: it has no private stack. The program's serves. */
3:	push	%rdx
	push	%rsi
	push	%rdi
	push	%r8
	push	%r9
	push	%r10
	push	%r11
	push	%rbp
	mov	%rsp, %rbp
	and	$-16, %rsp
	call	record_thread_setup
	mov	%rbp, %rsp
	pop	%rbp
	pop	%r11
	pop	%r10
	pop	%r9
	pop	%r8
	pop	%rdi
	pop	%rsi
	pop	%rdx
	jmp	2b

	/*
	 * C code that a stub called has been interrupted, or has itself called what is patched: below the frame
	 * are its variables. If it does not run on this stack, nobody knows how many.
	 */
4:	cmp	%fs:THUNK_STACK_BASE(%rcx), %rsp
	jb	6f
	cmp	%rax, %rsp
	jae	6f
	mov	%rsp, %rax
	and	$-64, %rax
	jmp	5b
6:	sub	$THUNK_DEPTH, %rax
	jmp	5b
	.size record_thunk_end, . - record_thunk_end

	.hidden record_thunk_last
	.globl record_thunk_last
record_thunk_last:

/*
 * x87, SSE, AVX and AVX-512 state; of AMX and the rest nothing is used. In the standard format this
 * ends at 2688 bytes.
 */
#define COMPONENTS 0xe7
#define AREA 2752

	.hidden record_keeping_vectors
	.globl record_keeping_vectors
	.type record_keeping_vectors, @function
record_keeping_vectors:
	push	%rbp
	mov	%rsp, %rbp
	push	%rbx
	sub	$AREA, %rsp
	and	$-64, %rsp
	mov	%rdi, %rcx
	/* The header: what the processor does not write must be 0 to be loaded again. */
	xor	%eax, %eax
	mov	%rax, 512(%rsp)
	mov	%rax, 520(%rsp)
	mov	%rax, 528(%rsp)
	mov	%rax, 536(%rsp)
	mov	%rax, 544(%rsp)
	mov	%rax, 552(%rsp)
	mov	%rax, 560(%rsp)
	mov	%rax, 568(%rsp)
	mov	$COMPONENTS, %eax
	xor	%edx, %edx
	cmpb	$0, record_has_xsavec(%rip)
	je	1f
	xsavec64 (%rsp)
	jmp	2f
1:	xsave64	(%rsp)
2:	mov	%rsp, %rbx
	mov	%rsi, %rdi
	call	*%rcx
	mov	%rax, %rcx
	mov	$COMPONENTS, %eax
	xor	%edx, %edx
	xrstor64 (%rbx)
	mov	%rcx, %rax
	mov	-8(%rbp), %rbx
	leave
	ret
	.size record_keeping_vectors, . - record_keeping_vectors

	.hidden record_can_store, record_can_load, record_cannot
	.globl record_can_store, record_can_load, record_cannot
	.type record_can_store, @function
record_can_store:
	lock orb $0, (%rdi)
	mov	$1, %eax
	ret
	.size record_can_store, . - record_can_store
	.type record_can_load, @function
record_can_load:
	movb	(%rdi), %al
	mov	$1, %eax
	ret
record_cannot:
	xor	%eax, %eax
	ret
	.size record_can_load, . - record_can_load

	.section .note.GNU-stack, "", @progbits
