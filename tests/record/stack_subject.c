/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * For recorded.sh: stores to a pool at the end of chains of calls whose names are in the call stacks of the
 * trace. Compiled without frame pointers. Usage: stack_subject POOL
 */
#include <err.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* As in the debugger: not inline, and no call of these is the last thing that its function does. */
#define CALLED __attribute__((noinline, noclone, optimize("no-optimize-sibling-calls")))

static volatile uint64_t *pool;

CALLED static void innermost_store(unsigned at)
{
	pool[at] = 1;
}

CALLED static void copies_to_the_pool(unsigned at)
{
	static volatile size_t length = 200; /* so that memcpy() is called */
	char bytes[200];

	memset(bytes, (int)at, sizeof(bytes));
	memcpy((void *)(uintptr_t)(pool + at), bytes, length);
}

CALLED static void middle(unsigned at)
{
	innermost_store(at);
	copies_to_the_pool(at + 64);
}

CALLED static void outermost(unsigned at)
{
	middle(at);
	pool[at + 8] = 2;
}

CALLED static void handle(int number)
{
	pool[256] = (uint64_t)number;
}

CALLED static void raises(void)
{
	raise(SIGUSR1);
	pool[264] = 3;
}

/* The table of this function says that its caller's frame is at address 4096, where nothing is. */
void store_with_wrong_table(volatile uint64_t *to);
__asm__(".text\n"
	".globl store_with_wrong_table\n"
	".type store_with_wrong_table, @function\n"
	"store_with_wrong_table:\n"
	"	.cfi_startproc\n"
	"	push	%rbx\n"
	"	mov	$4096, %ebx\n"
	"	.cfi_def_cfa %rbx, 16\n"
	"	movq	$77, (%rdi)\n"
	"	pop	%rbx\n"
	"	.cfi_def_cfa %rsp, 8\n"
	"	ret\n"
	"	.cfi_endproc\n"
	".size store_with_wrong_table, . - store_with_wrong_table\n");

int main(int argc, char **argv)
{
	const struct sigaction action = { .sa_handler = handle };
	int fd = argc == 2 ? open(argv[1], O_RDWR) : -1;

	if (fd < 0)
		err(1, "usage: stack_subject POOL");
	pool = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (pool == MAP_FAILED || sigaction(SIGUSR1, &action, NULL) != 0)
		err(1, "%s", argv[1]);
	outermost(0);
	raises();
	store_with_wrong_table(pool + 300);
	outermost(16);
	printf("%llu %llu %llu\n", (unsigned long long)pool[0], (unsigned long long)pool[300],
	       (unsigned long long)pool[256]);
	return 0;
}
