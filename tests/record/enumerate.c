/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Encodings of all instructions that store, by trying every opcode of every map with every mandatory prefix,
 * operand size, vector length and ModRM.reg, and asking the decoder what it is.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/rng.h"
#include "form.h"

struct list {
	struct form *forms;
	size_t count, room;
	unsigned variants, round;
	struct rng rng;
	struct {
		char key[96];
		unsigned seen;
	} keys[4096];
	unsigned key_count;
};

static void make_key(const struct record_insn *insn, char *key, size_t room)
{
	static const char *const encodings[] = { "", " vex", " evex", " xop" };
	static const char *const masks[] = { "", " {k}", " compress {k}", " signs", " bytes" };

	snprintf(key, room, "%s%s%s %u%s%s%s%s%s", insn->locked ? "lock " : "", insn->repeated ? "rep " : "",
		 record_insn_name(insn), insn->size * 8, encodings[insn->encoding], masks[insn->mask],
		 insn->address.segment || insn->segment ? " segment" : "",
		 insn->address.narrow ? " addr32" : "",
		 insn->stack && insn->target == RECORD_TARGET_MODRM && !insn->pops ? " rsp" : "");
}

static void add(struct list *list, const struct record_insn *insn)
{
	char key[96];
	unsigned i;

	make_key(insn, key, sizeof(key));
	for (i = 0; i < list->key_count && strcmp(list->keys[i].key, key) != 0; i++)
		;
	if (i == list->key_count) {
		if (i == 4096)
			abort();
		strcpy(list->keys[list->key_count++].key, key);
	}
	if (list->keys[i].seen++ >= list->variants)
		return;
	if (list->count == list->room) {
		list->room = list->room ? 2 * list->room : 1024;
		list->forms = realloc(list->forms, list->room * sizeof(*list->forms));
		if (!list->forms)
			abort();
	}
	list->forms[list->count].insn = *insn;
	list->forms[list->count].variant = list->keys[i].seen - 1;
	strcpy(list->forms[list->count++].key, key);
}

static uint64_t pick(struct list *list, uint64_t below)
{
	return rng_below(&list->rng, below);
}

/* ModRM with this reg, a random way to address memory, and immediates behind it. */
static unsigned put_operand(struct list *list, uint8_t *at, unsigned reg, bool registers)
{
	unsigned length = 0, way = (unsigned)pick(list, 5);

	if (registers) {
		/* Some have ModRM.rm as a part of the opcode, 0. */
		at[length++] = (uint8_t)(0xc0 | reg << 3 | (list->round ? pick(list, 8) : 0));
	} else if (way == 0) { /* [base + disp32] */
		at[length++] = (uint8_t)(0x80 | reg << 3 | (pick(list, 2) ? 3 : 6 + pick(list, 2)));
	} else if (way == 4) { /* [rip + disp32] */
		at[length++] = (uint8_t)(reg << 3 | 5);
	} else { /* [base + index * scale + disp] */
		at[length++] = (uint8_t)((way == 1 ? 0x40 : 0x80) | reg << 3 | 4);
		at[length++] = (uint8_t)(pick(list, 256));
	}
	for (unsigned i = 0; i < 12; i++)
		at[length + i] = (uint8_t)pick(list, 256);
	return length + 12;
}

static void try(struct list *list, const uint8_t *bytes, unsigned length)
{
	struct record_insn insn;

	/* fs is the thread's and far from 32 bits. */
	if (record_decode(bytes, length, &insn) && insn.class == RECORD_STORE &&
	    !(insn.address.segment && insn.address.narrow))
		add(list, &insn);
}

struct legacy {
	unsigned map, opcode, prefix, wide, extra; /* extra: a further prefix, 0 for none */
};

static void legacy_form(struct list *list, const struct legacy *form, unsigned reg, bool registers)
{
	static const uint8_t prefixes[] = { 0, 0x66, 0xf3, 0xf2 };
	uint8_t bytes[40];
	unsigned n = 0, rex = (form->wide ? 8u : 0u) | (unsigned)pick(list, 8);

	if (form->extra)
		bytes[n++] = (uint8_t)form->extra;
	if (prefixes[form->prefix])
		bytes[n++] = prefixes[form->prefix];
	if (form->wide || pick(list, 2))
		bytes[n++] = (uint8_t)(0x40 | rex);
	if (form->map)
		bytes[n++] = 0x0f;
	if (form->map == 2)
		bytes[n++] = 0x38;
	if (form->map == 3)
		bytes[n++] = 0x3a;
	bytes[n++] = (uint8_t)form->opcode;
	n += put_operand(list, bytes + n, reg, registers);
	try(list, bytes, n);
}

static void all_legacy(struct list *list)
{
	static const uint8_t extras[] = { 0, 0xf0, 0x64, 0x67 };

	for (unsigned extra = 0; extra < sizeof(extras); extra++)
		for (unsigned map = 0; map < 4; map++)
			for (unsigned prefix = 0; prefix < 4; prefix++)
				for (unsigned n = 0; n < 2 * 256 * 8 * 2; n++) {
					struct legacy form = { .map = map,
							       .opcode = n & 255,
							       .prefix = prefix,
							       .wide = n >> 8 & 1,
							       .extra = extras[extra] };

					legacy_form(list, &form, n >> 9 & 7, n >> 12);
				}
}

static void vex_form(struct list *list, unsigned escape, unsigned map, unsigned opcode, unsigned n)
{
	uint8_t bytes[40];
	unsigned length = 0, pp = n & 3, wide = n >> 2 & 1, wider = n >> 3 & 1, reg = n >> 4 & 7;
	/* vvvv, inverted: unused, or any register. */
	unsigned vvvv = n >> 7 & 1 ? 15 : (unsigned)pick(list, 16);

	bytes[length++] = (uint8_t)escape;
	bytes[length++] = (uint8_t)(pick(list, 8) << 5 | map);
	bytes[length++] = (uint8_t)(wide << 7 | vvvv << 3 | wider << 2 | pp);
	bytes[length++] = (uint8_t)opcode;
	length += put_operand(list, bytes + length, reg, n >> 8 & 1);
	try(list, bytes, length);
}

static void all_vex(struct list *list)
{
	for (unsigned map = 1; map < 11; map++)
		for (unsigned opcode = 0; opcode < 256; opcode++)
			for (unsigned n = 0; n < 512; n++)
				vex_form(list, map >= 8 ? 0x8f : 0xc4, map, opcode, n);
	/* The two-byte form. */
	for (unsigned opcode = 0; opcode < 256; opcode++)
		for (unsigned n = 0; n < 256; n++) {
			uint8_t bytes[40] = { 0xc5,
					      (uint8_t)((n & 128) | (pick(list, 4) ? 15 << 3 : 0) | (n & 7)),
					      (uint8_t)opcode };

			try(list, bytes, 3 + put_operand(list, bytes + 3, n >> 4 & 7, n >> 3 & 1));
		}
}

static void evex_form(struct list *list, unsigned map, unsigned opcode, unsigned n)
{
	uint8_t bytes[40];
	unsigned length = 0, pp = n & 3, wide = n >> 2 & 1, reg = n >> 3 & 7, ll = (n >> 6 & 3) % 3;
	unsigned mask = n >> 8 & 1 ? 1 + (unsigned)pick(list, 7) : 0, high = n >> 9 & 1;

	bytes[length++] = 0x62;
	/* R, X, B, R' are inverted: 1 is a low register. */
	bytes[length++] = (uint8_t)(pick(list, 8) << 5 | pick(list, 2) << 4 | map);
	bytes[length++] = (uint8_t)(wide << 7 | 15 << 3 | 4 | pp);
	bytes[length++] = (uint8_t)(ll << 5 | (high ? 0 : 8) | mask);
	bytes[length++] = (uint8_t)opcode;
	length += put_operand(list, bytes + length, reg, false);
	try(list, bytes, length);
}

static void all_evex(struct list *list)
{
	for (unsigned map = 1; map < 7; map++)
		for (unsigned opcode = 0; opcode < 256; opcode++)
			for (unsigned n = 0; n < 1024; n++)
				evex_form(list, map, opcode, n);
}

struct form *form_enumerate(unsigned variants, uint64_t seed, size_t *count)
{
	struct list *list = calloc(1, sizeof(*list));
	struct form *forms;

	if (!list)
		abort();
	list->variants = variants;
	list->rng = (struct rng){ seed };
	for (list->round = 0; list->round < variants; list->round++) {
		all_legacy(list);
		all_vex(list);
		all_evex(list);
	}
	forms = list->forms;
	*count = list->count;
	free(list);
	return forms;
}
