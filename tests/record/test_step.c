/* SPDX-License-Identifier: BSD-3-Clause */

/* record_step_quickly() knows nothing that Zydis does not know, and says the same of it. */

#include <stdio.h>
#include <string.h>

#include "../e2e/tap.h"
#include "client/record/decode.h"
#include "common/rng.h"

unsigned tap_run, tap_failed;

#define BYTES (2 * RECORD_INSN_MAX)

static unsigned long known, all;

static bool agrees(const uint8_t *code)
{
	struct record_step quick, slow;

	all++;
	if (!record_step_quickly(code, BYTES, &quick))
		return true;
	known++;
	if (record_decode_step(code, BYTES, &slow) && quick.length == slow.length &&
	    quick.candidate == slow.candidate && quick.jumps == slow.jumps &&
	    (!quick.jumps || quick.branch == slow.branch))
		return true;
	printf("# not so:");
	for (unsigned i = 0; i < RECORD_INSN_MAX; i++)
		printf(" %02x", code[i]);
	printf("\n");
	return false;
}

/* The opcode at `at`, with each ModRM byte and some SIB bytes. */
static bool opcode_agrees(uint8_t *code, unsigned at)
{
	static const uint8_t sibs[] = { 0x00, 0x24, 0x25, 0x8d, 0xe5 };

	for (unsigned modrm = 0; modrm < 256; modrm++) {
		for (unsigned i = 0; i < sizeof(sibs); i++) {
			code[at] = (uint8_t)modrm;
			code[at + 1] = sibs[i];
			if (!agrees(code))
				return false;
		}
	}
	return true;
}

static bool map_agrees(uint8_t *code, unsigned at)
{
	for (unsigned opcode = 0; opcode < 256; opcode++) {
		code[at] = (uint8_t)opcode;
		if (!opcode_agrees(code, at + 1))
			return false;
	}
	return true;
}

static bool every_opcode_agrees(void)
{
	static const char *const prefixes[] = { "",	    "\x66",	"\xf2",	    "\xf3",	"\x2e",
						"\x64",	    "\x48",	"\x41",	    "\x66\x48", "\xf2\x48",
						"\xf3\x4c", "\x66\x66", "\x66\xf3", "\xf0",	"\x67",
						"\x65\x48", "\x48\x66", "\x64\x48", "\x66\x2e", "\xf2\xf3" };
	bool good = true;

	for (unsigned i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]) && good; i++) {
		uint8_t code[BYTES];
		unsigned at = (unsigned)strlen(prefixes[i]);

		memset(code, 0x81, sizeof(code));
		memcpy(code, prefixes[i], at);
		good = map_agrees(code, at);
		code[at] = 0x0f;
		good = good && map_agrees(code, at + 1);
	}
	return good;
}

static bool random_bytes_agree(void)
{
	struct rng rng = { 1 };

	for (unsigned i = 0; i < 3000000; i++) {
		uint8_t code[BYTES];

		for (unsigned j = 0; j < BYTES; j++)
			code[j] = (uint8_t)rng_below(&rng, 256);
		if (!agrees(code))
			return false;
	}
	return true;
}

/* What the test program's own functions are made of. */
static bool most_of_own_code_is_known(void)
{
	const uint8_t *code = (const uint8_t *)every_opcode_agrees;
	unsigned quick = 0, steps = 0;

	while (steps < 150) {
		struct record_step step, slow;

		if (!record_decode_step(code, BYTES, &slow))
			return false;
		quick += record_step_quickly(code, BYTES, &step);
		code += slow.length;
		steps++;
	}
	printf("# %u of %u\n", quick, steps);
	return quick * 10 >= steps * 9;
}

int main(void)
{
	OK(every_opcode_agrees(), "every opcode with every ModRM byte is stepped over as Zydis does");
	OK(random_bytes_agree(), "random bytes are stepped over as Zydis does");
	printf("# %lu of %lu\n", known, all);
	OK(known > 100000, "the tables know something of what was tried");
	OK(most_of_own_code_is_known(), "most instructions of compiled code are known");
	return tap_done();
}
