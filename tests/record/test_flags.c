/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Where record_flags_are_dead(), the registers and flags are the same behind the code whatever the flags were
 * before it. Sequences of instructions are put together at random, and run.
 */

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "../e2e/tap.h"
#include "client/record/decode.h"
#include "common/rng.h"

unsigned tap_run, tap_failed;

#define LONGEST 6 /* instructions */
#define SEQUENCES 200000
#define CF_PF_ZF_SF_OF 0x8c5
#define ALL_FLAGS (CF_PF_ZF_SF_OF | 0x10)

/* Of rax, rcx, rdx and rsi, and of flags. */
static const struct piece {
	uint8_t length, bytes[8];
} pieces[] = {
	{ 3, { 0x48, 0x89, 0xc8 } },		       /* mov rax, rcx */
	{ 5, { 0x48, 0x8d, 0x44, 0x0a, 0x05 } },       /* lea rax, [rdx+rcx+5] */
	{ 4, { 0x48, 0x0f, 0xb6, 0xd1 } },	       /* movzx rdx, cl */
	{ 1, { 0x90 } },			       /* nop */
	{ 5, { 0x66, 0x48, 0x0f, 0x6e, 0xc0 } },       /* movq xmm0, rax */
	{ 4, { 0x66, 0x0f, 0xef, 0xc0 } },	       /* pxor xmm0, xmm0 */
	{ 2, { 0x50, 0x5a } },			       /* push rax; pop rdx */
	{ 3, { 0x48, 0x01, 0xc8 } },		       /* add rax, rcx */
	{ 3, { 0x48, 0x29, 0xd0 } },		       /* sub rax, rdx */
	{ 3, { 0x48, 0x39, 0xf0 } },		       /* cmp rax, rsi */
	{ 2, { 0x31, 0xc0 } },			       /* xor eax, eax */
	{ 2, { 0x85, 0xd2 } },			       /* test edx, edx */
	{ 3, { 0x48, 0x09, 0xca } },		       /* or rdx, rcx */
	{ 3, { 0x48, 0x21, 0xf2 } },		       /* and rdx, rsi */
	{ 3, { 0x48, 0xf7, 0xd8 } },		       /* neg rax */
	{ 3, { 0x48, 0x11, 0xc8 } },		       /* adc rax, rcx */
	{ 3, { 0x48, 0x19, 0xd0 } },		       /* sbb rax, rdx */
	{ 3, { 0x48, 0xff, 0xc0 } },		       /* inc rax */
	{ 3, { 0x48, 0xff, 0xca } },		       /* dec rdx */
	{ 3, { 0x48, 0xd3, 0xe0 } },		       /* shl rax, cl */
	{ 4, { 0x48, 0xc1, 0xea, 0x03 } },	       /* shr rdx, 3 */
	{ 3, { 0x48, 0xd1, 0xd8 } },		       /* rcr rax, 1 */
	{ 4, { 0x48, 0x0f, 0xaf, 0xc1 } },	       /* imul rax, rcx */
	{ 3, { 0x0f, 0x94, 0xc0 } },		       /* setz al */
	{ 4, { 0x48, 0x0f, 0x4f, 0xc1 } },	       /* cmovg rax, rcx */
	{ 2, { 0x9c, 0x58 } },			       /* pushfq; pop rax */
	{ 1, { 0x9f } },			       /* lahf */
	{ 1, { 0xf5 } },			       /* cmc */
	{ 1, { 0xf8 } },			       /* clc */
	{ 2, { 0x74, 0x00 } },			       /* jz: to the next one */
	{ 2, { 0xeb, 0x00 } },			       /* jmp: to the next one */
	{ 4, { 0x48, 0x0f, 0xa3, 0xc8 } },	       /* bt rax, rcx */
	{ 4, { 0x66, 0x0f, 0x2e, 0xc1 } },	       /* ucomisd xmm0, xmm1 */
	{ 5, { 0x66, 0x0f, 0x38, 0x17, 0xc0 } },       /* ptest xmm0, xmm0 */
	{ 4, { 0xf3, 0x0f, 0xb8, 0xc1 } },	       /* popcnt eax, ecx */
};
#define PIECES (sizeof(pieces) / sizeof(pieces[0]))

struct result {
	uint64_t registers[4], flags;
};

static void run(const uint8_t *code, uint64_t flags, struct result *out)
{
	uint64_t a = 0x123456789abcdef0, c = 0x00000000fedcba40, d = 7, s = 0x123456789abcdef0, after;

	__asm__ volatile("pxor %%xmm0, %%xmm0\n\t"
			 "pxor %%xmm1, %%xmm1\n\t"
			 "push %[flags]\n\t"
			 "popfq\n\t"
			 "call *%[code]\n\t"
			 "pushfq\n\t"
			 "pop %[after]\n\t"
			 "cld"
			 : "+a"(a), "+c"(c), "+d"(d), "+S"(s), [after] "=r"(after)
			 : [flags] "r"(flags), [code] "r"(code)
			 : "memory", "cc", "xmm0", "xmm1");
	*out = (struct result){ .registers = { a, c, d, s }, .flags = after & CF_PF_ZF_SF_OF };
}

/* With all flags set and with none. */
static bool is_the_same(const uint8_t *code)
{
	struct result set, clear;

	run(code, 2 | ALL_FLAGS, &set);
	run(code, 2, &clear);
	return memcmp(&set, &clear, sizeof(set)) == 0;
}

static uint32_t put(uint8_t *code, const struct piece *piece)
{
	memcpy(code, piece->bytes, piece->length);
	return piece->length;
}

static unsigned dead, alive, differing;

/* Of what is said to be alive many differ: the harness sees a flag that is read. */
static bool try_one(struct rng *rng, uint8_t *code)
{
	unsigned count = 1 + (unsigned)rng_below(rng, LONGEST);
	uint32_t length = 0;
	bool same;

	for (unsigned i = 0; i < count; i++)
		length += put(code + length, &pieces[rng_below(rng, PIECES)]);
	code[length] = 0xc3;
	same = is_the_same(code);
	if (!record_flags_are_dead(code, length + 1)) {
		alive++;
		differing += !same;
		return true;
	}
	dead++;
	if (same)
		return true;
	printf("# not dead:");
	for (uint32_t i = 0; i < length; i++)
		printf(" %02x", code[i]);
	printf("\n");
	return false;
}

static bool dead_flags_do_not_matter(uint8_t *code)
{
	struct rng rng = { 1 };

	for (unsigned i = 0; i < SEQUENCES; i++)
		if (!try_one(&rng, code))
			return false;
	return true;
}

/* mov rax, rcx; add rax, rcx: as if the code ended within the second one. */
static bool unseen_code_may_read_flags(void)
{
	static const uint8_t code[] = { 0x48, 0x89, 0xc8, 0x48, 0x01, 0xc8 };

	return record_flags_are_dead(code, sizeof(code)) && !record_flags_are_dead(code, sizeof(code) - 1) &&
	       !record_flags_are_dead(code, 0);
}

int main(void)
{
	uint8_t *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			     0);

	if (code == MAP_FAILED)
		return 1;
	OK(dead_flags_do_not_matter(code), "flags that are said to be dead change nothing behind them");
	printf("# %u dead, %u not, of which %u depend on the flags\n", dead, alive, differing);
	OK(dead > SEQUENCES / 10, "many flags are found dead");
	OK(differing > SEQUENCES / 10, "flags that are read make a difference");
	OK(unseen_code_may_read_flags(), "code that is not seen may read flags");
	return tap_done();
}
