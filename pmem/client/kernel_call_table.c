/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * System calls by number: where the kernel stores results. A call that is not listed is made, and ends the
 * process if it fails with EFAULT and an argument is the address of a pool.
 */

#include <sys/syscall.h>

#include "client/kernel_calls.h"
#include "client/special_calls.h"

#define A(i) (1u << (i))
#define FIXED KERNEL_FIXED
#define COUNTED KERNEL_COUNTED
#define OUTPUTS(...) { .known = true, .outputs = { __VA_ARGS__ } }
#define REFUSED(title, results) { .name = title, .known = true, .refused = (results) }
/* With another part: what `function` says, if one of the arguments `which` asks for it. */
#define SPECIAL(title, which, function) \
	{ .name = title, .known = true, .asked = (which), .special = (function) }
#define STORES_NOTHING { .known = true }

#define CALLS RECORD_CALL_NUMBERS
static const struct kernel_call calls[CALLS] = {
	/* Bytes of files, sockets and queues. */
	[SYS_read] = OUTPUTS(COUNTED(1, 2, 1)),
	[SYS_pread64] = OUTPUTS(COUNTED(1, 2, 1)),
	[SYS_getrandom] = OUTPUTS(COUNTED(0, 1, 1)),
	[SYS_readlink] = OUTPUTS(COUNTED(1, 2, 1)),
	[SYS_readlinkat] = OUTPUTS(COUNTED(2, 3, 1)),
	[SYS_getcwd] = OUTPUTS(COUNTED(0, 1, 1)),
	[SYS_getdents] = OUTPUTS(COUNTED(1, 2, 1)),
	[SYS_getdents64] = OUTPUTS(COUNTED(1, 2, 1)),
	[SYS_getxattr] = OUTPUTS(COUNTED(2, 3, 1)),
	[SYS_lgetxattr] = OUTPUTS(COUNTED(2, 3, 1)),
	[SYS_fgetxattr] = OUTPUTS(COUNTED(2, 3, 1)),
	[SYS_listxattr] = OUTPUTS(COUNTED(1, 2, 1)),
	[SYS_llistxattr] = OUTPUTS(COUNTED(1, 2, 1)),
	[SYS_flistxattr] = OUTPUTS(COUNTED(1, 2, 1)),
	[SYS_recvfrom] = SPECIAL("recvfrom() of an address", A(1) | A(4) | A(5) | RECORD_CALL_LENGTH,
				 special_recvfrom),
	[SYS_readv] = SPECIAL("readv", RECORD_CALL_ALWAYS, special_parts),
	[SYS_preadv] = SPECIAL("preadv", RECORD_CALL_ALWAYS, special_parts),
	[SYS_preadv2] = SPECIAL("preadv2", RECORD_CALL_ALWAYS, special_parts),
	[SYS_recvmsg] = SPECIAL("recvmsg() of an address or of control data", RECORD_CALL_ALWAYS,
				special_recvmsg),
	[SYS_recvmmsg] = SPECIAL("recvmmsg", RECORD_CALL_ALWAYS, special_recvmmsg),
	[SYS_process_vm_readv] = SPECIAL("process_vm_readv", RECORD_CALL_ALWAYS, special_process_vm_readv),
	[SYS_mq_timedreceive] = REFUSED("mq_timedreceive", A(1) | A(3)),
	[SYS_msgrcv] = REFUSED("msgrcv", A(1)),
	/* What becomes a mark. */
	[SYS_write] = SPECIAL("write", RECORD_CALL_ALWAYS, special_output),
	[SYS_writev] = SPECIAL("writev", RECORD_CALL_ALWAYS, special_output),
	[SYS_sendto] = SPECIAL("sendto", RECORD_CALL_ALWAYS, special_output),
	[SYS_sendmsg] = SPECIAL("sendmsg", RECORD_CALL_ALWAYS, special_output),
	[SYS_sendmmsg] = REFUSED("sendmmsg", A(1)),
	/* Files. */
	[SYS_stat] = OUTPUTS(FIXED(1, KERNEL_STAT_BYTES)),
	[SYS_fstat] = OUTPUTS(FIXED(1, KERNEL_STAT_BYTES)),
	[SYS_lstat] = OUTPUTS(FIXED(1, KERNEL_STAT_BYTES)),
	[SYS_newfstatat] = OUTPUTS(FIXED(2, KERNEL_STAT_BYTES)),
	[SYS_statx] = OUTPUTS(FIXED(4, KERNEL_STATX_BYTES)),
	[SYS_statfs] = OUTPUTS(FIXED(1, KERNEL_STATFS_BYTES)),
	[SYS_fstatfs] = OUTPUTS(FIXED(1, KERNEL_STATFS_BYTES)),
	[SYS_sendfile] = OUTPUTS(FIXED(2, 8)),
	[SYS_splice] = OUTPUTS(FIXED(1, 8), FIXED(3, 8)),
	[SYS_copy_file_range] = OUTPUTS(FIXED(1, 8), FIXED(3, 8)),
	[SYS_pipe] = OUTPUTS(FIXED(0, 8)),
	[SYS_pipe2] = OUTPUTS(FIXED(0, 8)),
	[SYS_ioctl] = SPECIAL("ioctl", A(2), special_ioctl),
	[SYS_mincore] = REFUSED("mincore", A(2)),
	[SYS_name_to_handle_at] = REFUSED("name_to_handle_at", A(2) | A(3)),
	/* Sockets and events. */
	[SYS_socketpair] = OUTPUTS(FIXED(3, 8)),
	[SYS_epoll_wait] = OUTPUTS(COUNTED(1, 2, KERNEL_EPOLL_EVENT_BYTES)),
	[SYS_epoll_pwait] = OUTPUTS(COUNTED(1, 2, KERNEL_EPOLL_EVENT_BYTES)),
	[SYS_epoll_pwait2] = OUTPUTS(COUNTED(1, 2, KERNEL_EPOLL_EVENT_BYTES)),
	[SYS_accept] = REFUSED("accept() of an address", A(1) | A(2)),
	[SYS_accept4] = REFUSED("accept4() of an address", A(1) | A(2)),
	[SYS_getsockname] = REFUSED("getsockname", A(1) | A(2)),
	[SYS_getpeername] = REFUSED("getpeername", A(1) | A(2)),
	[SYS_getsockopt] = REFUSED("getsockopt", A(3) | A(4)),
	[SYS_poll] = REFUSED("poll", A(0)),
	[SYS_ppoll] = REFUSED("ppoll", A(0) | A(2)),
	[SYS_select] = REFUSED("select", A(1) | A(2) | A(3) | A(4)),
	[SYS_pselect6] = REFUSED("pselect6", A(1) | A(2) | A(3) | A(4)),
	[SYS_io_uring_setup] = SPECIAL("io_uring_setup", RECORD_CALL_ALWAYS, special_ring),
	[SYS_io_setup] = SPECIAL("io_setup", RECORD_CALL_ALWAYS, special_ring),
	/* Time. */
	[SYS_clock_gettime] = OUTPUTS(FIXED(1, KERNEL_TIMESPEC_BYTES)),
	[SYS_clock_getres] = OUTPUTS(FIXED(1, KERNEL_TIMESPEC_BYTES)),
	[SYS_gettimeofday] = OUTPUTS(FIXED(0, KERNEL_TIMESPEC_BYTES), FIXED(1, 8)),
	[SYS_time] = OUTPUTS(FIXED(0, 8)),
	[SYS_times] = OUTPUTS(FIXED(0, 32)),
	[SYS_nanosleep] = OUTPUTS(FIXED(1, KERNEL_TIMESPEC_BYTES)),
	[SYS_clock_nanosleep] = OUTPUTS(FIXED(3, KERNEL_TIMESPEC_BYTES)),
	[SYS_getitimer] = OUTPUTS(FIXED(1, KERNEL_ITIMER_BYTES)),
	[SYS_setitimer] = OUTPUTS(FIXED(2, KERNEL_ITIMER_BYTES)),
	[SYS_timer_create] = OUTPUTS(FIXED(2, 4)),
	[SYS_timer_gettime] = OUTPUTS(FIXED(1, KERNEL_ITIMER_BYTES)),
	[SYS_timer_settime] = OUTPUTS(FIXED(3, KERNEL_ITIMER_BYTES)),
	[SYS_timerfd_gettime] = OUTPUTS(FIXED(1, KERNEL_ITIMER_BYTES)),
	[SYS_timerfd_settime] = OUTPUTS(FIXED(3, KERNEL_ITIMER_BYTES)),
	[SYS_sched_rr_get_interval] = OUTPUTS(FIXED(1, KERNEL_TIMESPEC_BYTES)),
	[SYS_adjtimex] = REFUSED("adjtimex", A(0)),
	[SYS_clock_adjtime] = REFUSED("clock_adjtime", A(1)),
	/* Processes. */
	[SYS_uname] = OUTPUTS(FIXED(0, KERNEL_UTSNAME_BYTES)),
	[SYS_sysinfo] = OUTPUTS(FIXED(0, KERNEL_SYSINFO_BYTES)),
	[SYS_getrusage] = OUTPUTS(FIXED(1, KERNEL_RUSAGE_BYTES)),
	[SYS_getrlimit] = OUTPUTS(FIXED(1, 16)),
	[SYS_prlimit64] = OUTPUTS(FIXED(3, 16)),
	[SYS_wait4] = OUTPUTS(FIXED(1, 4), FIXED(3, KERNEL_RUSAGE_BYTES)),
	[SYS_waitid] = OUTPUTS(FIXED(2, KERNEL_SIGINFO_BYTES), FIXED(4, KERNEL_RUSAGE_BYTES)),
	[SYS_getcpu] = OUTPUTS(FIXED(0, 4), FIXED(1, 4)),
	[SYS_getresuid] = OUTPUTS(FIXED(0, 4), FIXED(1, 4), FIXED(2, 4)),
	[SYS_getresgid] = OUTPUTS(FIXED(0, 4), FIXED(1, 4), FIXED(2, 4)),
	[SYS_getgroups] = OUTPUTS(COUNTED(1, 0, 4)),
	[SYS_sched_getaffinity] = OUTPUTS(COUNTED(2, 1, 1)),
	[SYS_sched_getparam] = OUTPUTS(FIXED(1, 4)),
	[SYS_get_robust_list] = OUTPUTS(FIXED(1, 8), FIXED(2, 8)),
	[SYS_rt_sigpending] = OUTPUTS(FIXED(0, 8)),
	[SYS_rt_sigtimedwait] = OUTPUTS(FIXED(1, KERNEL_SIGINFO_BYTES)),
	[SYS_sigaltstack] = OUTPUTS(FIXED(1, 24)),
	[SYS_rt_sigaction] = SPECIAL("rt_sigaction", RECORD_CALL_ALWAYS, special_sigaction),
	[SYS_rt_sigprocmask] = SPECIAL("rt_sigprocmask", RECORD_CALL_ALWAYS, special_sigmask),
	[SYS_fork] = SPECIAL("fork", RECORD_CALL_ALWAYS, special_clone),
	[SYS_clone] = SPECIAL("clone", RECORD_CALL_ALWAYS, special_clone),
	[SYS_clone3] = SPECIAL("clone3", RECORD_CALL_ALWAYS, special_clone),
	[SYS_set_tid_address] = REFUSED("set_tid_address", A(0)),
	[SYS_set_robust_list] = SPECIAL("set_robust_list", RECORD_CALL_ALWAYS, special_robust_list),
	[SYS_futex] = SPECIAL("futex", A(0) | A(4), special_futex),
	[SYS_shmctl] = REFUSED("shmctl", A(2)),
	[SYS_msgctl] = REFUSED("msgctl", A(2)),
	/* Mappings of pools. */
	[SYS_mmap] = SPECIAL("mmap", RECORD_CALL_ALWAYS, special_mapping),
	[SYS_munmap] = SPECIAL("munmap", A(0) | RECORD_CALL_LENGTH, special_mapping),
	[SYS_mremap] = SPECIAL("mremap", A(0) | A(4) | RECORD_CALL_LENGTH, special_mapping),
	[SYS_mprotect] = SPECIAL("mprotect", A(0) | RECORD_CALL_LENGTH, special_mapping),
	[SYS_pkey_mprotect] = SPECIAL("pkey_mprotect", A(0) | RECORD_CALL_LENGTH, special_mapping),
	[SYS_madvise] = SPECIAL("madvise", A(0) | RECORD_CALL_LENGTH, special_mapping),
	[SYS_msync] = SPECIAL("msync", A(0) | RECORD_CALL_LENGTH, special_mapping),
	[SYS_remap_file_pages] = SPECIAL("remap_file_pages", A(0) | RECORD_CALL_LENGTH, special_mapping),
	[SYS_fsync] = SPECIAL("fsync", RECORD_CALL_ALWAYS, special_sync),
	[SYS_fdatasync] = SPECIAL("fdatasync", RECORD_CALL_ALWAYS, special_sync),
	[SYS_shmat] = REFUSED("shmat", A(1)),
	/* Those that programs call often, or that must find the registers and the stack as they are. */
	[SYS_open] = STORES_NOTHING,
	[SYS_openat] = STORES_NOTHING,
	[SYS_close] = STORES_NOTHING,
	[SYS_lseek] = STORES_NOTHING,
	[SYS_pwrite64] = STORES_NOTHING,
	[SYS_pwritev] = STORES_NOTHING,
	[SYS_pwritev2] = STORES_NOTHING,
	[SYS_brk] = STORES_NOTHING,
	[SYS_rt_sigreturn] = STORES_NOTHING,
	[SYS_rt_sigsuspend] = STORES_NOTHING,
	[SYS_restart_syscall] = STORES_NOTHING,
	[SYS_access] = STORES_NOTHING,
	[SYS_faccessat] = STORES_NOTHING,
	[SYS_sched_yield] = STORES_NOTHING,
	[SYS_dup] = STORES_NOTHING,
	[SYS_dup2] = STORES_NOTHING,
	[SYS_dup3] = STORES_NOTHING,
	[SYS_pause] = STORES_NOTHING,
	[SYS_alarm] = STORES_NOTHING,
	[SYS_getpid] = STORES_NOTHING,
	[SYS_gettid] = STORES_NOTHING,
	[SYS_getppid] = STORES_NOTHING,
	[SYS_getuid] = STORES_NOTHING,
	[SYS_getgid] = STORES_NOTHING,
	[SYS_geteuid] = STORES_NOTHING,
	[SYS_getegid] = STORES_NOTHING,
	[SYS_socket] = STORES_NOTHING,
	[SYS_connect] = STORES_NOTHING,
	[SYS_bind] = STORES_NOTHING,
	[SYS_listen] = STORES_NOTHING,
	[SYS_shutdown] = STORES_NOTHING,
	[SYS_setsockopt] = STORES_NOTHING,
	[SYS_vfork] = STORES_NOTHING,
	[SYS_execve] = STORES_NOTHING,
	[SYS_execveat] = STORES_NOTHING,
	[SYS_exit] = STORES_NOTHING,
	[SYS_exit_group] = STORES_NOTHING,
	[SYS_kill] = STORES_NOTHING,
	[SYS_tkill] = STORES_NOTHING,
	[SYS_tgkill] = STORES_NOTHING,
	[SYS_rt_sigqueueinfo] = STORES_NOTHING,
	[SYS_rt_tgsigqueueinfo] = STORES_NOTHING,
	[SYS_semop] = STORES_NOTHING,
	[SYS_semtimedop] = STORES_NOTHING,
	[SYS_msgsnd] = STORES_NOTHING,
	[SYS_flock] = STORES_NOTHING,
	[SYS_sync_file_range] = STORES_NOTHING,
	[SYS_truncate] = STORES_NOTHING,
	[SYS_ftruncate] = STORES_NOTHING,
	[SYS_fallocate] = STORES_NOTHING,
	[SYS_epoll_ctl] = STORES_NOTHING,
	[SYS_sched_setaffinity] = STORES_NOTHING,
	[SYS_membarrier] = STORES_NOTHING,
	[SYS_arch_prctl] = SPECIAL("arch_prctl", A(1), special_arch_prctl),
};

const struct kernel_call *kernel_call_by_number(int number)
{
	return number >= 0 && number < (int)CALLS && calls[number].known ? &calls[number] : NULL;
}

static uint8_t asked(const struct kernel_call *call)
{
	uint8_t which = call->asked | call->refused;

	/* All arguments of one that is not known. */
	if (!call->known)
		return A(6) - 1;
	for (unsigned i = 0; i < KERNEL_OUTPUTS_MAX; i++) {
		const struct kernel_output *output = &call->outputs[i];

		if (output->kind == KERNEL_OUTPUT_NONE)
			continue;
		which |= (uint8_t)A(output->argument);
		if (output->kind == KERNEL_OUTPUT_COUNTED && output->length == output->argument + 1u)
			which |= RECORD_CALL_LENGTH;
	}
	return which;
}

const uint8_t *kernel_calls_of_interest(void)
{
	static uint8_t which[CALLS];

	for (unsigned i = 0; i < CALLS; i++)
		which[i] = asked(&calls[i]);
	return which;
}
