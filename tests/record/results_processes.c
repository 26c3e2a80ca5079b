/* SPDX-License-Identifier: BSD-3-Clause */

/* Processes, signals and time. */

#include "results.h"

#include <asm/prctl.h>
#include <err.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <threads.h>
#include <time.h>

#include "meanwhile.h"

static long uname_row(unsigned char *at, bool raw)
{
	return CALL(SYS_uname, uname, AT(struct utsname, 0));
}

/* How long the kernel's log is: nothing is stored. */
static long klogctl_row(unsigned char *at, bool raw)
{
	enum { SIZE_BUFFER = 10 };

	memset(at, 'x', 100);
	return CALL(SYS_syslog, klogctl, SIZE_BUFFER, (char *)at, 100);
}

static long sysinfo_row(unsigned char *at, bool raw)
{
	return CALL(SYS_sysinfo, sysinfo, AT(struct sysinfo, 0));
}

static long times_row(unsigned char *at, bool raw)
{
	/* So that it is not all zero. */
	*AT(clock_t, 64) = 1;
	return CALL(SYS_times, times, AT(struct tms, 0)) > 0 ? 0 : -1;
}

static long getrusage_row(unsigned char *at, bool raw)
{
	return CALL(SYS_getrusage, getrusage, RUSAGE_SELF, AT(struct rusage, 0));
}

static long prlimit_row(unsigned char *at, bool raw)
{
	return CALL(SYS_prlimit64, prlimit, 0, RLIMIT_NOFILE, NULL, AT(struct rlimit, 0));
}

static long getrlimit_row(unsigned char *at, bool raw)
{
	return CALL(SYS_getrlimit, getrlimit, RLIMIT_STACK, AT(struct rlimit, 0));
}

static long getgroups_row(unsigned char *at, bool raw)
{
	return CALL(SYS_getgroups, getgroups, 100, AT(gid_t, 0));
}

static long getresuid_row(unsigned char *at, bool raw)
{
	*AT(uid_t, 100) = 1;
	return CALL(SYS_getresuid, getresuid, AT(uid_t, 0), AT(uid_t, 4), AT(uid_t, 8));
}

static pid_t child_that_ends(void)
{
	pid_t pid = fork();

	if (!pid)
		_exit(7);
	if (pid < 0)
		err(1, "fork");
	return pid;
}

static long wait4_row(unsigned char *at, bool raw)
{
	pid_t pid = child_that_ends();

	return CALL(SYS_wait4, wait4, pid, AT(int, 0), 0, NULL) - pid;
}

static long wait4_usage_row(unsigned char *at, bool raw)
{
	pid_t pid = child_that_ends();

	return CALL(SYS_wait4, wait4, pid, AT(int, 0), 0, AT(struct rusage, 64)) - pid;
}

static long waitid_row(unsigned char *at, bool raw)
{
	pid_t pid = child_that_ends();

	return raw ? call(SYS_waitid, P_PID, pid, at, WEXITED, at + 256) :
		     or_errno(waitid(P_PID, (id_t)pid, AT(siginfo_t, 0), WEXITED));
}

static long sched_getaffinity_row(unsigned char *at, bool raw)
{
	return raw ? (call(SYS_sched_getaffinity, 0, 128UL, at) > 0 ? 0 : -1) :
		     or_errno(sched_getaffinity(0, 128, AT(cpu_set_t, 0)));
}

static long pthread_getaffinity_row(unsigned char *at, bool raw)
{
	(void)raw;
	return -pthread_getaffinity_np(pthread_self(), 128, AT(cpu_set_t, 0));
}

static long sched_getattr_row(unsigned char *at, bool raw)
{
	return BY_NUMBER(SYS_sched_getattr, 0, at, 48U, 0U);
}

/* Its size is wrong: the kernel says what it should be. */
static long sched_setattr_row(unsigned char *at, bool raw)
{
	*AT(unsigned, 0) = 256;
	at[200] = 1;
	return BY_NUMBER(SYS_sched_setattr, 0, at, 0U);
}

static long sched_getparam_row(unsigned char *at, bool raw)
{
	*AT(int, 0) = 77;
	return CALL(SYS_sched_getparam, sched_getparam, 0, AT(struct sched_param, 0));
}

static long pthread_getname_row(unsigned char *at, bool raw)
{
	return raw ? call(SYS_prctl, PR_GET_NAME, at) :
		     -pthread_getname_np(pthread_self(), (char *)at, 16);
}

static long prctl_row(unsigned char *at, bool raw)
{
	return CALL(SYS_prctl, prctl, PR_GET_NAME, at);
}

/* What the kernel only reads. */
static long prctl_set_row(unsigned char *at, bool raw)
{
	strcpy((char *)at, "results");
	return CALL(SYS_prctl, prctl, PR_SET_NAME, at);
}

static long arch_prctl_row(unsigned char *at, bool raw)
{
	return BY_NUMBER(SYS_arch_prctl, ARCH_GET_FS, at);
}

int capget(void *header, void *sets);

static long capget_row(unsigned char *at, bool raw)
{
	*AT(unsigned, 0) = _LINUX_CAPABILITY_VERSION_3;
	return CALL(SYS_capget, capget, at, at + 64);
}

/* The kernel says which version it has. */
static long capget_version_row(unsigned char *at, bool raw)
{
	*AT(unsigned, 0) = 5;
	return CALL(SYS_capget, capget, at, NULL);
}

static long getcpu_row(unsigned char *at, bool raw)
{
	*AT(unsigned, 64) = 1;
	return CALL(SYS_getcpu, getcpu, AT(unsigned, 0), AT(unsigned, 4));
}

static long get_mempolicy_row(unsigned char *at, bool raw)
{
	*AT(int, 0) = 77;
	return BY_NUMBER(SYS_get_mempolicy, at, at + 64, 1024UL, NULL, 0UL);
}

static long move_pages_row(unsigned char *at, bool raw)
{
	void *pages[3] = { pages, mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), pages };

	*AT(int, 0) = *AT(int, 4) = *AT(int, 8) = 77;
	return BY_NUMBER(SYS_move_pages, 0, 3UL, pages, NULL, at, 0);
}

static long get_robust_list_row(unsigned char *at, bool raw)
{
	return BY_NUMBER(SYS_get_robust_list, 0, at, at + 8);
}

/* ---- Signals --------------------------------------------------------------------------------- */

/* libc's structure is another one than the kernel's. */
static long sigaction_row(unsigned char *at, bool raw)
{
	struct sigaction action = { .sa_handler = SIG_IGN };

	sigaction(SIGUSR2, &action, NULL);
	return raw ? call(SYS_rt_sigaction, SIGUSR2, NULL, at, 8UL) :
		     or_errno(sigaction(SIGUSR2, NULL, AT(struct sigaction, 0)));
}

static long sigprocmask_row(unsigned char *at, bool raw)
{
	sigset_t set;
	long result;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	result = raw ? call(SYS_rt_sigprocmask, SIG_UNBLOCK, &set, at, 8UL) :
		       or_errno(sigprocmask(SIG_UNBLOCK, &set, AT(sigset_t, 0)));
	return result;
}

static long sigpending_row(unsigned char *at, bool raw)
{
	sigset_t set;
	int ignored;
	long result;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	raise(SIGUSR1);
	result = raw ? call(SYS_rt_sigpending, at, 8UL) : or_errno(sigpending(AT(sigset_t, 0)));
	sigwait(&set, &ignored);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	return result;
}

static long sigtimedwait_row(unsigned char *at, bool raw)
{
	const struct timespec now = { .tv_sec = 0 };
	sigset_t set;
	long result;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	raise(SIGUSR1);
	result = raw ? call(SYS_rt_sigtimedwait, &set, at, &now, 8UL) :
		       or_errno(sigtimedwait(&set, AT(siginfo_t, 0), &now));
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	return result;
}

static long sigaltstack_row(unsigned char *at, bool raw)
{
	return CALL(SYS_sigaltstack, sigaltstack, NULL, AT(stack_t, 0));
}

/* ---- Time ------------------------------------------------------------------------------------ */

static void do_nothing(int number)
{
	(void)number;
}

/* A sleep of this thread will be interrupted by a signal. */
static void interrupt_sleep(struct meanwhile *interruption)
{
	struct sigaction action = { .sa_handler = do_nothing };

	sigaction(SIGALRM, &action, NULL);
	interruption_begin(interruption, SYS_nanosleep, SYS_clock_nanosleep);
}

/* What is left of it is stored. */
static long left(const struct meanwhile *interruption, long result, long interrupted)
{
	meanwhile_end(interruption);
	return result == interrupted ? 0 : -EIO;
}

static long nanosleep_row(unsigned char *at, bool raw)
{
	const struct timespec minute = { .tv_sec = 60 };
	struct meanwhile signal;

	interrupt_sleep(&signal);
	return left(&signal, CALL(SYS_nanosleep, nanosleep, &minute, AT(struct timespec, 0)), -EINTR);
}

static long clock_nanosleep_row(unsigned char *at, bool raw)
{
	const struct timespec minute = { .tv_sec = 60 };
	struct meanwhile signal;

	interrupt_sleep(&signal);
	if (raw)
		return left(&signal, call(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &minute, at), -EINTR);
	return left(&signal, clock_nanosleep(CLOCK_MONOTONIC, 0, &minute, AT(struct timespec, 0)), EINTR);
}

static long thrd_sleep_row(unsigned char *at, bool raw)
{
	const struct timespec minute = { .tv_sec = 60 };
	struct meanwhile signal;

	(void)raw;
	interrupt_sleep(&signal);
	return left(&signal, thrd_sleep(&minute, AT(struct timespec, 0)), -1);
}

static long clock_gettime_row(unsigned char *at, bool raw)
{
	return CALL(SYS_clock_gettime, clock_gettime, CLOCK_REALTIME, AT(struct timespec, 0));
}

/* These two the vDSO does not know. */
static long process_clock_row(unsigned char *at, bool raw)
{
	return CALL(SYS_clock_gettime, clock_gettime, CLOCK_PROCESS_CPUTIME_ID, AT(struct timespec, 0));
}

static long thread_clock_row(unsigned char *at, bool raw)
{
	clockid_t clock;

	pthread_getcpuclockid(pthread_self(), &clock);
	return CALL(SYS_clock_gettime, clock_gettime, clock, AT(struct timespec, 0));
}

static long timespec_get_row(unsigned char *at, bool raw)
{
	(void)raw;
	return timespec_get(AT(struct timespec, 0), TIME_UTC) == TIME_UTC ? 0 : -EINVAL;
}

static long clock_getres_row(unsigned char *at, bool raw)
{
	return CALL(SYS_clock_getres, clock_getres, CLOCK_REALTIME, AT(struct timespec, 0));
}

static long gettimeofday_row(unsigned char *at, bool raw)
{
	return CALL(SYS_gettimeofday, gettimeofday, AT(struct timeval, 0), NULL);
}

static long time_row(unsigned char *at, bool raw)
{
	return CALL(SYS_time, time, AT(time_t, 0)) == *AT(time_t, 0) ? 0 : -EIO;
}

static long getitimer_row(unsigned char *at, bool raw)
{
	const struct itimerval later = { .it_value = { .tv_sec = 1000 } }, never = { .it_value = { 0 } };
	long result;

	setitimer(ITIMER_VIRTUAL, &later, NULL);
	result = CALL(SYS_getitimer, getitimer, ITIMER_VIRTUAL, AT(struct itimerval, 0));
	setitimer(ITIMER_VIRTUAL, &never, NULL);
	return result;
}

static long timer_row(unsigned char *at, bool raw)
{
	const struct itimerspec later = { .it_value = { .tv_sec = 1000 } };
	struct sigevent nobody = { .sigev_notify = SIGEV_NONE };
	timer_t timer;
	int number;
	long result;

	/* libc's number may be another one than the kernel's. */
	if (raw) {
		result = call(SYS_timer_create, CLOCK_MONOTONIC, &nobody, &number);
		call(SYS_timer_settime, number, 0, &later, at);
		result |= call(SYS_timer_gettime, number, at);
		call(SYS_timer_delete, number);
		return result;
	}
	result = timer_create(CLOCK_MONOTONIC, &nobody, &timer);
	timer_settime(timer, 0, &later, AT(struct itimerspec, 64));
	result |= timer_gettime(timer, AT(struct itimerspec, 0));
	timer_delete(timer);
	return or_errno(result);
}

static long adjtimex_row(unsigned char *at, bool raw)
{
	return CALL(SYS_adjtimex, adjtimex, AT(struct timex, 0));
}

static long clock_adjtime_row(unsigned char *at, bool raw)
{
	return CALL(SYS_clock_adjtime, clock_adjtime, CLOCK_REALTIME, AT(struct timex, 0));
}

static long sched_rr_get_interval_row(unsigned char *at, bool raw)
{
	*AT(long, 0) = 77;
	return CALL(SYS_sched_rr_get_interval, sched_rr_get_interval, 0, AT(struct timespec, 0));
}

const struct result_row process_rows[] = {
	{ "uname", uname_row, false },
	{ "klogctl of a size", klogctl_row, false },
	{ "sysinfo", sysinfo_row, true },
	{ "times", times_row, true },
	{ "getrusage", getrusage_row, true },
	{ "prlimit", prlimit_row, false },
	{ "getrlimit", getrlimit_row, false },
	{ "getgroups", getgroups_row, false },
	{ "getresuid", getresuid_row, false },
	{ "wait4", wait4_row, false },
	{ "wait4 with usage", wait4_usage_row, true },
	{ "waitid", waitid_row, true },
	{ "sched_getaffinity", sched_getaffinity_row, false },
	{ "pthread_getaffinity_np", pthread_getaffinity_row, false },
	{ "sched_getattr", sched_getattr_row, false },
	{ "sched_setattr of a wrong size", sched_setattr_row, false },
	{ "sched_getparam", sched_getparam_row, false },
	{ "prctl that sets a name", prctl_set_row, false },
	{ "pthread_getname_np", pthread_getname_row, false },
	{ "prctl", prctl_row, false },
	{ "arch_prctl", arch_prctl_row, false },
	{ "capget", capget_row, false },
	{ "capget of a wrong version", capget_version_row, false },
	{ "getcpu", getcpu_row, true },
	{ "get_mempolicy", get_mempolicy_row, false },
	{ "move_pages", move_pages_row, true },
	{ "get_robust_list", get_robust_list_row, false },
	{ "sigaction", sigaction_row, false },
	{ "sigprocmask", sigprocmask_row, false },
	{ "sigpending", sigpending_row, false },
	{ "sigtimedwait", sigtimedwait_row, false },
	{ "sigaltstack", sigaltstack_row, false },
	{ "nanosleep", nanosleep_row, true },
	{ "clock_nanosleep", clock_nanosleep_row, true },
	{ "thrd_sleep", thrd_sleep_row, true },
	{ "clock_gettime", clock_gettime_row, true },
	{ "clock_gettime of a process", process_clock_row, true },
	{ "clock_gettime of a thread", thread_clock_row, true },
	{ "timespec_get", timespec_get_row, true },
	{ "clock_getres", clock_getres_row, false },
	{ "gettimeofday", gettimeofday_row, true },
	{ "time", time_row, true },
	{ "getitimer", getitimer_row, true },
	{ "timer_gettime", timer_row, true },
	{ "adjtimex", adjtimex_row, true },
	{ "clock_adjtime", clock_adjtime_row, true },
	{ "sched_rr_get_interval", sched_rr_get_interval_row, false },
};
const size_t process_row_count = COUNT(process_rows);
