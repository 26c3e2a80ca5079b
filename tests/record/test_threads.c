/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Threads that race for lines, while their stores are patched. The order of the events is checked by chains
 * of values: each locked increment stores one more than the last one in the trace; each exchange of a chain
 * stores what follows from what was there. And the events, done in their order, must make what is there: the
 * threads store 1 to 64 bytes anywhere in a few lines.
 */

#include <err.h>
#include <immintrin.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../e2e/tap.h"
#include "client/record/engine.h"
#include "client/record/patch.h"
#include "common/rng.h"
#include "trace/slot.h"
#include "world.h"

unsigned tap_run, tap_failed;

#define POOL_BYTES 65536u
#define COUNTER 0u  /* lock inc */
#define CHAIN 64u   /* cmpxchg */
#define FIELD 4096u /* any stores, */
#define FIELD_BYTES 320u
#define OPS 400u /* a thread, a round */

/* One store each: rdi the address, rsi a value; xmm0, ymm0 or zmm0 hold more. */
struct op {
	unsigned char code[12];
	unsigned length, size;
};
static const struct op ops[] = {
	{ { 0x40, 0x88, 0x37 }, 3, 1 },			   /* mov [rdi], sil */
	{ { 0x66, 0x89, 0x37 }, 3, 2 },			   /* mov [rdi], si */
	{ { 0x89, 0x37 }, 2, 4 },			   /* mov [rdi], esi */
	{ { 0x48, 0x89, 0x37 }, 3, 8 },			   /* mov [rdi], rsi */
	{ { 0xc7, 0x07, 1, 2, 3, 4 }, 6, 4 },		   /* mov dword [rdi], imm */
	{ { 0x0f, 0x11, 0x07 }, 3, 16 },		   /* movups [rdi], xmm0 */
	{ { 0xf0, 0x48, 0x01, 0x37 }, 4, 8 },		   /* lock add [rdi], rsi */
	{ { 0x48, 0x0f, 0xc1, 0x37 }, 4, 8 },		   /* xadd [rdi], rsi, not locked */
	{ { 0x48, 0x0f, 0xc3, 0x37 }, 4, 8 },		   /* movnti [rdi], rsi */
	{ { 0xc5, 0xfc, 0x11, 0x07 }, 4, 32 },		   /* vmovups [rdi], ymm0 */
	{ { 0x62, 0xf1, 0x7c, 0x48, 0x11, 0x07 }, 6, 64 }, /* vmovups [rdi], zmm0 */
};
enum { XADD = 7, PLAIN_OPS = 9, YMM_OPS, ZMM_OPS };
static const unsigned char increment[] = { 0xf0, 0x48, 0xff, 0x07, 0xc3 }; /* lock inc qword [rdi]; ret */
static const unsigned char exchange[] = {
	0xf0, 0x48, 0x0f, 0xb1, 0x37, 0xc3
}; /* lock cmpxchg [rdi], rsi; ret */

/* Fresh code for each round, so that its sites are patched under both threads. */
struct round {
	const unsigned char *code; /* 16 bytes an op; then increment and exchange */
	uint64_t seed;
};
/* The second thread's; no code: it ends. */
static struct round second;
static pthread_barrier_t begin, end;

static unsigned op_count(void)
{
	if (__builtin_cpu_supports("avx512f"))
		return ZMM_OPS;
	return __builtin_cpu_supports("avx") ? YMM_OPS : PLAIN_OPS;
}

static void store(const unsigned char *code, unsigned char *to, uint64_t value)
{
	__asm__ volatile("movq %%rsi, %%xmm0\n\tpunpcklqdq %%xmm0, %%xmm0\n\tcall *%%rax"
			 : "+S"(value)
			 : "a"(code), "D"(to)
			 : "memory", "cc", "xmm0");
}

static uint64_t follow(uint64_t value)
{
	return value * 6364136223846793005u + 1442695040888963407u;
}

/* Do one step of the chain, while other threads do steps of it. */
static void step_chain(const unsigned char *code, uint64_t *at)
{
	for (;;) {
		uint64_t seen = *(volatile uint64_t *)at, was = seen;

		__asm__ volatile("call *%%rdx"
				 : "+a"(was)
				 : "d"(code), "D"(at), "S"(follow(seen))
				 : "memory", "cc");
		if (was == seen)
			return;
	}
}

static void race(const struct round *round)
{
	struct rng rng = { round->seed };
	unsigned count = op_count();

	pthread_barrier_wait(&begin);
	for (unsigned i = 0; i < OPS; i++) {
		unsigned which = (unsigned)rng_below(&rng, count);
		unsigned char *to = world.pool + FIELD + rng_below(&rng, FIELD_BYTES - ops[which].size);

		/* An xadd without lock is no atomic one: the other thread's may be lost, natively too. */
		if (which == XADD)
			to = world.pool + FIELD + 1024 + (round->seed & 1) * 64 + rng_below(&rng, 40);
		store(round->code + 16 * which, to, rng_next(&rng));
		store(round->code + 16 * ZMM_OPS, world.pool + COUNTER, 0);
		step_chain(round->code + 16 * (ZMM_OPS + 1), (uint64_t *)(void *)(world.pool + CHAIN));
	}
	pthread_barrier_wait(&end);
}

static void *thread(void *unused)
{
	for (;;) {
		pthread_barrier_wait(&end); /* `second` is set */
		if (!second.code)
			return NULL;
		race(&second);
	}
}

static const unsigned char *fresh_code(void)
{
	unsigned char bytes[16 * (ZMM_OPS + 2)];

	memset(bytes, 0x90, sizeof(bytes));
	for (unsigned i = 0; i < ZMM_OPS; i++) {
		memcpy(bytes + 16 * i, ops[i].code, ops[i].length);
		bytes[16 * i + ops[i].length] = 0xc3;
	}
	memcpy(bytes + 16 * ZMM_OPS, increment, sizeof(increment));
	memcpy(bytes + 16 * (ZMM_OPS + 1), exchange, sizeof(exchange));
	return world_code(bytes, sizeof(bytes), false);
}

struct verdict {
	unsigned long events, increments, exchanges;
	unsigned long broken; /* links of chains, and rounds whose events do not make the memory */
};

static void check_events(unsigned char *image, struct verdict *verdict)
{
	size_t count;
	const struct world_event *events = world_events(&count);

	for (size_t i = 0; i < count; i++) {
		uint64_t was, is;

		if (events[i].kind == TRACE_SLOT_STORE && events[i].length == 8 &&
		    (events[i].offset == COUNTER || events[i].offset == CHAIN)) {
			memcpy(&was, image + events[i].offset, 8);
			memcpy(&is, events[i].bytes, 8);
			if (events[i].offset == COUNTER ? is != was + 1 : is != follow(was))
				verdict->broken++;
			verdict->increments += events[i].offset == COUNTER;
			verdict->exchanges += events[i].offset == CHAIN;
		}
		world_apply(&events[i], image);
	}
	verdict->events += count;
	verdict->broken += memcmp(image, world.alias, POOL_BYTES) != 0;
}

static void run(unsigned rounds, struct verdict *verdict)
{
	static unsigned char image[POOL_BYTES];
	static const unsigned char *code;

	memcpy(image, world.alias, POOL_BYTES);
	for (unsigned i = 0; i < rounds && verdict->broken == 0; i++) {
		struct round first;

		/* Each code is run for ten rounds: first while it is patched, then as it is. */
		if (i % 10 == 0)
			code = fresh_code();
		first = (struct round){ code, 2 * i };
		second = (struct round){ code, 2 * i + 1 };
		pthread_barrier_wait(&end);
		race(&first);
		check_events(image, verdict);
	}
}

int main(int argc, char **argv)
{
	unsigned rounds = argc > 1 ? (unsigned)atoi(argv[1]) : 60;
	struct verdict locked = { 0 }, bare = { 0 };
	pthread_t other;

	world_start(POOL_BYTES);
	record_many();
	pthread_barrier_init(&begin, NULL, 2);
	pthread_barrier_init(&end, NULL, 2);
	if (pthread_create(&other, NULL, thread, NULL) != 0)
		err(1, "pthread_create");
	run(rounds, &locked);
	printf("# %lu events, %lu increments, %lu exchanges, %u sites\n", locked.events, locked.increments,
	       locked.exchanges, record_site_count());
	OK(locked.broken == 0 && locked.increments == 2ul * OPS * rounds &&
		   locked.exchanges == 2ul * OPS * rounds,
	   "racing threads are logged in memory order while their stores are patched");
	/* Stubs leave the locks out when they believe that the process has one thread. */
	record_low->locks[RECORD_LAST_LOCK].many = 0;
	for (unsigned i = 0; i < 3000 && bare.broken == 0; i++)
		run(10, &bare);
	second.code = NULL;
	pthread_barrier_wait(&end);
	pthread_join(other, NULL);
	if (sysconf(_SC_NPROCESSORS_ONLN) > 1)
		OK(bare.broken > 0, "negative control: without the locks of lines the chains break");
	return tap_done();
}
