/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * made_subject POOL: a program to be recorded, which makes code as it runs, stores by it to a mapping of the
 * file POOL, and makes other code in its place, as compilers of scripts do. For that code there is a table
 * for unwinding, in which one instruction is none. It prints what it saw: the same whether it is recorded or
 * not.
 */

#include <err.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define POOL_BYTES (1u << 20)
#define CODE_BYTES 4096u
#define ROUNDS 300u

/* Of libgcc, as it was. */
void __register_frame(const void *frames);

static unsigned char *pool, *all_code;

typedef void made_fn(void *at, uint64_t value);

/* A function for each width of a store, with a prefix that changes its address or its length. */
static const struct {
	unsigned char code[16];
	uint8_t size, bytes, where;
} forms[] = {
	{ { 0x48, 0x89, 0x37, 0xc3 }, 4, 8, 0 },		       /* mov [rdi], rsi; ret */
	{ { 0x89, 0x77, 0x08, 0xc3 }, 4, 4, 8 },		       /* mov [rdi+8], esi; ret */
	{ { 0x66, 0x89, 0x77, 0x3f, 0xc3 }, 5, 2, 63 },	       /* mov [rdi+63], si; ret */
	{ { 0x40, 0x88, 0x77, 0x05, 0xc3 }, 5, 1, 5 },		       /* mov [rdi+5], sil; ret */
	{ { 0xf0, 0x48, 0x0f, 0xc1, 0x77, 0x10, 0xc3 }, 7, 8, 16 },   /* lock xadd [rdi+16], rsi; ret */
	{ { 0x48, 0x87, 0x37, 0xc3 }, 4, 8, 0 },		       /* xchg [rdi], rsi; ret */
	/* movq xmm0, rsi; movups [rdi+32], xmm0; ret */
	{ { 0x66, 0x48, 0x0f, 0x6e, 0xc6, 0x0f, 0x11, 0x47, 0x20, 0xc3 }, 10, 8, 32 },
};

static void describe(const unsigned char *code)
{
	static _Alignas(8) unsigned char frames[64] = {
		/* What all have in common: the caller's frame is 8 bytes above the stack pointer. */
		16, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0x78, 16, 0x0c, 7, 8, 0x90, 1, 0, 0,
		/* The code at this address. 0x3f is no instruction. */
		24, 0, 0, 0, 24, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x3f,
	};
	const uint64_t place[2] = { (uint64_t)(uintptr_t)code, CODE_BYTES };

	memcpy(frames + 28, place, sizeof(place));
	__register_frame(frames);
}

/* In the place of the last code. */
static made_fn *make(unsigned char *code, unsigned form, unsigned at)
{
	memcpy(code + at, forms[form].code, forms[form].size);
	return (made_fn *)(uintptr_t)(code + at);
}

static void *run(void *code_at)
{
	unsigned char *code = code_at;
	const unsigned count = sizeof(forms) / sizeof(forms[0]);

	for (unsigned i = 0; i < ROUNDS; i++) {
		const unsigned form = i * 5 % count;
		unsigned char *to = pool + (i % 50) * 128 + (code - all_code) * 16;
		uint64_t value = 0x0102030405060708u * i, before = 0, now = 0;

		memcpy(&before, to + forms[form].where, forms[form].bytes);
		make(code, form, i % 3 * 16)(to, value);
		memcpy(&now, to + forms[form].where, forms[form].bytes);
		if (form == 4)
			value += before;
		if (memcmp(&now, &value, forms[form].bytes) != 0)
			errx(1, "round %u: form %u has stored %lx", i, form, (unsigned long)now);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	int file = argc == 2 ? open(argv[1], O_RDWR) : -1;
	unsigned char *code;
	pthread_t thread;

	all_code = code = mmap(NULL, 2 * CODE_BYTES, PROT_READ | PROT_WRITE | PROT_EXEC,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pool = mmap(NULL, POOL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (pool == MAP_FAILED || code == MAP_FAILED)
		err(2, "usage: made_subject POOL");
	describe(code);
	run(code);
	if (pthread_create(&thread, NULL, run, code + CODE_BYTES) != 0)
		errx(1, "pthread_create");
	run(code);
	pthread_join(thread, NULL);
	printf("made and run\n");
	return 0;
}
