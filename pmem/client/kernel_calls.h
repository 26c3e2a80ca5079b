/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLIENT_KERNEL_CALLS_H
#define CLIENT_KERNEL_CALLS_H

/*
 * System calls of a recorded program that does not make them by libc's functions: by instructions of its own
 * (record_setup.on_system_call), by syscall(2), or by ioctl(2). A result that the kernel would store to a
 * pool goes to memory of ours first, and is then stored to the pool and recorded; or the process ends with
 * the call's name. In the library that `softpmem record` preloads only. Thread-safe, async-signal-safe.
 */

#include <stddef.h>
#include <stdint.h>

#include "client/record/record.h"

/* Fill in what record_setup has of system calls. Once. NULL in the library of `softpmem run`. */
void client_kernel_calls_start(struct record_setup *setup) __attribute__((weak));
/*
 * A function of libc makes the system call, `make` with the arguments that it is given, for the code at
 * `caller`. Returns what the program gets: a value, or a negative errno.
 */
typedef long client_make_call(int number, const uint64_t arguments[6]);
long client_kernel_call(int number, const uint64_t arguments[6], uintptr_t caller, client_make_call *make);

/* ---- Private to kernel_call*.c, kernel_messages.c, kernel_results.c and special_calls.c -------- */

/* Where the kernel stores results. */
enum kernel_output_kind {
	KERNEL_OUTPUT_NONE,
	KERNEL_OUTPUT_FIXED,  /* `size` bytes, or some of them */
	KERNEL_OUTPUT_ARRAY,  /* the same `size` bytes as often as argument `length` says */
	KERNEL_OUTPUT_BITS,   /* as many bits as argument `length` says, in words */
	KERNEL_OUTPUT_PAGES,  /* a byte for each page of as many bytes as argument `length` says */
	KERNEL_OUTPUT_SIZED,  /* as many bytes as the int says of which argument `length` is the address */
	KERNEL_INPUT,	      /* `size` bytes that the kernel reads, which are not the program's */
	KERNEL_OUTPUT_COUNTED /* as many units of `size` bytes as the call returns, at most `length` */
};
struct kernel_output {
	uint8_t kind;
	uint8_t argument; /* its address */
	uint8_t length;	  /* an argument: see above */
	uint8_t flags;	  /* of what counts: the argument that may have MSG_TRUNC; 0: none */
	uint32_t size;
};

/* Argument `at` is the address of a result of `bytes` bytes. */
#define KERNEL_FIXED(at, bytes) { .kind = KERNEL_OUTPUT_FIXED, .argument = (at), .size = (bytes) }
/* `room`: the argument that says how long it is. */
#define KERNEL_COUNTED(at, room, bytes) \
	{ .kind = KERNEL_OUTPUT_COUNTED, .argument = (at), .length = (room), .size = (bytes) }
/* With MSG_TRUNC a stream counts what it discards: what has come is found by comparing. */
#define KERNEL_RECEIVED(at, room, flags_at) \
	{ .kind = KERNEL_OUTPUT_COUNTED, .argument = (at), .length = (room), .flags = (flags_at), .size = 1 }
#define KERNEL_ARRAY(at, room, bytes) \
	{ .kind = KERNEL_OUTPUT_ARRAY, .argument = (at), .length = (room), .size = (bytes) }
#define KERNEL_BITS(at, room) { .kind = KERNEL_OUTPUT_BITS, .argument = (at), .length = (room) }
#define KERNEL_PAGES(at, room) { .kind = KERNEL_OUTPUT_PAGES, .argument = (at), .length = (room) }
#define KERNEL_SIZED(at, room) { .kind = KERNEL_OUTPUT_SIZED, .argument = (at), .length = (room) }

/* Of the kernel's structures, which most of libc's are. */
#define KERNEL_STAT_BYTES 144
#define KERNEL_STATX_BYTES 256
#define KERNEL_STATFS_BYTES 120
#define KERNEL_TIMESPEC_BYTES 16
#define KERNEL_ITIMER_BYTES 32
#define KERNEL_TIMEX_BYTES 208
#define KERNEL_RUSAGE_BYTES 144
#define KERNEL_UTSNAME_BYTES 390
#define KERNEL_SYSINFO_BYTES 112
#define KERNEL_SIGINFO_BYTES 128
#define KERNEL_EPOLL_EVENT_BYTES 12
#define KERNEL_POLLFD_BYTES 8
#define KERNEL_IO_EVENT_BYTES 32
#define KERNEL_MMSGHDR_BYTES 64
#define KERNEL_MQ_ATTR_BYTES 64

/* The number of what is no system call. */
#define KERNEL_CALL_NONE (-1)

typedef enum record_call_way special_call(struct record_system_call *call);

#define KERNEL_OUTPUTS_MAX 4u
struct kernel_call {
	const char *name; /* the kernel's; NULL: a call that is not known here */
	/* It is made; if it fails with EFAULT and an argument is the address of a pool, it is refused. */
	bool faults;
	uint8_t asked;	 /* see record_setup.system_calls; computed if it is 0 */
	uint8_t refused; /* the process ends if one of these is the address of a pool; a bit an argument */
	special_call *special;
	struct kernel_output outputs[KERNEL_OUTPUTS_MAX];
};

/* The call; NULL: a number that is not known. */
const struct kernel_call *kernel_call_by_number(int number);
/* What record_setup.system_calls points to. */
const uint8_t *kernel_calls_of_interest(void);

/*
 * Results that would go to a pool go to memory of ours, which is added to call->kept. RECORD_CALL_AS_IT_IS:
 * none would. RECORD_CALL_DONE: the call fails, and there is nothing to give back of this.
 */
enum record_call_way kernel_call_bounce(struct record_system_call *call, const struct kernel_output *outputs,
					unsigned count);
/* Such a call has returned: store and record what has come, and give the memory back. */
void kernel_call_store(struct record_system_call *call, long result);
/* Give memory back that it still has: the call was not made, or its thread was cancelled in it. */
void kernel_call_abandon(struct record_system_call *call);
/* Of a function of libc, which may be a cancellation point. This needs -fexceptions. */
#define CLEANUP_CALL __attribute__((cleanup(kernel_call_abandon)))
/*
 * Copy from memory of the program, which need not be there. False: it is not. To it, recorded if it is in a
 * pool.
 */
bool kernel_call_read(void *to, uintptr_t from, size_t length);
bool kernel_call_write(uintptr_t to, const void *from, size_t length, uint32_t site);
/*
 * How many bytes of a buffer of the program are to be replaced by memory of ours; *ends: it may not store to
 * what follows them (client_piece_bytes()). 0: none, because the kernel reaches no pool that it could store
 * to if it were not recorded.
 */
size_t kernel_call_piece(uintptr_t program, size_t length, bool *ends);
/*
 * Of a structure that the kernel may have filled in, in memory of ours: store to the program's what is
 * another `now` than it `was` before the call. The rest is left alone: other threads may have stored to it
 * meanwhile.
 */
void kernel_call_store_changes(uintptr_t program, const void *was, const void *now, size_t size,
			       uint32_t site);
/* `name`, or the call's number, is refused. */
_Noreturn void kernel_call_refuse(const struct record_system_call *call, const char *name);

/* Memory of ours in the place of pools, for one call. */
struct kernel_kept {
	struct kernel_kept *next;
	size_t bytes; /* of the room in which this is the first */
	void (*store)(const struct record_system_call *call, struct kernel_kept *kept, long result);
	void (*give)(struct kernel_kept *kept); /* other rooms; NULL: there are none */
};
static inline void kernel_call_keep(struct record_system_call *call, struct kernel_kept *kept)
{
	kept->next = call->kept;
	call->kept = kept;
}
/* The kernel transfers no more at once. */
#define KERNEL_TRANSFER_MAX 0x7ffff000u

/* ---- Buffers in parts: kernel_messages.c ---- */

/* As many parts as the kernel takes, and as many messages. */
#define KERNEL_PARTS_MAX 1024u
/* Argument `argument` is the address of `count` parts that the kernel stores to; see kernel_call_bounce(). */
enum record_call_way kernel_call_bounce_parts(struct record_system_call *call, unsigned argument,
					      size_t count);
/* ... of a struct msghdr; of `count` struct mmsghdr. */
enum record_call_way kernel_call_bounce_message(struct record_system_call *call, unsigned argument);
enum record_call_way kernel_call_bounce_messages(struct record_system_call *call, unsigned argument,
						 size_t count);

#endif
