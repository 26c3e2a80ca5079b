/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RECORD_STATE_H
#define RECORD_STATE_H

/*
 * What stubs and C code share: the tables that stubs read by 32-bit absolute addresses, and the state
 * of a thread, which stubs read relative to fs. Private to pmem/client/record.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/record/decode.h"
#include "client/record/record.h"
#include "trace/slot.h"

/* ---- Which addresses are pools ---------------------------------------------------- */

/* Of each chunk of the address space (record.h) a byte says which range is in it. */
#define RECORD_RANGES 255u
/* Stubs are sure about stores that begin in a range, and not in its last bytes. */
#define RECORD_RANGE_EDGE 64u

/*
 * A mapping of a pool, or the entry for chunks with several. A stub takes d = address - start;
 * d <= inner: wholly inside; else d + 64 < outer (both unsigned): perhaps partly inside, C code looks.
 */
struct record_range {
	uint64_t start;
	uint64_t inner;
	uint64_t outer;
	uint64_t place; /* pool << TRACE_SLOT_POOL_SHIFT | offset of `start` in the pool */
	uint64_t delta; /* from an address to the writable alias */
	uint64_t length;
	uint8_t *flushed; /* the entry's part of record_low */
	uint64_t unused[1];
};
_Static_assert(sizeof(struct record_range) == 64, "stubs shift by 6");

/* ---- Locks of lines ------------------------------------------------------------------ */

/*
 * A lock by offset in the pool, so that two mappings of a pool share it, as processes do. 0 or the
 * thread id of the owner. Two are taken in ascending order of their place in this table.
 *
 * The last lock's line also has what concerns all recorded processes.
 */
#define RECORD_LOCK_SHIFT 6
#define RECORD_LOCK_COUNT 1024u
#define RECORD_LOCK_MASK ((RECORD_LOCK_COUNT - 1) << RECORD_LOCK_SHIFT)
struct record_lock {
	_Alignas(64) _Atomic uint32_t owner;
	/*
	 * Of the last lock. `many`: stubs take locks; set for good when a second thread or process may store
	 * to a pool. `processes`: how many have mapped a pool, ended ones included.
	 */
	_Atomic uint32_t many, processes;
};
#define RECORD_LAST_LOCK (RECORD_LOCK_COUNT - 1)
_Static_assert(sizeof(struct record_lock) == 1u << RECORD_LOCK_SHIFT,
	       "an offset masked is an offset of a lock");

/* ---- Pages that are made present (pages_ahead.h) ------------------------------------------ */

#define RECORD_PIECE_SHIFT 16
#define RECORD_PIECE_BYTES ((uint64_t)1 << RECORD_PIECE_SHIFT)
/* Of a mapping; behind them, nothing is done. */
#define RECORD_PIECES ((size_t)1 << 18)

/* ---- Memory below 2 GiB -------------------------------------------------------------- */

struct record_low {
	/* Shared with forked children and, if the consumer gave it, with other recorded processes. */
	_Alignas(4096) struct record_lock locks[RECORD_LOCK_COUNT];
	/* Shared with everybody who is recorded into the trace: its first page. */
	_Alignas(4096) struct trace_clock clock;
	/* This process's. */
	_Alignas(4096) struct record_range ranges[RECORD_RANGES + 1]; /* 0 is none */
	uint64_t begin, end, fence; /* entry points of thunk.S for `call [abs32]` */
	uint8_t calls[RECORD_CALL_NUMBERS]; /* setup.system_calls */
	_Alignas(4096) uint8_t chunks[RECORD_CHUNKS];
	/* By range: was a line in this piece flushed? */
	uint8_t flushed[RECORD_RANGES + 1][RECORD_PIECES];
};
/* Its address fits in 31 bits, so that a sign-extended displacement reaches every part of it. */
extern struct record_low *record_low;
static inline bool record_are_many(void)
{
	return atomic_load_explicit(&record_low->locks[RECORD_LAST_LOCK].many, memory_order_relaxed);
}
static inline int32_t record_low_address(const void *at)
{
	return (int32_t)(uintptr_t)at;
}

/* ---- A thread ------------------------------------------------------------------------- */

/*
 * The general registers of an interrupted program, by their numbers, and what C code keeps of an operation
 * that is in progress between the two calls of a stub. thunk.h has the offsets of the first part.
 */
struct record_frame {
	uint64_t registers[16]; /* [RECORD_RSP]: as the program has it */
	uint64_t flags;
	uint64_t resume;	    /* where the thunk continues */
	uint64_t stack_top;	    /* of the private stack from then on: this frame is on it or not */
	struct record_frame *outer; /* the operation that this one interrupted */
	struct record_site *site;
	uint64_t above;	  /* `stack_top` before this frame was put on the stack */
	uint64_t address; /* what the operation stores to first, in the pool's mapping */
	uint64_t alias;
	uint64_t length;	 /* bytes that it may store from there on */
	uint64_t mask;		 /* of a masked store of at most 64 bytes: bit i is byte i; 0: all */
	uint64_t count;		 /* string instructions: elements of this step */
	uint64_t replaced[2];	 /* the program's values of registers that are replaced meanwhile */
	uint64_t stamp;		 /* 0: nothing is logged */
	uint32_t flags_of_store; /* TRACE_* */
	bool locked;		 /* `locks` are held */
	union {
		uint64_t locks[RECORD_LOCK_COUNT / 64]; /* a bit a lock */
		struct record_system_call call;		/* takes no locks */
	};
	uint64_t unused[1];
};
_Static_assert(sizeof(struct record_frame) % 64 == 0, "the private stack stays aligned");

struct record_thread {
	uint64_t
		stack_top; /* of the private stack; thunk.S lowers it while a frame is on it. 0: not set up */
	uint32_t inside;   /* depth of C code that was called by a stub */
	uint32_t id;	   /* the kernel's thread id */
	uint64_t stack_base;
	struct trace_producer producer;
	uint64_t inline_limit;	     /* below it the head grows without another look: record_log_room() */
	struct record_frame *open;   /* the innermost operation that has begun and not ended */
	struct record_site *retried; /* its own instruction faulted in the stub, which was entered again */
	const struct record_site *forbidden; /* the program may not store there: the fault is the program's */
	bool starting, started;	     /* the producer is being attached; was, or could not be */
	bool stepping;		     /* a signal is kept back until the stub is left */
	siginfo_t kept_info;
	uint64_t kept_mask; /* the program's signal mask meanwhile */
	/* Stored by a stub before it calls, where C code needs them: scatter's indices and data, masks. */
	uint64_t opmask;
	_Alignas(64) unsigned char vectors[2][64];
};
extern _Thread_local struct record_thread record_self __attribute__((tls_model("initial-exec")));
/* From fs to record_self and to record_waiting: the same in every thread. */
extern int32_t record_self_offset, record_waiting_offset;

/* shrx, which changes no flag. */
extern bool record_has_bmi2;

/* ---- Sites ------------------------------------------------------------------------------ */

/* What replaces an instruction is that long, and has prefixes before it perhaps. */
#define RECORD_JUMP_BYTES 5u

enum record_patch { RECORD_NOT_PATCHED, RECORD_PATCHED_DIRECT, RECORD_PATCHED_PUNNED, RECORD_PATCHED_TRAP };

/* What an inline stub saves first: the register that becomes the alias, rcx, and the one for the place. */
enum { RECORD_SAVED_ADDRESS, RECORD_SAVED_RCX, RECORD_SAVED_PLACE, RECORD_SAVED_MAX = 6 };

/* A way out of a stub, to what follows the instruction: emit_exit.c. */
struct record_exit {
	uint64_t from; /* copies of the next instructions; they have the same lengths */
	uint64_t jump; /* to record_goes_on_at() if that is in the middle of the site's own jump; or 0 */
};
#define RECORD_EXITS_MAX 3
#define RECORD_FOLLOWED_MAX (RECORD_JUMP_BYTES + RECORD_INSN_MAX)

/* An instruction that the recorder has a stub for. Lives as long as the process. */
struct record_site {
	uint64_t address;
	struct record_insn insn;
	enum record_way way;
	uint32_t id; /* in the trace; from 1 */
	enum record_patch patched;
	bool fence_only;     /* a locked store, of which only the fence is of interest */
	bool fence_always;   /* the hook is called even if nothing waits for the fence */
	bool unpatchable;    /* tried, or not allowed to */
	bool gone;	     /* its code was unmapped */
	bool faulted;	     /* it was found by its first store to a pool */
	bool may_trap;	     /* where no jump can be put, a trap is: flushes and fences never fault */
	uint64_t replacement; /* it is the first of a function in whose place this one is called; or 0 */
	uint8_t jump_length; /* bytes from `address` that the jump is made of, successors' included */
	uint64_t target;     /* of the jump */
	/* The stub, and places in it that a fault there is told apart by; 0: there is none. */
	uint64_t stub, stub_end;
	uint64_t lookup_at, native_label; /* the load from chunks[], and what to do if it faults */
	uint64_t one_at, two_at;	  /* the inline operation with one and with two lines locked */
	uint64_t native_at;		  /* the instruction as it was */
	uint64_t call_at;		  /* the operation, or system call, between two calls */
	uint64_t after_at;		  /* ... and what follows it */
	/* By the inline part: registers that it pushes, in this order, and whether the flags follow them. */
	uint8_t saved[RECORD_SAVED_MAX], saved_count;
	bool flags_dead;
	uint8_t base;			  /* holds the alias in the operation between two calls */
	/* The ways out: the next instructions run in the stub as well, as far as the jump is made of them. */
	bool follows;
	uint8_t exit_count, followed_length;
	struct record_exit exits[RECORD_EXITS_MAX];
	uint8_t followed[RECORD_FOLLOWED_MAX]; /* those instructions */
	struct record_site *next;	       /* in whose stub they go on; or NULL */
};

/* What follows those instructions in the program. A way out leads there, if it does not end by a jump. */
static inline uint64_t record_goes_on_at(const struct record_site *site)
{
	return site->address + site->insn.length + site->followed_length;
}

#endif
