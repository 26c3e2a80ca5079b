/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * System calls by number: where the kernel stores results. All of x86-64 that Linux 6.1 has are here. One
 * that is not, of a later kernel, is made, and ends the process if it fails with EFAULT and an argument is
 * the address of a pool.
 */

#include <sys/syscall.h>

#include "client/kernel_calls.h"
#include "client/special_calls.h"

#define A(i) (1u << (i))
#define FIXED KERNEL_FIXED
#define ARRAY KERNEL_ARRAY
#define BITS KERNEL_BITS
#define PAGES KERNEL_PAGES
#define SIZED KERNEL_SIZED
#define COUNTED KERNEL_COUNTED
#define RECEIVED KERNEL_RECEIVED
#define TIMESPEC(at) FIXED(at, KERNEL_TIMESPEC_BYTES)

#define RECORDED(call, ...) [SYS_##call] = { .name = #call, .outputs = { __VA_ARGS__ } }
/* What `function` says, if one of the arguments `which` asks for it. */
#define SPECIAL(call, which, function) \
	[SYS_##call] = { .name = #call, .asked = (which), .special = (function) }
/* The same, and refused if the kernel could not store what the function does not know. */
#define BY_COMMAND(call, which, function) \
	[SYS_##call] = { .name = #call, .asked = (which), .special = (function), .faults = true }
/* The process ends if one of these arguments is the address of a pool. */
#define REFUSED(call, results) [SYS_##call] = { .name = #call, .refused = (results) }
/* Results are in places that other arguments choose: refused if the kernel could not store. */
#define FAULTS(call) [SYS_##call] = { .name = #call, .faults = true }
/* The same, also if only a structure in memory has the address: see structure_of(). */
#define FAULTS_INSIDE(call) [SYS_##call] = { .name = #call, .faults = true, .asked = RECORD_CALL_ALWAYS }
#define STORES_NOTHING(call) [SYS_##call] = { .name = #call }
/* It has a number, and no kernel has it. */
#define NOT_THERE STORES_NOTHING

#define CALLS RECORD_CALL_NUMBERS
static const struct kernel_call calls[CALLS] = {
	/* Bytes of files, sockets and queues. */
	RECORDED(read, COUNTED(1, 2, 1)),
	RECORDED(pread64, COUNTED(1, 2, 1)),
	RECORDED(getrandom, COUNTED(0, 1, 1)),
	RECORDED(readlink, COUNTED(1, 2, 1)),
	RECORDED(readlinkat, COUNTED(2, 3, 1)),
	RECORDED(getcwd, COUNTED(0, 1, 1)),
	/* Between names the kernel leaves some bytes as they are. */
	RECORDED(getdents, ARRAY(1, 2, 1)),
	RECORDED(getdents64, ARRAY(1, 2, 1)),
	RECORDED(getxattr, COUNTED(2, 3, 1)),
	RECORDED(lgetxattr, COUNTED(2, 3, 1)),
	RECORDED(fgetxattr, COUNTED(2, 3, 1)),
	RECORDED(listxattr, COUNTED(1, 2, 1)),
	RECORDED(llistxattr, COUNTED(1, 2, 1)),
	RECORDED(flistxattr, COUNTED(1, 2, 1)),
	/* Some of its commands return a number and store nothing. */
	RECORDED(syslog, ARRAY(1, 2, 1)),
	RECORDED(lookup_dcookie, COUNTED(1, 2, 1)),
	RECORDED(recvfrom, RECEIVED(1, 2, 3), SIZED(4, 5), FIXED(5, 4)),
	RECORDED(mq_timedreceive, COUNTED(1, 2, 1), FIXED(3, 4)),
	SPECIAL(msgrcv, A(1), special_msgrcv),
	SPECIAL(readv, RECORD_CALL_ALWAYS, special_parts),
	SPECIAL(preadv, RECORD_CALL_ALWAYS, special_parts),
	SPECIAL(preadv2, RECORD_CALL_ALWAYS, special_parts),
	SPECIAL(process_vm_readv, RECORD_CALL_ALWAYS, special_parts),
	SPECIAL(vmsplice, RECORD_CALL_ALWAYS, special_vmsplice),
	SPECIAL(recvmsg, RECORD_CALL_ALWAYS, special_recvmsg),
	SPECIAL(recvmmsg, RECORD_CALL_ALWAYS, special_recvmmsg),
	SPECIAL(process_vm_writev, RECORD_CALL_ALWAYS, special_process_vm_writev),
	/* What becomes a mark. */
	SPECIAL(write, RECORD_CALL_ALWAYS, special_output),
	SPECIAL(writev, RECORD_CALL_ALWAYS, special_output),
	SPECIAL(sendto, RECORD_CALL_ALWAYS, special_output),
	SPECIAL(sendmsg, RECORD_CALL_ALWAYS, special_output),
	SPECIAL(sendmmsg, RECORD_CALL_ALWAYS, special_sendmmsg),
	/* Files. */
	RECORDED(stat, FIXED(1, KERNEL_STAT_BYTES)),
	RECORDED(fstat, FIXED(1, KERNEL_STAT_BYTES)),
	RECORDED(lstat, FIXED(1, KERNEL_STAT_BYTES)),
	RECORDED(newfstatat, FIXED(2, KERNEL_STAT_BYTES)),
	RECORDED(statx, FIXED(4, KERNEL_STATX_BYTES)),
	RECORDED(statfs, FIXED(1, KERNEL_STATFS_BYTES)),
	RECORDED(fstatfs, FIXED(1, KERNEL_STATFS_BYTES)),
	RECORDED(ustat, FIXED(1, 32)),
	RECORDED(sendfile, FIXED(2, 8)),
	RECORDED(splice, FIXED(1, 8), FIXED(3, 8)),
	RECORDED(copy_file_range, FIXED(1, 8), FIXED(3, 8)),
	RECORDED(pipe, FIXED(0, 8)),
	RECORDED(pipe2, FIXED(0, 8)),
	RECORDED(mincore, PAGES(2, 1)),
	SPECIAL(name_to_handle_at, A(2) | A(3), special_file_handle),
	BY_COMMAND(fcntl, A(2), special_fcntl),
	SPECIAL(ioctl, RECORD_CALL_ALWAYS, special_ioctl),
	FAULTS(sysfs),
	FAULTS(quotactl),
	FAULTS(quotactl_fd),
	/* Sockets and events. */
	RECORDED(socketpair, FIXED(3, 8)),
	RECORDED(accept, SIZED(1, 2), FIXED(2, 4)),
	RECORDED(accept4, SIZED(1, 2), FIXED(2, 4)),
	RECORDED(getsockname, SIZED(1, 2), FIXED(2, 4)),
	RECORDED(getpeername, SIZED(1, 2), FIXED(2, 4)),
	RECORDED(getsockopt, SIZED(3, 4), FIXED(4, 4)),
	RECORDED(epoll_wait, COUNTED(1, 2, KERNEL_EPOLL_EVENT_BYTES)),
	RECORDED(epoll_pwait, COUNTED(1, 2, KERNEL_EPOLL_EVENT_BYTES)),
	RECORDED(epoll_pwait2, COUNTED(1, 2, KERNEL_EPOLL_EVENT_BYTES)),
	RECORDED(poll, ARRAY(0, 1, KERNEL_POLLFD_BYTES)),
	RECORDED(ppoll, ARRAY(0, 1, KERNEL_POLLFD_BYTES), TIMESPEC(2)),
	RECORDED(select, BITS(1, 0), BITS(2, 0), BITS(3, 0), TIMESPEC(4)),
	RECORDED(pselect6, BITS(1, 0), BITS(2, 0), BITS(3, 0), TIMESPEC(4)),
	SPECIAL(io_uring_setup, RECORD_CALL_ALWAYS, special_ring),
	RECORDED(io_setup, FIXED(1, 8)),
	SPECIAL(io_submit, RECORD_CALL_ALWAYS, special_io_submit),
	RECORDED(io_getevents, COUNTED(3, 2, KERNEL_IO_EVENT_BYTES)),
	RECORDED(io_pgetevents, COUNTED(3, 2, KERNEL_IO_EVENT_BYTES)),
	RECORDED(io_cancel, FIXED(2, KERNEL_IO_EVENT_BYTES)),
	STORES_NOTHING(io_destroy),
	/* Nothing for these to do. */
	STORES_NOTHING(io_uring_enter),
	STORES_NOTHING(io_uring_register),
	/* Queues and semaphores. */
	RECORDED(mq_getsetattr, FIXED(2, KERNEL_MQ_ATTR_BYTES)),
	BY_COMMAND(shmctl, A(2), special_shmctl),
	BY_COMMAND(msgctl, A(2), special_msgctl),
	BY_COMMAND(semctl, A(3), special_semctl),
	/* Time. */
	RECORDED(clock_gettime, TIMESPEC(1)),
	RECORDED(clock_getres, TIMESPEC(1)),
	RECORDED(gettimeofday, TIMESPEC(0), FIXED(1, 8)),
	RECORDED(time, FIXED(0, 8)),
	RECORDED(times, FIXED(0, 32)),
	RECORDED(nanosleep, TIMESPEC(1)),
	RECORDED(clock_nanosleep, TIMESPEC(3)),
	RECORDED(getitimer, FIXED(1, KERNEL_ITIMER_BYTES)),
	RECORDED(setitimer, FIXED(2, KERNEL_ITIMER_BYTES)),
	RECORDED(timer_create, FIXED(2, 4)),
	RECORDED(timer_gettime, FIXED(1, KERNEL_ITIMER_BYTES)),
	RECORDED(timer_settime, FIXED(3, KERNEL_ITIMER_BYTES)),
	RECORDED(timerfd_gettime, FIXED(1, KERNEL_ITIMER_BYTES)),
	RECORDED(timerfd_settime, FIXED(3, KERNEL_ITIMER_BYTES)),
	RECORDED(sched_rr_get_interval, TIMESPEC(1)),
	RECORDED(adjtimex, FIXED(0, KERNEL_TIMEX_BYTES)),
	RECORDED(clock_adjtime, FIXED(1, KERNEL_TIMEX_BYTES)),
	/* Processes. */
	RECORDED(uname, FIXED(0, KERNEL_UTSNAME_BYTES)),
	RECORDED(sysinfo, FIXED(0, KERNEL_SYSINFO_BYTES)),
	RECORDED(getrusage, FIXED(1, KERNEL_RUSAGE_BYTES)),
	RECORDED(getrlimit, FIXED(1, 16)),
	RECORDED(prlimit64, FIXED(3, 16)),
	RECORDED(wait4, FIXED(1, 4), FIXED(3, KERNEL_RUSAGE_BYTES)),
	RECORDED(waitid, FIXED(2, KERNEL_SIGINFO_BYTES), FIXED(4, KERNEL_RUSAGE_BYTES)),
	RECORDED(getcpu, FIXED(0, 4), FIXED(1, 4)),
	RECORDED(getresuid, FIXED(0, 4), FIXED(1, 4), FIXED(2, 4)),
	RECORDED(getresgid, FIXED(0, 4), FIXED(1, 4), FIXED(2, 4)),
	RECORDED(getgroups, COUNTED(1, 0, 4)),
	/* The version in the header, too, which the kernel corrects; two sets of three words. */
	RECORDED(capget, FIXED(0, 8), FIXED(1, 24)),
	RECORDED(capset, FIXED(0, 8)),
	RECORDED(sched_getaffinity, COUNTED(2, 1, 1)),
	RECORDED(sched_getparam, FIXED(1, 4)),
	RECORDED(sched_getattr, ARRAY(1, 2, 1)),
	/* Its first word is its size, which the kernel corrects. */
	RECORDED(sched_setattr, SIZED(1, 1)),
	RECORDED(get_mempolicy, FIXED(0, 4), BITS(1, 2)),
	RECORDED(move_pages, ARRAY(4, 1, 4)),
	RECORDED(get_robust_list, FIXED(1, 8), FIXED(2, 8)),
	RECORDED(rt_sigpending, FIXED(0, 8)),
	RECORDED(rt_sigtimedwait, FIXED(1, KERNEL_SIGINFO_BYTES)),
	SPECIAL(sigaltstack, RECORD_CALL_ALWAYS, special_sigaltstack),
	SPECIAL(rt_sigaction, RECORD_CALL_ALWAYS, special_sigaction),
	SPECIAL(rt_sigprocmask, RECORD_CALL_ALWAYS, special_sigmask),
	SPECIAL(fork, RECORD_CALL_ALWAYS, special_clone),
	SPECIAL(clone, RECORD_CALL_ALWAYS, special_clone),
	SPECIAL(clone3, RECORD_CALL_ALWAYS, special_clone),
	REFUSED(set_tid_address, A(0)),
	REFUSED(rseq, A(0)),
	SPECIAL(set_robust_list, RECORD_CALL_ALWAYS, special_robust_list),
	SPECIAL(futex, A(0) | A(4), special_futex),
	BY_COMMAND(prctl, A(1) | A(2) | A(4), special_prctl),
	BY_COMMAND(arch_prctl, A(1), special_arch_prctl),
	BY_COMMAND(seccomp, A(2), special_seccomp),
	FAULTS(modify_ldt),
	FAULTS_INSIDE(ptrace),
	FAULTS(keyctl),
	FAULTS_INSIDE(bpf),
	/* The kernel corrects its size, and does not say so if it cannot. */
	REFUSED(perf_event_open, A(0)),
	/* Mappings of pools. */
	SPECIAL(mmap, RECORD_CALL_ALWAYS, special_mapping),
	SPECIAL(munmap, A(0) | RECORD_CALL_LENGTH, special_mapping),
	SPECIAL(mremap, A(0) | A(4) | RECORD_CALL_LENGTH, special_mapping),
	SPECIAL(mprotect, A(0) | RECORD_CALL_LENGTH, special_mapping),
	SPECIAL(pkey_mprotect, A(0) | RECORD_CALL_LENGTH, special_mapping),
	SPECIAL(madvise, A(0) | RECORD_CALL_LENGTH, special_mapping),
	SPECIAL(msync, A(0) | RECORD_CALL_LENGTH, special_mapping),
	SPECIAL(remap_file_pages, A(0) | RECORD_CALL_LENGTH, special_mapping),
	SPECIAL(fsync, RECORD_CALL_ALWAYS, special_sync),
	SPECIAL(fdatasync, RECORD_CALL_ALWAYS, special_sync),
	REFUSED(shmat, A(1)),

	/* ---- Those that store nothing ---- */
	/* Files. */
	STORES_NOTHING(open), STORES_NOTHING(openat), STORES_NOTHING(openat2), STORES_NOTHING(creat),
	STORES_NOTHING(close), STORES_NOTHING(close_range), STORES_NOTHING(lseek), STORES_NOTHING(pwrite64),
	STORES_NOTHING(pwritev), STORES_NOTHING(pwritev2), STORES_NOTHING(access),
	STORES_NOTHING(faccessat), STORES_NOTHING(faccessat2), STORES_NOTHING(dup), STORES_NOTHING(dup2),
	STORES_NOTHING(dup3), STORES_NOTHING(flock), STORES_NOTHING(truncate), STORES_NOTHING(ftruncate),
	STORES_NOTHING(fallocate), STORES_NOTHING(fadvise64), STORES_NOTHING(readahead),
	STORES_NOTHING(sync), STORES_NOTHING(syncfs), STORES_NOTHING(sync_file_range), STORES_NOTHING(tee),
	STORES_NOTHING(rename), STORES_NOTHING(renameat), STORES_NOTHING(renameat2), STORES_NOTHING(link),
	STORES_NOTHING(linkat), STORES_NOTHING(symlink), STORES_NOTHING(symlinkat), STORES_NOTHING(unlink),
	STORES_NOTHING(unlinkat), STORES_NOTHING(mkdir), STORES_NOTHING(mkdirat), STORES_NOTHING(rmdir),
	STORES_NOTHING(mknod), STORES_NOTHING(mknodat), STORES_NOTHING(chmod), STORES_NOTHING(fchmod),
	STORES_NOTHING(fchmodat), STORES_NOTHING(chown), STORES_NOTHING(fchown), STORES_NOTHING(lchown),
	STORES_NOTHING(fchownat), STORES_NOTHING(umask), STORES_NOTHING(chdir), STORES_NOTHING(fchdir),
	STORES_NOTHING(chroot), STORES_NOTHING(utime), STORES_NOTHING(utimes), STORES_NOTHING(futimesat),
	STORES_NOTHING(utimensat), STORES_NOTHING(setxattr), STORES_NOTHING(lsetxattr),
	STORES_NOTHING(fsetxattr), STORES_NOTHING(removexattr), STORES_NOTHING(lremovexattr),
	STORES_NOTHING(fremovexattr), STORES_NOTHING(open_by_handle_at), STORES_NOTHING(memfd_create),
	STORES_NOTHING(memfd_secret), STORES_NOTHING(inotify_init), STORES_NOTHING(inotify_init1),
	STORES_NOTHING(inotify_add_watch), STORES_NOTHING(inotify_rm_watch), STORES_NOTHING(fanotify_init),
	STORES_NOTHING(fanotify_mark), STORES_NOTHING(mount), STORES_NOTHING(umount2),
	STORES_NOTHING(pivot_root), STORES_NOTHING(open_tree), STORES_NOTHING(move_mount),
	STORES_NOTHING(fsopen), STORES_NOTHING(fsconfig), STORES_NOTHING(fsmount), STORES_NOTHING(fspick),
	STORES_NOTHING(mount_setattr), STORES_NOTHING(swapon), STORES_NOTHING(swapoff),
	STORES_NOTHING(acct),
	/* Sockets, events and queues. */
	STORES_NOTHING(socket), STORES_NOTHING(connect), STORES_NOTHING(bind), STORES_NOTHING(listen),
	STORES_NOTHING(shutdown), STORES_NOTHING(setsockopt), STORES_NOTHING(epoll_create),
	STORES_NOTHING(epoll_create1), STORES_NOTHING(epoll_ctl), STORES_NOTHING(eventfd),
	STORES_NOTHING(eventfd2), STORES_NOTHING(signalfd), STORES_NOTHING(signalfd4),
	STORES_NOTHING(timerfd_create), STORES_NOTHING(semget), STORES_NOTHING(semop),
	STORES_NOTHING(semtimedop), STORES_NOTHING(shmget), STORES_NOTHING(shmdt), STORES_NOTHING(msgget),
	STORES_NOTHING(msgsnd), STORES_NOTHING(mq_open), STORES_NOTHING(mq_unlink),
	STORES_NOTHING(mq_timedsend), STORES_NOTHING(mq_notify),
	/* Time. */
	STORES_NOTHING(alarm), STORES_NOTHING(pause), STORES_NOTHING(timer_delete),
	STORES_NOTHING(timer_getoverrun), STORES_NOTHING(clock_settime), STORES_NOTHING(settimeofday),
	/* Processes and memory. */
	STORES_NOTHING(brk), STORES_NOTHING(mlock), STORES_NOTHING(mlock2), STORES_NOTHING(munlock),
	STORES_NOTHING(mlockall), STORES_NOTHING(munlockall), STORES_NOTHING(mbind),
	STORES_NOTHING(set_mempolicy), STORES_NOTHING(set_mempolicy_home_node),
	STORES_NOTHING(migrate_pages), STORES_NOTHING(pkey_alloc), STORES_NOTHING(pkey_free),
	STORES_NOTHING(process_madvise), STORES_NOTHING(process_mrelease), STORES_NOTHING(userfaultfd),
	STORES_NOTHING(membarrier), STORES_NOTHING(rt_sigreturn), STORES_NOTHING(rt_sigsuspend),
	STORES_NOTHING(rt_sigqueueinfo), STORES_NOTHING(rt_tgsigqueueinfo), STORES_NOTHING(restart_syscall),
	STORES_NOTHING(kill), STORES_NOTHING(tkill), STORES_NOTHING(tgkill), STORES_NOTHING(pidfd_open),
	STORES_NOTHING(pidfd_getfd), STORES_NOTHING(pidfd_send_signal), STORES_NOTHING(vfork),
	STORES_NOTHING(execve), STORES_NOTHING(execveat), STORES_NOTHING(exit), STORES_NOTHING(exit_group),
	STORES_NOTHING(unshare), STORES_NOTHING(setns), STORES_NOTHING(kcmp), STORES_NOTHING(personality),
	STORES_NOTHING(futex_waitv), STORES_NOTHING(sched_yield), STORES_NOTHING(sched_setaffinity),
	STORES_NOTHING(sched_setparam), STORES_NOTHING(sched_setscheduler),
	STORES_NOTHING(sched_getscheduler), STORES_NOTHING(sched_get_priority_max),
	STORES_NOTHING(sched_get_priority_min), STORES_NOTHING(getpriority), STORES_NOTHING(setpriority),
	STORES_NOTHING(ioprio_get), STORES_NOTHING(ioprio_set), STORES_NOTHING(setrlimit),
	STORES_NOTHING(getpid), STORES_NOTHING(gettid), STORES_NOTHING(getppid), STORES_NOTHING(getpgid),
	STORES_NOTHING(getpgrp), STORES_NOTHING(getsid), STORES_NOTHING(setsid), STORES_NOTHING(setpgid),
	STORES_NOTHING(getuid), STORES_NOTHING(geteuid), STORES_NOTHING(getgid), STORES_NOTHING(getegid),
	STORES_NOTHING(setuid), STORES_NOTHING(setgid), STORES_NOTHING(setreuid), STORES_NOTHING(setregid),
	STORES_NOTHING(setresuid), STORES_NOTHING(setresgid), STORES_NOTHING(setfsuid),
	STORES_NOTHING(setfsgid), STORES_NOTHING(setgroups), STORES_NOTHING(landlock_create_ruleset),
	STORES_NOTHING(landlock_add_rule), STORES_NOTHING(landlock_restrict_self), STORES_NOTHING(add_key),
	STORES_NOTHING(request_key),
	/* The machine. */
	STORES_NOTHING(sethostname), STORES_NOTHING(setdomainname), STORES_NOTHING(reboot),
	STORES_NOTHING(vhangup), STORES_NOTHING(iopl), STORES_NOTHING(ioperm), STORES_NOTHING(kexec_load),
	STORES_NOTHING(kexec_file_load), STORES_NOTHING(init_module), STORES_NOTHING(finit_module),
	STORES_NOTHING(delete_module),
	/* Numbers without a call. */
	NOT_THERE(uselib), NOT_THERE(_sysctl), NOT_THERE(create_module), NOT_THERE(get_kernel_syms),
	NOT_THERE(query_module), NOT_THERE(nfsservctl), NOT_THERE(getpmsg), NOT_THERE(putpmsg),
	NOT_THERE(afs_syscall), NOT_THERE(tuxcall), NOT_THERE(security), NOT_THERE(vserver),
	NOT_THERE(set_thread_area), NOT_THERE(get_thread_area), NOT_THERE(epoll_ctl_old),
	NOT_THERE(epoll_wait_old),
};

const struct kernel_call *kernel_call_by_number(int number)
{
	return number >= 0 && number < (int)CALLS && calls[number].name ? &calls[number] : NULL;
}

static uint8_t asked(const struct kernel_call *call)
{
	uint8_t which = call->asked | call->refused;

	/* All arguments of one that is not known. */
	if (!call->name || (call->faults && !call->special))
		return which | (A(6) - 1);
	for (unsigned i = 0; i < KERNEL_OUTPUTS_MAX; i++) {
		const struct kernel_output *output = &call->outputs[i];

		if (output->kind == KERNEL_OUTPUT_NONE)
			continue;
		which |= (uint8_t)A(output->argument);
		if (output->kind == KERNEL_OUTPUT_SIZED)
			which |= (uint8_t)A(output->length);
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
