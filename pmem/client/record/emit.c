/* SPDX-License-Identifier: BSD-3-Clause */

#include "client/record/emit.h"

#include "client/record/reencode.h"
#include "client/record/stub.h"

/* ---- Pieces ------------------------------------------------------------------------- */

static void call_if(struct stub *s, unsigned condition)
{
	s->to_call[s->calls++] = asm_branch(&s->code, condition);
}

/*
 * Registers that the operation does not use; the first can be its base (reencode.h). rcx is free until the
 * operation, and stays so if that does not use it.
 */
static bool choose_registers(struct stub *s)
{
	static const uint8_t order[] = { RECORD_RDX, RECORD_RBX, RECORD_RSI, RECORD_RDI, 8,  9,
					 10,	     11,	 12,	     13,	 14, 15 };
	const bool rcx_free = !(s->insn->registers >> RECORD_RCX & 1);
	unsigned *chosen[] = { &s->address, &s->place, &s->slot, &s->head };
	unsigned count = 0, wanted = rcx_free ? 3 : 4;

	for (unsigned i = 0; i < sizeof(order) && count < wanted; i++)
		if (!(s->insn->registers >> order[i] & 1))
			*chosen[count++] = order[i];
	if (rcx_free)
		s->head = RECORD_RCX;
	return count == wanted && s->address < 8;
}

/* lea to, [base + index * scale + disp32], with the stack pointer `stack_moved` lower than the program's. */
static void lea_address(struct stub *s, unsigned to, int32_t stack_moved)
{
	const struct record_address *at = &s->insn->address;
	struct record_asm *a = &s->code;
	bool has_base = at->base != RECORD_NO_REGISTER, has_index = at->index != RECORD_NO_REGISTER;
	/* Without a base, mod is 0 and the SIB's base 5; without an index, the SIB's index 4. */
	unsigned base = has_base ? at->base : 5u, index = has_index ? at->index : 4u;
	unsigned mod = has_base ? 0x80u : 0u, scale = has_index ? (unsigned)__builtin_ctz(at->scale) : 0u;

	if (at->base == RECORD_RIP) {
		asm_constant(a, to, s->site->address + s->insn->length + (uint64_t)at->displacement);
		return;
	}
	if (!has_base && !has_index) { /* mov has a form with 64 bits */
		asm_constant(a, to, (uint64_t)at->displacement);
		return;
	}
	asm_byte(a, 0x48 | (to >> 3) << 2 | (index >> 3) << 1 | base >> 3);
	asm_byte(a, ASM_LEA);
	asm_byte(a, mod | (to & 7) << 3 | 4);
	asm_byte(a, scale << 6 | (index & 7) << 3 | (base & 7));
	asm_number(a, (uint64_t)(at->displacement + (at->base == RECORD_RSP ? stack_moved : 0)), 4);
}

/* Does an address that is relative to rsp stay so in the inline part? */
static bool displacement_fits(const struct stub *s)
{
	const struct record_address *at = &s->insn->address;

	return at->base != RECORD_RSP || at->displacement <= INT32_MAX - 2 * STACK_SKIP;
}

static void save(struct stub *s, unsigned reg)
{
	asm_push(&s->code, reg);
	s->site->saved[s->site->saved_count++] = (uint8_t)reg;
}

/* Give saved registers [first, end) back. */
static void restore(struct stub *s, unsigned first, unsigned end)
{
	for (unsigned i = end; i-- > first;)
		asm_pop(&s->code, s->site->saved[i]);
}

/* Where a saved register is from rsp on, if the flags are not saved yet. */
static int32_t saved_at(const struct stub *s, unsigned which)
{
	return 8 * (int32_t)(s->site->saved_count - 1u - which);
}

/* With the registers before that of the place it is known whether the address is in a pool. */
#define SAVED_FOR_LOOKUP RECORD_SAVED_PLACE

/* The number of the chunk that `address` is in, into rcx. No flag changes. */
static void chunk_of(struct record_asm *a, unsigned address)
{
	if (record_has_bmi2) {
		asm_constant(a, RECORD_RCX, RECORD_CHUNK_SHIFT);
		asm_shrx(a, RECORD_RCX, address, RECORD_RCX);
		return;
	}
	asm_push(a, RECORD_RAX);
	asm_flags_save(a);
	asm_registers(a, true, ASM_LOAD, RECORD_RCX, address);
	asm_shift(a, 5, RECORD_RCX, RECORD_CHUNK_SHIFT);
	asm_flags_restore(a);
	asm_pop(a, RECORD_RAX);
}

/* Most stores of libraries are to other memory, so what they cost counts too. No flag changes. */
static void look_up(struct stub *s)
{
	struct record_asm *a = &s->code;

	asm_move_stack(a, -STACK_SKIP);
	save(s, s->address);
	save(s, RECORD_RCX);
	lea_address(s, s->address, STACK_SKIP + 8 * SAVED_FOR_LOOKUP);
	chunk_of(a, s->address);
	s->site->lookup_at = asm_here(a);
	asm_memory(a, false, 0x0fb6, RECORD_RCX, RECORD_RCX, LOW(chunks)); /* movzx */
}

static void leave_lookup(struct stub *s)
{
	restore(s, 0, SAVED_FOR_LOOKUP);
	asm_move_stack(&s->code, STACK_SKIP);
}

/* To the call part if something waits for a fence; else on, with rcx changed. */
static uint32_t unless_idle(struct stub *s)
{
	struct record_asm *a = &s->code;
	uint32_t busy, idle;

	asm_thread(a, ASM_LOAD, RECORD_RCX, record_waiting_offset);
	idle = asm_branch_rcx(a);
	busy = asm_jump(a);
	asm_land_near(a, idle);
	return busy;
}

static bool native_part(struct stub *s)
{
	s->site->native_at = asm_here(&s->code);
	if (!record_copy(&s->code, s->insn, s->site->address))
		return false;
	stub_go_on(s);
	return true;
}

static void enter(struct stub *s)
{
	struct record_asm *a = &s->code;

	save(s, s->place);
	save(s, s->slot);
	if (s->head != RECORD_RCX) {
		save(s, s->head);
		asm_registers(a, false, ASM_LOAD, s->head, RECORD_RCX);
		/* The operation uses it. */
		asm_memory(a, true, ASM_LOAD, RECORD_RCX, RECORD_RSP, saved_at(s, RECORD_SAVED_RCX));
	}
	save(s, RECORD_RAX);
	if (!s->site->flags_dead) {
		asm_flags_save(a);
		asm_push(a, RECORD_RAX);
	}
}

/* As look_up() left the registers, but for rcx. */
static void leave(struct stub *s)
{
	struct record_asm *a = &s->code;

	if (!s->site->flags_dead) {
		asm_pop(a, RECORD_RAX);
		asm_flags_restore(a);
	}
	restore(s, SAVED_FOR_LOOKUP, s->site->saved_count);
}

/* ---- The inline store ------------------------------------------------------------------ */

/* `head` is the number of the range. Leaves the place in `place`, the alias in `address`. */
static uint32_t find_place(struct stub *s)
{
	struct record_asm *a = &s->code;
	uint32_t edge;

	asm_shift(a, 4, s->head, 6);
	asm_registers(a, true, ASM_LOAD, s->place, s->address);
	asm_memory(a, true, ASM_SUB, s->place, s->head, LOW(ranges[0].start));
	asm_memory(a, true, ASM_CMP, s->place, s->head, LOW(ranges[0].inner));
	edge = asm_branch(a, ASM_ABOVE);
	asm_memory(a, true, ASM_ADD, s->place, s->head, LOW(ranges[0].place));
	asm_memory(a, true, ASM_ADD, s->address, s->head, LOW(ranges[0].delta));
	asm_memory(a, false, 0x0f0d, 1, s->address, 0); /* prefetchw: it is stored to after the stamp only */
	return edge;
}

static void check_room(struct stub *s)
{
	if (s->insn->locked) { /* it is a fence, which has something to do */
		asm_byte(&s->code, 0x64);
		asm_absolute(&s->code, true, 0x83, 7, record_waiting_offset);
		asm_byte(&s->code, 0);
		call_if(s, ASM_NOT_ZERO);
	}
	asm_thread(&s->code, ASM_LOAD, s->head, THREAD(producer.head));
	asm_thread(&s->code, ASM_CMP, s->head, THREAD(inline_limit));
	call_if(s, ASM_NOT_BELOW);
}

/* Before a thread that waits for a lock asks C code whether its owner is alive, and sleeps. */
#define SPINS 2000

/*
 * Take lock `number` (0 or 1) from the one at offset `slot`; `head` is this thread's id. The counter is
 * below the stack pointer, in this frame's red zone.
 */
static void take_lock(struct stub *s, unsigned number)
{
	struct record_asm *a = &s->code;
	int32_t locks = LOW(locks[0]);
	uint32_t again, got;

	asm_store_constant(a, RECORD_RSP, -8, SPINS);
	again = a->used;
	asm_registers(a, false, 0x33, RECORD_RAX, RECORD_RAX); /* xor eax, eax */
	asm_byte(a, 0xf0);
	asm_memory(a, false, 0x0fb1, s->head, s->slot, locks + (int32_t)(number << RECORD_LOCK_SHIFT));
	got = asm_branch(a, ASM_ZERO);
	asm_byte(a, 0xf3); /* pause */
	asm_byte(a, 0x90);
	asm_memory(a, false, 0xff, 1, RECORD_RSP, -8); /* dec */
	asm_branch_back(a, ASM_NOT_ZERO, again);
	if (number)
		asm_store_constant(a, s->slot, locks, 0);
	s->to_call[s->calls++] = asm_jump(a);
	asm_land(a, got);
}

/* `place` with the bits that number its line's lock, in `to`. */
static void lock_offset(struct stub *s, unsigned to)
{
	if (to != s->place)
		asm_registers(&s->code, false, ASM_LOAD, to, s->place);
	asm_immediate(&s->code, false, 4, to, RECORD_LOCK_MASK);
}

static void take_one(struct stub *s)
{
	lock_offset(s, s->slot);
	asm_thread(&s->code, ASM_LOAD, s->head, THREAD(id));
	take_lock(s, 0);
}

static void take_two(struct stub *s)
{
	lock_offset(s, s->slot);
	/* The next line has the first lock: they would be taken in descending order. */
	asm_immediate(&s->code, false, 7, s->slot, RECORD_LOCK_MASK);
	call_if(s, ASM_ZERO);
	asm_thread(&s->code, ASM_LOAD, s->head, THREAD(id));
	take_lock(s, 0);
	take_lock(s, 1);
}

static uint32_t slot_flags(const struct record_insn *insn)
{
	return (insn->nontemporal ? TRACE_NONTEMPORAL : 0) | (insn->locked ? TRACE_LOCKED : 0);
}

/* Word 0 but for the stamp, which is in its upper 24 bits already. */
static void put_word(struct stub *s, uint64_t word)
{
	asm_store_constant(&s->code, s->slot, 0, (uint32_t)word);
	asm_byte(&s->code, 0x40 | s->slot >> 3); /* mov byte [slot + 4], imm8 */
	asm_memory_tail(&s->code, 0xc6, 0, s->slot, 4);
	asm_byte(&s->code, (unsigned)(word >> 32) & 0xff);
}

/* Take a stamp, after a note that there will be one (trace_stamp()), and find the slot. */
static void take_stamp(struct stub *s)
{
	struct record_asm *a = &s->code;
	uint32_t shared, taken, same;

	asm_thread(a, ASM_LOAD, s->head, THREAD(producer.head));
	asm_thread(a, ASM_LOAD, RECORD_RAX, THREAD(producer.header));
	asm_memory(a, true, ASM_LEA, s->slot, s->head, 1);
	asm_memory(a, true, ASM_STORE, s->slot, RECORD_RAX, offsetof(struct trace_buffer_header, head));
	asm_constant(a, RECORD_RAX, 1);
	asm_absolute(a, false, 0x83, 7, LOW(clock.alone)); /* cmp dword [alone], 0 */
	asm_byte(a, 0);
	shared = asm_branch(a, ASM_ZERO);
	asm_absolute(a, true, 0x0fc1, RECORD_RAX, LOW(clock.stamp)); /* xadd */
	taken = asm_jump(a);
	asm_land(a, shared);
	asm_byte(a, 0xf0);
	asm_absolute(a, true, 0x0fc1, RECORD_RAX, LOW(clock.stamp)); /* lock xadd */
	asm_land(a, taken);
	asm_memory(a, true, ASM_LEA, RECORD_RAX, RECORD_RAX, 1);
	asm_thread(a, ASM_CMP, RECORD_RAX, THREAD(producer.rebase_at));
	same = asm_branch(a, ASM_BELOW);
	/* A rebase, once in 16 million stamps. */
	asm_registers(a, true, ASM_LOAD, s->slot, RECORD_RAX);
	asm_shift(a, 5, s->slot, TRACE_SLOT_STAMP_BITS);
	asm_memory(a, true, ASM_LEA, s->slot, s->slot, 1);
	asm_shift(a, 4, s->slot, TRACE_SLOT_STAMP_BITS);
	asm_thread(a, ASM_STORE, s->slot, THREAD(producer.rebase_at));
	asm_registers(a, true, ASM_LOAD, s->slot, s->head);
	asm_thread(a, 0x23, s->slot, THREAD(producer.mask)); /* and */
	asm_thread(a, ASM_ADD, s->slot, THREAD(producer.ring));
	asm_store_constant(a, s->slot, 0, TRACE_SLOT_REBASE);
	asm_store_constant(a, s->slot, 4, 0);
	asm_memory(a, true, ASM_STORE, RECORD_RAX, s->slot, 8);
	asm_memory(a, true, ASM_LEA, s->head, s->head, 16);
	asm_land(a, same);
	asm_registers(a, true, ASM_LOAD, s->slot, s->head);
	asm_thread(a, 0x23, s->slot, THREAD(producer.mask));
	asm_thread(a, ASM_ADD, s->slot, THREAD(producer.ring));
	asm_memory(a, false, 0x0f0d, 1, s->slot, TRACE_SLOT_AHEAD); /* prefetchw: trace_slot_prefetch() */
	asm_shift(a, 4, RECORD_RAX, TRACE_SLOT_STAMP_SHIFT);
	asm_memory(a, true, ASM_STORE, RECORD_RAX, s->slot, 0);
	asm_memory(a, true, ASM_STORE, s->place, s->slot, 8);
	put_word(s, trace_slot_word(TRACE_SLOT_STORE, s->insn->size - 1u, slot_flags(s->insn), s->site->id));
}

/* The stored bytes, from the alias into the slot. */
static void copy_back(struct stub *s)
{
	struct record_asm *a = &s->code;
	int32_t at = 0, size = s->insn->size;

	for (; size - at >= 8; at += 8) {
		asm_memory(a, true, ASM_LOAD, RECORD_RAX, s->address, at);
		asm_memory(a, true, ASM_STORE, RECORD_RAX, s->slot, 16 + at);
	}
	if (at < size) {
		unsigned load = size - at >= 4 ? ASM_LOAD : size - at == 2 ? 0x0fb7 : 0x0fb6;

		asm_memory(a, false, load, RECORD_RAX, s->address, at);
		asm_memory(a, true, ASM_STORE, RECORD_RAX, s->slot, 16 + at);
	}
}

static void publish(struct stub *s)
{
	struct record_asm *a = &s->code;

	asm_thread(a, ASM_STORE, s->head, THREAD(producer.head));
	asm_thread(a, ASM_LOAD, RECORD_RAX, THREAD(producer.header));
	asm_memory(a, true, ASM_STORE, s->head, RECORD_RAX, offsetof(struct trace_buffer_header, head));
}

static void give_back(struct stub *s, bool two)
{
	struct record_asm *a = &s->code;
	uint32_t alone;

	/*
	 * It does not change while a stub runs: this thread alone changes it, or others wait
	 * (record_many()).
	 */
	asm_absolute(a, false, 0x83, 7, LOW(locks[RECORD_LAST_LOCK].many)); /* cmp dword [many], 0 */
	asm_byte(a, 0);
	alone = asm_branch(a, ASM_ZERO);
	lock_offset(s, s->place);
	if (two)
		asm_store_constant(a, s->place, LOW(locks[1]), 0);
	asm_store_constant(a, s->place, LOW(locks[0]), 0);
	asm_land(a, alone);
}

/* The operation with the program's flags and rax, and its own back. */
static bool operate(struct stub *s, uint64_t *at)
{
	struct record_asm *a = &s->code;
	const struct record_insn *insn = s->insn;
	const bool uses_rax = insn->registers & (1u << RECORD_RAX);
	/* Flags that are dead are not saved, nor are they read or written. rax was saved last. */
	const int32_t flags = 0, saved_rax = s->site->flags_dead ? 0 : 8;
	const int32_t saved_rcx = saved_rax + saved_at(s, RECORD_SAVED_RCX);

	if (insn->reads_flags) {
		asm_memory(a, true, ASM_LOAD, RECORD_RAX, RECORD_RSP, flags);
		asm_flags_restore(a);
	}
	if (uses_rax)
		asm_memory(a, true, ASM_LOAD, RECORD_RAX, RECORD_RSP, saved_rax);
	*at = asm_here(a);
	if (!record_copy_to(a, insn, s->site->address, s->address))
		return false;
	if (insn->written & (1u << RECORD_RAX))
		asm_memory(a, true, ASM_STORE, RECORD_RAX, RECORD_RSP, saved_rax);
	if (insn->written & (1u << RECORD_RCX))
		asm_memory(a, true, ASM_STORE, RECORD_RCX, RECORD_RSP, saved_rcx);
	if (insn->writes_flags) {
		asm_flags_save(a);
		asm_memory(a, true, ASM_STORE, RECORD_RAX, RECORD_RSP, flags);
	}
	return true;
}

/* A cmpxchg that failed has stored nothing new. The flags are in rax. */
static void log_comparison(struct stub *s)
{
	struct record_asm *a = &s->code;
	uint32_t stored, done;

	asm_byte(a, 0xf6); /* test ah, ZF */
	asm_byte(a, 0xc4);
	asm_byte(a, 0x40);
	stored = asm_branch(a, ASM_NOT_ZERO);
	if (s->insn->locked)
		put_word(s, trace_slot_word(TRACE_SLOT_FENCE, 0, TRACE_RMW, s->site->id));
	else
		put_word(s, trace_slot_word(TRACE_SLOT_VOID, 0, 0, 0));
	asm_memory(a, true, ASM_LEA, s->head, s->head, 8);
	done = asm_jump(a);
	asm_land(a, stored);
	copy_back(s);
	asm_memory(a, true, ASM_LEA, s->head, s->head, 16 + (s->insn->size + 7) / 8 * 8);
	asm_land(a, done);
}

static bool store_and_log(struct stub *s, bool two)
{
	if (s->insn->nontemporal) { /* as if flushed: for the next fence */
		asm_constant(&s->code, RECORD_RAX, 1);
		asm_thread(&s->code, ASM_STORE, RECORD_RAX, record_waiting_offset);
	}
	take_stamp(s);
	if (!operate(s, two ? &s->site->two_at : &s->site->one_at))
		return false;
	if (s->insn->compares) {
		log_comparison(s);
	} else {
		copy_back(s);
		asm_memory(&s->code, true, ASM_LEA, s->head, s->head, 16 + (s->insn->size + 7) / 8 * 8);
	}
	publish(s);
	give_back(s, two);
	leave(s);
	leave_lookup(s);
	stub_go_on(s);
	return true;
}

/* In no pool; the registers of the lookup are to be given back. */
static bool native_store(struct stub *s)
{
	if (s->insn->locked)
		s->busy = unless_idle(s);
	leave_lookup(s);
	return native_part(s);
}

static bool inline_store(struct stub *s)
{
	struct record_asm *a = &s->code;
	uint32_t native, edge, alone, straddles = 0, pool, back;

	look_up(s);
	native = asm_branch_rcx(a);
	pool = asm_jump(a);
	asm_land_near(a, native);
	back = a->used;
	s->site->native_label = asm_here(a);
	if (!native_store(s))
		return false;
	asm_land(a, pool);
	enter(s);
	edge = find_place(s);
	check_room(s);
	asm_absolute(a, false, 0x83, 7, LOW(locks[RECORD_LAST_LOCK].many));
	asm_byte(a, 0);
	alone = asm_branch(a, ASM_ZERO);
	if (s->insn->size > 1) {
		asm_registers(a, false, ASM_LOAD, RECORD_RAX, s->place);
		asm_immediate(a, false, 4, RECORD_RAX, 63);
		asm_immediate(a, false, 7, RECORD_RAX, 64u - s->insn->size);
		straddles = asm_branch(a, ASM_ABOVE);
	}
	take_one(s);
	asm_land(a, alone);
	if (!store_and_log(s, false))
		return false;
	if (straddles) {
		asm_land(a, straddles);
		take_two(s);
		if (!store_and_log(s, true))
			return false;
	}
	asm_land(a, edge);
	asm_memory(a, true, ASM_LEA, s->place, s->place, RECORD_RANGE_EDGE);
	asm_memory(a, true, ASM_CMP, s->place, s->head, LOW(ranges[0].outer));
	call_if(s, ASM_BELOW);
	leave(s);
	asm_jump_back(a, back);
	return true;
}

/* ---- Whole stubs ---------------------------------------------------------------------------- */

static bool store_stub(struct stub *s)
{
	struct record_asm *a = &s->code;
	const bool is_inline = s->site->way == RECORD_INLINE && displacement_fits(s) && choose_registers(s);

	if (!is_inline) {
		/* The call comes first, and decides. */
		return stub_call_part(s) && native_part(s);
	}
	if (!inline_store(s))
		return false;
	for (unsigned i = 0; i < s->calls; i++)
		asm_land(a, s->to_call[i]);
	leave(s);
	leave_lookup(s);
	if (!stub_call_part(s))
		return false;
	if (s->busy) {
		asm_land(a, s->busy);
		leave_lookup(s);
		stub_call(s, &record_low->fence);
	}
	return true;
}

static bool flush_or_fence_stub(struct stub *s)
{
	struct record_asm *a = &s->code;
	uint32_t busy;

	if (s->insn->class == RECORD_FLUSH || s->site->fence_always)
		return stub_call_part(s) && native_part(s);
	asm_move_stack(a, -STACK_SKIP);
	asm_push(a, RECORD_RCX);
	busy = unless_idle(s);
	asm_pop(a, RECORD_RCX);
	asm_move_stack(a, STACK_SKIP);
	if (!native_part(s))
		return false;
	asm_land(a, busy);
	asm_pop(a, RECORD_RCX);
	asm_move_stack(a, STACK_SKIP);
	return stub_call_part(s);
}

/* The function's new code, and what its callers had called. */
static bool replacement_stub(struct stub *s)
{
	asm_jump_to(&s->code, s->site->replacement);
	return native_part(s);
}

static bool whole_stub(struct stub *s)
{
	if (s->site->replacement)
		return replacement_stub(s);
	if (s->insn->class == RECORD_STORE && !s->site->fence_only)
		return store_stub(s);
	if (s->insn->class == RECORD_SYSTEM_CALL)
		return stub_system_call(s);
	return flush_or_fence_stub(s);
}

uint32_t record_emit(struct record_site *site, uint64_t address, uint8_t *bytes)
{
	struct stub s = { .code = { .bytes = bytes, .room = RECORD_STUB_MAX, .address = address },
			  .site = site,
			  .insn = &site->insn };

	site->stub = address;
	site->saved_count = site->exit_count = 0;
	site->lookup_at = site->native_label = site->one_at = site->two_at = 0;
	site->native_at = site->call_at = site->after_at = 0;
	if (!whole_stub(&s) || s.code.full)
		return 0;
	site->stub_end = address + s.code.used;
	return s.code.used;
}
