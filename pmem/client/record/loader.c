/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The loader calls a function that does nothing, r_debug.r_brk, whenever it has changed the list of loaded
 * objects, so that debuggers can set a breakpoint there. A jump to code of ours is put into its place. An
 * interposed dlopen() would not do: the loader resolves the names by the object that calls it, which would be
 * this library.
 */

#include <errno.h>
#include <link.h>
#include <string.h>

#include "client/record/asm.h"
#include "client/record/code.h"
#include "client/record/engine.h"
#include "client/record/patch.h"
#include "client/signals.h"

#define JUMP_BYTES 5u
#define STUB_BYTES 64u

static void (*watcher)(void);

/* Called in the place of r_brk, as a function. */
static __attribute__((used)) void loader_called(void)
{
	if (_r_debug.r_state == RT_CONSISTENT)
		watcher();
}

static const uint8_t endbr64[] = { 0xf3, 0x0f, 0x1e, 0xfa };

/* ret, behind an endbr64 or not, and then padding: enough bytes that nothing else uses. */
static bool is_empty(const uint8_t *code)
{
	unsigned at = memcmp(code, endbr64, sizeof(endbr64)) == 0 ? sizeof(endbr64) : 0;

	if (code[at++] != 0xc3)
		return false;
	while (at < JUMP_BYTES) {
		struct record_insn insn;

		if (!record_decode(code + at, RECORD_INSN_MAX, &insn) ||
		    (strcmp(record_insn_name(&insn), "nop") != 0 &&
		     strcmp(record_insn_name(&insn), "int3") != 0))
			return false;
		at += insn.length;
	}
	return true;
}

/* A jump to `to`, by way of a stub that is near enough. 0: there is no room for that. */
static uint64_t make_stub(uint64_t near, void (*to)(void))
{
	uint64_t at = record_code_reserve(near, STUB_BYTES);
	uint8_t bytes[STUB_BYTES];
	struct record_asm a = { .bytes = bytes, .room = sizeof(bytes), .address = at };

	if (!at)
		return 0;
	asm_jump_to(&a, (uint64_t)to);
	record_code_trim(at, a.used);
	return a.full || record_code_write(at, bytes, a.used) != 0 ? 0 : at;
}

static int put_jump(uint64_t from)
{
	uint8_t bytes[JUMP_BYTES];
	struct record_asm a = { .bytes = bytes, .room = sizeof(bytes), .address = from };
	uint64_t stub = make_stub(from, loader_called);

	if (!stub)
		return -ENOMEM;
	asm_jump_to(&a, stub);
	/* Nobody runs it now: the caller is not the loader, and the padding is nobody's. */
	return a.full ? -ENOMEM : record_code_write(from, bytes, sizeof(bytes));
}

int record_watch_loader(void (*function)(void))
{
	uint64_t from = _r_debug.r_brk, signals;
	int error;

	if (!from || !is_empty((const uint8_t *)from))
		return -EOPNOTSUPP;
	watcher = function;
	signals = signals_block();
	record_patch_take();
	record_code_open();
	error = put_jump(from);
	record_patch_give();
	signals_restore(signals);
	return error;
}
