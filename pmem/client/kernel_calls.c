/* SPDX-License-Identifier: BSD-3-Clause */

#include "client/kernel_calls.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "abi/rawcall.h"
#include "client/bounce_rooms.h"
#include "client/compiler.h"
#include "client/kernel_refusals.h"
#include "client/modules.h"
#include "client/special_calls.h"
#include "common/align.h"

/* The kernel transfers no more at once. */
#define TRANSFER_MAX 0x7ffff000u

/* ---- Memory of the program ----------------------------------------------------------------- */

bool kernel_call_read(void *to, uintptr_t from, size_t length)
{
	const struct iovec local = { .iov_base = to, .iov_len = length };
	const struct iovec remote = { .iov_base = (void *)from, .iov_len = length };

	return RAW6(process_vm_readv, RAW1(getpid, 0), &local, 1, &remote, 1, 0) == (long)length;
}

bool kernel_call_write(uintptr_t to, const void *from, size_t length, uint32_t site)
{
	const struct iovec local = { .iov_base = (void *)(uintptr_t)from, .iov_len = length };
	const struct iovec remote = { .iov_base = (void *)to, .iov_len = length };

	if (!record_concerns(to, length))
		return RAW6(process_vm_writev, RAW1(getpid, 0), &local, 1, &remote, 1, 0) == (long)length;
	record_move((void *)to, from, length, false, site);
	return true;
}

/* ---- Refusals ------------------------------------------------------------------------------ */

void kernel_call_refuse(const struct record_system_call *call, const char *name)
{
	const char *slash, *object = "code of no object";
	uintptr_t offset = call->address;
	char text[100];
	Dl_info info;

	if (dladdr((void *)call->address, &info) && info.dli_fname) {
		slash = strrchr(info.dli_fname, '/');
		object = slash ? slash + 1 : info.dli_fname;
		offset -= (uintptr_t)info.dli_fbase;
	}
	if (name)
		snprintf(text, sizeof(text), "%s, by %.30s+0x%lx", name, object, (unsigned long)offset);
	else
		snprintf(text, sizeof(text), "system call number %d, by %.30s+0x%lx", call->number, object,
			 (unsigned long)offset);
	client_refuse_kernel_store(text, CLIENT_STORE_ELSEWHERE);
}

/* ---- Memory in the place of pools ------------------------------------------------------------ */

/* At the beginning of a room; what the kernel reads and stores to is behind it. */
struct kept {
	size_t bytes; /* of the room */
	struct kernel_output outputs[KERNEL_OUTPUTS_MAX];
	unsigned char *pieces[KERNEL_OUTPUTS_MAX];
	/* Of struct iovec arrays: the program's, and the kernel's. */
	size_t part_count;
	struct iovec *program_parts, *kernel_parts;
	struct msghdr message; /* the kernel's, of recvmsg() */
};

static struct kept *keep(size_t more)
{
	const size_t bytes = align_up(sizeof(struct kept), LINE_SIZE) + more;
	struct kept *kept = client_room_take(bytes);

	*kept = (struct kept){ .bytes = bytes };
	return kept;
}

static unsigned char *room_of(struct kept *kept)
{
	return (unsigned char *)kept + align_up(sizeof(struct kept), LINE_SIZE);
}

static uint64_t room_for(const struct record_system_call *call, const struct kernel_output *output)
{
	uint64_t length = output->size;

	if (output->kind == KERNEL_OUTPUT_COUNTED &&
	    __builtin_mul_overflow(length, call->arguments[output->length], &length))
		return TRANSFER_MAX;
	return min_u64(length, TRANSFER_MAX);
}

static bool is_bounced(const struct record_system_call *call, const struct kernel_output *output)
{
	if (output->kind == KERNEL_OUTPUT_NONE || !call->arguments[output->argument])
		return false;
	return output->kind == KERNEL_INPUT ||
	       record_concerns(call->arguments[output->argument], room_for(call, output));
}

enum record_call_way kernel_call_bounce(struct record_system_call *call, const struct kernel_output *outputs,
					unsigned count)
{
	unsigned char *room;
	struct kept *kept;
	size_t bytes = 0;

	for (unsigned i = 0; i < count; i++)
		if (is_bounced(call, &outputs[i]))
			bytes += align_up(room_for(call, &outputs[i]), LINE_SIZE);
	if (!bytes)
		return RECORD_CALL_AS_IT_IS;
	kept = keep(bytes);
	room = room_of(kept);
	for (unsigned i = 0; i < count; i++) {
		const struct kernel_output *output = &outputs[i];
		const uintptr_t program = call->arguments[output->argument];

		if (!is_bounced(call, output))
			continue;
		/* What the kernel leaves alone stays as it is, and some of it may be input as well. */
		if (output->kind != KERNEL_OUTPUT_COUNTED &&
		    !kernel_call_read(room, program, output->size)) {
			client_room_give(kept, kept->bytes);
			call->result = -EFAULT;
			return RECORD_CALL_DONE;
		}
		kept->outputs[i] = *output;
		kept->pieces[i] = room;
		call->replaced[output->argument] = (uint64_t)room;
		room += align_up(room_for(call, output), LINE_SIZE);
	}
	call->kept = kept;
	return RECORD_CALL_REPLACED;
}

/* Of `count` parts. NULL: none is in a pool. */
static struct kept *keep_parts(const struct iovec *program, size_t count)
{
	const size_t array = align_up(count * sizeof(*program), LINE_SIZE);
	struct kept *kept;
	unsigned char *room;
	size_t bytes = 0;

	for (size_t i = 0; i < count; i++)
		if (record_concerns((uintptr_t)program[i].iov_base, program[i].iov_len))
			bytes += align_up(min_u64(program[i].iov_len, TRANSFER_MAX), LINE_SIZE);
	if (!bytes)
		return NULL;
	kept = keep(2 * array + bytes);
	room = room_of(kept);
	kept->part_count = count;
	kept->program_parts = (struct iovec *)(void *)room;
	kept->kernel_parts = (struct iovec *)(void *)(room + array);
	room += 2 * array;
	for (size_t i = 0; i < count; i++) {
		kept->program_parts[i] = kept->kernel_parts[i] = program[i];
		if (!record_concerns((uintptr_t)program[i].iov_base, program[i].iov_len))
			continue;
		kept->kernel_parts[i].iov_base = room;
		room += align_up(min_u64(program[i].iov_len, TRANSFER_MAX), LINE_SIZE);
	}
	return kept;
}

/* Stacks may be small, and most calls have a few parts. */
#define PARTS_FEW 32u

static enum record_call_way bounce_parts(struct record_system_call *call, uintptr_t array, size_t count)
{
	struct iovec few[PARTS_FEW], *program = few;
	const size_t bytes = count * sizeof(*program);
	void *many = NULL;

	if (count > KERNEL_PARTS_MAX)
		return RECORD_CALL_AS_IT_IS;
	if (count > PARTS_FEW) {
		many = client_room_take(bytes);
		program = many;
	}
	if (kernel_call_read(program, array, bytes))
		call->kept = keep_parts(program, count);
	if (many)
		client_room_give(many, bytes);
	return call->kept ? RECORD_CALL_REPLACED : RECORD_CALL_AS_IT_IS;
}

enum record_call_way kernel_call_bounce_parts(struct record_system_call *call, unsigned argument,
					      size_t count)
{
	enum record_call_way way = bounce_parts(call, call->arguments[argument], count);
	const struct kept *kept = call->kept;

	if (kept)
		call->replaced[argument] = (uint64_t)kept->kernel_parts;
	return way;
}

enum record_call_way kernel_call_bounce_message(struct record_system_call *call, unsigned argument,
						const struct msghdr *message)
{
	enum record_call_way way =
		bounce_parts(call, (uintptr_t)message->msg_iov, message->msg_iovlen);
	struct kept *kept = call->kept;

	if (!kept)
		return way;
	kept->message = *message;
	kept->message.msg_iov = kept->kernel_parts;
	call->replaced[argument] = (uint64_t)&kept->message;
	return way;
}

/* What the kernel changes in the structure itself. */
static void store_message(const struct record_system_call *call, const struct kept *kept)
{
	struct msghdr *program = (struct msghdr *)call->arguments[1];

	program->msg_namelen = kept->message.msg_namelen;
	program->msg_controllen = kept->message.msg_controllen;
	program->msg_flags = kept->message.msg_flags;
}

/* Of a structure that the kernel may have filled in: from the first byte to the last that is another now. */
static void store_changes(uintptr_t program, const unsigned char *piece, size_t size, uint32_t site)
{
	const unsigned char *was = (const unsigned char *)program;
	size_t first = 0, end = size;

	while (first < end && piece[first] == was[first])
		first++;
	while (end > first && piece[end - 1] == was[end - 1])
		end--;
	if (end > first)
		record_move((void *)(program + first), piece + first, end - first, false, site);
}

static void store_piece(const struct record_system_call *call, const struct kernel_output *output,
			const unsigned char *piece, long result)
{
	const uintptr_t program = call->arguments[output->argument];
	const uint64_t room = room_for(call, output);

	if (output->kind == KERNEL_OUTPUT_FIXED)
		store_changes(program, piece, output->size, call->site);
	else if (output->kind == KERNEL_OUTPUT_COUNTED && result > 0)
		record_move((void *)program, piece, min_u64((uint64_t)result * output->size, room), false,
			    call->site);
}

/* As parts of the buffers that are in pools, in their order. */
static void store_parts(const struct record_system_call *call, const struct kept *kept, long result)
{
	uint64_t left = result > 0 ? (uint64_t)result : 0;

	for (size_t i = 0; i < kept->part_count && left; i++) {
		const uint64_t some = min_u64(left, kept->program_parts[i].iov_len);

		if (kept->program_parts[i].iov_base != kept->kernel_parts[i].iov_base)
			record_move(kept->program_parts[i].iov_base, kept->kernel_parts[i].iov_base, some,
				    false, call->site);
		left -= some;
	}
}

/* ---- The hooks ---------------------------------------------------------------------------------- */

static enum record_call_way on_system_call(struct record_system_call *call)
{
	const struct kernel_call *known = kernel_call_by_number(call->number);

	/* Its error is looked at. */
	if (!known)
		return RECORD_CALL_REPLACED;
	if (known->special)
		return known->special(call);
	for (unsigned i = 0; i < 6; i++)
		if ((known->refused >> i & 1) && record_concerns(call->arguments[i], 1))
			kernel_call_refuse(call, known->name);
	return kernel_call_bounce(call, known->outputs, KERNEL_OUTPUTS_MAX);
}

/*
 * How many arguments such a call has is not known here: a register may contain the address of a pool by
 * chance.
 */
static void refuse_fault(const struct record_system_call *call)
{
	for (unsigned i = 0; i < 6; i++)
		if (record_concerns(call->arguments[i], 1))
			kernel_call_refuse(call, NULL);
}

void kernel_call_store(struct record_system_call *call, long result)
{
	struct kept *kept = call->kept;

	if (!kept)
		return;
	for (unsigned i = 0; i < KERNEL_OUTPUTS_MAX; i++)
		store_piece(call, &kept->outputs[i], kept->pieces[i], result);
	store_parts(call, kept, result);
	if (kept->message.msg_iov && result >= 0)
		store_message(call, kept);
	client_room_give(kept, kept->bytes);
}

static long after_system_call(struct record_system_call *call, long result)
{
	struct kept *kept = call->kept;

	if (result == RECORD_CALL_ABANDONED) {
		if (kept)
			client_room_give(kept, kept->bytes);
		return result;
	}
	if (result == -EFAULT && !kernel_call_by_number(call->number))
		refuse_fault(call);
	kernel_call_store(call, result);
	special_call_returned(call, result);
	return result;
}

/* ---- Which instructions ---------------------------------------------------------------------------- */

static bool is_object(const char *object, const char *name)
{
	const char *slash = strrchr(object, '/');

	return strncmp(slash ? slash + 1 : object, name, strlen(name)) == 0;
}

/*
 * Threads may be cancelled in libc's functions, which then unwinds the stack, and so cannot be patched; what
 * these store is seen by their symbols. These keep the signal mask in a buffer of the program, and cannot be
 * interposed: they return twice.
 */
static struct {
	uintptr_t start, end;
} seen_in_libc[3];

static void find_functions_of_libc(void)
{
	static const char *const functions[] = { "getcontext", "setcontext", "swapcontext" };
	/* Not those of a library that interposes them. */
	void *libc = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);

	_Static_assert(sizeof(functions) / sizeof(functions[0]) ==
			       sizeof(seen_in_libc) / sizeof(seen_in_libc[0]),
		       "one each");
	for (unsigned i = 0; libc && i < sizeof(functions) / sizeof(functions[0]); i++) {
		void *function = dlsym(libc, functions[i]), *found = NULL;
		const ElfW(Sym) *symbol;
		Dl_info info;

		if (!function || !dladdr1(function, &info, &found, RTLD_DL_SYMENT) || !found)
			continue;
		symbol = found;
		seen_in_libc[i].start = (uintptr_t)function;
		seen_in_libc[i].end = (uintptr_t)function + symbol->st_size;
	}
}

static bool is_seen_in_libc(uintptr_t address)
{
	for (unsigned i = 0; i < sizeof(seen_in_libc) / sizeof(seen_in_libc[0]); i++)
		if (address >= seen_in_libc[i].start && address < seen_in_libc[i].end)
			return true;
	return false;
}

static enum record_call_patch sees_system_call(const char *object, uintptr_t address)
{
	/* The loader runs where not even the thread's registers are set up; sanitizers are below all else. */
	static const char *const never[] = { "ld-linux", "libpthread.so", "librt.so", "libdl.so",
					     "libasan.so", "libtsan.so", "liblsan.so", "libubsan.so" };

	for (unsigned i = 0; i < sizeof(never) / sizeof(never[0]); i++)
		if (is_object(object, never[i]))
			return RECORD_CALL_UNSEEN;
	if (!is_object(object, "libc.so"))
		return RECORD_CALL_ANY;
	/* libc itself may have blocked all signals. */
	return is_seen_in_libc(address) ? RECORD_CALL_JUMP : RECORD_CALL_UNSEEN;
}

void client_kernel_calls_start(struct record_setup *setup)
{
	find_functions_of_libc();
	setup->system_calls = kernel_calls_of_interest();
	setup->sees_system_call = sees_system_call;
	setup->on_system_call = on_system_call;
	setup->after_system_call = after_system_call;
}

/* ---- Functions of libc ------------------------------------------------------------------------------ */

long client_kernel_call(int number, const uint64_t arguments[6], uintptr_t caller, client_make_call *make)
{
	struct record_system_call call = { .number = number, .address = caller };

	if (likely(!record_system_call_concerns(number, arguments)))
		return make(number, arguments);
	memcpy(call.arguments, arguments, sizeof(call.arguments));
	memcpy(call.replaced, arguments, sizeof(call.replaced));
	call.site = client_modules_caller(caller);
	switch (on_system_call(&call)) {
	case RECORD_CALL_DONE:
		return call.result;
	case RECORD_CALL_REPLACED:
		return after_system_call(&call, make(number, call.replaced));
	default:
		return make(number, arguments);
	}
}
