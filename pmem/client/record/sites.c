/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Every function is decoded from its start to its end. Its instructions are believed if they end where it
 * ends, and if every direct branch, its own and others', leads to the beginning of one. Code that no function
 * covers is only searched for the bytes of flushes and fences.
 */

#include "client/record/sites.h"

#include <errno.h>
#include <stdlib.h>

#include "client/record/elf_functions.h"
#include "common/cleanup.h"

/* One segment of code. A bit a byte: an instruction begins there; a branch leads there. */
struct sweep {
	struct record_text text;
	const uint8_t *code;
	unsigned char *begins, *targets, *covered;
	struct record_functions functions;
	record_found_fn *found;
	void *context;
};

static bool bit(const unsigned char *bits, uint64_t at)
{
	return bits[at / 8] >> at % 8 & 1;
}

static void set_bit(unsigned char *bits, uint64_t at)
{
	bits[at / 8] |= (unsigned char)(1u << at % 8);
}

/* Can there be a candidate? Most functions have none of these bytes, and are not decoded. */
static bool may_have_candidates(const uint8_t *code, uint64_t length)
{
	for (uint64_t i = 0; i + 1 < length; i++)
		if (code[i] == 0xf0 || (code[i] == 0x0f && code[i + 1] == 0xae) ||
		    ((code[i] == 0x86 || code[i] == 0x87) && code[i + 1] < 0xc0))
			return true;
	return false;
}

/* Decode [at, end), offsets in the text. True: it comes out even. */
static bool sweep_function(struct sweep *sweep, uint64_t at, uint64_t end)
{
	uint64_t size = sweep->text.end - sweep->text.start;

	while (at < end) {
		struct record_step step;

		if (!record_decode_step(sweep->code + at, end - at, &step))
			return false;
		set_bit(sweep->begins, at);
		if (step.jumps && at + (uint64_t)step.branch < size)
			set_bit(sweep->targets, at + (uint64_t)step.branch);
		at += step.length;
	}
	return true;
}

/* Does every direct branch into [at, end) lead to an instruction? One behind a lock prefix is told apart. */
static bool branches_fit(const struct sweep *sweep, uint64_t at, uint64_t end)
{
	for (; at < end; at++)
		if (bit(sweep->targets, at) && !bit(sweep->begins, at) &&
		    (at == 0 || sweep->code[at - 1] != 0xf0))
			return false;
	return true;
}

static const char *why_refused(const struct sweep *sweep, uint64_t at, unsigned length, bool even)
{
	if (!even)
		return "data or unknown instructions are in the function";
	for (unsigned i = 1; i < length; i++) {
		if (bit(sweep->begins, at + i))
			return "two functions disagree about its bytes";
		if (bit(sweep->targets, at + i))
			return "a branch leads into it";
	}
	return NULL;
}

static void report(struct sweep *sweep, uint64_t at, uint64_t end, bool even)
{
	while (at < end) {
		struct record_step step;
		struct record_insn insn;

		if (!record_decode_step(sweep->code + at, end - at, &step))
			return;
		if (step.candidate && record_decode(sweep->code + at, end - at, &insn))
			sweep->found(sweep->context, sweep->text.start + at, &insn,
				     why_refused(sweep, at, insn.length, even));
		at += step.length;
	}
}

static int each_function(struct sweep *sweep)
{
	const struct record_functions *list = &sweep->functions;
	CLEANUP_FREE bool *even = calloc(list->count + 1, sizeof(*even));
	CLEANUP_FREE bool *swept = calloc(list->count + 1, sizeof(*swept));
	uint64_t done = 0;

	if (!even || !swept)
		return -ENOMEM;
	for (size_t i = 0; i < list->count; i++) {
		uint64_t at = list->items[i].start - sweep->text.start,
			 end = list->items[i].end - sweep->text.start;

		if (list->items[i].start < sweep->text.start || list->items[i].end > sweep->text.end)
			continue;
		for (uint64_t j = at; j < end; j++)
			set_bit(sweep->covered, j);
		swept[i] = may_have_candidates(sweep->code + at, end - at);
		if (swept[i])
			even[i] = sweep_function(sweep, at, end);
	}
	for (size_t i = 0; i < list->count; i++) {
		uint64_t at = list->items[i].start - sweep->text.start,
			 end = list->items[i].end - sweep->text.start;

		if (!swept[i])
			continue;
		even[i] = even[i] && branches_fit(sweep, at, end);
		/* A second entry of a function, or a part of it with a name, is not reported twice. */
		if (at < done && end <= done && even[i])
			continue;
		report(sweep, at, end, even[i]);
		done = end > done ? end : done;
	}
	return 0;
}

/* clwb, clflushopt, clflush, sfence, mfence by their bytes, where no function is known. */
static void search_rest(struct sweep *sweep)
{
	uint64_t size = sweep->text.end - sweep->text.start;

	for (uint64_t at = 0; at + 3 <= size; at++) {
		struct record_insn insn;

		if (bit(sweep->covered, at) || sweep->code[at] != 0x0f || sweep->code[at + 1] != 0xae)
			continue;
		if (at && sweep->code[at - 1] == 0x66 && !bit(sweep->covered, at - 1) &&
		    record_decode(sweep->code + at - 1, size - at + 1, &insn) && insn.class == RECORD_FLUSH)
			sweep->found(sweep->context, sweep->text.start + at - 1, &insn,
				     "it is in no known function");
		else if (record_decode(sweep->code + at, size - at, &insn) &&
			 (insn.class == RECORD_FLUSH || insn.class == RECORD_FENCE))
			sweep->found(sweep->context, sweep->text.start + at, &insn,
				     "it is in no known function");
	}
}

static int sweep_text(struct sweep *sweep)
{
	size_t bytes = (sweep->text.end - sweep->text.start) / 8 + 1;
	int error;
	CLEANUP_FREE unsigned char *bits = calloc(3, bytes);

	if (!bits)
		return -ENOMEM;
	sweep->code = (const uint8_t *)sweep->text.start;
	sweep->begins = bits;
	sweep->targets = bits + bytes;
	sweep->covered = bits + 2 * bytes;
	error = each_function(sweep);
	if (!error)
		search_rest(sweep);
	return error;
}

int record_find_sites(const struct dl_phdr_info *object, record_found_fn *found, void *context)
{
	struct record_text texts[RECORD_TEXTS_MAX];
	unsigned count = record_object_texts(object, texts);
	struct sweep sweep = { .found = found, .context = context };
	int error = record_object_functions(object, &sweep.functions);

	for (unsigned i = 0; i < count && !error; i++) {
		sweep.text = texts[i];
		error = sweep_text(&sweep);
	}
	free(sweep.functions.items);
	return error;
}
