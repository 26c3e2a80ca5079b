/* SPDX-License-Identifier: BSD-3-Clause */

#include "client/kernel_calls.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <net/if.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "abi/rawcall.h"
#include "client/bounce_rooms.h"
#include "client/compiler.h"
#include "client/kernel_refusals.h"
#include "client/modules.h"
#include "client/recording.h"
#include "client/special_calls.h"
#include "common/align.h"

/* A structure that has the address of a result has it among its first ones. */
#define WORDS_MAX 64u

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

	if (record_concerns(to, length) && client_recording_storable(to, length) < length)
		return false;
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
	char request[40], text[100];
	Dl_info info;

	if (call->number == SYS_ioctl) {
		snprintf(request, sizeof(request), "ioctl() of request 0x%x", (uint32_t)call->arguments[1]);
		name = request;
	}
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

struct kept_outputs {
	struct kernel_kept kept;
	struct kernel_output outputs[KERNEL_OUTPUTS_MAX];
	/* Of what the program gave room for, as far as it may be stored to; 0: it is no pool. */
	size_t lengths[KERNEL_OUTPUTS_MAX];
	unsigned char *pieces[KERNEL_OUTPUTS_MAX];
	const unsigned char *before[KERNEL_OUTPUTS_MAX]; /* copies of the pieces; NULL: not needed */
};

/* Whether what the kernel has stored is found by comparing with what was there. */
static bool is_compared(const struct record_system_call *call, const struct kernel_output *output)
{
	if (output->kind == KERNEL_OUTPUT_COUNTED)
		return output->flags && (call->arguments[output->flags] & MSG_TRUNC);
	return output->kind != KERNEL_INPUT;
}

/* In bytes, as the program says. */
static uint64_t room_for(const struct record_system_call *call, const struct kernel_output *output)
{
	const uint64_t length = call->arguments[output->length];
	uint64_t bytes = output->size;
	int size;

	switch (output->kind) {
	case KERNEL_OUTPUT_NONE:
		return 0;
	case KERNEL_OUTPUT_ARRAY:
		bytes *= (uint32_t)length;
		break;
	case KERNEL_OUTPUT_BITS:
		bytes = align_up((uint32_t)length, 64) / 8;
		break;
	case KERNEL_OUTPUT_PAGES:
		bytes = length / PAGE_BYTES + (length % PAGE_BYTES != 0);
		break;
	case KERNEL_OUTPUT_SIZED:
		bytes = kernel_call_read(&size, length, sizeof(size)) && size > 0 ? (uint64_t)size : 0;
		break;
	case KERNEL_OUTPUT_COUNTED:
		if (__builtin_mul_overflow(bytes, length, &bytes))
			return KERNEL_TRANSFER_MAX;
		break;
	default:
		break;
	}
	return min_u64(bytes, KERNEL_TRANSFER_MAX);
}

size_t kernel_call_piece(uintptr_t program, size_t length, bool *ends)
{
	size_t storable;

	*ends = false;
	if (!length || !record_concerns(program, length))
		return 0;
	storable = client_recording_storable(program, length);
	*ends = storable < length;
	return record_concerns(program, storable) ? storable : 0;
}

/* How long the piece in its place is; 0: there is none. */
static size_t length_of_piece(const struct record_system_call *call, const struct kernel_output *output,
			      bool *ends)
{
	const uintptr_t program = call->arguments[output->argument];
	const uint64_t length = program ? room_for(call, output) : 0;

	*ends = false;
	return output->kind == KERNEL_INPUT ? length : kernel_call_piece(program, length, ends);
}

static void store_piece(const struct record_system_call *call, const struct kept_outputs *kept,
			unsigned index, long result)
{
	const struct kernel_output *output = &kept->outputs[index];
	const unsigned char *piece = kept->pieces[index], *before = kept->before[index];
	const uintptr_t program = call->arguments[output->argument];
	const size_t length = kept->lengths[index];

	if (output->kind == KERNEL_INPUT || !length)
		return;
	if (before)
		kernel_call_store_changes(program, before, piece, length, call->site);
	else if (result > 0)
		record_move((void *)program, piece, min_u64((uint64_t)result * output->size, length), false,
			    call->site);
}

static void store_outputs(const struct record_system_call *call, struct kernel_kept *kept, long result)
{
	for (unsigned i = 0; i < KERNEL_OUTPUTS_MAX; i++)
		store_piece(call, (const struct kept_outputs *)kept, i, result);
}

enum record_call_way kernel_call_bounce(struct record_system_call *call, const struct kernel_output *outputs,
					unsigned count)
{
	size_t lengths[KERNEL_OUTPUTS_MAX] = { 0 }, bytes = align_up(sizeof(struct kept_outputs), LINE_SIZE);
	const size_t without = bytes;
	bool ends[KERNEL_OUTPUTS_MAX];
	struct kept_outputs *kept;
	unsigned char *room;

	for (unsigned i = 0; i < count; i++) {
		lengths[i] = length_of_piece(call, &outputs[i], &ends[i]);
		if (lengths[i])
			bytes += client_piece_bytes(lengths[i], ends[i]);
		if (is_compared(call, &outputs[i]))
			bytes += client_piece_bytes(lengths[i], false);
	}
	if (bytes == without)
		return RECORD_CALL_AS_IT_IS;
	kept = client_room_take(bytes);
	*kept = (struct kept_outputs){ .kept = { .bytes = bytes, .store = store_outputs } };
	room = (unsigned char *)kept + without;
	for (unsigned i = 0; i < count; i++) {
		const struct kernel_output *output = &outputs[i];
		unsigned char *piece;

		if (!lengths[i])
			continue;
		piece = client_piece_take(&room, lengths[i], ends[i]);
		/* What the kernel leaves alone stays as it is, and some of it may be input as well. */
		if ((output->kind == KERNEL_INPUT || is_compared(call, output)) &&
		    !kernel_call_read(piece, call->arguments[output->argument], lengths[i])) {
			client_room_give(kept, bytes);
			call->result = -EFAULT;
			return RECORD_CALL_DONE;
		}
		kept->outputs[i] = *output;
		kept->lengths[i] = lengths[i];
		kept->pieces[i] = piece;
		if (is_compared(call, output))
			kept->before[i] = client_piece_copy(&room, piece, lengths[i]);
		call->replaced[output->argument] = (uint64_t)piece;
	}
	kernel_call_keep(call, &kept->kept);
	return RECORD_CALL_REPLACED;
}

void kernel_call_store_changes(uintptr_t program, const void *was_pointer, const void *now_pointer,
			       size_t size, uint32_t site)
{
	const unsigned char *was = was_pointer, *now = now_pointer;
	size_t begin = 0, end = 0; /* of what is to be stored next */
	size_t first, last, next;

	for (size_t at = 0; at < size; at = next) {
		/* An aligned word may be a value, which the kernel has stored as one. */
		next = min_u64(align_down(program + at, 8) + 8 - program, size);
		for (first = at; first < next && now[first] == was[first]; first++)
			;
		if (first == next)
			continue;
		for (last = next; now[last - 1] == was[last - 1]; last--)
			;
		if (first > end) {
			record_move((void *)(program + begin), now + begin, end - begin, false, site);
			begin = first;
		}
		end = last;
	}
	record_move((void *)(program + begin), now + begin, end - begin, false, site);
}

/* ---- The hooks ---------------------------------------------------------------------------------- */

static enum record_call_way on_system_call(struct record_system_call *call)
{
	const struct kernel_call *known = kernel_call_by_number(call->number);

	if (known && known->special)
		return known->special(call);
	/* Its error is looked at. */
	if (!known || known->faults)
		return RECORD_CALL_REPLACED;
	for (unsigned i = 0; i < 6; i++)
		if ((known->refused >> i & 1) && record_concerns(call->arguments[i], 1))
			kernel_call_refuse(call, known->name);
	return kernel_call_bounce(call, known->outputs, KERNEL_OUTPUTS_MAX);
}

/*
 * How many arguments such a call has is not known here: a register may contain the address of a pool by
 * chance.
 */
static void refuse_fault(const struct record_system_call *call, const char *name)
{
	for (unsigned i = 0; i < 6; i++)
		if (record_concerns(call->arguments[i], 1))
			kernel_call_refuse(call, name);
}

/* What may say where a result goes. */
struct structure {
	uintptr_t at;
	size_t bytes;
};

/* Of which the caller gave the address. Nothing behind it is looked at, which may be anything. */
static struct structure structure_of(const struct record_system_call *call)
{
	const uint64_t *a = call->arguments;
	const size_t size = _IOC_SIZE((uint32_t)a[1]);

	switch (call->number) {
	case SYS_ioctl:
		/* Old requests do not tell, such as those of interfaces. */
		return (struct structure){ a[2], size ? size : sizeof(struct ifreq) };
	case SYS_ptrace:
		return (struct structure){ a[3], a[0] == PTRACE_GETREGSET ? sizeof(struct iovec) : 0 };
	case SYS_bpf:
		return (struct structure){ a[1], (uint32_t)a[2] };
	default:
		return (struct structure){ 0, 0 };
	}
}

static void refuse_fault_of_structure(const struct record_system_call *call, const char *name)
{
	const struct structure structure = structure_of(call);
	uintptr_t words[WORDS_MAX] = { 0 };
	const size_t bytes = min_u64(structure.bytes, sizeof(words));

	if (!bytes || !kernel_call_read(words, structure.at, bytes))
		return;
	for (size_t i = 0; i < WORDS_MAX; i++)
		if (record_concerns(words[i], 1))
			kernel_call_refuse(call, name);
}

/* A signal may end the thread meanwhile: nothing is given back twice. */
static struct kernel_kept *take_kept(struct record_system_call *call)
{
	struct kernel_kept *kept = call->kept;

	if (kept)
		call->kept = kept->next;
	atomic_signal_fence(memory_order_seq_cst);
	return kept;
}

static void give_kept(struct kernel_kept *kept)
{
	if (kept->give)
		kept->give(kept);
	client_room_give(kept, kept->bytes);
}

void kernel_call_store(struct record_system_call *call, long result)
{
	struct kernel_kept *kept;

	while ((kept = take_kept(call))) {
		kept->store(call, kept, result);
		give_kept(kept);
	}
}

void kernel_call_abandon(struct record_system_call *call)
{
	struct kernel_kept *kept;

	while ((kept = take_kept(call)))
		give_kept(kept);
}

static long after_system_call(struct record_system_call *call, long result)
{
	const struct kernel_call *known = kernel_call_by_number(call->number);

	if (result == RECORD_CALL_ABANDONED) {
		kernel_call_abandon(call);
		return result;
	}
	/* Of some it is the lower half alone. */
	if ((int)result == -EFAULT && (!known || known->faults))
		refuse_fault(call, known ? known->name : NULL);
	if ((int)result == -EFAULT && known)
		refuse_fault_of_structure(call, known->name);
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

/*
 * The code before this instruction has this one, and no system call in between: libc loads a number a few
 * instructions before it makes the call.
 */
static bool comes_before(uintptr_t address, const unsigned char *wanted, size_t length)
{
	static const unsigned char call[] = { 0x0f, 0x05 };
	const unsigned char *code = (const unsigned char *)address;
	const unsigned back = 32;

	for (unsigned i = sizeof(call); i <= back; i++) {
		if (memcmp(code - i, call, sizeof(call)) == 0)
			return false;
		if (i >= length && memcmp(code - i, wanted, length) == 0)
			return true;
	}
	return false;
}

/*
 * A thread that libc makes for a timer begins with a mask of libc's, which has the faults. Nobody is
 * cancelled in this call. libc also blocks all signals by SIG_BLOCK, for as long as it stores to nothing of
 * the program: mostly where a thread ends, which must not have memory of the recorder again.
 */
static bool sets_signal_mask(uintptr_t address)
{
	/* mov eax, imm32 and mov edi, imm32 */
	static const unsigned char number[] = { 0xb8, SYS_rt_sigprocmask, 0, 0, 0 };
	static const unsigned char how[] = { 0xbf, SIG_SETMASK, 0, 0, 0 };

	return comes_before(address, number, sizeof(number)) && comes_before(address, how, sizeof(how));
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
	if (is_seen_in_libc(address))
		return RECORD_CALL_JUMP;
	return sets_signal_mask(address) ? RECORD_CALL_MAY_JUMP : RECORD_CALL_UNSEEN;
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
	CLEANUP_CALL struct record_system_call call = { .number = number, .address = caller };

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
