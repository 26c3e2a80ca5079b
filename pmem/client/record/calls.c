/* SPDX-License-Identifier: BSD-3-Clause */

#include "client/record/calls.h"

#include <sys/mman.h>

#include "abi/rawcall.h"
#include "client/address_space.h"
#include "client/record/engine.h"
#include "client/record/line_locks.h"
#include "client/record/event_log.h"
#include "client/record/operand.h"
#include "client/record/thunk.h"
#include "common/align.h"

_Static_assert(sizeof(struct record_frame) == THUNK_FRAME_BYTES &&
		       offsetof(struct record_frame, flags) == THUNK_FRAME_FLAGS &&
		       offsetof(struct record_frame, resume) == THUNK_FRAME_RESUME &&
		       offsetof(struct record_frame, stack_top) == THUNK_FRAME_TOP &&
		       offsetof(struct record_frame, site) == THUNK_FRAME_SITE &&
		       offsetof(struct record_frame, above) == THUNK_FRAME_ABOVE &&
		       offsetof(struct record_thread, stack_base) == THUNK_STACK_BASE &&
		       offsetof(struct record_thread, stack_top) == THUNK_STACK_TOP &&
		       offsetof(struct record_thread, inside) == THUNK_INSIDE,
	       "as in thunk.h");

#define DIRECTION_FLAG (1u << 10)
#define TRAP_FLAG (1u << 8)
#define ZERO_FLAG (1u << 6)

_Thread_local struct record_thread record_self __attribute__((tls_model("initial-exec")));
_Thread_local uint64_t record_waiting __attribute__((tls_model("initial-exec")));
bool record_has_xsavec;

void record_thread_setup(void)
{
	struct record_thread *self = &record_self;
	long at = RAW6(mmap, NULL, RECORD_PRIVATE_STACK, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (raw_failed(at))
		record_die("no memory for the stack of a recorded thread", NULL);
	self->id = (uint32_t)address_space_thread();
	self->stack_base = (uint64_t)at;
	self->stack_top = (uint64_t)at + RECORD_PRIVATE_STACK;
}

/* ---- Fences and flushes ----------------------------------------------------------------------------- */

struct hook_call {
	uint64_t address;
	int kind;
};

static uint64_t call_on_flush(void *argument)
{
	const struct hook_call *call = argument;

	return record_engine.setup.on_flush(call->address, (enum record_flush_kind)call->kind);
}

static uint64_t call_on_fence(void *argument)
{
	const struct hook_call *call = argument;

	return record_engine.setup.on_fence((enum record_fence_kind)call->kind);
}

static void do_fence(enum record_fence_kind kind, const struct record_site *site)
{
	struct hook_call call = { .kind = (int)kind };

	record_waiting = 0;
	/* What the trace calls durable is durable. */
	if (!(record_engine.setup.on_fence_quickly && record_engine.setup.on_fence_quickly()) &&
	    record_engine.setup.on_fence && !record_keeping_vectors(call_on_fence, &call))
		return;
	if (record_engine.setup.stores)
		record_log_fence(kind, site->id);
}

/* False: no pool's line, the processor shall flush it. */
static bool do_flush(const struct record_frame *frame, const struct record_site *site)
{
	struct hook_call call = { .address = record_operand_address(frame, site),
				  .kind = (int)site->insn.flush };
	bool ours = false;

	if (record_engine.setup.stores && record_range_find(call.address)) {
		record_log_flush(call.address, site->insn.flush, site->id);
		ours = true;
	}
	if (record_engine.setup.on_flush)
		ours |= record_keeping_vectors(call_on_flush, &call);
	if (ours)
		record_waiting = 1;
	return ours;
}

/* ---- Stores that C code does by itself ----------------------------------------------------------------- */

static void put_bytes(uint64_t to, uint64_t value, unsigned size)
{
	switch (size) {
	case 2:
		*(volatile uint16_t *)to = (uint16_t)value;
		break;
	case 4:
		*(volatile uint32_t *)to = (uint32_t)value;
		break;
	default:
		*(volatile uint64_t *)to = value;
		break;
	}
}

static uint64_t get_bytes(uint64_t from, unsigned size)
{
	switch (size) {
	case 2:
		return *(const volatile uint16_t *)from;
	case 4:
		return *(const volatile uint32_t *)from;
	default:
		return *(const volatile uint64_t *)from;
	}
}

static void resume_at(struct record_frame *frame, uint64_t where)
{
	frame->resume = where;
	frame->stack_top = frame->above;
}

static void resume_after(struct record_frame *frame)
{
	resume_at(frame, frame->site->address + frame->site->insn.length);
}

/* Set the operation up, with locks and a stamp. False: [address, +length) is in no pool. */
static bool begin_store(struct record_frame *frame, uint64_t address, uint64_t length)
{
	const struct record_insn *insn = &frame->site->insn;
	uint64_t delta;
	bool logs;

	switch (record_within_pools(address, length, &delta)) {
	case RECORD_IN_NONE:
		return false;
	case RECORD_IN_PART:
		record_die("a store that is partly in a pool and partly not", frame->site);
	default:
		break;
	}
	record_self.retried = NULL;
	frame->address = address;
	frame->alias = address + delta;
	frame->length = length;
	frame->mask = 0;
	frame->stamp = 0;
	frame->locked = false;
	frame->flags_of_store = (insn->nontemporal ? TRACE_NONTEMPORAL : 0) |
				(insn->locked ? TRACE_LOCKED : 0) |
				(insn->string || length > 64 ? TRACE_RANGE : 0);
	if (insn->locked && record_waiting)
		do_fence(RECORD_RMW, frame->site);
	logs = record_log_room(length + TRACE_SLOT_ROOM);
	record_lines_take(frame);
	if (logs)
		frame->stamp = trace_stamp(&record_self.producer);
	return true;
}

static void end_store(struct record_frame *frame, bool stored)
{
	if (frame->stamp) {
		if (stored)
			record_log_store(frame);
		else if (frame->site->insn.locked)
			trace_put_fence(&record_self.producer, frame->stamp, TRACE_RMW, frame->site->id);
		else
			trace_put_void(&record_self.producer, frame->stamp);
	}
	record_lines_give(frame);
	if (frame->stamp)
		record_log_publish();
	frame->stamp = 0;
}

/*
 * After begin_store(). False: the program may not store there, and nothing has happened. A fault in C code
 * would not be its instruction's, so this has to do it.
 */
static bool store_value(struct record_frame *frame, uint64_t value, unsigned size)
{
	const bool may = record_can_store(frame->alias) && record_can_store(frame->alias + size - 1);

	if (may)
		put_bytes(frame->alias, value, size);
	else
		record_self.forbidden = frame->site;
	end_store(frame, may);
	return may;
}

static bool begin_pop(struct record_frame *frame)
{
	unsigned size = frame->site->insn.size;
	uint64_t value;

	if (!record_range_find(record_operand_address(frame, frame->site)))
		return false;
	value = get_bytes(frame->registers[RECORD_RSP], size);
	if (!begin_store(frame, record_operand_address(frame, frame->site), size) ||
	    !store_value(frame, value, size))
		return false;
	frame->registers[RECORD_RSP] += size;
	resume_after(frame);
	return true;
}

static uint64_t scatter_index(const struct record_insn *insn, unsigned element)
{
	const unsigned char *vector = record_self.vectors[0];

	if (insn->index_size == 4)
		return (uint64_t)(int64_t)((const int32_t *)(const void *)vector)[element];
	return ((const uint64_t *)(const void *)vector)[element];
}

/* The elements that go to pools; the stub goes on with the mask of the others. */
static void do_scatter(struct record_frame *frame)
{
	const struct record_insn *insn = &frame->site->insn;
	const unsigned char *data = record_self.vectors[1];
	uint64_t base = record_operand_address(frame, frame->site);
	uint64_t elements = record_self.opmask & ((1u << insn->elements) - 1), left = 0;

	for (unsigned i = 0; i < insn->elements; i++) {
		uint64_t address = base + scatter_index(insn, i) * insn->address.scale, value;

		if (!(elements >> i & 1))
			continue;
		if (!begin_store(frame, address, insn->size)) {
			left |= 1u << i;
			continue;
		}
		value = get_bytes((uint64_t)(data + i * insn->size), insn->size);
		if (!store_value(frame, value, insn->size)) {
			/* The processor stores the elements in this order, too. */
			left |= elements >> i << i;
			break;
		}
	}
	record_self.opmask = left;
}

/* ---- The next step of a store -------------------------------------------------------- */

static void keep_open(struct record_frame *frame)
{
	frame->outer = record_self.open;
	record_self.open = frame;
	frame->resume = frame->site->call_at;
	frame->stack_top = (uint64_t)frame;
}

/*
 * Elements up to the end of the line, in the direction of the string; one, if that is over the edge. None of
 * them loads what another one stores: at the alias the processor does not see that, and loads before it
 * stores.
 */
static uint64_t string_step(const struct record_frame *frame, uint64_t address)
{
	unsigned size = frame->site->insn.size;
	uint64_t in_line = address & 63, count, ahead;

	if (!frame->site->insn.repeated)
		return 1;
	if (in_line + size > 64)
		count = 1;
	else if (frame->flags & DIRECTION_FLAG)
		count = in_line / size + 1;
	else
		count = (64 - in_line) / size;
	if (frame->site->insn.loads) {
		ahead = address - record_source_address(frame, frame->site);
		if (frame->flags & DIRECTION_FLAG)
			ahead = -ahead;
		/* If it stores behind what it loads, this is huge. */
		if (ahead && ahead < count * size)
			count = max_u64(ahead / size, 1);
	}
	return min_u64(count, frame->registers[RECORD_RCX]);
}

static bool begin_string(struct record_frame *frame)
{
	const struct record_insn *insn = &frame->site->insn;
	uint64_t address = frame->registers[RECORD_RDI];
	uint64_t count = string_step(frame, address), lowest;

	if (!count) {
		resume_after(frame);
		return true;
	}
	lowest = frame->flags & DIRECTION_FLAG ? address - (count - 1) * insn->size : address;
	if (!begin_store(frame, lowest, count * insn->size))
		return false;
	frame->count = count;
	frame->replaced[0] = address;
	frame->registers[RECORD_RDI] = address - lowest + frame->alias;
	if (insn->repeated) {
		frame->replaced[1] = frame->registers[RECORD_RCX];
		frame->registers[RECORD_RCX] = count;
	}
	keep_open(frame);
	return true;
}

static bool begin_masked(struct record_frame *frame, uint64_t operand, uint64_t *delta)
{
	uint64_t mask = record_stored_bytes(&frame->site->insn);
	unsigned first, last;

	if (!mask) {
		/* Some forms fault even then (SDM, exception class E6NF). */
		if (!record_range_find(operand))
			return false;
		resume_after(frame);
		*delta = 0;
		return true;
	}
	first = (unsigned)__builtin_ctzll(mask);
	last = 63 - (unsigned)__builtin_clzll(mask);
	/* What lies outside is not touched: it need not be there. */
	if (!begin_store(frame, operand + first, last - first + 1))
		return false;
	mask >>= first;
	if (mask != ~(uint64_t)0 >> (63 - (last - first)))
		frame->mask = mask;
	*delta = frame->alias - frame->address;
	return true;
}

/* An operation on the alias, between the two calls. False: it does not concern a pool. */
static bool begin_operation(struct record_frame *frame)
{
	const struct record_insn *insn = &frame->site->insn;
	uint64_t operand = record_target_address(frame, frame->site), delta = 0, length = insn->size;
	unsigned reg = insn->target == RECORD_TARGET_RDI   ? RECORD_RDI
		       : insn->target == RECORD_TARGET_RAX ? RECORD_RAX
							   : frame->site->base;

	if (insn->extent != RECORD_EXTENT_FIXED)
		length = record_xsave_bytes(frame, insn->extent == RECORD_EXTENT_XSAVEC);
	if (insn->mask != RECORD_MASK_NONE) {
		if (!begin_masked(frame, operand, &delta))
			return false;
		if (!delta)
			return true;
	} else {
		if (!begin_store(frame, operand, length))
			return false;
		delta = frame->alias - frame->address;
	}
	frame->replaced[0] = frame->registers[reg];
	/* The operation adds the distance of the bit itself. */
	frame->registers[reg] = operand + delta;
	if (insn->bit_string)
		frame->registers[reg] -= (uint64_t)record_bit_distance(frame, insn);
	keep_open(frame);
	return true;
}

static void begin_any_store(struct record_frame *frame)
{
	const struct record_site *site = frame->site;
	bool begun;

	record_self.forbidden = NULL;
	if (site->insn.target == RECORD_TARGET_VECTOR) {
		do_scatter(frame);
		resume_at(frame, frame->resume);
		return;
	}
	if (site->insn.pops)
		begun = begin_pop(frame);
	else if (site->insn.string)
		begun = begin_string(frame);
	else
		begun = begin_operation(frame);
	if (begun)
		return;
	if (site->insn.locked && record_waiting)
		do_fence(RECORD_RMW, site);
	resume_at(frame, site->native_at);
}

/* A signal that was kept back is delivered when the stub is left: until then the program is stepped. */
static struct record_frame *back_to_stub(struct record_frame *frame)
{
	frame->flags &= ~(uint64_t)TRAP_FLAG;
	if (record_self.stepping)
		frame->flags |= TRAP_FLAG;
	return frame;
}

struct record_frame *record_call_begin(struct record_frame *frame, uint32_t number)
{
	struct record_site *site = record_site_by_id(number);

	frame->site = site;
	switch (site->insn.class) {
	case RECORD_FLUSH:
		if (do_flush(frame, site))
			resume_after(frame);
		else
			resume_at(frame, site->native_at);
		break;
	case RECORD_FENCE:
		do_fence(site->insn.fence, site);
		resume_at(frame, site->native_at);
		break;
	case RECORD_SYSTEM_CALL:
		record_system_call_begin(frame);
		break;
	default:
		if (site->fence_only) {
			do_fence(RECORD_RMW, site);
			resume_at(frame, site->native_at);
			break;
		}
		begin_any_store(frame);
		break;
	}
	return back_to_stub(frame);
}

struct record_frame *record_call_fence(struct record_frame *frame, uint32_t number)
{
	frame->site = record_site_by_id(number);
	do_fence(RECORD_RMW, frame->site);
	resume_at(frame, frame->site->native_at);
	return back_to_stub(frame);
}

/* The program's values of the registers that were replaced. */
static void restore_replaced(struct record_frame *frame, uint64_t registers[16])
{
	const struct record_insn *insn = &frame->site->insn;
	uint64_t size = insn->size;

	if (!insn->string) {
		registers[insn->target == RECORD_TARGET_RDI   ? RECORD_RDI
			  : insn->target == RECORD_TARGET_RAX ? RECORD_RAX
							      : frame->site->base] = frame->replaced[0];
		return;
	}
	/* As far as it got. */
	if (insn->repeated) {
		uint64_t done = frame->count - registers[RECORD_RCX];

		registers[RECORD_RDI] = frame->flags & DIRECTION_FLAG ? frame->replaced[0] - done * size
								      : frame->replaced[0] + done * size;
		registers[RECORD_RCX] = frame->replaced[1] - done;
	} else {
		registers[RECORD_RDI] = frame->flags & DIRECTION_FLAG ? frame->replaced[0] - size
								      : frame->replaced[0] + size;
	}
}

struct record_frame *record_call_end(struct record_frame *after, uint32_t number)
{
	struct record_frame *frame = record_self.open;
	bool stored = true;

	if (!frame || frame->site->id != number)
		record_die("an operation ended that had not begun", record_site_by_id(number));
	record_self.open = frame->outer;
	if (frame->site->insn.class == RECORD_SYSTEM_CALL) {
		record_system_call_end(frame, after);
		return back_to_stub(frame);
	}
	for (unsigned i = 0; i < 16; i++)
		frame->registers[i] = after->registers[i];
	restore_replaced(frame, frame->registers);
	if (frame->site->insn.compares)
		stored = after->flags & ZERO_FLAG;
	end_store(frame, stored);
	frame->flags = after->flags;
	resume_after(frame);
	if (frame->site->insn.repeated && frame->registers[RECORD_RCX])
		begin_any_store(frame);
	return back_to_stub(frame);
}

/* ---- Failures during an operation ---------------------------------------------------- */

void record_call_abandon(uint64_t registers[16])
{
	struct record_frame *frame = record_self.open;
	const struct record_insn *insn = &frame->site->insn;
	bool some = insn->string && insn->repeated && registers[RECORD_RCX] != frame->count;

	record_self.open = frame->outer;
	if (insn->string && !insn->repeated)
		registers[RECORD_RDI] = frame->replaced[0];
	else
		restore_replaced(frame, registers);
	/* Elements that a repeated store did before it failed are stored; the rest is logged as it was. */
	end_store(frame, some);
	record_self.stack_top = frame->above;
}

void record_inline_abandon(uint64_t place, unsigned locks)
{
	struct trace_producer *producer = &record_self.producer;
	unsigned number = place >> RECORD_LOCK_SHIFT & (RECORD_LOCK_COUNT - 1);
	/* The stub has put word 0 in place, perhaps behind a rebase, and not moved the head. */
	uint64_t *slot = trace_slot_at(producer);

	if ((*slot & 63) == TRACE_SLOT_REBASE) {
		producer->head += 16;
		slot = trace_slot_at(producer);
	}
	*slot = TRACE_SLOT_VOID | *slot >> TRACE_SLOT_STAMP_SHIFT << TRACE_SLOT_STAMP_SHIFT;
	producer->head += 8;
	record_log_publish();
	if (!record_are_many())
		return;
	for (unsigned i = locks; i--;)
		atomic_store_explicit(&record_low->locks[number + i].owner, 0, memory_order_release);
}
