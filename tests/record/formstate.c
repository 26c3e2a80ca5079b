/* SPDX-License-Identifier: BSD-3-Clause */

/* Registers that make a given encoding store where a test wants it. */

#include <string.h>

#include "form.h"

struct form_scene form_scene;

void form_fill(void *to, size_t bytes)
{
	unsigned char *at = to;

	for (size_t i = 0; i < bytes; i++)
		at[i] = (unsigned char)rng_next(&form_scene.rng);
}

/* Random, and legal: MXCSR and x87 exceptions masked, no reserved flag. */
static void random_state(struct form_state *state)
{
	form_fill(state, sizeof(*state));
	state->flags = (state->flags & 0xcd5) | 2;
	if (rng_below(&form_scene.rng, 4))
		state->flags &= ~(uint64_t)0x400; /* DF */
	state->fx[0] = 0x7f;			  /* FCW */
	state->fx[1] = 3;
	state->fx[3] &= 0x38; /* FSW: no exception pending */
	state->fx[2] = 0;
	state->fx[4] = 0xff; /* all x87 registers in use */
	memset(state->fx + 5, 0, 19);
	memcpy(state->fx + 24, "\x80\x1f\0\0", 4);
	/* x87 registers hold finite numbers: a denormal or NaN is stored otherwise in other precisions. */
	for (unsigned i = 0; i < 8; i++) {
		state->fx[32 + 16 * i + 7] |= 0x80;
		state->fx[32 + 16 * i + 8] = (unsigned char)rng_next(&form_scene.rng);
		state->fx[32 + 16 * i + 9] = 0x3f;
	}
	/* XMM registers of the state are those of the vectors where there are vectors. */
	for (unsigned i = 0; i < 16; i++)
		memcpy(state->fx + 160 + 16 * i, state->vectors[i], 16);
}

static unsigned modrm_register(const struct record_insn *insn)
{
	return (insn->bytes[insn->modrm_at] >> 3 & 7u) | (insn->rex & 4u) << 1;
}

/* Set registers so that the memory operand is at `want`. False: this encoding cannot. */
static bool solve_address(const struct record_insn *insn, struct form_state *state, uint64_t want)
{
	const struct record_address *at = &insn->address;
	uint64_t rest = want - (uint64_t)at->displacement - (at->segment == 0x64 ? form_scene.fs : 0);
	bool has_index = at->index != RECORD_NO_REGISTER;

	if (at->segment && at->narrow)
		return false;
	if (at->base == RECORD_RIP || (at->base == RECORD_NO_REGISTER && !has_index))
		return rest == 0 || at->base == RECORD_RIP;
	if (at->base == RECORD_NO_REGISTER || at->base == RECORD_RSP) {
		if (at->base == RECORD_RSP)
			rest -= form_scene.rsp + (insn->pops ? insn->size : 0);
		if (!has_index || rest % at->scale)
			return false;
		state->registers[at->index] = rest / at->scale;
		return true;
	}
	if (!has_index) {
		state->registers[at->base] = rest;
	} else if (at->base == at->index) {
		if (rest % (at->scale + 1u))
			return false;
		state->registers[at->base] = rest / (at->scale + 1u);
	} else {
		state->registers[at->base] = rest - state->registers[at->index] * at->scale;
	}
	if (at->narrow && at->base != at->index)
		state->registers[at->base] |= rng_next(&form_scene.rng) << 32;
	return true;
}

static bool is_address_register(const struct record_insn *insn, unsigned reg)
{
	return insn->has_memory && (insn->address.base == reg || insn->address.index == reg);
}

static void set_unless_address(const struct record_insn *insn, struct form_state *state, unsigned reg,
			       uint64_t value)
{
	if (!is_address_register(insn, reg))
		state->registers[reg] = value;
}

static void set_special(const struct record_insn *insn, struct form_state *state, uint64_t target)
{
	uint64_t now[2];

	if (insn->bit_string) {
		set_unless_address(insn, state, modrm_register(insn),
				   (uint64_t)((int64_t)rng_below(&form_scene.rng, 8000) - 4000));
	}
	if (insn->compares && rng_below(&form_scene.rng, 2)) {
		memcpy(now, form_scene.initial + (target - (uint64_t)form_scene.pool), sizeof(now));
		set_unless_address(insn, state, RECORD_RAX,
				   insn->size == 8 && insn->map == 1 && insn->opcode == 0xc7
					   ? now[0] & UINT32_MAX
					   : now[0]);
		set_unless_address(insn, state, RECORD_RDX, insn->size == 16 ? now[1] : now[0] >> 32);
	}
	if (insn->extent != RECORD_EXTENT_FIXED) {
		set_unless_address(insn, state, RECORD_RAX, rng_next(&form_scene.rng));
		set_unless_address(insn, state, RECORD_RDX, 0);
	}
}

bool form_set_registers(const struct record_insn *insn, struct form_state *state, uint64_t target)
{
	random_state(state);
	switch (insn->target) {
	case RECORD_TARGET_RDI:
		state->registers[RECORD_RDI] =
			target - (insn->segment == 0x64 && !insn->string ? form_scene.fs : 0);
		state->registers[RECORD_RSI] = (uint64_t)form_scene.source + FORM_SOURCE_BYTES / 2 +
					       rng_below(&form_scene.rng, 64) -
					       (insn->string && insn->segment == 0x64 ? form_scene.fs : 0);
		if (insn->string)
			state->registers[RECORD_RCX] = rng_below(&form_scene.rng, 60);
		return true;
	case RECORD_TARGET_RAX:
		state->registers[RECORD_RAX] = target - (insn->segment == 0x64 ? form_scene.fs : 0);
		return true;
	case RECORD_TARGET_REG:
		if (!solve_address(insn, state, (uint64_t)form_scene.source + 64))
			return false;
		if (is_address_register(insn, modrm_register(insn)))
			return false;
		state->registers[modrm_register(insn)] = target;
		return true;
	case RECORD_TARGET_VECTOR:
		/* Elements may be equal, and then the later one counts. */
		for (unsigned i = 0; i < 64 / insn->index_size; i++) {
			int64_t index = (int64_t)rng_below(&form_scene.rng, 300) - 150;

			memcpy(state->vectors[insn->vector] + (size_t)i * insn->index_size, &index,
			       insn->index_size);
		}
		for (unsigned i = 0; i < 16; i++)
			memcpy(state->fx + 160 + 16 * i, state->vectors[i], 16);
		if (insn->address.base == RECORD_NO_REGISTER || insn->address.base == RECORD_RSP ||
		    insn->address.base == RECORD_RIP)
			return false;
		state->registers[insn->address.base] = target - (uint64_t)insn->address.displacement -
						       (insn->address.segment == 0x64 ? form_scene.fs : 0);
		return !(insn->address.segment && insn->address.narrow);
	default:
		/* Wherever such a bit is. */
		if (insn->bit_string &&
		    (is_address_register(insn, modrm_register(insn)) || modrm_register(insn) == RECORD_RSP))
			return false;
		set_special(insn, state, target);
		return solve_address(insn, state, target);
	}
}
