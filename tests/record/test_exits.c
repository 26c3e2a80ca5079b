/* SPDX-License-Identifier: BSD-3-Clause */

/* What follows a short store runs in the store's stub: faults there, and code that other code replaces. */

#include <err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "../e2e/tap.h"
#include "client/record/emit.h"
#include "client/record/engine.h"
#include "client/record/patch.h"
#include "world.h"

unsigned tap_run, tap_failed;

#define POOL_BYTES 65536u
#define CODE_BYTES 64u

struct registers {
	uint64_t rdi, rsi, rdx, rax;
};

static void run(const unsigned char *code, struct registers *r)
{
	__asm__ volatile("call *%4"
			 : "+D"(r->rdi), "+S"(r->rsi), "+d"(r->rdx), "+a"(r->rax)
			 : "r"(code)
			 : "memory", "cc");
}

/* Run the code with its stores to a place of the pool, which is all zero before. Returns rax. */
static uint64_t stored_by(const unsigned char *code, uint64_t value, const void *load)
{
	struct registers r = { (uint64_t)world.pool, value, (uint64_t)load, 0 };

	memset(world.alias, 0, 64);
	run(code, &r);
	world_collect();
	return r.rax;
}

static uint32_t word(size_t offset)
{
	uint32_t value;

	memcpy(&value, world.alias + offset, sizeof(value));
	return value;
}

static unsigned char *code_of(const void *bytes, size_t length)
{
	unsigned char padded[CODE_BYTES] = { 0 };

	memcpy(padded, bytes, length);
	return world_code(padded, sizeof(padded), false);
}

/* Other code in its place, as after dlclose() and dlopen(), of which the engine hears nothing. */
static void replace(unsigned char *code, const void *bytes, size_t length)
{
	if (mremap(code_of(bytes, length), 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, code) != code)
		err(1, "mremap");
}

static const unsigned char loads[] = { 0x89, 0x37,	 /* mov [rdi], esi */
				       0x48, 0x8b, 0x02, /* mov rax, [rdx] */
				       0xc3 };

static uint64_t fault_at, fault_address;
static uint64_t go_on_at;

static void on_fault(int number, siginfo_t *info, void *context_pointer)
{
	ucontext_t *context = context_pointer;

	if (number != SIGSEGV)
		_exit(1);
	fault_at = (uint64_t)context->uc_mcontext.gregs[REG_RIP];
	fault_address = (uint64_t)info->si_addr;
	context->uc_mcontext.gregs[REG_RIP] = (greg_t)go_on_at;
	context->uc_mcontext.gregs[REG_RAX] = 77;
}

static void check_faults(void)
{
	unsigned char *code = code_of(loads, sizeof(loads));
	unsigned char *nothing = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const uint64_t there = 1234;

	world_signal = on_fault;
	go_on_at = (uint64_t)code + sizeof(loads) - 1;
	OK(stored_by(code, 1, &there) == 1234 && stored_by(code, 2, &there) == 1234 && word(0) == 2,
	   "a load behind a store loads, at the first time and later");
	OK(record_site_at((uint64_t)code)->followed_length == 4,
	   "the load and the ret behind it run in the stub");
	OK(stored_by(code, 3, nothing) == 77 && word(0) == 3 && fault_at == (uint64_t)code + 2 &&
		   fault_address == (uint64_t)nothing,
	   "its fault is at the program's instruction");
	world_signal = NULL;
}

/* The jump ends where the branch does; but with prefixes before it, it would end later. */
static void check_fault_behind_branch(void)
{
	static const unsigned char branches[] = { 0x89, 0x77, 0x08, /* mov [rdi+8], esi */
						  0x75, 0x00,	    /* jne to what follows */
						  0x48, 0x8b, 0x02, /* mov rax, [rdx] */
						  0xc3 };
	unsigned char *code = code_of(branches, sizeof(branches));
	unsigned char *nothing = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const uint64_t there = 1234;

	world_signal = on_fault;
	go_on_at = (uint64_t)code + sizeof(branches) - 1;
	OK(stored_by(code, 1, &there) == 1234, "a load behind a branch behind a store loads");
	OK(stored_by(code, 2, nothing) == 77 && word(8) == 2 && fault_at == (uint64_t)code + 5 &&
		   fault_address == (uint64_t)nothing,
	   "the fault of a load behind a branch behind a store is at the program's instruction");
	world_signal = NULL;
}

static void check_followers(void)
{
	static const unsigned char increments[] = { 0x89, 0x37, 0x48, 0xff, 0xc0, 0xc3 };
	static const unsigned char decrements[] = { 0x89, 0x37, 0x48, 0xff, 0xc8, 0xc3 };
	unsigned char *code = code_of(increments, sizeof(increments));
	const uint64_t first = stored_by(code, 1, NULL), again = stored_by(code, 1, NULL);

	OK(first == 1 && again == 1 && word(0) == 1, "an increment behind a store increments");
	replace(code, decrements, sizeof(decrements));
	OK(stored_by(code, 2, NULL) == UINT64_MAX && stored_by(code, 3, NULL) == UINT64_MAX && word(0) == 3,
	   "a decrement in its place decrements");
}

static void check_links(void)
{
	static const unsigned char two[] = { 0x89, 0x37, 0x89, 0x77, 0x08, 0xc3 };
	static const unsigned char other[] = { 0x89, 0x37, 0x89, 0x77, 0x10, 0xc3 };
	unsigned char *code = code_of(two, sizeof(two));
	const struct record_site *site;

	stored_by(code, 1, NULL);
	site = record_site_at((uint64_t)code);
	OK(site->next && site->next == record_site_at((uint64_t)code + 2),
	   "a store behind a store runs in its own stub, which was made later");
	stored_by(code, 5, NULL);
	OK(word(0) == 5 && word(8) == 5, "both store");
	replace(code, other, sizeof(other));
	stored_by(code, 6, NULL);
	stored_by(code, 7, NULL);
	OK(word(0) == 7 && word(8) == 0 && word(16) == 7,
	   "another store in the place of the second one stores");
}

/* A thread at the jump that is being changed. */
static void check_trap(void)
{
	static const unsigned char then_call[] = { 0x89, 0x37,			 /* mov [rdi], esi */
						   0xe8, 0x01, 0x00, 0x00, 0x00, /* call of the last inc */
						   0xc3, 0x48, 0xff, 0xc0, 0xc3 };
	unsigned char *code = code_of(then_call, sizeof(then_call));
	const struct record_site *site;
	bool jumps = true;

	OK(stored_by(code, 1, NULL) == 1, "a call behind a store calls");
	site = record_site_at((uint64_t)code);
	for (unsigned i = 0; i < site->exit_count; i++)
		jumps = jumps && site->exits[i].jump && *(const unsigned char *)site->exits[i].jump == 0xe9;
	OK(site->exit_count > 0 && jumps && record_goes_on_at(site) == (uint64_t)code + 2,
	   "the stub goes on at the call");
	for (unsigned i = 0; i < site->exit_count; i++) {
		unsigned char *page = (unsigned char *)(site->exits[i].jump & ~(uint64_t)4095);

		if (mprotect(page, 8192, PROT_READ | PROT_WRITE | PROT_EXEC) != 0)
			mprotect(page, 4096, PROT_READ | PROT_WRITE | PROT_EXEC);
		*(unsigned char *)site->exits[i].jump = 0xcc;
	}
	OK(stored_by(code, 8, NULL) == 1 && word(0) == 8,
	   "a call behind a store calls while a trap is in the place of the stub's jump to it");
}

int main(void)
{
	world_start(POOL_BYTES);
	check_faults();
	check_fault_behind_branch();
	check_followers();
	check_links();
	check_trap();
	return tap_done();
}
