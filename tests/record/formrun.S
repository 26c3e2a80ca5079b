/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * void form_run(struct form_state *state, const void *code): load every register but rsp from the state, run the
 * code, which ends in ret, and save every register. form.h has the layout. One thread at a time.
 */

#define FORM_STACK_BYTES 65536
#define FLAGS 128
#define MASKS 136
#define VECTORS 256
#define FX 2304

	.text
	.globl form_run
	.type form_run, @function
form_run:
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	mov	%rdi, form_state(%rip)
	mov	%rsi, form_code(%rip)
	mov	%rsp, form_caller(%rip)
	/* A stack of its own: rsp is the same each time. */
	lea	form_stack+FORM_STACK_BYTES(%rip), %rsp
	fxrstor64 FX(%rdi)
	cmpb	$2, form_vectors(%rip)
	jb	2f
	je	1f
	.irp n, 0, 1, 2, 3, 4, 5, 6, 7
	kmovq	MASKS+8*\n(%rdi), %k\n
	.endr
	.irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
	vmovdqu64 VECTORS+64*\n(%rdi), %zmm\n
	.endr
	jmp	2f
1:
	.irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	vmovdqu	VECTORS+64*\n(%rdi), %ymm\n
	.endr
2:
	/* A form that pops takes a return address away: this one is below it. */
	lea	4f(%rip), %rax
	push	%rax
	push	FLAGS(%rdi)
	mov	(%rdi), %rax
	mov	8(%rdi), %rcx
	mov	16(%rdi), %rdx
	mov	24(%rdi), %rbx
	mov	40(%rdi), %rbp
	mov	48(%rdi), %rsi
	mov	64(%rdi), %r8
	mov	72(%rdi), %r9
	mov	80(%rdi), %r10
	mov	88(%rdi), %r11
	mov	96(%rdi), %r12
	mov	104(%rdi), %r13
	mov	112(%rdi), %r14
	mov	120(%rdi), %r15
	mov	56(%rdi), %rdi
	popfq
	call	*form_code(%rip)
	lea	8(%rsp), %rsp
4:
	pushfq
	push	%rdi
	mov	form_state(%rip), %rdi
	mov	%rax, (%rdi)
	mov	%rcx, 8(%rdi)
	mov	%rdx, 16(%rdi)
	mov	%rbx, 24(%rdi)
	mov	%rbp, 40(%rdi)
	mov	%rsi, 48(%rdi)
	mov	%r8, 64(%rdi)
	mov	%r9, 72(%rdi)
	mov	%r10, 80(%rdi)
	mov	%r11, 88(%rdi)
	mov	%r12, 96(%rdi)
	mov	%r13, 104(%rdi)
	mov	%r14, 112(%rdi)
	mov	%r15, 120(%rdi)
	pop	%rax
	mov	%rax, 56(%rdi)
	pop	%rax
	mov	%rax, FLAGS(%rdi)
	lea	(%rsp), %rax
	mov	%rax, 32(%rdi)
	cld
	cmpb	$2, form_vectors(%rip)
	jb	6f
	je	5f
	.irp n, 0, 1, 2, 3, 4, 5, 6, 7
	kmovq	%k\n, MASKS+8*\n(%rdi)
	.endr
	.irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
	vmovdqu64 %zmm\n, VECTORS+64*\n(%rdi)
	.endr
	jmp	6f
5:
	.irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	vmovdqu	%ymm\n, VECTORS+64*\n(%rdi)
	.endr
6:
	cmpb	$0, form_vectors(%rip)
	je	7f
	vzeroupper
7:
	fxsave64 FX(%rdi)
	fninit
	mov	form_caller(%rip), %rsp
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	ret
	.size form_run, . - form_run

	.local	form_state
	.comm	form_state, 8, 8
	.local	form_code
	.comm	form_code, 8, 8
	.local	form_caller
	.comm	form_caller, 8, 8
	.globl	form_stack
	.comm	form_stack, FORM_STACK_BYTES, 64

	.section .note.GNU-stack, "", @progbits
