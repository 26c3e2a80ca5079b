/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * protected_subject WHAT POOL: a program to be recorded, which stores to pages of its pool that it has
 * forbidden itself to store to. It prints what it saw: the same whether it is recorded or not.
 */

#undef _FORTIFY_SOURCE

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "raw_call.h"

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

/* ---- Instructions that the recorder executes by itself ------------------------------------------- */

static void pop_to(unsigned char *to)
{
	/* The red zone stays. */
	__asm__ volatile("sub $128, %%rsp\n\t"
			 "push $7\n\t"
			 "pop (%0)\n\t"
			 "add $128, %%rsp"
			 :
			 : "r"(to)
			 : "memory", "cc");
}

__attribute__((target("avx512f,avx512vl"))) static void scatter_to(unsigned char *to)
{
	/* Two elements go to the page before. */
	static const int32_t indices[] = { -2, -1, 0, 1 };

	__asm__ volatile("vmovdqu (%1), %%xmm1\n\t"
			 "vpcmpeqd %%xmm0, %%xmm0, %%xmm0\n\t"
			 "kxnorw %%k0, %%k0, %%k1\n\t"
			 "vpscatterdd %%xmm0, (%0, %%xmm1, 4)%{%%k1%}"
			 :
			 : "r"(to), "r"(indices)
			 : "memory", "xmm0", "xmm1", "k1");
}

static void allow(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)context;
	printf("fault in page %td\n", ((unsigned char *)info->si_addr - pool) / PAGE);
	mprotect(pool, POOL_BYTES, PROT_READ | PROT_WRITE);
}

/* The handler leaves the instruction, or lets it go on. */
static void try_instruction(void (*function)(unsigned char *), unsigned char *page)
{
	struct sigaction action = { .sa_sigaction = handle, .sa_flags = SA_SIGINFO };

	sigaction(SIGSEGV, &action, NULL);
	mprotect(page, PAGE, PROT_READ);
	if (sigsetjmp(before_fault, 1) == 0)
		function(page);
	printf("fault in page %td, it has %u, %u before\n", (fault_address - pool) / PAGE, page[0], page[-1]);
	action.sa_sigaction = allow;
	sigaction(SIGSEGV, &action, NULL);
	function(page);
	printf("it has %u, %u before\n", page[0], page[-1]);
	mprotect(page, PAGE, PROT_READ);
	function(page);
}

static void instructions(void)
{
	pop_to(pool);
	try_instruction(pop_to, pool + 2 * PAGE);
	if (!__builtin_cpu_supports("avx512vl"))
		return;
	scatter_to(pool + PAGE);
	try_instruction(scatter_to, pool + 4 * PAGE);
}

/* ---- System calls ------------------------------------------------------------------------------- */

static int file;

static long do_pread(unsigned char *to, size_t length)
{
	return pread(file, to, length, 0);
}

static long do_read(unsigned char *to, size_t length)
{
	lseek(file, 0, SEEK_SET);
	return read(file, to, length) + 10000 * lseek(file, 0, SEEK_CUR);
}

static long do_preadv(unsigned char *to, size_t length)
{
	const struct iovec parts[] = { { pool, 10 }, { to, length }, { pool + 10, 10 } };

	return preadv(file, parts, 3, 0);
}

static long do_preadv_by_number(unsigned char *to, size_t length)
{
	const struct iovec parts[] = { { pool, 10 }, { to, length }, { pool + 10, 10 } };

	return syscall(SYS_preadv, file, parts, 3, 0, 0);
}

static long do_pread_by_number(unsigned char *to, size_t length)
{
	return syscall(SYS_pread64, file, to, length, 0);
}

static long do_pread_by_instruction(unsigned char *to, size_t length)
{
	return call(SYS_pread64, (long)file, to, length, 0L);
}

static long do_fstat_by_instruction(unsigned char *to, size_t length)
{
	(void)length;
	return call(SYS_fstat, (long)file, to);
}

static long do_fstat(unsigned char *to, size_t length)
{
	(void)length;
	return fstat(file, (struct stat *)(void *)to);
}

static long do_stat_of_nothing(unsigned char *to, size_t length)
{
	(void)length;
	return stat("/nothing/there", (struct stat *)(void *)to);
}

static long do_getcwd(unsigned char *to, size_t length)
{
	(void)length;
	return getcwd((char *)to, 4096) == (char *)to;
}

static long do_getentropy(unsigned char *to, size_t length)
{
	(void)length;
	return getentropy(to, 1);
}

static long do_poll(unsigned char *to, size_t length)
{
	(void)length;
	return poll((struct pollfd *)(void *)to, 4, 0);
}

static long do_sigaction(unsigned char *to, size_t length)
{
	(void)length;
	return syscall(SYS_rt_sigaction, SIGSEGV, NULL, to, 8);
}

static long receive(unsigned char *to, size_t length, bool name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "" };
	struct iovec part = { name ? pool : to, length };
	struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1 };
	const int one = socket(AF_UNIX, SOCK_DGRAM, 0);
	long result;

	if (name) {
		header.msg_name = to;
		header.msg_namelen = sizeof(address);
	}
	/* An address that the kernel chooses. */
	if (bind(one, (struct sockaddr *)&address, sizeof(sa_family_t)) != 0)
		err(1, "bind");
	if (getsockname(one, (struct sockaddr *)&address, &(socklen_t){ sizeof(address) }) != 0 ||
	    sendto(one, pool + 64 * PAGE, length, 0, (struct sockaddr *)&address, 8) != (long)length)
		err(1, "sendto");
	result = recvmsg(one, &header, MSG_DONTWAIT);
	close(one);
	return result;
}

static long do_recvmsg(unsigned char *to, size_t length)
{
	return receive(to, length, false);
}

static long do_recvmsg_name(unsigned char *to, size_t length)
{
	return receive(to, length, true);
}

static const struct {
	const char *name;
	long (*function)(unsigned char *to, size_t length);
} all_calls[] = {
	{ "pread", do_pread },
	{ "read", do_read },
	{ "preadv", do_preadv },
	{ "preadv by number", do_preadv_by_number },
	{ "pread by number", do_pread_by_number },
	{ "pread by an instruction", do_pread_by_instruction },
	{ "fstat", do_fstat },
	{ "fstat by an instruction", do_fstat_by_instruction },
	{ "stat of nothing", do_stat_of_nothing },
	{ "getcwd", do_getcwd },
	{ "getentropy", do_getentropy },
	{ "poll", do_poll },
	{ "sigaction by number", do_sigaction },
	{ "recvmsg", do_recvmsg },
	{ "recvmsg of a name", do_recvmsg_name },
};

static void try_calls(const char *where, unsigned char *to, size_t length)
{
	for (unsigned i = 0; i < sizeof(all_calls) / sizeof(all_calls[0]); i++) {
		long result;

		errno = 0;
		result = all_calls[i].function(to, length);
		printf("%s, %s: %ld %s\n", where, all_calls[i].name, result, strerror(errno));
	}
}

/* Of parts and headers that are not there, or whose end is not. */
static void try_parts(const char *where, unsigned char *at)
{
	struct iovec *parts = (struct iovec *)(void *)at;
	struct msghdr header = { .msg_iov = parts, .msg_iovlen = 4 };
	int sockets[2];

	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, sockets) != 0)
		err(1, "socketpair");
	printf("%s, readv: %zd\n", where, readv(file, parts, 4));
	printf("%s, preadv: %zd\n", where, preadv(file, parts, 4, 0));
	printf("%s, recvmsg of parts: %zd\n", where, recvmsg(sockets[0], &header, MSG_DONTWAIT));
	printf("%s, recvmsg: %zd\n", where,
	       recvmsg(sockets[0], (struct msghdr *)(void *)at, MSG_DONTWAIT));
	printf("%s, recvmmsg: %d\n", where,
	       recvmmsg(sockets[0], (struct mmsghdr *)(void *)at, 2, MSG_DONTWAIT, NULL));
	printf("%s, error %s\n", where, strerror(errno));
	close(sockets[0]);
	close(sockets[1]);
}

static void *map(void *at, size_t length, int prot, int flags, int fd, off_t offset)
{
	void *got = mmap(at, length, prot, flags, fd, offset);

	if (got == MAP_FAILED)
		err(1, "mmap");
	return got;
}

static void calls(const char *path)
{
	const int fd = open(path, O_RDWR), anonymous = MAP_PRIVATE | MAP_ANONYMOUS;
	const int all = PROT_READ | PROT_WRITE;
	unsigned char *room = map(NULL, 16 * PAGE, PROT_NONE, anonymous, -1, 0);

	file = open("/proc/self/exe", O_RDONLY);
	map(room + PAGE, PAGE, all, MAP_SHARED | MAP_FIXED, fd, 16 * PAGE);
	map(room + 2 * PAGE, PAGE, all, MAP_SHARED | MAP_FIXED, fd, 17 * PAGE);
	mprotect(room + 2 * PAGE, PAGE, PROT_READ);
	map(room + 3 * PAGE, PAGE, all, MAP_SHARED | MAP_FIXED, fd, 18 * PAGE);
	map(room + 4 * PAGE, PAGE, all, anonymous | MAP_FIXED, -1, 0);
	map(room + 5 * PAGE, PAGE, PROT_READ, anonymous | MAP_FIXED, -1, 0);
	map(room + 6 * PAGE, PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 19 * PAGE);
	map(room + 7 * PAGE, PAGE, all, MAP_SHARED | MAP_FIXED, fd, 20 * PAGE);
	try_calls("a page without access before the pool", room, 2 * PAGE);
	try_calls("from there into the pool", room + PAGE - 20, 400);
	try_calls("the end of the pool before a protected page", room + 2 * PAGE - 20, 400);
	try_calls("the last byte before a protected page", room + 2 * PAGE - 1, 400);
	try_calls("a protected page", room + 2 * PAGE, 400);
	try_calls("a protected page before others", room + 2 * PAGE + 4000, 400);
	try_calls("the pool before other memory", room + 4 * PAGE - 20, 400);
	try_calls("the pool, other memory and the end of it", room + 4 * PAGE - 20, 5000);
	try_calls("a page that was mapped without rights to store", room + 6 * PAGE + 100, 400);
	try_calls("the end of the mapping", room + 8 * PAGE - 20, 400);
	try_parts("a page without access before the pool", room);
	try_parts("the end of the mapping", room + 8 * PAGE - 40);
	mprotect(room + 2 * PAGE, PAGE, all);
	try_calls("it is no longer protected", room + 2 * PAGE - 20, 400);
	munmap(room + 7 * PAGE, PAGE);
	try_calls("it is unmapped", room + 7 * PAGE, 400);
}

int main(int argc, char **argv)
{
	const int fd = argc == 3 ? open(argv[2], O_RDWR) : -1;

	pool = mmap(NULL, POOL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (pool == MAP_FAILED)
		err(2, "usage: protected_subject WHAT POOL");
	if (strcmp(argv[1], "copies") == 0)
		copies();
	else if (strcmp(argv[1], "instructions") == 0)
		instructions();
	else if (strcmp(argv[1], "calls") == 0)
		calls(argv[2]);
	else
		errx(2, "%s: unknown", argv[1]);
	return 0;
}
