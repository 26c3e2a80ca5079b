/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RECORD_RECORD_H
#define RECORD_RECORD_H

/*
 * The recorder's instruction engine. It finds the instructions of a running program that store to
 * pools, flush lines or fence, and replaces each by a jump to a stub of its own. Two uses:
 *
 *  - flushes and fences alone: programs that flush by instructions of their own are told to the client;
 *  - stores as well: pools are mapped read-only, the first store of an instruction faults, is done
 *    through a writable alias and logged, and the instruction is patched so that it does not fault again.
 *
 * One engine a process. Functions return 0 or a negative errno. None of them changes errno, and none
 * may be called from a stub's hooks unless it says so.
 */

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "client/record/decode.h"

struct trace_clock;
struct trace_producer;

/* Bits 0 to 5: the call concerns the hooks if this argument is the address of a pool. */
#define RECORD_CALL_LENGTH 0x40 /* the argument behind the first of them is how many bytes there are */
#define RECORD_CALL_ALWAYS 0x80
#define RECORD_CALL_NUMBERS 512u

enum record_call_way {
	RECORD_CALL_AS_IT_IS, /* the kernel gets the program's arguments, and that is all */
	RECORD_CALL_DONE,     /* `result` is set */
	RECORD_CALL_REPLACED  /* the kernel gets `replaced`; then after_system_call() */
};
enum record_call_patch {
	RECORD_CALL_UNSEEN,   /* not at all */
	RECORD_CALL_MAY_JUMP, /* by a jump; where none fits nobody is told */
	RECORD_CALL_JUMP,     /* by a jump alone: it is made while SIGTRAP is blocked, too */
	RECORD_CALL_ANY	      /* by a jump or a trap */
};
/* No error number, but less than all of them. */
#define RECORD_CALL_ABANDONED (-4096L)

struct record_system_call {
	uint64_t arguments[6]; /* the program's */
	union {
		uint64_t replaced[6]; /* as `arguments`, unless the hook changes them */
		long result;
	};
	uintptr_t address; /* of the instruction, or what the call returns to */
	void *kept;	   /* the hooks' */
	uint32_t site;
	int number;
};

struct record_setup {
	bool stores; /* record stores too; else only flushes and fences are looked for */
	/*
	 * SIGTRAP comes to record_signal(), and no thread blocks it: code that threads are running is patched
	 * under their feet, and a flush or a fence without room for a jump becomes a trap. Without it code is
	 * patched only while nobody can run it, and such an instruction is refused.
	 */
	bool traps;
	/*
	 * With `stores`: descriptors of the trace's clock page (trace/buffer.h) and of memory for the locks
	 * of lines, RECORD_LOCKS_BYTES, both shared by all processes recorded into one trace. -1: this
	 * process's and its children's own.
	 */
	int clock_fd, locks_fd;
	/*
	 * mmap(2) of these two; NULL: of the calling thread's descriptors. Returns a negative errno if it
	 * fails.
	 */
	long (*map)(void *address, size_t length, int prot, int flags, int fd, off_t offset);
	/*
	 * Attach this thread's buffer. Called once a thread, with signals blocked. NULL: nothing is logged.
	 */
	int (*attach)(struct trace_producer *producer, struct trace_clock *clock);
	/*
	 * A flush of the line of `address`, and a fence. Called with every register of the program saved.
	 * on_flush() returns false if the address is in no pool, and the flush is executed. on_fence()
	 * returns false if it is none of the program's, and it is not logged; it is executed in any case.
	 * NULL: neither.
	 */
	bool (*on_flush)(uintptr_t address, enum record_flush_kind kind);
	bool (*on_fence)(enum record_fence_kind kind);
	/*
	 * The same in the usual case, sooner: vector registers are not saved, and it must leave them alone.
	 * False: it has not done it, and on_fence() is called. NULL: always on_fence().
	 */
	bool (*on_fence_quickly)(void);
	/*
	 * A site of the trace gets this id; may be NULL. `stores`: this thread is about to execute it, and
	 * the call is made by the handler of its fault.
	 */
	void (*on_site)(uint32_t id, uintptr_t address, bool stores);
	/* Code in [own_start, own_end) is never patched: the hooks', and what they call that stores to no
	 * pool. */
	uintptr_t own_start, own_end;
	/*
	 * System calls that the program makes by instructions of its own, with `stores`; NULL: they are not
	 * looked for. `sees_system_call`: how shall the one at this address be patched? `system_calls`: by
	 * number, which arguments may concern the hooks (RECORD_CALL_*). Other calls are made as they are.
	 */
	enum record_call_patch (*sees_system_call)(const char *object, uintptr_t address);
	const uint8_t *system_calls; /* RECORD_CALL_NUMBERS */
	/*
	 * Before and after one of these. The first has every register saved; the second is also called in
	 * handlers of signals. RECORD_CALL_ABANDONED in place of a result: the call was not made, and will
	 * be begun anew. Both may call the functions below that store and log.
	 */
	enum record_call_way (*on_system_call)(struct record_system_call *call);
	long (*after_system_call)(struct record_system_call *call, long result);
	/* How many threads of the process run no other code than that; NULL: none. */
	unsigned (*own_threads)(void);
};
#define RECORD_LOCKS_BYTES 65536u

/* Before any other function, by the only thread. Nothing is patched yet. -ENOMEM, -ENOSYS, -EPERM. */
int record_start(const struct record_setup *setup);

/*
 * [address, address + length) is a mapping of the pool from `offset` on; the same bytes are mapped
 * writable at `alias` (with setup.stores; else the address itself). Multiples of the page size. `pool`:
 * up to 65535. -ENOSPC: there are RECORD_RANGES mappings already. Thread safe; signals must be blocked.
 */
int record_range_add(uintptr_t address, size_t length, uint32_t pool, uint64_t offset, uintptr_t alias);
/* Has this process, or one that it is a fork of, mapped a pool? Thread safe. */
bool record_has_pools(void);
/* Forget all ranges, or parts of ranges, in [address, address + length). Thread safe; signals blocked. */
void record_range_remove(uintptr_t address, size_t length);

/*
 * A second thread, or a process that shares the mappings, may exist from now on. The caller is the only
 * one.
 */
void record_many(void);
/*
 * The same, called by the second one. It waits until all stores are done that began when the first one
 * believed to be alone.
 */
void record_many_by_now(void);
/*
 * Not 0: this thread has something that its next fence makes durable. The engine sets it before on_flush(),
 * and clears it before on_fence(); the client sets and clears it for flushes and fences of its own.
 */
extern _Thread_local uint64_t record_waiting __attribute__((tls_model("initial-exec")));

/* ---- What the client itself does to pools; with setup.stores ------------------------------ */

struct trace_event;

/*
 * The functions below may be called from any code but stubs' hooks, in signal handlers of the program too
 * as long as these are deferred (record_defer()). `site`: the event's in the trace; 0: not known.
 */

/*
 * Private to the engine and this header. The address space of a process, 2^47 bytes, in chunks: which of
 * them have pools, once stores are recorded.
 */
#define RECORD_CHUNK_SHIFT 21
#define RECORD_CHUNKS ((size_t)1 << (47 - RECORD_CHUNK_SHIFT))
extern const uint8_t *record_chunks;
bool record_concerns_in_full(uintptr_t address, size_t length);

/*
 * Set before the program may not store to some page of a pool any more, for good: copies then try it at the
 * alias before they are logged. Any thread.
 */
extern atomic_bool record_some_forbidden;

/* Is no pool near [address, address + length)? So it is with nearly all that a program copies. */
static inline bool record_is_far(uintptr_t address, size_t length)
{
	const uintptr_t first = address >> RECORD_CHUNK_SHIFT;

	return (address + length - 1) >> RECORD_CHUNK_SHIFT == first && first < RECORD_CHUNKS &&
	       (!record_chunks || !record_chunks[first]);
}

/* Is a byte of [address, address + length) in a pool? False too before record_start(). */
static inline bool record_concerns(uintptr_t address, size_t length)
{
	return !record_is_far(address, length) && record_concerns_in_full(address, length);
}
/*
 * memmove(3) and memset(3). What goes to pools is stored through their aliases, and logged as one range, in
 * events of up to 4 KiB; an event is atomic to other recorded stores.
 */
void record_move(void *to, const void *from, size_t length, bool nontemporal, uint32_t site);
void record_fill(void *to, int value, size_t length, bool nontemporal, uint32_t site);
/* Can this byte be stored to? It keeps its value. Of a pool, its mapping cannot, but its alias may. */
bool record_can_store(uintptr_t address);
/* Is there such a byte? After record_has_pools() only. */
bool record_can_load(uintptr_t address);
/* Log clwb of the lines of [address, address + length) that are in pools; sfence. */
void record_flush(uintptr_t address, size_t length, uint32_t site);
void record_fence(uint32_t site);
/* Log a definition, a mark, or another event that a process may log. In on_site() too. */
void record_event(const struct trace_event *event);
/* Print "softpmem: recording stopped: WHY" and end the process. Async-signal-safe. */
_Noreturn void record_stop(const char *why);

/* Is it one of which setup.on_system_call() has to be told? For functions that make system calls. */
bool record_system_call_concerns(int number, const uint64_t arguments[6]);

/* What record_scan() and record_stat() count. */
struct record_counts {
	uint32_t flushes, fences, calls;  /* instructions found by disassembly */
	uint32_t direct, punned, trapped; /* sites by the way they are patched, stores included */
	uint32_t unpatched;		  /* sites that fault or are missed each time */
	uint32_t refused;		  /* instructions in code that is not understood for sure */
	uint32_t stores, stores_patched;  /* instructions that have faulted; those that will not again */
};
/*
 * Find and patch flushes, fences and system calls of the objects that are loaded and were not looked at yet;
 * locked instructions too, from when an object is loaded that has clwb or clflushopt, which wait for a fence.
 * `refuse` is told of each that is not patched: its object, its address as the object's symbols have them,
 * why, and whether the object has flushes.
 * Not in a signal handler. The first call without setup.traps is -EBUSY if the process has other threads.
 * Objects that a later call finds are taken for ones of which no code has run yet. If one of them is the
 * first with such flushes and there are other threads, locked instructions of older objects are left alone.
 */
typedef void record_refuse_fn(const char *object, uintptr_t address, const struct record_insn *insn,
			      const char *why, bool has_flushes);
int record_scan(record_refuse_fn *refuse);
/*
 * Calls of the function at `function` call `replacement` instead from now on, whoever makes them.
 * *original is set first: a call of it runs the function as it was. -ENOTSUP: the function's first
 * instruction cannot be moved, and nothing has changed. Not in a signal handler.
 */
int record_replace(uintptr_t function, uintptr_t replacement, _Atomic uintptr_t *original);
/*
 * Call function() whenever the loader has loaded or unloaded an object, before code of it runs, on the thread
 * that did it. -EOPNOTSUPP: the loader's notification for debuggers is not as we know it.
 */
int record_watch_loader(void (*function)(void));
struct record_counts record_stat(void);

/*
 * A SIGSEGV, SIGBUS, SIGTRAP, SIGFPE or SIGILL that an instruction caused, as its handler got it. True: it
 * was the recorder's own, `context` is changed and the handler returns. False: it is the program's; `context`
 * and `info` are as the instruction of the program itself would have made them.
 */
bool record_signal(int number, siginfo_t *info, void *context);
/*
 * Has the signal interrupted a recorded store of the program? Then the program's handler must not run yet:
 * this signal, and all others, are blocked until the store is done, and the signal is delivered again.
 */
bool record_defer(int number, siginfo_t *info, void *context);

/*
 * Before a fork: another thread may be patching code, or changing what stubs read, of which the child must
 * not get a half. Signals must be blocked until one of the next two has been called, in the parent or the
 * child.
 */
void record_fork_prepare(void);
void record_fork_parent(void);
/* The child of a fork: no buffer, no thread but this one. Logging starts again with the next store. */
void record_fork_child(void);
/* This thread ends: gives its private stack back and detaches its buffer. */
void record_thread_exit(void);

#endif
