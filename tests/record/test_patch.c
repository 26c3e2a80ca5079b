/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Rows of short stores, whose jumps are made of each other's bytes and of those of other instructions, which
 * run in their stubs as well: entered at random places, so that they are patched in every order, by one
 * thread and by two, they do what they do natively.
 */

#include <err.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../e2e/tap.h"
#include "client/record/engine.h"
#include "client/record/patch.h"
#include "common/rng.h"
#include "world.h"

unsigned tap_run, tap_failed;

#define POOL_BYTES 65536u
#define ROW_MAX 24u
#define ROW_BYTES 256u
#define ROWS 64u

/* With rdi as the address, and values in rsi and rcx. */
static const struct {
	unsigned char code[8];
	unsigned length;
} stores[] = {
	{ { 0x89, 0x37 }, 2 },			       /* mov [rdi], esi */
	{ { 0x89, 0x77, 0x08 }, 3 },		       /* mov [rdi+8], esi */
	{ { 0x48, 0x89, 0x0f }, 3 },		       /* mov [rdi], rcx */
	{ { 0x48, 0x89, 0x4f, 0x10 }, 4 },	       /* mov [rdi+16], rcx */
	{ { 0x48, 0xff, 0x07 }, 3 },		       /* inc qword [rdi] */
	{ { 0x48, 0xff, 0x47, 0x18 }, 4 },	       /* inc qword [rdi+24] */
	{ { 0x00, 0x0f }, 2 },			       /* add [rdi], cl */
	{ { 0xf0, 0x01, 0x37 }, 3 },		       /* lock add [rdi], esi */
	{ { 0xc6, 0x07, 0x55 }, 3 },		       /* mov byte [rdi], 0x55 */
	{ { 0xaa }, 1 },			       /* stosb */
	{ { 0x48, 0xd3, 0x07 }, 3 },		       /* rol qword [rdi], cl */
	{ { 0x0f, 0x92, 0x47, 0x05 }, 4 },	       /* setb [rdi+5] */
	{ { 0x48, 0xc7, 0x47, 0x20, 1, 2, 3, 4 }, 8 }, /* mov qword [rdi+32], imm */
	{ { 0x48, 0x01, 0xce }, 3 },		       /* add rsi, rcx: no store */
	{ { 0x90 }, 1 },			       /* nop */
	{ { 0x48, 0x8b, 0x47, 0x08 }, 4 },	       /* mov rax, [rdi+8] */
	{ { 0x85, 0xc0 }, 2 },			       /* test eax, eax */
	{ { 0x51, 0x58 }, 2 },			       /* push rcx; pop rax */
	{ { 0x75, 0x03, 0x48, 0x01, 0xce }, 5 },       /* jne over add rsi, rcx */
	{ { 0x72, 0x03, 0x48, 0x89, 0x37 }, 5 },       /* jb over mov [rdi], rsi */
	{ { 0xeb, 0x02, 0x89, 0x37 }, 4 },	       /* jmp over mov [rdi], esi */
	{ { 0x70, 0x01, 0xc3 }, 3 },		       /* jo over ret */
	{ { 0xe8, 0, 0, 0, 0, 0x58, 0x89, 0xc8 }, 8 }, /* call of what follows; pop rax; mov eax, ecx */
};
#define STORES (sizeof(stores) / sizeof(stores[0]))

struct row {
	unsigned char bytes[ROW_BYTES];
	unsigned entries[ROW_MAX], count;
};
static struct row rows[ROWS];
static const unsigned char *native, *recorded;

static void make_rows(struct rng *rng)
{
	static unsigned char bytes[ROWS * ROW_BYTES];

	for (unsigned i = 0; i < ROWS; i++) {
		struct row *row = &rows[i];
		unsigned at = 0;

		row->count = 4 + (unsigned)rng_below(rng, ROW_MAX - 4);
		for (unsigned j = 0; j < row->count; j++) {
			unsigned which = (unsigned)rng_below(rng, STORES);

			row->entries[j] = at;
			memcpy(row->bytes + at, stores[which].code, stores[which].length);
			at += stores[which].length;
		}
		row->bytes[at] = 0xc3;
		memcpy(bytes + (size_t)i * ROW_BYTES, row->bytes, ROW_BYTES);
	}
	native = world_code(bytes, sizeof(bytes), false);
	recorded = world_code(bytes, sizeof(bytes), false);
}

struct registers {
	uint64_t rdi, rsi, rcx, rax, flags;
};

static void run(const unsigned char *code, struct registers *r)
{
	__asm__ volatile("push %%rbx\n\tmov %0, %%rbx\n\t"
			 "mov (%%rbx), %%rdi\n\tmov 8(%%rbx), %%rsi\n\tmov 16(%%rbx), %%rcx\n\tmov "
			 "24(%%rbx), %%rax\n\t"
			 "push 32(%%rbx)\n\tpopfq\n\tcall *%1\n\tpushfq\n\tpop 32(%%rbx)\n\t"
			 "mov %%rdi, (%%rbx)\n\tmov %%rsi, 8(%%rbx)\n\tmov %%rcx, 16(%%rbx)\n\tmov %%rax, "
			 "24(%%rbx)\n\t"
			 "pop %%rbx"
			 :
			 : "r"(r), "r"(code)
			 : "rdi", "rsi", "rcx", "rax", "memory", "cc");
}

/* Both ways from the same memory; `at` is this thread's place in the pool. */
static bool same(unsigned row, unsigned entry, uint64_t at, struct rng *rng)
{
	unsigned offset = row * ROW_BYTES + rows[row].entries[entry];
	unsigned char plain[256], before[256];
	struct registers mine = { (uint64_t)plain, rng_next(rng), rng_next(rng), rng_next(rng), 0x202 };
	struct registers theirs = mine;

	memcpy(before, world.alias + at, sizeof(before));
	memcpy(plain, before, sizeof(plain));
	theirs.rdi = (uint64_t)world.pool + at;
	run(native + offset, &mine);
	run(recorded + offset, &theirs);
	return memcmp(plain, world.alias + at, sizeof(plain)) == 0 &&
	       mine.rdi - (uint64_t)plain == theirs.rdi - (uint64_t)world.pool - at &&
	       mine.rsi == theirs.rsi && mine.rcx == theirs.rcx && mine.rax == theirs.rax &&
	       ((mine.flags ^ theirs.flags) & 0x8d5) == 0;
}

static _Atomic unsigned turn[2];
static unsigned long wrong[2];

/* Row by row, both threads at once. */
static void *thread(void *argument)
{
	unsigned id = argument != NULL;
	struct rng rng = { 100 + id };

	for (unsigned row = 0; row < ROWS; row++) {
		turn[id] = row;
		for (unsigned wait = 0; wait < 100000 && turn[1 - id] < row; wait++)
			__builtin_ia32_pause();
		for (unsigned i = 0; i < 200; i++)
			wrong[id] += !same(row, (unsigned)rng_below(&rng, rows[row].count), 8192 + 4096 * id,
					   &rng);
		if (id == 0)
			world_collect();
	}
	return NULL;
}

static void check_placement(void)
{
	unsigned direct = 0, punned = 0, other = 0, followed = 0, linked = 0;

	for (uint32_t id = 1; id <= record_site_count(); id++) {
		const struct record_site *site = record_site_by_id(id);

		direct += site->patched == RECORD_PATCHED_DIRECT;
		punned += site->patched == RECORD_PATCHED_PUNNED;
		other += site->patched == RECORD_NOT_PATCHED;
		followed += site->followed_length > 0;
		linked += site->next != NULL;
	}
	printf("# %u direct, %u punned, %u not patched; %u go on behind other instructions, %u in stubs\n",
	       direct, punned, other, followed, linked);
	OK(direct > 0 && punned > 0, "stores get direct and punned jumps");
	OK(followed > 0 && linked > 0, "what follows short stores runs in their stubs, or in its own stub");
}

int main(int argc, char **argv)
{
	struct rng rng = { argc > 1 ? strtoull(argv[1], NULL, 0) : 1 };
	unsigned long differ = 0;
	pthread_t other;

	world_start(POOL_BYTES);
	make_rows(&rng);
	for (unsigned i = 0; i < ROWS * 60; i++) {
		world_many(i % 2);
		unsigned row = (unsigned)rng_below(&rng, ROWS);

		differ += !same(row, (unsigned)rng_below(&rng, rows[row].count), 0, &rng);
		world_collect();
	}
	OK(differ == 0, "rows of short stores that are patched in any order do what they do natively");
	check_placement();
	make_rows(&rng);
	world_many(true);
	if (pthread_create(&other, NULL, thread, &rng) != 0)
		err(1, "pthread_create");
	thread(NULL);
	pthread_join(other, NULL);
	OK(wrong[0] == 0 && wrong[1] == 0, "so they do while two threads run them and have them patched");
	return tap_done();
}
