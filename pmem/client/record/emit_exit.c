/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The ways out of a stub. The jump that replaces a short instruction ends in the bytes of the next ones. To
 * go on there is right, but slow: a processor that has learnt where that jump ends takes the same bytes for
 * its end on the way back, too, and has to begin anew, twice a pass. That was 10 of the 22 ns that a store
 * took. So the instructions that begin in the jump run in the stub as well, and it goes on behind them, or in
 * the stub of the next site.
 */

#include "client/record/emit.h"
#include "client/record/patch.h"
#include "client/record/reencode.h"
#include "client/record/stub.h"
#include "common/align.h"

/* Of a branch without prefixes, the condition; -1: it is none. */
static int condition_of(const struct record_insn *insn)
{
	const bool near = insn->map == 1 && (insn->opcode & 0xf0) == 0x80;
	const bool close = insn->map == 0 && (insn->opcode & 0xf0) == 0x70;

	return insn->jumps && !insn->opcode_at && (near || close) ? insn->opcode & 0xf : -1;
}

static bool is_jump(const struct record_insn *insn)
{
	return insn->jumps && insn->ends_flow && !insn->opcode_at;
}

static bool is_return(const struct record_insn *insn)
{
	return insn->ends_flow && insn->map == 0 && insn->opcode == 0xc3;
}

/* In the page of the site: what is unmapped or replaced goes together. */
static bool decode_next(const struct stub *s, uint64_t at, struct record_insn *insn)
{
	const uint64_t end = align_down(s->site->address, PAGE_BYTES) + PAGE_BYTES;

	return at < end && record_decode((const uint8_t *)at, end - at, insn);
}

enum next {
	NEXT_STAYS, /* it cannot run here */
	NEXT_RUNS,
	NEXT_BRANCHES, /* it runs, but is longer here: behind it, no copy would be as far as the original */
	NEXT_LEAVES    /* it is a jump */
};

/* The instruction at *at, which is then the address behind it. */
static enum next copy_next(struct stub *s, uint64_t *at)
{
	struct record_asm *a = &s->code;
	const uint64_t from = *at;
	enum next next = NEXT_LEAVES;
	struct record_insn insn;
	int condition;

	if (!decode_next(s, from, &insn))
		return NEXT_STAYS;
	condition = condition_of(&insn);
	/* Behind a branch the stub goes on at the program's code, which must not be in the jump. */
	if (condition >= 0 && from + insn.length < s->site->address + RECORD_JUMP_BYTES)
		return NEXT_STAYS;
	if (condition >= 0) {
		asm_branch_to(a, (unsigned)condition, from + (uint64_t)insn.branch);
		next = NEXT_BRANCHES;
	} else if (is_jump(&insn)) {
		asm_jump_to(a, from + (uint64_t)insn.branch);
	} else if (is_return(&insn)) {
		asm_bytes(a, insn.bytes, insn.length);
	} else {
		if (!insn.plain || insn.address.narrow || !record_copy(a, &insn, from))
			return NEXT_STAYS;
		next = NEXT_RUNS;
	}
	*at = from + insn.length;
	return next;
}

static void note_followed(struct record_site *site, uint64_t end)
{
	const uint64_t from = site->address + site->insn.length;

	site->followed_length = (uint8_t)(end - from);
	for (unsigned i = 0; i < site->followed_length; i++)
		site->followed[i] = ((const uint8_t *)from)[i];
}

static void leave_to(struct stub *s, struct record_exit *exit, bool in_jump)
{
	const uint32_t before = s->code.used;

	asm_jump_to(&s->code, s->site->next ? s->site->next->stub : record_goes_on_at(s->site));
	/* What is made a site later can be linked, if it is near. */
	if (in_jump && !s->site->next && s->code.used - before == RECORD_JUMP_BYTES)
		exit->jump = s->code.address + before;
}

void stub_go_on(struct stub *s)
{
	struct record_site *site = s->site;
	/* With as many prefixes as there can be. */
	const uint64_t end = site->address + s->insn->length - 1u + RECORD_JUMP_BYTES;
	uint64_t at = site->address + s->insn->length;
	struct record_exit *exit;
	enum next next = NEXT_RUNS;

	if (site->exit_count == RECORD_EXITS_MAX) {
		s->code.full = true;
		return;
	}
	exit = &site->exits[site->exit_count++];
	*exit = (struct record_exit){ .from = asm_here(&s->code) };
	site->next = NULL;
	while (site->follows && next == NEXT_RUNS && at < end) {
		site->next = record_site_at(at);
		next = site->next ? NEXT_STAYS : copy_next(s, &at);
	}
	if (next == NEXT_BRANCHES)
		site->next = record_site_at(at);
	note_followed(site, at);
	if (next != NEXT_LEAVES)
		leave_to(s, exit, site->follows && at < end);
}

uint64_t record_exit_origin(const struct record_site *site, uint64_t address)
{
	for (unsigned i = 0; i < site->exit_count; i++)
		if (address - site->exits[i].from < site->followed_length)
			return site->address + site->insn.length + (address - site->exits[i].from);
	return 0;
}

bool record_exit_jumps_at(const struct record_site *site, uint64_t address)
{
	for (unsigned i = 0; i < site->exit_count; i++)
		if (site->exits[i].jump == address)
			return true;
	return false;
}

bool record_exit_is_right(const struct record_site *site)
{
	const volatile uint8_t *code = (const volatile uint8_t *)(site->address + site->insn.length);

	for (unsigned i = 0; i < site->followed_length; i++)
		if (code[i] != site->followed[i])
			return false;
	return true;
}
