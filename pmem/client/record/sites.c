/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Every function that contains the bytes of a candidate is decoded from its start to its end. Its
 * instructions are believed if they end where it ends, and if every direct branch, its own and others', leads
 * to the beginning of one. Code that no function covers is only searched for the bytes of flushes and fences.
 */

#include "client/record/sites.h"

#include <emmintrin.h>
#include <errno.h>
#include <stdlib.h>

#include "client/record/elf_functions.h"
#include "client/record/patch.h"
#include "common/cleanup.h"

/* One segment of code. A bit a byte: an instruction begins there; a branch leads there. */
struct sweep {
	struct record_text text;
	const uint8_t *code;
	uint64_t size;
	enum record_kinds kinds;
	bool patched; /* some of its instructions are */
	unsigned char *begins, *targets;
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

/* ---- Bytes ------------------------------------------------------------------------------------ */

static bool is_prefix(uint8_t byte)
{
	switch (byte) {
	case 0x26:
	case 0x2e:
	case 0x36:
	case 0x3e:
	case 0x40 ... 0x4f:
	case 0x64 ... 0x67:
	case 0xf2 ... 0xf3:
		return true;
	default:
		return false;
	}
}

/*
 * f0, perhaps other prefixes, an opcode that can be locked, and a memory operand. RECORD_INSN_MAX bytes may
 * be read.
 */
static bool may_be_locked(const uint8_t *code)
{
	unsigned at = 1;
	uint8_t opcode;

	while (at < RECORD_INSN_MAX - 3 && is_prefix(code[at]))
		at++;
	opcode = code[at];
	if (opcode == 0x0f)
		return code[at + 2] < 0xc0 && (code[at + 1] & 0xf0) >= 0xa0 && (code[at + 1] & 0xf0) <= 0xc0;
	if (code[at + 1] >= 0xc0)
		return false;
	return (opcode < 0x40 && (opcode & 7) < 2) || (opcode >= 0x80 && opcode <= 0x87) || opcode >= 0xf6;
}

/* Can a candidate have the last byte of its opcode, or the prefix f0, at `at`? Two bytes from either end. */
static bool may_be_candidate(const struct sweep *sweep, uint64_t at)
{
	const uint8_t *code = sweep->code;

	switch (code[at]) {
	case 0xae: /* sfence and clflush are /7, mfence and clwb /6 */
		return code[at - 1] == 0x0f && (code[at + 1] >> 3 & 7) >= 6;
	case 0xf0:
		return sweep->kinds >= RECORD_LOCKED_TOO &&
		       (sweep->size - at < RECORD_INSN_MAX || may_be_locked(code + at));
	case 0x86: /* xchg */
	case 0x87:
		return sweep->kinds >= RECORD_LOCKED_TOO && code[at + 1] < 0xc0;
	case 0x05:
		return sweep->kinds == RECORD_CALLS_TOO && code[at - 1] == 0x0f;
	default:
		return false;
	}
}

/* A bit for each of the 16 bytes that may_be_candidate() has to look at. */
static unsigned interesting(const uint8_t *code, enum record_kinds kinds)
{
	const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)code);
	__m128i hits = _mm_cmpeq_epi8(bytes, _mm_set1_epi8((char)0xae));

	if (kinds >= RECORD_LOCKED_TOO) {
		const __m128i even = _mm_and_si128(bytes, _mm_set1_epi8((char)0xfe));

		hits = _mm_or_si128(hits, _mm_cmpeq_epi8(bytes, _mm_set1_epi8((char)0xf0)));
		hits = _mm_or_si128(hits, _mm_cmpeq_epi8(even, _mm_set1_epi8((char)0x86)));
	}
	if (kinds == RECORD_CALLS_TOO) {
		const __m128i behind = _mm_loadu_si128((const __m128i *)(const void *)(code - 1));
		const __m128i calls = _mm_and_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x05)),
						    _mm_cmpeq_epi8(behind, _mm_set1_epi8(0x0f)));

		hits = _mm_or_si128(hits, calls);
	}
	return (unsigned)_mm_movemask_epi8(hits);
}

/*
 * The first place from `at` on, before `end`, where a candidate may be; `end`: nowhere. The first and the
 * last two bytes of the text are left out: no candidate has its opcode there.
 */
static uint64_t next_hit(const struct sweep *sweep, uint64_t at, uint64_t end)
{
	uint64_t last = end < sweep->size - 2 ? end : sweep->size - 2;

	if (at < 2)
		at = 2;
	while (at < last) {
		if (at + 16 <= sweep->size) {
			unsigned hits = interesting(sweep->code + at, sweep->kinds);

			if (!hits) {
				at += 16;
				continue;
			}
			at += (unsigned)__builtin_ctz(hits);
			if (at >= last)
				break;
		}
		if (may_be_candidate(sweep, at))
			return at;
		at++;
	}
	return end;
}

/* ---- Functions ---------------------------------------------------------------------------------- */

/* The instruction at `at`, as it was before it was patched. False: none that ends before `end` does. */
static bool step_at(const struct sweep *sweep, uint64_t at, uint64_t end, struct record_step *step)
{
	const struct record_site *site =
		sweep->patched ? record_site_at(sweep->text.start + at) : NULL;

	if (site)
		return site->insn.length <= end - at &&
		       record_decode_step(site->insn.bytes, site->insn.length, step);
	if (record_step_quickly(sweep->code + at, sweep->size - at, step))
		return step->length <= end - at;
	return record_decode_step(sweep->code + at, end - at, step);
}

static bool decode_at(const struct sweep *sweep, uint64_t at, uint64_t end, struct record_insn *insn)
{
	const struct record_site *site =
		sweep->patched ? record_site_at(sweep->text.start + at) : NULL;

	return site ? record_decode(site->insn.bytes, site->insn.length, insn) :
		      record_decode(sweep->code + at, end - at, insn);
}

/* Decode [at, end), offsets in the text. True: it comes out even. */
static bool sweep_function(struct sweep *sweep, uint64_t at, uint64_t end)
{
	while (at < end) {
		struct record_step step;

		if (!step_at(sweep, at, end, &step))
			return false;
		set_bit(sweep->begins, at);
		if (step.jumps && at + (uint64_t)step.branch < sweep->size)
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

static bool is_wanted(const struct sweep *sweep, const struct record_insn *insn)
{
	if (insn->class == RECORD_SYSTEM_CALL)
		return sweep->kinds == RECORD_CALLS_TOO;
	return insn->class != RECORD_STORE || sweep->kinds >= RECORD_LOCKED_TOO;
}

static void report(struct sweep *sweep, uint64_t at, uint64_t end, bool even)
{
	while (at < end) {
		struct record_step step;
		struct record_insn insn;

		if (!step_at(sweep, at, end, &step))
			return;
		if (step.candidate && decode_at(sweep, at, end, &insn) && is_wanted(sweep, &insn))
			sweep->found(sweep->context, sweep->text.start + at, &insn,
				     why_refused(sweep, at, insn.length, even));
		at += step.length;
	}
}

/* Offsets in the text. False: the function is in another one. */
static bool offsets_of(const struct sweep *sweep, const struct record_function *function, uint64_t *at,
		       uint64_t *end)
{
	*at = function->start - sweep->text.start;
	*end = function->end - sweep->text.start;
	return function->start >= sweep->text.start && function->end <= sweep->text.end;
}

static int each_function(struct sweep *sweep)
{
	const struct record_functions *list = &sweep->functions;
	CLEANUP_FREE bool *even = calloc(list->count + 1, sizeof(*even));
	CLEANUP_FREE bool *swept = calloc(list->count + 1, sizeof(*swept));
	uint64_t hit = next_hit(sweep, 0, sweep->size), done = 0, at, end;

	if (!even || !swept)
		return -ENOMEM;
	for (size_t i = 0; i < list->count; i++) {
		if (!offsets_of(sweep, &list->items[i], &at, &end))
			continue;
		if (hit < at)
			hit = next_hit(sweep, at, sweep->size);
		swept[i] = hit < end;
		if (swept[i])
			even[i] = sweep_function(sweep, at, end);
	}
	for (size_t i = 0; i < list->count; i++) {
		if (!swept[i] || !offsets_of(sweep, &list->items[i], &at, &end))
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

/* ---- Code in no function ------------------------------------------------------------------------- */

#define IN_NO_FUNCTION "it is in no known function"

/* The opcode 0f ae ends at `at`. */
static void report_nameless(struct sweep *sweep, uint64_t at, uint64_t end)
{
	uint64_t start = sweep->code[at - 2] == 0x66 ? at - 2 : at - 1;
	struct record_insn insn;

	if (record_decode(sweep->code + start, end - start, &insn) &&
	    (insn.class == RECORD_FLUSH || insn.class == RECORD_FENCE))
		sweep->found(sweep->context, sweep->text.start + start, &insn, IN_NO_FUNCTION);
}

/*
 * The bytes 0f 05, of which the second is at `at`, are in data and in displacements as well. Code sets the
 * number shortly before: mov eax, imm32 of less than 512.
 */
static void report_nameless_call(struct sweep *sweep, uint64_t at)
{
	const uint8_t *code = sweep->code;
	struct record_insn insn;

	for (uint64_t back = at < 40 ? 0 : at - 40; back + 5 < at; back++)
		if (code[back] == 0xb8 && code[back + 2] < 2 && !code[back + 3] && !code[back + 4] &&
		    record_decode(code + at - 1, 2, &insn)) {
			sweep->found(sweep->context, sweep->text.start + at - 1, &insn, IN_NO_FUNCTION);
			return;
		}
}

static void search_gap(struct sweep *sweep, uint64_t at, uint64_t end)
{
	for (at = next_hit(sweep, at, end); at < end; at = next_hit(sweep, at + 1, end)) {
		if (sweep->code[at] == 0xae)
			report_nameless(sweep, at, end);
		else if (sweep->code[at] == 0x05)
			report_nameless_call(sweep, at);
	}
}

static void search_rest(struct sweep *sweep)
{
	uint64_t done = 0, at, end;

	for (size_t i = 0; i < sweep->functions.count; i++) {
		if (!offsets_of(sweep, &sweep->functions.items[i], &at, &end))
			continue;
		if (at > done)
			search_gap(sweep, done, at);
		done = end > done ? end : done;
	}
	search_gap(sweep, done, sweep->size);
}

/* ---- Objects -------------------------------------------------------------------------------------- */

static int sweep_text(struct sweep *sweep)
{
	size_t bytes = sweep->size / 8 + 1;
	CLEANUP_FREE unsigned char *bits = calloc(2, bytes);
	int error;

	if (!bits)
		return -ENOMEM;
	sweep->begins = bits;
	sweep->targets = bits + bytes;
	error = each_function(sweep);
	if (!error)
		search_rest(sweep);
	return error;
}

static bool choose_text(struct sweep *sweep, const struct record_text *text)
{
	sweep->text = *text;
	sweep->code = (const uint8_t *)text->start;
	sweep->size = text->end - text->start;
	sweep->patched = record_sites_in(text->start, sweep->size);
	return sweep->size >= RECORD_INSN_MAX && next_hit(sweep, 0, sweep->size) < sweep->size;
}

/* 66 0f ae, or with a REX between, and a memory operand; the ae is at `at`, behind three bytes or more. */
static bool may_need_fence(const uint8_t *code, uint64_t at)
{
	return code[at + 1] < 0xc0 && (code[at - 2] == 0x66 || (code[at - 2] & 0xf0) == 0x40);
}

struct record_traces record_look_for_sites(const struct dl_phdr_info *object)
{
	struct sweep sweep = { .kinds = RECORD_FLUSHES_AND_FENCES };
	struct record_text texts[RECORD_TEXTS_MAX];
	unsigned count = record_object_texts(object, texts);
	struct record_traces found = { false, false };

	for (unsigned i = 0; i < count; i++) {
		if (!choose_text(&sweep, &texts[i]))
			continue;
		found.any = true;
		for (uint64_t at = next_hit(&sweep, 0, sweep.size); at < sweep.size;
		     at = next_hit(&sweep, at + 1, sweep.size))
			found.needs_fence |= may_need_fence(sweep.code, at);
	}
	return found;
}

int record_find_sites(const struct dl_phdr_info *object, enum record_kinds kinds, record_found_fn *found,
		      void *context)
{
	struct sweep sweep = { .kinds = kinds, .found = found, .context = context };
	struct record_text texts[RECORD_TEXTS_MAX];
	unsigned count = record_object_texts(object, texts);
	bool any = false;
	int error;

	/* Most objects have no candidate, and their functions need not be known. */
	for (unsigned i = 0; i < count; i++)
		any = any || choose_text(&sweep, &texts[i]);
	if (!any)
		return 0;
	error = record_object_functions(object, &sweep.functions);
	for (unsigned i = 0; i < count && !error; i++)
		if (choose_text(&sweep, &texts[i]))
			error = sweep_text(&sweep);
	free(sweep.functions.items);
	return error;
}
