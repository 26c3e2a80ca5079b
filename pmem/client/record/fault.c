/* SPDX-License-Identifier: BSD-3-Clause */

/* Signals: stores that fault, traps, faults inside of stubs, and signals that must wait for a stub to end. */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "abi/rawcall.h"
#include "client/record/calls.h"
#include "client/record/code.h"
#include "client/record/emit.h"
#include "client/record/engine.h"
#include "client/record/process_map.h"
#include "client/record/operand.h"
#include "client/record/patch.h"
#include "client/record/thunk.h"
#include "common/align.h"

#define PAGE_FAULT_WRITE 2 /* of the error code that the processor pushes */
#define TRAP_FLAG 0x100

/* ucontext's indices of the general registers, by their numbers. */
static const uint8_t greg[16] = { REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
				  REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15 };

static void go_to(ucontext_t *context, uint64_t address)
{
	context->uc_mcontext.gregs[REG_RIP] = (greg_t)address;
}

/* C code has returned, and will not turn stepping on. */
static bool in_thunk_tail(uint64_t address)
{
	return address >= (uint64_t)record_thunk_tail && address < (uint64_t)record_thunk_setup;
}

static bool in_thunk(uint64_t address)
{
	return address >= (uint64_t)record_thunk_first && address < (uint64_t)record_thunk_last;
}

/* The site in whose stub it is; NULL: it is in none. */
static struct record_site *stub_site(uint64_t address)
{
	return record_code_contains(address) ? record_site_of_stub(address) : NULL;
}

static void get_registers(const ucontext_t *context, uint64_t registers[16])
{
	for (unsigned i = 0; i < 16; i++)
		registers[i] = (uint64_t)context->uc_mcontext.gregs[greg[i]];
}

static void put_registers(ucontext_t *context, const uint64_t registers[16])
{
	for (unsigned i = 0; i < 16; i++)
		context->uc_mcontext.gregs[greg[i]] = (greg_t)registers[i];
}

/* The kernel's signal set: bit n - 1 is signal n. glibc's sigset_t begins with it. */
static uint64_t *mask_of(ucontext_t *context)
{
	return (uint64_t *)(void *)&context->uc_sigmask;
}

/* ---- Signals that have to wait --------------------------------------------------------------- */

/* Those that an instruction itself causes: blocked, they would end the process. */
static uint64_t synchronous(void)
{
	static const int numbers[] = { SIGSEGV, SIGBUS, SIGTRAP, SIGILL, SIGFPE };
	uint64_t set = 0;

	for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		set |= (uint64_t)1 << (numbers[i] - 1);
	return set;
}

static bool is_system_call(uint64_t address)
{
	const uint8_t *code = (const uint8_t *)address;

	return record_code_contains(address) && code[0] == 0x0f && code[1] == 0x05;
}

/*
 * A stub is at its system call, which may take for ever: before it, or just behind it. Then the program is
 * where it has that call, with nothing of ours in progress, and its handlers may run.
 */
static bool settle_system_call(ucontext_t *context)
{
	const uint64_t rip = (uint64_t)context->uc_mcontext.gregs[REG_RIP];
	const bool made = is_system_call(rip - 2);
	const struct record_site *site;
	uint64_t registers[16], at = made ? rip - 2 : rip;

	/* C code of ours that makes one is not interrupted. */
	if (record_self.inside || (!made && !is_system_call(rip)))
		return false;
	site = record_site_of_stub(at);
	if (!site || site->insn.class != RECORD_SYSTEM_CALL ||
	    (at != site->native_at && at != site->call_at))
		return false;
	get_registers(context, registers);
	go_to(context, record_system_call_settle(site, at == site->call_at, made, registers,
						 (uint64_t)context->uc_mcontext.gregs[REG_EFL]));
	put_registers(context, registers);
	return true;
}

bool record_defer(int number, siginfo_t *info, void *context_pointer)
{
	ucontext_t *context = context_pointer;
	struct record_thread *self = &record_self;
	uint64_t rip = (uint64_t)context->uc_mcontext.gregs[REG_RIP];
	bool in_stub;

	if (!record_engine.started)
		return false;
	if (settle_system_call(context))
		return false;
	in_stub = record_code_contains(rip);
	if (!in_stub && !self->inside && !in_thunk(rip))
		return false;
	self->stepping = true;
	self->kept_info = *info;
	self->kept_info.si_signo = number;
	self->kept_mask = *mask_of(context);
	*mask_of(context) = ~synchronous();
	/* C code turns stepping on when it goes back to the stub. */
	if (in_stub || in_thunk_tail(rip))
		context->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
	return true;
}

/* Deliver the signal that was kept back as soon as this handler returns. */
static void deliver_kept(ucontext_t *context)
{
	struct record_thread *self = &record_self;

	self->stepping = false;
	context->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)TRAP_FLAG;
	*mask_of(context) = self->kept_mask;
	RAW4(rt_tgsigqueueinfo, RAW1(getpid, 0), RAW1(gettid, 0), self->kept_info.si_signo, &self->kept_info);
}

static void step(ucontext_t *context)
{
	uint64_t rip = (uint64_t)context->uc_mcontext.gregs[REG_RIP];

	if (in_thunk_tail(rip)) /* the flags that it loads are not those of a program that is stepped */
		context->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
	if (in_thunk_tail(rip) || (record_code_contains(rip) && !settle_system_call(context)))
		return;
	if (record_self.inside || in_thunk(rip))
		context->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)TRAP_FLAG;
	else
		deliver_kept(context);
}

/* A way out that is being changed; what it led to is right as before. */
static bool trap_in_stub(ucontext_t *context)
{
	uint64_t at = (uint64_t)context->uc_mcontext.gregs[REG_RIP] - 1;
	const struct record_site *site = stub_site(at);

	if (!site || !record_exit_jumps_at(site, at))
		return false;
	go_to(context, record_goes_on_at(site));
	return true;
}

static bool trap(const siginfo_t *info, ucontext_t *context)
{
	uint64_t rip = (uint64_t)context->uc_mcontext.gregs[REG_RIP];
	struct record_site *site;

	/* By int3, not by a step. */
	if (info->si_code == SI_KERNEL && trap_in_stub(context))
		return true;
	if (record_self.stepping &&
	    ((context->uc_mcontext.gregs[REG_EFL] & TRAP_FLAG) || in_thunk_tail(rip))) {
		step(context);
		return true;
	}
	/* int3 leaves rip behind itself. The stub is right even if the jump is in place by now. */
	site = record_site_at(rip - 1);
	if (!site)
		return false;
	go_to(context, site->stub);
	return true;
}

/* ---- Faults in stubs ------------------------------------------------------------------------------ */

#define STACK_RED_ZONE 128

static void abandon_inline(ucontext_t *context, const struct record_site *site, unsigned locks)
{
	greg_t *registers = context->uc_mcontext.gregs;
	const uint64_t *stack = (const uint64_t *)registers[REG_RSP];

	record_inline_abandon((uint64_t)registers[greg[site->saved[RECORD_SAVED_PLACE]]], locks);
	if (!site->flags_dead) {
		const uint64_t ax = *stack++;
		/* lahf's SF, ZF, AF, PF, CF in ah, OF in al. */
		const greg_t flags = (greg_t)((ax >> 8 & 0xd5) | (ax & 1) << 11);

		registers[REG_EFL] = (registers[REG_EFL] & ~(greg_t)0x8d5) | flags;
	}
	for (unsigned i = site->saved_count; i-- > 0;)
		registers[greg[site->saved[i]]] = (greg_t)*stack++;
	registers[REG_RSP] = (greg_t)stack + STACK_RED_ZONE;
}

static void abandon_call(ucontext_t *context)
{
	uint64_t registers[16];

	get_registers(context, registers);
	record_call_abandon(registers);
	put_registers(context, registers);
}

/* The program knows nothing of aliases. */
static void translate_address(siginfo_t *info)
{
	uint64_t at = (uint64_t)info->si_addr;

	for (unsigned i = 1; i < RECORD_RANGES; i++) {
		const struct record_range *range = &record_low->ranges[i];

		if (range->delta && at - range->delta - range->start < range->length) {
			info->si_addr = (void *)(at - range->delta);
			return;
		}
	}
}

static bool is_store_to_pool(const siginfo_t *info, const ucontext_t *context)
{
	return record_engine.setup.stores && (context->uc_mcontext.gregs[REG_ERR] & PAGE_FAULT_WRITE) &&
	       record_range_find((uint64_t)info->si_addr);
}

/* As if the program's own instruction had caused it. False: this instruction of the stub is none of those. */
static bool leave_stub(const struct record_site *site, ucontext_t *context)
{
	const uint64_t rip = (uint64_t)context->uc_mcontext.gregs[REG_RIP];
	const uint64_t origin = record_exit_origin(site, rip);
	const bool scatters = site->insn.target == RECORD_TARGET_VECTOR;

	if (rip == site->one_at || rip == site->two_at)
		abandon_inline(context, site, rip == site->two_at ? 2 : 1);
	else if (rip == site->call_at && !scatters)
		abandon_call(context);
	else if (rip != site->native_at && rip != site->call_at && !origin)
		return false;
	go_to(context, origin ? origin : site->address);
	return true;
}

static bool fault_in_stub(struct record_site *site, siginfo_t *info, ucontext_t *context)
{
	uint64_t rip = (uint64_t)context->uc_mcontext.gregs[REG_RIP];
	bool scatters = site->insn.target == RECORD_TARGET_VECTOR;

	if (rip == site->lookup_at) { /* no address of a process: the instruction itself shall fault */
		go_to(context, site->native_label);
		return true;
	}
	/* A mapping came into being after the lookup, or a string instruction has reached one. */
	if ((rip == site->native_at || (scatters && rip == site->call_at)) && record_self.forbidden != site &&
	    is_store_to_pool(info, context)) {
		if (record_self.retried == site && site->way == RECORD_CALLS)
			record_die("a store to a pool is not recognized", site);
		record_self.retried = site;
		go_to(context, site->stub);
		return true;
	}
	if (leave_stub(site, context))
		translate_address(info);
	return false;
}

/* ---- Stores that fault ------------------------------------------------------------------------------- */

static bool store_faulted(ucontext_t *context)
{
	uint64_t rip = (uint64_t)context->uc_mcontext.gregs[REG_RIP];
	uint64_t available = RECORD_INSN_MAX, page_end = align_up(rip + 1, PAGE_BYTES);
	struct record_site *site;
	bool known, patchable;
	unsigned char present;

	if (page_end - rip < available && RAW3(mincore, page_end, PAGE_BYTES, &present) == -ENOMEM)
		available = page_end - rip;
	site = record_site_at(rip);
	known = site && !record_site_check(site);
	patchable = !known && record_mapping_is_patchable(rip);
	site = record_site_make(rip, (const uint8_t *)rip, available, RECORD_FOR_STORES, patchable);
	if (!site)
		return false;
	site->faulted = true;
	if (site->patched == RECORD_NOT_PATCHED && !site->unpatchable) {
		if (known)
			patchable = record_mapping_is_patchable(rip);
		if (!patchable)
			site->unpatchable = true;
		else if (!record_are_many() && record_has_one_thread())
			record_site_patch_alone(site);
		else
			record_site_patch(site);
	}
	go_to(context, site->stub);
	return true;
}

static bool fault(siginfo_t *info, ucontext_t *context)
{
	uint64_t rip = (uint64_t)context->uc_mcontext.gregs[REG_RIP];
	struct record_site *site = stub_site(rip);

	if (rip == (uint64_t)record_can_store || rip == (uint64_t)record_can_load) {
		go_to(context, (uint64_t)record_cannot);
		return true;
	}
	if (site)
		return fault_in_stub(site, info, context);
	if (is_store_to_pool(info, context))
		return store_faulted(context);
	/* Of a copy by libc's functions, for instance. */
	translate_address(info);
	return false;
}

/* SIGFPE and SIGILL, whose address is the instruction's. */
static void exception(siginfo_t *info, ucontext_t *context)
{
	const uint64_t rip = (uint64_t)context->uc_mcontext.gregs[REG_RIP];
	const struct record_site *site = stub_site(rip);

	if (site && leave_stub(site, context))
		info->si_addr = (void *)context->uc_mcontext.gregs[REG_RIP];
}

bool record_signal(int number, siginfo_t *info, void *context_pointer)
{
	ucontext_t *context = context_pointer;
	bool ours = false;

	if (!record_engine.started)
		return false;
	if (number == SIGTRAP)
		ours = trap(info, context);
	else if (number == SIGSEGV || number == SIGBUS)
		ours = fault(info, context);
	else
		exception(info, context);
	if (!ours && record_self.stepping)
		deliver_kept(context);
	return ours;
}
