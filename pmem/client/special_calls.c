/* SPDX-License-Identifier: BSD-3-Clause */

/* The functions themselves are called, not their checked forms. */
#undef _FORTIFY_SOURCE

#include "client/special_calls.h"

#include <asm/prctl.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "abi/rawcall.h"
#include "client/connection.h"
#include "client/errormsg.h"
#include "client/flush.h"
#include "client/kernel_refusals.h"
#include "client/mapping.h"
#include "client/output_marks.h"
#include "client/queues.h"
#include "client/recording.h"
#include "client/signal_handlers.h"
#include "client/signal_stacks.h"
#include "client/stack_refusals.h"

static bool concerns(uint64_t address)
{
	return record_concerns(address, 1);
}

static enum record_call_way done(struct record_system_call *call, long result)
{
	call->result = result;
	return RECORD_CALL_DONE;
}

static enum record_call_way refuse(const struct record_system_call *call)
{
	kernel_call_refuse(call, kernel_call_by_number(call->number)->name);
}

/* ---- Bytes ------------------------------------------------------------------------------------ */

enum record_call_way special_parts(struct record_system_call *call)
{
	return kernel_call_bounce_parts(call, 1, call->arguments[2]);
}

enum record_call_way special_recvmsg(struct record_system_call *call)
{
	return kernel_call_bounce_message(call, 1);
}

/* Of two of them: one that has nothing to do changes nothing of what the other has done. */
static enum record_call_way either(enum record_call_way one, enum record_call_way other)
{
	return one == RECORD_CALL_AS_IT_IS ? other : one;
}

enum record_call_way special_recvmmsg(struct record_system_call *call)
{
	static const struct kernel_output timeout = KERNEL_FIXED(4, KERNEL_TIMESPEC_BYTES);
	const enum record_call_way way = kernel_call_bounce(call, &timeout, 1);

	if (way == RECORD_CALL_DONE)
		return way;
	return either(way, kernel_call_bounce_messages(call, 1, (uint32_t)call->arguments[2]));
}

static bool parts_concern(uintptr_t array, size_t count)
{
	struct iovec part;

	for (size_t i = 0; i < count && i < KERNEL_PARTS_MAX; i++)
		if (kernel_call_read(&part, array + i * sizeof(part), sizeof(part)) &&
		    record_concerns((uintptr_t)part.iov_base, part.iov_len))
			return true;
	return false;
}

/* The kernel stores to its buffer later, or to the block itself. */
static bool block_concerns(uintptr_t at)
{
	struct iocb block;

	if (!kernel_call_read(&block, at, sizeof(block)))
		return false;
	if (record_concerns(at, sizeof(block)))
		return true;
	return block.aio_lio_opcode == IOCB_CMD_PREAD  ? record_concerns(block.aio_buf, block.aio_nbytes) :
	       block.aio_lio_opcode == IOCB_CMD_PREADV ? parts_concern(block.aio_buf, block.aio_nbytes) :
							 false;
}

enum record_call_way special_io_submit(struct record_system_call *call)
{
	const uint64_t *a = call->arguments;
	uintptr_t block;

	for (size_t i = 0; i < a[1]; i++) {
		if (!kernel_call_read(&block, a[2] + i * sizeof(block), sizeof(block)))
			break;
		if (block_concerns(block))
			return refuse(call);
	}
	return RECORD_CALL_AS_IT_IS;
}

/* Another process's memory is its own matter. */
enum record_call_way special_process_vm_writev(struct record_system_call *call)
{
	const uint64_t *a = call->arguments;

	return (pid_t)a[0] == getpid() && parts_concern(a[3], a[4]) ? refuse(call) : RECORD_CALL_AS_IT_IS;
}

/* From a pipe, or to it: pages of the program then become its contents. */
enum record_call_way special_vmsplice(struct record_system_call *call)
{
	const long flags = RAW2(fcntl, call->arguments[0], F_GETFL);

	return flags >= 0 && (flags & O_ACCMODE) == O_RDONLY ? special_parts(call) : RECORD_CALL_AS_IT_IS;
}

enum record_call_way special_output(struct record_system_call *call)
{
	return RECORD_CALL_REPLACED;
}

enum record_call_way special_sendmmsg(struct record_system_call *call)
{
	static const struct kernel_output messages = KERNEL_ARRAY(1, 2, KERNEL_MMSGHDR_BYTES);

	return either(kernel_call_bounce(call, &messages, 1), RECORD_CALL_REPLACED);
}

/* ---- By a command ------------------------------------------------------------------------------ */

/* What a command of a call stores, of which an argument is the address. */
struct command {
	uint32_t command;
	uint16_t size; /* 0: nothing */
};

#define COMMANDS(list) (list), sizeof(list) / sizeof((list)[0])

static const struct command *find_command(const struct command *list, size_t count, uint32_t command)
{
	for (size_t i = 0; i < count; i++)
		if (list[i].command == command)
			return &list[i];
	return NULL;
}

/* Others are made, and refused if the kernel could not store. */
static enum record_call_way by_command(struct record_system_call *call, const struct command *list,
				       size_t count, unsigned argument)
{
	const struct command *found = find_command(list, count, (uint32_t)call->arguments[argument - 1]);
	const struct kernel_output output = KERNEL_FIXED(argument, found ? found->size : 0);

	if (!found)
		return RECORD_CALL_REPLACED;
	return found->size ? kernel_call_bounce(call, &output, 1) : RECORD_CALL_AS_IT_IS;
}

enum record_call_way special_fcntl(struct record_system_call *call)
{
	static const struct command list[] = {
		{ F_GETLK, sizeof(struct flock) }, { F_OFD_GETLK, sizeof(struct flock) },
		{ F_GETOWN_EX, 8 },		   { F_GET_RW_HINT, 8 },
		{ F_GET_FILE_RW_HINT, 8 },
	};

	return by_command(call, COMMANDS(list), 2);
}

enum record_call_way special_shmctl(struct record_system_call *call)
{
	static const struct command list[] = {
		{ IPC_STAT, sizeof(struct shmid_ds) }, { SHM_STAT, sizeof(struct shmid_ds) },
		{ SHM_STAT_ANY, sizeof(struct shmid_ds) }, { IPC_INFO, sizeof(struct shminfo) },
		{ SHM_INFO, sizeof(struct shm_info) },
	};

	return by_command(call, COMMANDS(list), 2);
}

enum record_call_way special_msgctl(struct record_system_call *call)
{
	static const struct command list[] = {
		{ IPC_STAT, sizeof(struct msqid_ds) },	   { MSG_STAT, sizeof(struct msqid_ds) },
		{ MSG_STAT_ANY, sizeof(struct msqid_ds) }, { IPC_INFO, sizeof(struct msginfo) },
		{ MSG_INFO, sizeof(struct msginfo) },
	};

	return by_command(call, COMMANDS(list), 2);
}

enum record_call_way special_semctl(struct record_system_call *call)
{
	static const struct command list[] = {
		{ IPC_STAT, sizeof(struct semid_ds) },	   { SEM_STAT, sizeof(struct semid_ds) },
		{ SEM_STAT_ANY, sizeof(struct semid_ds) }, { IPC_INFO, sizeof(struct seminfo) },
		{ SEM_INFO, sizeof(struct seminfo) },
	};

	return by_command(call, COMMANDS(list), 3);
}

enum record_call_way special_prctl(struct record_system_call *call)
{
	static const struct command list[] = {
		{ PR_GET_PDEATHSIG, 4 }, { PR_GET_UNALIGN, 4 },		 { PR_GET_FPEMU, 4 },
		{ PR_GET_FPEXC, 4 },	 { PR_GET_NAME, 16 },		 { PR_GET_ENDIAN, 4 },
		{ PR_GET_TSC, 4 },	 { PR_GET_CHILD_SUBREAPER, 4 }, { PR_GET_TID_ADDRESS, 8 },
	};

	return by_command(call, COMMANDS(list), 1);
}

enum record_call_way special_arch_prctl(struct record_system_call *call)
{
	static const struct command list[] = { { ARCH_GET_FS, 8 }, { ARCH_GET_GS, 8 },
					       { 0x1022 /* ARCH_GET_XCOMP_PERM */, 8 },
					       { 0x1021 /* ARCH_GET_XCOMP_SUPP */, 8 } };

	return by_command(call, COMMANDS(list), 1);
}

enum record_call_way special_seccomp(struct record_system_call *call)
{
	const struct kernel_output sizes = KERNEL_FIXED(2, sizeof(struct seccomp_notif_sizes));

	return call->arguments[0] == SECCOMP_GET_NOTIF_SIZES ? kernel_call_bounce(call, &sizes, 1) :
							       RECORD_CALL_AS_IT_IS;
}

/* ---- Sizes in memory ------------------------------------------------------------------------- */

enum record_call_way special_file_handle(struct record_system_call *call)
{
	struct kernel_output outputs[] = { KERNEL_FIXED(2, sizeof(struct file_handle)), KERNEL_FIXED(3, 4) };
	struct file_handle handle;

	/* Of one that is too long the kernel takes no notice. */
	if (kernel_call_read(&handle, call->arguments[2], sizeof(handle)) &&
	    handle.handle_bytes <= MAX_HANDLE_SZ)
		outputs[0].size += handle.handle_bytes;
	return kernel_call_bounce(call, outputs, 2);
}

/* The type of the message is before its bytes. */
enum record_call_way special_msgrcv(struct record_system_call *call)
{
	const uint64_t bytes = min_u64(call->arguments[2], KERNEL_TRANSFER_MAX) + sizeof(long);
	const struct kernel_output message = KERNEL_FIXED(1, (uint32_t)bytes);

	return kernel_call_bounce(call, &message, 1);
}

/* ---- ioctl(2) ------------------------------------------------------------------------------------ */

/* Requests by what they store; the number that encodes it does not always tell the truth. */
static const struct command requests[] = {
	{ FIONREAD, 4 },
	{ TIOCOUTQ, 4 },
	{ FIOQSIZE, 8 },
	{ FIGETBSZ, 4 },
	{ TCGETS, 36 },
	{ TIOCGWINSZ, 8 },
	{ TIOCGPGRP, 4 },
	{ TIOCGSID, 4 },
	{ TIOCGPTN, 4 },
	{ TIOCGPTLCK, 4 },
	{ TIOCMGET, 4 },
	{ FS_IOC_GETFLAGS, 4 },
	{ FS_IOC_GETVERSION, 4 },
	{ FS_IOC_FSGETXATTR, 28 },
	{ FS_IOC_GETFSLABEL, FSLABEL_MAX },
	{ BLKGETSIZE64, 8 },
	{ BLKGETSIZE, 8 },
	{ BLKSSZGET, 4 },
	{ BLKBSZGET, 4 },
	{ BLKPBSZGET, 4 },
	{ BLKIOMIN, 4 },
	{ BLKIOOPT, 4 },
	{ BLKALIGNOFF, 4 },
	{ BLKROGET, 4 },
	{ BLKRAGET, 8 },
	{ FIONBIO, 0 },
	{ FIOASYNC, 0 },
	{ TCSETS, 0 },
	{ TCSETSW, 0 },
	{ TCSETSF, 0 },
	{ TIOCSWINSZ, 0 },
	{ TIOCSPGRP, 0 },
	{ TIOCSPTLCK, 0 },
	{ TIOCSTI, 0 },
	{ FS_IOC_SETFLAGS, 0 },
	{ FS_IOC_SETVERSION, 0 },
	{ FS_IOC_FSSETXATTR, 0 },
	{ FS_IOC_SETFSLABEL, 0 },
	{ FICLONERANGE, 0 },
};

enum record_call_way special_ioctl(struct record_system_call *call)
{
	/* A structure there may have the address of a pool: its error is looked at. */
	if (!concerns(call->arguments[2]))
		return RECORD_CALL_REPLACED;
	if (find_command(COMMANDS(requests), (uint32_t)call->arguments[1]))
		return by_command(call, COMMANDS(requests), 2);
	return refuse(call);
}

/* ---- Signals --------------------------------------------------------------------------------------- */

enum record_call_way special_sigaction(struct record_system_call *call)
{
	struct client_kernel_action action, old;
	const uint64_t *a = call->arguments;
	long result;

	if (!client_signal_handlers_have((int)a[0]) || a[3] != sizeof(action.mask))
		return RECORD_CALL_AS_IT_IS;
	if (a[1] && !kernel_call_read(&action, a[1], sizeof(action)))
		return done(call, -EFAULT);
	result = client_signal_handlers_set((int)a[0], a[1] ? &action : NULL, &old);
	if (!result && a[2] && !kernel_call_write(a[2], &old, sizeof(old), call->site))
		result = -EFAULT;
	return done(call, result);
}

/* In a pool, the kernel would begin a handler's frame there, and end the process because it cannot. */
enum record_call_way special_sigaltstack(struct record_system_call *call)
{
	const uint64_t *a = call->arguments;
	stack_t stack, old;
	long result;

	if (a[0] && !kernel_call_read(&stack, a[0], sizeof(stack)))
		return done(call, -EFAULT);
	if (a[0] && !(stack.ss_flags & SS_DISABLE) && record_concerns((uintptr_t)stack.ss_sp, stack.ss_size))
		return refuse(call);
	result = client_signal_stack_set(a[0] ? &stack : NULL, &old);
	if (!result && a[1] && !kernel_call_write(a[1], &old, sizeof(old), call->site))
		result = -EFAULT;
	return done(call, result);
}

enum record_call_way special_sigmask(struct record_system_call *call)
{
	const struct kernel_output outputs[] = {
		{ .kind = KERNEL_OUTPUT_FIXED, .argument = 2, .size = 8 },
		{ .kind = KERNEL_INPUT, .argument = 1, .size = 8 },
	};
	const uint64_t *a = call->arguments;
	uint64_t mask = 0;
	enum record_call_way way;
	bool blocks;

	if (a[3] != sizeof(mask) || (a[1] && !kernel_call_read(&mask, a[1], sizeof(mask))))
		return RECORD_CALL_AS_IT_IS;
	blocks = (int)a[0] != SIG_UNBLOCK && (mask & ~client_signal_mask(mask));
	/* The kernel must not find it in the pool's place alone. */
	way = kernel_call_bounce(call, outputs, blocks ? 2 : 1);
	if (way == RECORD_CALL_REPLACED && blocks)
		*(uint64_t *)call->replaced[1] = client_signal_mask(mask);
	return way;
}

/* ---- Threads and processes ------------------------------------------------------------------------- */

/* Where a new thread or process begins, by the arguments of any of the calls. */
struct start {
	uint64_t flags; /* with the signal of its end */
	uint64_t stack, parent, child, pidfd;
};

static bool read_start(const struct record_system_call *call, struct start *start)
{
	const uint64_t *a = call->arguments;
	struct clone_args args = { .flags = 0 };

	*start = (struct start){ .flags = SIGCHLD };
	if (call->number == SYS_clone)
		*start = (struct start){
			.flags = a[0], .stack = a[1], .parent = a[2], .child = a[3], .pidfd = a[2]
		};
	if (call->number != SYS_clone3)
		return true;
	if (a[1] < CLONE_ARGS_SIZE_VER0 || !kernel_call_read(&args, a[0], CLONE_ARGS_SIZE_VER0))
		return false;
	*start = (struct start){ .flags = args.flags | args.exit_signal,
				 .stack = args.stack,
				 .parent = args.parent_tid,
				 .child = args.child_tid,
				 .pidfd = args.pidfd };
	return true;
}

enum record_call_way special_clone(struct record_system_call *call)
{
	struct start start;
	long pid;

	if (!read_start(call, &start))
		return RECORD_CALL_AS_IT_IS;
	client_refuse_thread_numbers(start.flags & ~(uint64_t)CLONE_PIDFD, (const void *)start.parent,
				     (const void *)start.child);
	client_refuse_thread_numbers(start.flags & CLONE_PIDFD, (const void *)start.pidfd, NULL);
	client_refuse_shared_variables(start.flags);
	if (start.stack)
		client_refuse_stack(start.stack - 1, 2, kernel_call_by_number(call->number)->name);
	client_recording_thread();
	/* Two may run in this memory, and only the one that made the call can go back into a stub. */
	if (start.flags & CLONE_VM)
		return RECORD_CALL_AS_IT_IS;
	/* libc's does more than the system call, and so do we in it. */
	if (start.flags == SIGCHLD && !start.stack) {
		pid = fork();
		return done(call, pid < 0 ? -errno : pid);
	}
	client_fork_prepare();
	return RECORD_CALL_REPLACED;
}

enum record_call_way special_robust_list(struct record_system_call *call)
{
	static atomic_bool told;

	if (concerns(call->arguments[0]))
		return refuse(call);
	if (!atomic_exchange(&told, true))
		client_complain("a list of robust mutexes of the program's own (set_robust_list): ",
				"the kernel does not mark those in pools when a recorded thread ends");
	return RECORD_CALL_AS_IT_IS;
}

enum record_call_way special_futex(struct record_system_call *call)
{
	const int operation = (int)call->arguments[1] & FUTEX_CMD_MASK;
	bool stores = false;

	switch (operation) {
	case FUTEX_LOCK_PI:
	case FUTEX_LOCK_PI2:
	case FUTEX_UNLOCK_PI:
	case FUTEX_TRYLOCK_PI:
		stores = concerns(call->arguments[0]);
		break;
	case FUTEX_WAKE_OP:
	case FUTEX_CMP_REQUEUE_PI:
	case FUTEX_WAIT_REQUEUE_PI:
		stores = concerns(call->arguments[4]);
		break;
	default:
		break;
	}
	return stores ? refuse(call) : RECORD_CALL_AS_IT_IS;
}

enum record_call_way special_ring(struct record_system_call *call)
{
	return done(call, client_refuse_rings(kernel_call_by_number(call->number)->name));
}

/* ---- Mappings ------------------------------------------------------------------------------------ */

static enum record_call_way map(struct record_system_call *call)
{
	const uint64_t *a = call->arguments;
	const int flags = (int)a[3], fd = (int)a[4];
	const bool replaces = (flags & MAP_FIXED) && record_concerns(a[0], a[1]);

	if (!replaces && ((flags & MAP_ANONYMOUS) || fd < 0 || !connection_serves(fd)))
		return RECORD_CALL_AS_IT_IS;
	return done(call, client_mmap_for((void *)call->address, (void *)a[0], a[1], (int)a[2], flags, fd,
					  (off_t)a[5]));
}

enum record_call_way special_mapping(struct record_system_call *call)
{
	const uint64_t *a = call->arguments;
	void *const address = (void *)a[0];

	if (call->number == SYS_mmap)
		return map(call);
	if (!record_concerns(a[0], a[1] ? a[1] : 1) &&
	    !(call->number == SYS_mremap && ((int)a[3] & MREMAP_FIXED) && record_concerns(a[4], a[2])))
		return RECORD_CALL_AS_IT_IS;
	switch (call->number) {
	case SYS_munmap:
		return done(call, client_munmap(address, a[1]));
	case SYS_mremap:
		return done(call, client_mremap(address, a[1], a[2], (int)a[3], (void *)a[4]));
	case SYS_mprotect:
		return done(call, client_mprotect(address, a[1], (int)a[2], -1));
	case SYS_pkey_mprotect:
		return done(call, client_mprotect(address, a[1], (int)a[2], (int)a[3]));
	case SYS_madvise:
		return done(call, client_madvise(address, a[1], (int)a[2]));
	case SYS_msync:
		return done(call, client_msync(address, a[1], (int)a[2]));
	default:
		return done(call, client_remap_file_pages(address, a[1], (int)a[2], a[3], (int)a[4]));
	}
}

/* A view is a memory file: the kernel tells the daemon of no fsync. */
enum record_call_way special_sync(struct record_system_call *call)
{
	const int fd = (int)call->arguments[0];

	return connection_is_view(fd) ? done(call, connection_sync(fd)) : RECORD_CALL_AS_IT_IS;
}

/* ---- Afterwards ------------------------------------------------------------------------------------ */

void special_call_returned(struct record_system_call *call, long result)
{
	const uint64_t *a = call->arguments;

	switch (call->number) {
	case SYS_write:
	case SYS_writev:
	case SYS_sendto:
	case SYS_sendmsg:
	case SYS_sendmmsg:
		client_mark_output(call->number, (long)a[0], (long)a[1], (long)a[2], result);
		break;
	case SYS_clone:
	case SYS_clone3:
		if (result == 0)
			client_fork_child();
		else
			client_fork_parent();
		break;
	default:
		break;
	}
}
