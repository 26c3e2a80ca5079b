/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * protected_subject WHAT POOL: a program to be recorded, which stores to pages of its pool that it has
 * forbidden itself to store to. It prints what it saw: the same whether it is recorded or not.
 */

#undef _FORTIFY_SOURCE

#include <err.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <unistd.h>

#define POOL_BYTES (1u << 20)
#define PAGE 4096u

static unsigned char *pool;

/* ---- Copies ------------------------------------------------------------------------------------- */

static sigjmp_buf before_fault;
static unsigned char *volatile fault_address;

static void handle(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)context;
	fault_address = info->si_addr;
	siglongjmp(before_fault, 1);
}

static void do_memset(unsigned char *to, const unsigned char *from, size_t length)
{
	memset(to, from[0], length);
}

static void do_memcpy(unsigned char *to, const unsigned char *from, size_t length)
{
	memcpy(to, from, length);
}

static void do_memmove(unsigned char *to, const unsigned char *from, size_t length)
{
	memmove(to, from, length);
}

static void do_bzero(unsigned char *to, const unsigned char *from, size_t length)
{
	(void)from;
	bzero(to, length);
}

static void do_strcpy(unsigned char *to, const unsigned char *from, size_t length)
{
	strcpy((char *)to, (const char *)from + 8191 - length);
}

static void do_strncpy(unsigned char *to, const unsigned char *from, size_t length)
{
	strncpy((char *)to, (const char *)from + 8191 - length / 2, length);
}

static void copies(void)
{
	static void (*const functions[])(unsigned char *, const unsigned char *, size_t) = {
		do_memset, do_memcpy, do_memmove, do_bzero, do_strcpy, do_strncpy
	};
	static const int protections[] = { PROT_READ, PROT_NONE, PROT_READ | PROT_WRITE };
	static const size_t lengths[] = { 1, 8, 100, 500, 600, 5000 };
	const struct sigaction action = { .sa_sigaction = handle, .sa_flags = SA_SIGINFO };
	static unsigned char from[8192];

	memset(from, 'a', sizeof(from) - 1);
	sigaction(SIGSEGV, &action, NULL);
	for (volatile unsigned i = 0; i < 6 * 3 * 6; i++) {
		/* Pages of its own, which nothing else changes. Every other function begins before them. */
		unsigned char *const page = pool + (1 + 2 * i) * PAGE;
		unsigned char *to = page - (i / 18 % 2 ? lengths[i % 6] / 2 : 0);

		fault_address = NULL;
		mprotect(page, PAGE, protections[i / 6 % 3]);
		if (sigsetjmp(before_fault, 1) == 0)
			functions[i / 18](to, from, lengths[i % 6]);
		mprotect(page, PAGE, PROT_READ | PROT_WRITE);
		printf("function %u, protection %u, %zu bytes: ", i / 18, i / 6 % 3, lengths[i % 6]);
		if (fault_address)
			printf("fault in page %td, it has %u\n", (fault_address - page) / PAGE, page[0]);
		else
			printf("stored\n");
	}
}

int main(int argc, char **argv)
{
	const int fd = argc == 3 ? open(argv[2], O_RDWR) : -1;

	pool = mmap(NULL, POOL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (pool == MAP_FAILED)
		err(2, "usage: protected_subject WHAT POOL");
	if (strcmp(argv[1], "copies") == 0)
		copies();
	else
		errx(2, "%s: unknown", argv[1]);
	return 0;
}
