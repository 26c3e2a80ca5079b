/* SPDX-License-Identifier: BSD-3-Clause */

/* Flushes and fences that a program has inline are found, patched and told to the client. */

#include <err.h>
#include <link.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "../e2e/tap.h"
#include "client/record/record.h"
#include "form.h"
#include "world.h"

unsigned tap_run, tap_failed;
unsigned char form_vectors;

typedef void code(void);
code inline_clwb, inline_clflushopt, inline_clflush, inline_clwb_indexed, inline_clwb_stack, inline_sfence,
	inline_mfence, inline_lock_add, inline_lock_or_stack, inline_xchg, inline_cmpxchg, inline_row,
	inline_skipped_prefix, inline_data, inline_nameless;

/* ---- Hooks ------------------------------------------------------------------------------- */

static struct {
	unsigned flushes, fences;
	uintptr_t flushed[8];
	unsigned flush_kinds[8], fence_kinds[8];
	uint64_t seen; /* the first word of the pool, at the last fence */
	bool keep_waiting;
} hooks;

/* What a hook's code may do to registers. */
static void spoil_vectors(void)
{
	if (__builtin_cpu_supports("avx512bw"))
		__asm__ volatile("vpternlogd $255, %%zmm0, %%zmm0, %%zmm0\n\tvmovdqa64 %%zmm0, %%zmm31\n\t"
				 "kxnorq %%k1, %%k1, %%k1\n\tkxnorq %%k7, %%k7, %%k7" ::
					 : "memory");
	__asm__ volatile("pcmpeqd %%xmm15, %%xmm15\n\tpcmpeqd %%xmm1, %%xmm1\n\tfninit\n\tfld1" ::
				 : "memory", "xmm1", "xmm15");
}

static bool on_flush(uintptr_t address, enum record_flush_kind kind)
{
	if (address - (uintptr_t)world.pool >= world.bytes)
		return false;
	hooks.flushed[hooks.flushes % 8] = address;
	hooks.flush_kinds[hooks.flushes++ % 8] = kind;
	spoil_vectors();
	return true;
}

static bool on_fence(enum record_fence_kind kind)
{
	hooks.fence_kinds[hooks.fences++ % 8] = kind;
	memcpy(&hooks.seen, world.pool, 8);
	spoil_vectors();
	record_waiting = hooks.keep_waiting;
	return true;
}

/* ---- Refusals ------------------------------------------------------------------------------ */

static struct {
	uintptr_t address;
	char why[64];
} refused[4096];
static unsigned refused_count;

static void refuse(const char *object, uintptr_t address, const struct record_insn *insn, const char *why,
		   bool has_flushes)
{
	printf("# refused: %s %lx: %s: %s\n", object, (unsigned long)address, record_insn_name(insn), why);
	if (refused_count < 4096) {
		refused[refused_count].address = address;
		snprintf(refused[refused_count++].why, sizeof(refused[0].why), "%s", why);
	}
}

static uintptr_t load_bias; /* of this program */
static int learn_bias(struct dl_phdr_info *object, size_t size, void *context)
{
	load_bias = object->dlpi_addr;
	return 1; /* the program is the first */
}

static bool was_refused(code *function, unsigned bytes, const char *why)
{
	uintptr_t at = (uintptr_t)function - load_bias;

	for (unsigned i = 0; i < refused_count; i++)
		if (refused[i].address - at < bytes && strcmp(refused[i].why, why) == 0)
			return true;
	return false;
}

/* ---- Calls ------------------------------------------------------------------------------------ */

static struct form_state before, after;

/* Call it with random registers, and rdi, rax and rcx as given. */
static void call(code *function, uint64_t rdi, uint64_t rax, uint64_t rcx)
{
	memset(&hooks, 0, offsetof(typeof(hooks), keep_waiting));
	for (size_t i = 0; i < sizeof(before); i++)
		((unsigned char *)&before)[i] = (unsigned char)(i * 37 + 11);
	memset(before.fx, 0, sizeof(before.fx));
	memcpy(before.fx, "\x7f\x03\0\0\xff", 5);
	memcpy(before.fx + 24, "\x80\x1f\0\0", 4);
	for (unsigned i = 0; i < 8; i++) {
		before.fx[32 + 16 * i + 7] = 0x80;
		before.fx[32 + 16 * i + 9] = 0x3f;
	}
	for (unsigned i = 0; i < 16; i++)
		memcpy(before.fx + 160 + 16 * i, before.vectors[i], 16);
	before.flags = 0x8d7;
	before.registers[RECORD_RDI] = rdi;
	before.registers[RECORD_RAX] = rax;
	before.registers[RECORD_RCX] = rcx;
	after = before;
	form_run(&after, (const void *)function);
}

/* All but rsp, and the flags if the instruction keeps them. */
static bool registers_kept(bool flags)
{
	after.registers[RECORD_RSP] = before.registers[RECORD_RSP];
	memset(before.fx + 6, 0, 18);
	memset(after.fx + 6, 0, 18);
	memcpy(after.fx + 28, before.fx + 28, 4); /* which bits of MXCSR there are */
	if (form_vectors < 3) {
		memcpy(after.masks, before.masks, sizeof(after.masks));
		memcpy(after.vectors, before.vectors, sizeof(after.vectors));
	}
	return memcmp(before.registers, after.registers, sizeof(before.registers)) == 0 &&
	       memcmp(before.masks, after.masks, sizeof(before.masks)) == 0 &&
	       memcmp(before.vectors, after.vectors, sizeof(before.vectors)) == 0 &&
	       memcmp(before.fx, after.fx, 464) == 0 &&
	       (!flags || ((before.flags ^ after.flags) & 0x8d5) == 0);
}

static bool one_flush(uint64_t address, enum record_flush_kind kind)
{
	return hooks.flushes == 1 && hooks.fences == 0 && hooks.flushed[0] == address &&
	       hooks.flush_kinds[0] == kind;
}

static bool one_fence(enum record_fence_kind kind)
{
	return hooks.fences == 1 && hooks.flushes == 0 && hooks.fence_kinds[0] == kind;
}

static void check_flushes(void)
{
	uint64_t pool = (uint64_t)world.pool;

	call(inline_clwb, pool + 100, 1, 2);
	OK(one_flush(pool + 100, RECORD_CLWB), "clwb of a pool is told with its address");
	OK(registers_kept(true), "a flush keeps every register and the flags");
	call(inline_clflushopt, pool, 1, 2);
	OK(one_flush(pool + 64, RECORD_CLFLUSHOPT), "clflushopt is told as such");
	call(inline_clflush, pool + 4096, 1, 2);
	OK(one_flush(pool + 4096, RECORD_CLFLUSH), "clflush is told as such");
	call(inline_clwb_indexed, pool, 1, 5);
	OK(one_flush(pool + 48, RECORD_CLWB), "an address with an index is computed");
	call(inline_clwb_stack, pool + 8, 1, 2);
	OK(one_flush(pool + 8, RECORD_CLWB), "an address relative to rsp is computed");
	call(inline_clwb, (uint64_t)form_stack, 1, 2);
	OK(hooks.flushes == 0 && registers_kept(true), "a flush of other memory is not told");
}

static void check_fences(void)
{
	uint64_t pool = (uint64_t)world.pool, word = 41;

	record_waiting = false;
	memcpy(world.pool, &word, 8);
	call(inline_sfence, pool, 1, 2);
	OK(hooks.fences == 0, "a fence is not told if nothing waits for it");
	call(inline_lock_add, pool, 1, 2);
	OK(hooks.fences == 0 && *world.pool == 42,
	   "a locked instruction stores if nothing waits for a fence");
	record_waiting = true;
	call(inline_sfence, pool, 1, 2);
	OK(one_fence(RECORD_SFENCE) && registers_kept(true),
	   "sfence is told, and keeps every register and the flags");
	call(inline_sfence, pool, 1, 2);
	OK(hooks.fences == 0, "the next sfence has nothing to do");
	record_waiting = true;
	call(inline_mfence, pool, 1, 2);
	OK(one_fence(RECORD_MFENCE), "mfence is told as such");
	record_waiting = true;
	call(inline_lock_add, pool, 1, 2);
	OK(one_fence(RECORD_RMW) && hooks.seen == 42 && *world.pool == 43,
	   "a locked instruction is a fence before it stores");
	OK(registers_kept(false), "a locked instruction keeps every register");
	record_waiting = true;
	call(inline_lock_or_stack, pool, 1, 2);
	OK(one_fence(RECORD_RMW), "a locked instruction on the stack is a fence");
	record_waiting = true;
	call(inline_xchg, pool, 7, 2);
	OK(one_fence(RECORD_RMW) && *world.pool == 7 && after.registers[RECORD_RAX] == 43, "xchg is a fence");
	record_waiting = true;
	call(inline_cmpxchg, pool, 8, 2);
	OK(one_fence(RECORD_RMW) && *world.pool == 7 && after.registers[RECORD_RAX] == 7,
	   "a cmpxchg that fails is a fence");
}

static void check_row(void)
{
	uint64_t pool = (uint64_t)world.pool;

	record_waiting = true;
	hooks.keep_waiting = true;
	call(inline_row, pool, 1, 2);
	hooks.keep_waiting = false;
	OK(hooks.flushes == 2 && hooks.fences == 6, "every instruction of a row is patched");
	OK(hooks.fence_kinds[0] == RECORD_SFENCE && hooks.fence_kinds[1] == RECORD_RMW &&
		   hooks.fence_kinds[2] == RECORD_MFENCE && hooks.fence_kinds[5] == RECORD_SFENCE &&
		   *world.pool == 10,
	   "the instructions of a row run in their order");
	record_waiting = false;
}

/* A thread that runs the row while other objects are patched. */
static _Atomic bool stop;
static void *runner(void *unused)
{
	uint64_t counter = 0, rounds = 0;

	while (!stop) {
		__asm__ volatile("call inline_row" ::"D"(&counter), "a"(0), "c"(0) : "memory", "cc");
		rounds++;
	}
	return (void *)(uintptr_t)(counter == 3 * rounds);
}

int main(void)
{
	struct record_setup setup = { .traps = true, .on_flush = on_flush, .on_fence = on_fence };
	struct record_counts counts;
	pthread_t thread;
	void *right = NULL;

	form_vectors = __builtin_cpu_supports("avx512bw") ? 3 : 1;
	dl_iterate_phdr(learn_bias, NULL);
	world_start_hooks(65536, setup);
	OK(pthread_create(&thread, NULL, runner, NULL) == 0,
	   "a thread runs the code that is about to be patched");
	record_many();
	OK(record_scan(refuse) == 0, "all loaded objects are scanned, and patched while the thread runs");
	stop = true;
	pthread_join(thread, &right);
	OK(right != NULL, "the thread has lost no instruction meanwhile");
	counts = record_stat();
	printf("# %u flushes, %u fences found; %u direct, %u punned, %u traps; %u refused\n", counts.flushes,
	       counts.fences, counts.direct, counts.punned, counts.trapped, counts.refused);
	OK(counts.direct + counts.punned + counts.trapped > 0, "sites are patched");
	check_flushes();
	check_fences();
	check_row();
	OK(was_refused(inline_skipped_prefix, 16, "a branch leads into it"),
	   "an instruction is refused if a branch leads into the middle of it");
	OK(was_refused(inline_data, 3, "data or unknown instructions are in the function"),
	   "an instruction in a function with data is refused");
	OK(was_refused(inline_nameless, 4, "it is in no known function"),
	   "an instruction in no function is refused");
	return tap_done();
}
