/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The loader calls a function that does nothing, r_debug.r_brk, whenever it has changed the list of loaded
 * objects, so that debuggers can set a breakpoint there. A jump to code of ours is put into its place. Where
 * a debugger has its breakpoint already, the loader's calls of r_brk are redirected instead, and the
 * breakpoint is still met. An interposed dlopen() would not do: the loader resolves the names by the object
 * that calls it, which would be this library.
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
/*
 * The loader's structure for debuggers. The symbol _r_debug is a copy of it, which the loader does not
 * change, in a program that refers to it by a copy relocation.
 */
static const struct r_debug *debug = &_r_debug;

/* Where a debugger looks: in the dynamic section of the program, which is the first object. */
static int find_debug(struct dl_phdr_info *program, size_t size, void *context)
{
	const ElfW(Dyn) *entry = NULL;

	for (unsigned i = 0; i < program->dlpi_phnum; i++) {
		const ElfW(Phdr) *header = &program->dlpi_phdr[i];

		if (header->p_type == PT_DYNAMIC)
			entry = (const ElfW(Dyn) *)(program->dlpi_addr + header->p_vaddr);
	}
	for (; entry && entry->d_tag != DT_NULL; entry++)
		if (entry->d_tag == DT_DEBUG && entry->d_un.d_ptr)
			debug = (const struct r_debug *)entry->d_un.d_ptr;
	return 1;
}

/* Called in the place of r_brk, as a function. */
static __attribute__((used)) void loader_called(void)
{
	if (debug->r_state == RT_CONSISTENT)
		watcher();
}

/* Called instead of r_brk. */
static __attribute__((used)) void loader_called_first(void)
{
	loader_called();
	((void (*)(void))debug->r_brk)();
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

/* ---- The loader's calls ----------------------------------------------------------- */

/* The executable segment that the address `within` is in. */
struct text {
	uint64_t within, begin, end;
};

static int find_text(struct dl_phdr_info *object, size_t size, void *context)
{
	struct text *text = context;

	for (unsigned i = 0; i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *header = &object->dlpi_phdr[i];
		uint64_t begin = object->dlpi_addr + header->p_vaddr;

		if (header->p_type != PT_LOAD || !(header->p_flags & PF_X) || text->within < begin ||
		    text->within - begin >= header->p_memsz)
			continue;
		text->begin = begin;
		text->end = begin + header->p_memsz;
		return 1;
	}
	return 0;
}

/* A call or a jump with a 32-bit displacement that leads to `target`. By chance 32 bits do not do so. */
static bool leads_to(uint64_t at, uint64_t target)
{
	const uint8_t *code = (const uint8_t *)at;
	int32_t displacement;

	if (*code != 0xe8 && *code != 0xe9)
		return false;
	memcpy(&displacement, code + 1, sizeof(displacement));
	return at + JUMP_BYTES + (uint64_t)(int64_t)displacement == target;
}

static int redirect_calls(uint64_t from)
{
	struct text text = { .within = from };
	bool found = false;
	uint64_t stub;

	if (!dl_iterate_phdr(find_text, &text))
		return -EOPNOTSUPP;
	stub = make_stub(from, loader_called_first);
	if (!stub)
		return -ENOMEM;
	for (uint64_t at = text.begin; at + JUMP_BYTES <= text.end; at++) {
		int32_t displacement = (int32_t)(stub - (at + JUMP_BYTES));
		int error;

		if (!leads_to(at, from))
			continue;
		error = record_code_write(at + 1, (const uint8_t *)&displacement, sizeof(displacement));
		if (error)
			return error;
		found = true;
	}
	return found ? 0 : -EOPNOTSUPP;
}

int record_watch_loader(void (*function)(void))
{
	uint64_t from, signals;
	int error;

	dl_iterate_phdr(find_debug, NULL);
	from = debug->r_brk;
	if (!from)
		return -EOPNOTSUPP;
	watcher = function;
	signals = signals_block();
	record_patch_take();
	record_code_open();
	error = is_empty((const uint8_t *)from) ? put_jump(from) : redirect_calls(from);
	record_patch_give();
	signals_restore(signals);
	return error;
}
