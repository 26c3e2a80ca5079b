/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Every instruction form that can store, run natively and recorded, at every alignment over a line's edge:
 * registers, flags, memory, faults and the recorded events must be the same. A form that this processor
 * has not is listed. Forms that the recorder does not cover must be those of the file uncovered.txt.
 */

#include <err.h>
#include <sched.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <cpuid.h>

#include "client/record/engine.h"
#include "client/record/patch.h"
#include "client/record/state.h"
#include "form.h"
#include "trace/slot.h"
#include "world.h"

/* From the middle on there is room for the largest store: xsave's with AMX, 11,008 bytes. */
#define POOL_BYTES (16u << 10)
#define MIDDLE (2u << 10)
#define STORE_MAX (POOL_BYTES - MIDDLE - 64)
#define CODE_STRIDE 64u
#define VARIANTS 5u

unsigned char form_vectors;

/* What came of a run: a fault, or none. */
struct outcome {
	int signal; /* 0: none */
	long rip;   /* from the code's beginning */
	uint64_t address;
	struct form_state state;
	unsigned char memory[POOL_BYTES];
};

/* What became of a key. */
struct key {
	char name[96];
	unsigned runs, stored, patched, failed;
	bool missing, uncovered;
};

static struct {
	unsigned char initial[POOL_BYTES];
	const unsigned char *code;
	struct outcome native, recorded, other;
	struct key keys[4096];
	unsigned key_count;
	unsigned long runs;
	char why[200];
} test;

/* ---- Running --------------------------------------------------------------------------- */

static sigjmp_buf out_of_fault;
static struct outcome *running;

static void on_fault(int number, siginfo_t *info, void *context_pointer)
{
	static const uint8_t greg[16] = { REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
					  REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
					  REG_R12, REG_R13, REG_R14, REG_R15 };
	ucontext_t *context = context_pointer;

	if (!running) {
		signal(number, SIG_DFL);
		return;
	}
	running->signal = number;
	running->rip = (long)(context->uc_mcontext.gregs[REG_RIP] - (greg_t)test.code);
	running->address = (uint64_t)info->si_addr;
	for (unsigned i = 0; i < 16; i++)
		running->state.registers[i] = (uint64_t)context->uc_mcontext.gregs[greg[i]];
	running->state.flags = (uint64_t)context->uc_mcontext.gregs[REG_EFL];
	siglongjmp(out_of_fault, 1);
}

static void run(const unsigned char *code, const struct form_state *state, struct outcome *out)
{
	out->state = *state;
	out->signal = 0;
	out->rip = 0;
	out->address = 0;
	test.code = code;
	running = out;
	if (sigsetjmp(out_of_fault, 0) == 0) {
		form_run(&out->state, code);
	} else {
		sigset_t none;

		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
	}
	running = NULL;
	memcpy(out->memory, world.alias, POOL_BYTES);
}

static void run_native(const unsigned char *code, const struct form_state *state,
		       const unsigned char *initial, struct outcome *out)
{
	memcpy(world.alias, initial, POOL_BYTES);
	if (mprotect(world.pool, POOL_BYTES, PROT_READ | PROT_WRITE) != 0)
		err(1, "mprotect");
	run(code, state, out);
	if (mprotect(world.pool, POOL_BYTES, PROT_READ) != 0)
		err(1, "mprotect");
}

/* ---- Comparing --------------------------------------------------------------------------------- */

/* Where the last x87 instruction and its operand were is not the program's, but the stub's. */
static void forget_x87_pointers(const struct record_insn *insn, unsigned char *memory, uint64_t offset)
{
	const char *name = record_insn_name(insn);

	if (strncmp(name, "fxsave", 6) == 0 || strncmp(name, "xsave", 5) == 0)
		memset(memory + offset + 6, 0, 18);
	else if (strcmp(name, "fnstenv") == 0 || strcmp(name, "fnsave") == 0)
		memset(memory + offset + (insn->size == 14 || insn->size == 94 ? 6 : 12), 0,
		       insn->size == 14 || insn->size == 94 ? 8 : 16);
}

static bool same_state(const struct form_state *a, const struct form_state *b, bool faulted)
{
	unsigned char first[512], second[512];

	for (unsigned i = 0; i < 16; i++)
		if (a->registers[i] != b->registers[i]) {
			snprintf(test.why, sizeof(test.why), "register %u: native %llx, recorded %llx", i,
				 (unsigned long long)a->registers[i], (unsigned long long)b->registers[i]);
			return false;
		}
	if ((a->flags ^ b->flags) & 0xcd5) {
		snprintf(test.why, sizeof(test.why), "flags: native %llx, recorded %llx",
			 (unsigned long long)a->flags, (unsigned long long)b->flags);
		return false;
	}
	if (faulted)
		return true;
	memcpy(first, a->fx, sizeof(first));
	memcpy(second, b->fx, sizeof(second));
	memset(first + 6, 0, 18);
	memset(second + 6, 0, 18);
	if (memcmp(a->masks, b->masks, sizeof(a->masks)) != 0 ||
	    memcmp(a->vectors, b->vectors, sizeof(a->vectors)) != 0 || memcmp(first, second, 464) != 0) {
		snprintf(test.why, sizeof(test.why), "vector, mask or x87 registers");
		return false;
	}
	return true;
}

static bool same_memory(const struct record_insn *insn, uint64_t offset)
{
	static unsigned char first[POOL_BYTES], second[POOL_BYTES];

	if (memcmp(test.native.memory, test.recorded.memory, POOL_BYTES) == 0)
		return true;
	memcpy(first, test.native.memory, POOL_BYTES);
	memcpy(second, test.recorded.memory, POOL_BYTES);
	forget_x87_pointers(insn, first, offset);
	forget_x87_pointers(insn, second, offset);
	for (size_t i = 0; i < POOL_BYTES; i++)
		if (first[i] != second[i]) {
			snprintf(test.why, sizeof(test.why), "memory at %+ld: native %02x, recorded %02x",
				 (long)i - (long)offset, first[i], second[i]);
			return false;
		}
	return true;
}

/* Is the event as this instruction makes it? */
static bool event_fits(const struct record_insn *insn, const struct world_event *event, uint64_t offset)
{
	unsigned wanted = (insn->nontemporal ? TRACE_NONTEMPORAL : 0) | (insn->locked ? TRACE_LOCKED : 0);

	if (event->kind == TRACE_SLOT_VOID)
		return insn->compares || test.native.signal || insn->mask != RECORD_MASK_NONE;
	if (event->kind == TRACE_SLOT_FENCE)
		return insn->locked && event->flags == TRACE_RMW;
	if (event->kind == TRACE_SLOT_FLUSH || (event->flags & (TRACE_NONTEMPORAL | TRACE_LOCKED)) != wanted)
		return false;
	if (record_insn_way(insn) == RECORD_INLINE)
		return event->kind == TRACE_SLOT_STORE && event->offset == offset &&
		       event->length == insn->size;
	return true;
}

/* The events, done to what was there, make what is there; they are of bytes that are stored to. */
static bool events_fit(const struct record_insn *insn, uint64_t offset, const unsigned char *code)
{
	static unsigned char image[POOL_BYTES], logged[POOL_BYTES], inverse[POOL_BYTES];
	struct form_state state;
	size_t count;
	const struct world_event *events = world_events(&count);

	memcpy(image, test.initial, POOL_BYTES);
	if (insn->mask != RECORD_MASK_NONE || insn->target == RECORD_TARGET_VECTOR)
		memset(logged, 0, POOL_BYTES);
	for (size_t i = 0; i < count; i++) {
		world_apply(&events[i], image);
		if (!event_fits(insn, &events[i], offset)) {
			snprintf(test.why, sizeof(test.why), "event of kind %u, flags %u, %llu bytes at %+ld",
				 events[i].kind, events[i].flags, (unsigned long long)events[i].length,
				 (long)(events[i].offset - offset));
			return false;
		}
		if (events[i].kind != TRACE_SLOT_FENCE && events[i].kind != TRACE_SLOT_VOID)
			for (size_t j = 0; j < events[i].length; j++)
				if (events[i].length > 64 || trace_mask_has(events[i].mask, (uint32_t)j))
					logged[events[i].offset + j] = 1;
	}
	if (record_insn_way(insn) == RECORD_INLINE && count != 1 && !test.native.signal) {
		snprintf(test.why, sizeof(test.why), "%zu events", count);
		return false;
	}
	if (memcmp(image, test.recorded.memory, POOL_BYTES) != 0) {
		snprintf(test.why, sizeof(test.why), "%zu events do not make the memory", count);
		return false;
	}
	/* Only stores that do not depend on what was there; a register that is saved may be as it was. */
	if ((insn->mask == RECORD_MASK_NONE && insn->target != RECORD_TARGET_VECTOR) || test.native.signal)
		return true;
	for (size_t i = 0; i < POOL_BYTES; i++)
		inverse[i] = (unsigned char)~test.initial[i];
	state = test.other.state;
	run_native(code, &state, inverse, &test.other);
	for (size_t i = 0; i < POOL_BYTES; i++) {
		bool stored = test.native.memory[i] != test.initial[i] || test.other.memory[i] != inverse[i];

		if (stored != logged[i]) {
			snprintf(test.why, sizeof(test.why), "the byte at %+ld is %sstored, and %slogged",
				 (long)i - (long)offset, stored ? "" : "not ", logged[i] ? "" : "not ");
			return false;
		}
	}
	return true;
}

/* A recorded run against the native one. False: they differ, and test.why says where. */
static bool compare(const struct form *form, const unsigned char *native, const unsigned char *recorded,
		    uint64_t offset, const struct form_state *state)
{
	size_t none;

	test.runs++;
	memcpy(world.alias, test.initial, POOL_BYTES);
	world_events(&none);
	record_waiting = false; /* or a locked one logs a fence before */
	run(recorded, state, &test.recorded);
	if (test.native.signal != test.recorded.signal || test.native.rip != test.recorded.rip) {
		snprintf(test.why, sizeof(test.why), "signal: native %d at +%ld, recorded %d at +%ld",
			 test.native.signal, test.native.rip, test.recorded.signal, test.recorded.rip);
		return false;
	}
	test.other.state = *state;
	return same_state(&test.native.state, &test.recorded.state, test.native.signal != 0) &&
	       same_memory(&form->insn, offset) && events_fit(&form->insn, offset, native);
}

/* ---- Forms ------------------------------------------------------------------------------------------ */

static struct key *find_key(const char *name)
{
	for (unsigned i = 0; i < test.key_count; i++)
		if (strcmp(test.keys[i].name, name) == 0)
			return &test.keys[i];
	strcpy(test.keys[test.key_count].name, name);
	return &test.keys[test.key_count++];
}

/* A displacement that is part of the code decides where it stores: the middle line's last bytes. */
static bool fixed_target(struct form *form, const unsigned char *code, uint8_t *bytes)
{
	const struct record_address *at = &form->insn.address;
	uint64_t target = (uint64_t)world.pool + MIDDLE + 64 - form->insn.size / 2u;
	int64_t displacement;

	if (!form->insn.has_memory || form->insn.target != RECORD_TARGET_MODRM ||
	    (at->base != RECORD_RIP && (at->base != RECORD_NO_REGISTER || at->index != RECORD_NO_REGISTER)))
		return false;
	displacement =
		(int64_t)(at->base == RECORD_RIP ? target - (uint64_t)code - form->insn.length : target);
	form->insn.address.displacement = displacement;
	for (unsigned i = 0; i < form->insn.displacement_size; i++)
		bytes[form->insn.displacement_at + i] = (uint8_t)(displacement >> 8 * i);
	return true;
}

/* The instruction, what undoes its effect on rsp, and ret. */
static void write_code(const struct form *form, uint8_t *at)
{
	unsigned n = form->insn.length;

	memset(at, 0x90, CODE_STRIDE);
	memcpy(at, form->insn.bytes, n);
	if (form->insn.pops && form->insn.size == 2) {
		memcpy(at + n, "\x48\x8d\x64\x24\xfe", 5); /* lea rsp, [rsp - 2] */
		n += 5;
	}
	at[n] = 0xc3;
}

static bool runs_safely(const struct form *form)
{
	/* Those that write rsp would lose the way back. */
	return !(form->insn.written >> RECORD_RSP & 1) || form->insn.pops;
}

static void try_offset(const struct form *form, const unsigned char *native, const unsigned char *recorded,
		       uint64_t offset)
{
	struct key *key = find_key(form->key);
	struct form_state state;

	if (key->failed || key->missing ||
	    !form_set_registers(&form->insn, &state, (uint64_t)world.pool + offset))
		return;
	run_native(native, &state, test.initial, &test.native);
	if (test.native.signal == SIGILL) {
		key->missing = true;
		return;
	}
	key->runs++;
	key->stored += !test.native.signal;
	for (unsigned many = 0; many < 2 && !key->failed; many++) {
		world_many(many);
		if (compare(form, native, recorded, offset, &state))
			continue;
		key->failed++;
		printf("# %s (", form->key);
		for (unsigned i = 0; i < form->insn.length; i++)
			printf("%s%02x", i ? " " : "", form->insn.bytes[i]);
		printf(") at offset %llu, %s: %s\n", (unsigned long long)offset % 64,
		       many ? "locked" : "alone", test.why);
	}
}

static void try_form(struct form *form, const unsigned char *native, const unsigned char *recorded)
{
	struct key *key = find_key(form->key);
	unsigned size = form->insn.size;
	struct record_site *site;

	if (record_insn_way(&form->insn) == RECORD_UNCOVERED) {
		key->uncovered = true;
		return;
	}
	if (!runs_safely(form))
		return;
	if (form->insn.address.base == RECORD_RIP ||
	    (form->insn.address.base == RECORD_NO_REGISTER &&
	     form->insn.address.index == RECORD_NO_REGISTER && form->insn.target == RECORD_TARGET_MODRM)) {
		try_offset(form, native, recorded, MIDDLE + 64 - size / 2u);
	} else if (size <= 64) {
		/* Each alignment by half of the variants; the aligned ones, the first and the last by all. */
		for (uint64_t from = MIDDLE + 62 - size; from <= MIDDLE + 65; from++)
			if (from % 2 == form->variant % 2 || from % 16 == 0 || from == MIDDLE + 62 - size ||
			    from == MIDDLE + 65)
				try_offset(form, native, recorded, from);
	} else {
		for (uint64_t from = MIDDLE; from <= MIDDLE + 64; from += 4)
			try_offset(form, native, recorded, from);
	}
	site = record_site_at((uint64_t)recorded);
	key->patched += site && site->patched != RECORD_NOT_PATCHED;
}

static void try_all(struct form *forms, size_t count)
{
	const bool has_bmi2 = record_has_bmi2;
	size_t bytes = count * CODE_STRIDE;
	uint8_t *code = malloc(bytes);
	unsigned char *native, *recorded;

	if (!code)
		errx(1, "out of memory");
	/* Twice: what is relative to rip is written when it is known where the code will be. */
	memset(code, 0x90, bytes);
	native = world_code(code, bytes, true);
	recorded = world_code(code, bytes, true);
	for (unsigned which = 0; which < 2; which++) {
		unsigned char *at = which ? recorded : native;
		int memory = memfd_create("code", MFD_CLOEXEC);

		for (size_t i = 0; i < count; i++) {
			struct form form = forms[i];
			uint8_t bytes_of_form[RECORD_INSN_MAX];

			memcpy(bytes_of_form, form.insn.bytes, sizeof(bytes_of_form));
			fixed_target(&form, at + i * CODE_STRIDE, bytes_of_form);
			memcpy(form.insn.bytes, bytes_of_form, sizeof(bytes_of_form));
			write_code(&form, code + i * CODE_STRIDE);
		}
		if (memory < 0 || pwrite(memory, code, bytes, 0) != (ssize_t)bytes ||
		    mmap(at, bytes, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, memory, 0) != at)
			err(1, "code");
		close(memory);
	}
	for (size_t i = 0; i < count; i++) {
		struct form form = forms[i];
		uint8_t unused[RECORD_INSN_MAX];

		/* Half of the variants as on a processor without shrx. */
		record_has_bmi2 = has_bmi2 && form.variant % 4 < 2;
		fixed_target(&form, native + i * CODE_STRIDE, unused);
		try_form(&form, native + i * CODE_STRIDE, recorded + i * CODE_STRIDE);
	}
	record_has_bmi2 = has_bmi2;
	free(code);
}

/* Is a store found that goes to the wrong place of the pool? */
static bool finds_wrong_place(void)
{
	static const unsigned char code[] = { 0x48, 0x89, 0x07, 0xc3 }; /* mov [rdi], rax; ret */
	const unsigned char *native = world_code(code, sizeof(code), true);
	const unsigned char *recorded = world_code(code, sizeof(code), true);
	struct form form = { .variant = 0 };
	struct form_state state;
	bool right, wrong;

	world_many(false);
	record_decode(code, sizeof(code), &form.insn);
	form_set_registers(&form.insn, &state, (uint64_t)world.pool + MIDDLE);
	run_native(native, &state, test.initial, &test.native);
	right = compare(&form, native, recorded, MIDDLE, &state);
	record_range_remove((uintptr_t)world.pool, world.bytes);
	if (record_range_add((uintptr_t)world.pool, world.bytes, WORLD_POOL, WORLD_OFFSET,
			     (uintptr_t)world.alias + 8))
		errx(1, "record_range_add");
	wrong = compare(&form, native, recorded, MIDDLE, &state);
	return right && !wrong;
}

/* ---- Reports ------------------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct key *)a)->name, ((const struct key *)b)->name);
}

/* A form is listed by its mnemonic; one that is not covered only with 32-bit addresses as such. */
static void name_uncovered(const struct record_insn *insn, char *name, size_t room)
{
	struct record_insn other = *insn;

	other.address.narrow = false;
	snprintf(name, room, "%s%s", record_insn_name(insn),
		 record_insn_way(&other) == RECORD_UNCOVERED ? "" : " addr32");
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(a, b);
}

static bool uncovered_as_listed(const struct form *forms, size_t count)
{
	static char names[512][96], listed[512][96];
	unsigned found = 0, lines = 0, same;
	char path[4096], name[96];
	FILE *list;

	for (size_t i = 0; i < count; i++) {
		if (record_insn_way(&forms[i].insn) != RECORD_UNCOVERED)
			continue;
		name_uncovered(&forms[i].insn, name, sizeof(name));
		for (same = 0; same < found && strcmp(names[same], name) != 0; same++)
			;
		if (same == found && found < 512)
			strcpy(names[found++], name);
	}
	qsort(names, found, sizeof(names[0]), compare_names);
	snprintf(path, sizeof(path), "%s/tests/record/uncovered.txt", getenv("abs_top_srcdir") ?: ".");
	list = fopen(path, "r");
	while (list && lines < 512 && fgets(listed[lines], sizeof(listed[0]), list)) {
		listed[lines][strcspn(listed[lines], "\n")] = '\0';
		lines += listed[lines][0] != '#';
	}
	if (list)
		fclose(list);
	for (unsigned i = 0; i < found; i++)
		printf("# not covered: %s\n", names[i]);
	for (same = 0; same < found && same < lines && strcmp(names[same], listed[same]) == 0; same++)
		;
	return same == found && same == lines;
}

static unsigned report(void)
{
	unsigned run_keys = 0, missing = 0, failed = 0, never = 0, sites = record_site_count();
	unsigned direct = 0, punned = 0;

	for (unsigned i = 0; i < test.key_count; i++) {
		const struct key *key = &test.keys[i];

		failed += key->failed != 0;
		run_keys += key->runs > 0;
		if (key->runs && !key->stored) {
			printf("# only faults: %s\n", key->name);
			failed++;
		}
		if (key->missing) {
			missing++;
			printf("# not on this processor: %s\n", key->name);
		} else if (!key->runs && !key->uncovered) {
			never++;
			printf("# never run: %s\n", key->name);
		}
	}
	for (unsigned i = 1; i <= sites; i++) {
		direct += record_site_by_id(i)->patched == RECORD_PATCHED_DIRECT;
		punned += record_site_by_id(i)->patched == RECORD_PATCHED_PUNNED;
	}
	printf("# %u forms run, %lu times; %u not on this processor; %u never; %u sites, %u direct, %u "
	       "punned\n",
	       run_keys, test.runs, missing, never, sites, direct, punned);
	return failed;
}

static unsigned char vectors_here(void)
{
	if (__builtin_cpu_supports("avx512bw"))
		return 3;
	return __builtin_cpu_supports("avx2") ? 2 : 1;
}

static void make_sure_of_room(void)
{
	unsigned a, bytes, most, d;

	if (__get_cpuid_count(0xd, 0, &a, &bytes, &most, &d) && bytes > STORE_MAX)
		errx(1, "xsave stores %u bytes here, %u fit: make POOL_BYTES larger", bytes, STORE_MAX);
}

/* sgdt stores an address that each processor has for itself: both runs of a form must be on the same one. */
static void stay_on_this_processor(void)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET((size_t)sched_getcpu(), &one);
	if (sched_setaffinity(0, sizeof(one), &one) != 0)
		err(1, "sched_setaffinity");
}

int main(int argc, char **argv)
{
	uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 20250117;
	struct form *forms;
	size_t count;
	unsigned failed;
	bool listed, finds;

	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("# seed %llu\n", (unsigned long long)seed);
	stay_on_this_processor();
	form_vectors = vectors_here();
	make_sure_of_room();
	world_start(POOL_BYTES);
	world_signal = on_fault;
	form_scene.rng = (struct rng){ seed };
	form_scene.pool = world.pool;
	form_scene.initial = test.initial;
	__asm__("mov %%fs:0, %0" : "=r"(form_scene.fs));
	form_scene.source = mmap(NULL, FORM_SOURCE_BYTES, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	if (form_scene.source == MAP_FAILED)
		err(1, "mmap");
	/* form_run() pushes a return address and calls. */
	form_scene.rsp = (uint64_t)form_stack + FORM_STACK_BYTES - 16;
	form_fill(form_scene.source, FORM_SOURCE_BYTES);
	form_fill(test.initial, POOL_BYTES);
	forms = form_enumerate(VARIANTS, seed, &count);
	try_all(forms, count);
	qsort(test.keys, test.key_count, sizeof(test.keys[0]), by_name);
	failed = report();
	printf("%s 1 - every form stores, faults and is logged as it does natively\n",
	       failed ? "not ok" : "ok");
	listed = uncovered_as_listed(forms, count);
	printf("%s 2 - the forms that are not covered are those of uncovered.txt\n",
	       listed ? "ok" : "not ok");
	finds = finds_wrong_place();
	printf("%s 3 - negative control: a store that goes to the wrong place is found\n",
	       finds ? "ok" : "not ok");
	printf("1..3\n");
	free(forms);
	return failed || !listed || !finds;
}
