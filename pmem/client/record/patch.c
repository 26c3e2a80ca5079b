/* SPDX-License-Identifier: BSD-3-Clause */

#include "client/record/patch.h"

#include <errno.h>
#include <sys/mman.h>

#include "abi/rawcall.h"
#include "client/record/asm.h"
#include "client/record/code.h"
#include "client/record/emit.h"
#include "client/record/engine.h"
#include "common/align.h"

#define JUMP 0xe9
#define TRAP 0xcc
#define PREFIXES_MAX 3u
/* A prefix that means nothing before a jump: ds. */
#define PREFIX 0x3e
#define TRAMPOLINE_BYTES 14u
/* Jumps that reach into each other, all in one place. More of them than this stay as they are. */
#define GROUP_MAX 32u
#define GROUP_BYTES 512u

static struct {
	uint64_t lock;		   /* the owner's, see record_patch_take(); or 0 */
	uint32_t depth;		   /* so many times more it was taken by the owner */
	struct record_site *sites; /* RECORD_SITES_MAX, [0] unused; entries never move */
	_Atomic uint32_t count;
	_Atomic uint32_t *table; /* by address: ids, open addressing, twice as many as there can be sites */
} patches;

#define TABLE_SIZE (2 * RECORD_SITES_MAX)

/* ---- The lock -------------------------------------------------------------------------- */

void record_patch_take(void)
{
	static const struct timespec moment = { .tv_nsec = 20000 };
	/* An address of this thread's; no system call, for a scan takes the lock often. */
	uint64_t none = 0, mine = (uint64_t)&record_self;

	if (__atomic_load_n(&patches.lock, __ATOMIC_RELAXED) == mine) {
		patches.depth++;
		return;
	}
	while (!__atomic_compare_exchange_n(&patches.lock, &none, mine, false, __ATOMIC_ACQUIRE,
					    __ATOMIC_RELAXED)) {
		none = 0;
		RAW2(nanosleep, &moment, NULL);
	}
}

void record_patch_give(void)
{
	if (patches.depth) {
		patches.depth--;
		return;
	}
	record_code_close();
	__atomic_store_n(&patches.lock, 0, __ATOMIC_RELEASE);
}

void record_patch_fork_child(void)
{
	/* record_fork_prepare() has taken it, so that nothing is half done. */
	patches.lock = 0;
	patches.depth = 0;
}

/* ---- Sites --------------------------------------------------------------------------------- */

static uint32_t table_start(uint64_t address)
{
	/* Sites that are near in the code are near in the table: each page that is used costs a fault. */
	return (uint32_t)(address >> 4) % TABLE_SIZE;
}

struct record_site *record_site_by_id(uint32_t id)
{
	return &patches.sites[id];
}

uint32_t record_site_count(void)
{
	return patches.count;
}

struct record_site *record_site_at(uint64_t address)
{
	if (!patches.table)
		return NULL;
	for (uint32_t at = table_start(address);; at = (at + 1) % TABLE_SIZE) {
		uint32_t id = atomic_load_explicit(&patches.table[at], memory_order_acquire);

		if (!id)
			return NULL;
		if (patches.sites[id].address == address && !patches.sites[id].gone)
			return &patches.sites[id];
	}
}

bool record_sites_in(uint64_t address, uint64_t length)
{
	for (uint32_t id = 1; id <= patches.count; id++)
		if (patches.sites[id].address - address < length && !patches.sites[id].gone)
			return true;
	return false;
}

struct record_site *record_site_of_stub(uint64_t address)
{
	uint32_t count = atomic_load_explicit(&patches.count, memory_order_acquire);

	for (uint32_t id = 1; id <= count; id++)
		if (address - patches.sites[id].stub < patches.sites[id].stub_end - patches.sites[id].stub)
			return &patches.sites[id];
	return NULL;
}

int record_patch_start(void)
{
	size_t sites = (size_t)(RECORD_SITES_MAX + 1) * sizeof(struct record_site);
	size_t table = (size_t)TABLE_SIZE * sizeof(patches.table[0]);
	long at;

	at = RAW6(mmap, NULL, sites + table, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (raw_failed(at))
		return (int)at;
	patches.sites = (struct record_site *)at;
	__atomic_store_n(&patches.table, (_Atomic uint32_t *)(at + (long)sites), __ATOMIC_RELEASE);
	return 0;
}

/* Assembled here, under the lock: handlers may run on a small stack. */
static uint8_t assembled[RECORD_STUB_MAX];

static bool make_stub(struct record_site *site)
{
	uint64_t at = record_code_reserve(site->address, RECORD_STUB_MAX);
	uint32_t length;

	if (!at)
		return false;
	length = record_emit(site, at, assembled);
	record_code_trim(at, length);
	if (!length)
		return false;
	record_code_open();
	return record_code_write(at, assembled, length) == 0;
}

/* The next instructions tell whether the flags behind a store matter. */
static bool are_flags_dead(const struct record_site *site)
{
	const uint64_t next = site->address + site->insn.length;

	return !site->insn.reads_flags && !site->insn.writes_flags && site->way == RECORD_INLINE &&
	       record_flags_are_dead((const uint8_t *)next, align_up(next, PAGE_BYTES) - next);
}

/*
 * A jump of a stub, while other threads may run it: who meets the trap goes on where it led. False: it does
 * not reach so far.
 */
static bool redirect(const struct record_site *site, uint64_t jump, uint64_t to)
{
	static const uint8_t trap = TRAP, opcode = JUMP;
	const int64_t distance = (int64_t)(to - (jump + RECORD_JUMP_BYTES));
	uint8_t displacement[4];
	int error;

	if (distance != (int32_t)distance)
		return false;
	for (unsigned i = 0; i < sizeof(displacement); i++)
		displacement[i] = (uint8_t)((uint64_t)distance >> 8 * i);
	error = record_code_write(jump, &trap, 1);
	record_code_sync();
	if (!error)
		error = record_code_write(jump + 1, displacement, sizeof(displacement));
	record_code_sync();
	if (!error)
		error = record_code_write(jump, &opcode, 1);
	record_code_sync();
	if (error)
		record_die("code cannot be written", site);
	return true;
}

/* A stub that goes on at the new site's instruction, in the middle of a jump, goes on in the new stub. */
static void link_before(struct record_site *site)
{
	for (unsigned back = 1; back < RECORD_JUMP_BYTES; back++) {
		struct record_site *before = record_site_at(site->address - back);

		if (!before || before->next || record_goes_on_at(before) != site->address)
			continue;
		for (unsigned i = 0; i < before->exit_count; i++)
			if (before->exits[i].jump && redirect(before, before->exits[i].jump, site->stub))
				before->next = site;
	}
}

/* `replacement`: see struct record_site; its instruction is of any class. */
static struct record_site *add_site(uint64_t address, const struct record_insn *insn,
				    enum record_purpose purpose, bool constant, uint64_t replacement)
{
	uint32_t id = patches.count + 1, at;
	struct record_site *site = &patches.sites[id];
	bool records = insn->class == RECORD_STORE && purpose != RECORD_FOR_FENCE && !replacement;

	if (id >= RECORD_SITES_MAX)
		return NULL;
	*site = (struct record_site){ .address = address,
				      .insn = *insn,
				      .id = id,
				      .way = record_insn_way(insn),
				      .replacement = replacement };
	site->fence_only = purpose == RECORD_FOR_FENCE && insn->class == RECORD_STORE;
	site->fence_always = record_engine.setup.stores;
	site->flags_dead = records && constant && are_flags_dead(site);
	/* A jump that has room ends before what follows. */
	site->follows = constant && insn->length < RECORD_JUMP_BYTES && insn->class != RECORD_SYSTEM_CALL;
	if (records && site->way == RECORD_UNCOVERED)
		record_die("an instruction that the recorder does not cover stores to a pool", site);
	if (!make_stub(site)) {
		if (records)
			record_die("no stub can be made", site);
		return NULL;
	}
	if (record_engine.setup.on_site && !replacement)
		record_engine.setup.on_site(id, address, records);
	atomic_store_explicit(&patches.count, id, memory_order_release);
	/* A site of code that is gone, which was at the same address, is not found any more. */
	for (at = table_start(address); patches.table[at]; at = (at + 1) % TABLE_SIZE)
		if (patches.sites[patches.table[at]].address == address)
			break;
	atomic_store_explicit(&patches.table[at], id, memory_order_release);
	link_before(site);
	return site;
}

struct record_site *record_site_make(uint64_t address, const uint8_t *code, uint64_t available,
				     enum record_purpose purpose, bool constant)
{
	struct record_site *site = record_site_at(address);
	struct record_insn insn;

	if (site)
		return site;
	record_patch_take();
	/* With the lock held the bytes are the program's, or there is a site by now. */
	site = record_site_at(address);
	if (!site && record_decode(code, available, &insn) && insn.class != RECORD_OTHER)
		site = add_site(address, &insn, purpose, constant, 0);
	record_patch_give();
	return site;
}

/* Does a copy of the instruction do the same elsewhere? A call would push where the copy is. */
static bool is_movable(const struct record_insn *insn)
{
	const bool group5 = insn->map == 0 && insn->opcode == 0xff;

	return !insn->jumps && !insn->ends_flow && !group5;
}

struct record_site *record_site_replace(uint64_t function, uint64_t replacement)
{
	struct record_site *site = NULL;
	struct record_insn insn;

	record_patch_take();
	if (!record_site_at(function) &&
	    record_decode((const uint8_t *)function, RECORD_INSN_MAX, &insn) && is_movable(&insn))
		site = add_site(function, &insn, RECORD_FOR_STORES, true, replacement);
	if (site)
		site->may_trap = true;
	record_patch_give();
	return site;
}

/* ---- Where jumps lead ------------------------------------------------------------------------- */

static bool is_patched(const struct record_site *site)
{
	return site->patched != RECORD_NOT_PATCHED;
}

/*
 * A jump at `address` behind `prefixes` prefixes, of which `own` bytes of the displacement are free and
 * the others are in `bytes`: a target that is free, with a trampoline to come. 0: there is none.
 */
static uint64_t punned_target(uint64_t address, unsigned prefixes, unsigned own, const uint8_t *bytes)
{
	uint32_t fixed = 0;
	uint64_t choices = (uint64_t)1 << 8 * own;

	for (unsigned i = own; i < 4; i++)
		fixed |= (uint32_t)bytes[prefixes + 1 + i] << 8 * i;
	/* The free bytes are the low ones. With all four the window is around the jump. */
	return record_code_place(address + prefixes + RECORD_JUMP_BYTES +
					 (own == 4 ? (uint64_t)INT32_MIN : (uint64_t)(int64_t)(int32_t)fixed),
				 choices, TRAMPOLINE_BYTES);
}

static bool write_trampoline(uint64_t at, uint64_t stub)
{
	uint8_t bytes[TRAMPOLINE_BYTES];
	struct record_asm a = { .bytes = bytes, .room = sizeof(bytes), .address = at };

	asm_jump_to(&a, stub);
	return !a.full && record_code_write(at, bytes, a.used) == 0;
}

/*
 * Put a jump to the site's stub into `bytes`, which are those at its address and what follows, as it will
 * be. Only the instruction's own bytes change. False: there is no way.
 */
static bool make_jump(struct record_site *site, uint8_t *bytes)
{
	unsigned length = site->insn.length;
	int64_t distance = (int64_t)(site->stub - (site->address + RECORD_JUMP_BYTES));
	uint64_t target = 0;
	unsigned prefixes = 0, own;
	uint32_t displacement;

	if (length >= RECORD_JUMP_BYTES && distance == (int32_t)distance)
		target = site->stub;
	/* The last trampoline serves again if what follows is as it was. */
	for (; !target && prefixes <= PREFIXES_MAX && prefixes < length; prefixes++) {
		own = length - prefixes - 1;
		target = punned_target(site->address, prefixes, own > 4 ? 4 : own, bytes);
		if (target && !write_trampoline(target, site->stub))
			return false;
		if (target)
			break;
	}
	if (!target)
		return false;
	displacement = (uint32_t)(target - (site->address + prefixes + RECORD_JUMP_BYTES));
	for (unsigned i = 0; i < prefixes; i++)
		bytes[i] = PREFIX;
	bytes[prefixes] = JUMP;
	for (unsigned i = 0; i < 4 && prefixes + 1 + i < length; i++)
		bytes[prefixes + 1 + i] = (uint8_t)(displacement >> 8 * i);
	site->target = target;
	site->jump_length = (uint8_t)(prefixes + RECORD_JUMP_BYTES);
	site->patched = length >= RECORD_JUMP_BYTES ? RECORD_PATCHED_DIRECT : RECORD_PATCHED_PUNNED;
	return true;
}

/* ---- Groups ------------------------------------------------------------------------------------- */

/* A site, and those before it whose jumps are made of its bytes, or of the bytes of such a one. */
struct group {
	struct record_site *sites[GROUP_MAX]; /* descending addresses */
	unsigned count;
	uint64_t start;	 /* of the lowest */
	uint32_t length; /* up to the last byte that a jump is made of */
	uint8_t bytes[GROUP_BYTES];
};

/* A patched site before `address` whose jump reaches beyond it. */
static struct record_site *jump_into(uint64_t address)
{
	for (unsigned back = 1; back < RECORD_JUMP_BYTES + PREFIXES_MAX; back++) {
		struct record_site *site = record_site_at(address - back);

		if (site && is_patched(site) && site->address + site->jump_length > address)
			return site;
	}
	return NULL;
}

/* Can [from, from + length) be read? What a jump at the end of a segment is made of may be behind it. */
static bool readable(uint64_t from, uint32_t length)
{
	uint64_t last = (from + length - 1) & ~(uint64_t)4095;
	unsigned char present;

	return (from & ~(uint64_t)4095) == last || RAW3(mincore, last, 4096, &present) == 0;
}

static bool collect(struct group *group, struct record_site *site)
{
	struct record_site *before;

	group->sites[0] = site;
	group->count = 1;
	while ((before = jump_into(group->sites[group->count - 1]->address))) {
		if (group->count == GROUP_MAX)
			return false;
		group->sites[group->count++] = before;
	}
	group->start = group->sites[group->count - 1]->address;
	group->length = (uint32_t)(site->address + RECORD_INSN_MAX + RECORD_JUMP_BYTES - group->start);
	if (!readable(group->start, group->length))
		group->length =
			(uint32_t)(((site->address + site->insn.length - 1) | 4095) + 1 - group->start);
	return group->length <= GROUP_BYTES &&
	       group->length >= site->address - group->start + site->insn.length;
}

/* The group's new bytes, and in each site how it is patched; a site without a way keeps its instruction. */
static void make_jumps(struct group *group)
{
	for (uint32_t i = 0; i < group->length; i++)
		group->bytes[i] = ((const volatile uint8_t *)group->start)[i];
	for (unsigned i = 0; i < group->count; i++) {
		struct record_site *site = group->sites[i];
		uint8_t *at = group->bytes + (site->address - group->start);

		for (unsigned j = 0; j < site->insn.length; j++)
			at[j] = site->insn.bytes[j];
	}
	for (unsigned i = 0; i < group->count; i++) {
		struct record_site *site = group->sites[i];
		uint32_t offset = (uint32_t)(site->address - group->start);

		site->patched = RECORD_NOT_PATCHED;
		site->jump_length = 0;
		if (offset + PREFIXES_MAX + RECORD_JUMP_BYTES <= group->length &&
		    make_jump(site, group->bytes + offset))
			continue;
		site->unpatchable = true;
		if (site->may_trap) {
			group->bytes[offset] = TRAP;
			site->jump_length = 1;
			site->patched = RECORD_PATCHED_TRAP;
		}
	}
}

/*
 * A jump is made of the heads behind it as well: it must not run while one of them is a trap. So traps are
 * put upwards, and heads downwards, each seen by all threads before the next.
 */
static int trap_heads(const struct group *group)
{
	static const uint8_t trap = TRAP;
	int error = 0;

	for (unsigned i = group->count; i-- && !error;) {
		error = record_code_write(group->sites[i]->address, &trap, 1);
		record_code_sync();
	}
	return error;
}

static int write_heads(const struct group *group)
{
	int error = 0;

	for (unsigned i = 0; i < group->count && !error; i++) {
		uint64_t at = group->sites[i]->address;

		error = record_code_write(at, group->bytes + (at - group->start), 1);
		record_code_sync();
	}
	return error;
}

static int write_tails(const struct group *group)
{
	int error = 0;

	for (unsigned i = 0; i < group->count && !error; i++) {
		uint64_t at = group->sites[i]->address;

		if (group->sites[i]->insn.length > 1)
			error = record_code_write(at + 1, group->bytes + (at + 1 - group->start),
						  group->sites[i]->insn.length - 1u);
	}
	return error;
}

/* Threads that come across a head meanwhile trap, and go on in the stub (record_signal()). */
static int write_live(const struct group *group)
{
	int error = trap_heads(group);

	if (!error)
		error = write_tails(group);
	record_code_sync();
	if (!error)
		error = write_heads(group);
	return error;
}

static int write_alone(const struct group *group)
{
	int error = 0;

	for (unsigned i = 0; i < group->count && !error; i++) {
		uint64_t at = group->sites[i]->address;

		error = record_code_write(at, group->bytes + (at - group->start),
					  group->sites[i]->insn.length);
	}
	return error;
}

static bool patch(struct record_site *site, int (*write)(const struct group *group))
{
	static struct group group; /* too large for a handler's stack; the lock is held */
	int error;

	if (is_patched(site) || site->unpatchable)
		return is_patched(site);
	if (!collect(&group, site)) {
		site->unpatchable = true;
		return false;
	}
	record_code_open();
	make_jumps(&group);
	error = write(&group);
	if (!error)
		return is_patched(site);
	/* Code that is written in part runs neither way. */
	if (write != write_alone || group.count > 1)
		record_die("code cannot be written", site);
	site->patched = RECORD_NOT_PATCHED;
	site->unpatchable = true;
	return false;
}

bool record_site_patch(struct record_site *site)
{
	bool done;

	record_patch_take();
	done = patch(site, write_live);
	record_patch_give();
	return done;
}

bool record_site_patch_alone(struct record_site *site)
{
	bool done;

	record_patch_take();
	done = patch(site, write_alone);
	record_patch_give();
	return done;
}

/* Is its code, or what follows it in its stub, neither as it was nor as it was patched? */
static bool is_replaced(struct record_site *site)
{
	const volatile uint8_t *code = (const volatile uint8_t *)site->address;
	bool original = true, jump;

	for (unsigned i = 0; i < site->insn.length; i++)
		original = original && code[i] == site->insn.bytes[i];
	jump = code[0] == TRAP || code[0] == JUMP || (code[0] == PREFIX && site->insn.bytes[0] != PREFIX);
	if (original)
		site->patched = RECORD_NOT_PATCHED;
	return site->gone || (!original && (!is_patched(site) || !jump)) || !record_exit_is_right(site);
}

/* A row of stores is long, and a handler's stack may be small: one after the other. */
bool record_site_check(struct record_site *site)
{
	struct record_site *replaced = site;

	record_patch_take();
	while (replaced && !is_replaced(replaced))
		replaced = replaced->next;
	/* The stubs before it go on in its stub. */
	for (; replaced && site != replaced; site = site->next)
		site->gone = true;
	if (replaced)
		replaced->gone = true;
	record_patch_give();
	return replaced;
}

void record_sites_forget(uint64_t address, uint64_t length)
{
	if (!patches.table)
		return;
	record_patch_take();
	for (uint32_t id = 1; id <= patches.count; id++)
		if (patches.sites[id].address - address < length)
			patches.sites[id].gone = true;
	record_patch_give();
}
