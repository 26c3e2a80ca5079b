/* SPDX-License-Identifier: BSD-3-Clause */

#include "client/signal_handlers.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <ucontext.h>

#include "abi/rawcall.h"
#include "client/address_space.h"
#include "client/call_stack.h"
#include "client/child_actions.h"
#include "client/compiler.h"
#include "client/record/record.h"
#include "client/recording.h"
#include "client/signal_stacks.h"
#include "client/signals.h"

#define SIGNALS CLIENT_SIGNALS
#define BIT(number) ((uint64_t)1 << ((number) - 1))
/* The engine's: never blocked. */
#define RESTORER_FLAG 0x04000000u /* SA_RESTORER, which libc's headers do not have */
#define FAULTS (BIT(SIGSEGV) | BIT(SIGBUS) | BIT(SIGTRAP))

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* Guarded by the lock: what the program asked for. */
static struct client_kernel_action wanted[SIGNALS];
static void (*restorer)(void); /* libc's, which debuggers and unwinders know */
static atomic_bool owned;
/* The process that wanted[] is about. */
static long owner;

/* ---- The kernel's side --------------------------------------------------------------- */

static long kernel_sigaction(int number, const struct client_kernel_action *action,
			     struct client_kernel_action *old)
{
	return RAW4(rt_sigaction, number, action, old, sizeof(action->mask));
}

static bool is_fault(int number)
{
	return (FAULTS & BIT(number)) != 0;
}

static bool is_default(const struct client_kernel_action *action)
{
	return action->handler == (void *)SIG_DFL || action->handler == (void *)SIG_IGN;
}

/* Else the kernel does it by itself. */
static bool needs_handler(int number, const struct client_kernel_action *program)
{
	return is_fault(number) || !is_default(program);
}

typedef void handler_fn(int number, siginfo_t *info, void *context);
static handler_fn on_signal, on_child_signal;

/* Install what does what the program asked for, which `handler` looks up. The lock is held. */
static long install(int number, const struct client_kernel_action *program, handler_fn *handler)
{
	const uint64_t kept = SA_NOCLDSTOP | SA_NOCLDWAIT | SA_ONSTACK | SA_RESTART;
	struct client_kernel_action action = *program;

	if (needs_handler(number, program)) {
		action.handler = handler;
		action.flags = (program->flags & kept) | SA_SIGINFO | RESTORER_FLAG;
		action.restorer = restorer;
		/*
		 * Another signal must not come before it is known whether this one has interrupted a stub,
		 * and the engine's work is not interrupted. call_handler() sets the mask for the program's
		 * handler; a second signal that sigsuspend(2) lets through waits for its end.
		 */
		action.mask = ~(uint64_t)0;
	}
	return kernel_sigaction(number, &action, NULL);
}

/* ---- What the program asked for; the lock is held ---------------------------------------- */

/* A child has what its parent had, until it sets an action itself. */
static struct client_kernel_action of_child(int number)
{
	struct client_kernel_action *own, kernel;

	kernel_sigaction(number, NULL, &kernel);
	if (kernel.handler != on_signal && kernel.handler != on_child_signal)
		return kernel;
	own = kernel.handler == on_child_signal ? child_actions_find() : NULL;
	return own ? own[number] : wanted[number];
}

static struct client_kernel_action get(int number)
{
	return address_space_is_anothers() ? of_child(number) : wanted[number];
}

static long put(int number, const struct client_kernel_action *action)
{
	struct client_kernel_action *own;

	if (!address_space_is_anothers()) {
		wanted[number] = *action;
		return install(number, action, on_signal);
	}
	/* A child of this child must not change without need what this one has. */
	if (needs_handler(number, action)) {
		own = child_actions_find();
		if (!own)
			return -EAGAIN;
		own[number] = *action;
	}
	return install(number, action, on_child_signal);
}

/* ---- The program's handlers ------------------------------------------------------------ */

/* What to call, as of now. SA_RESETHAND: it is the last time. */
static struct client_kernel_action take_wanted(int number)
{
	uint64_t signals = signals_lock(&lock);
	const struct client_kernel_action action = get(number);
	struct client_kernel_action reset = action;

	if (!is_default(&action) && (action.flags & SA_RESETHAND)) {
		reset.handler = (void *)SIG_DFL;
		put(number, &reset);
	}
	signals_unlock(&lock, signals);
	return action;
}

/* End as the default action of SIGSEGV, SIGBUS or SIGTRAP does. */
static void default_action(int number, siginfo_t *info)
{
	struct client_kernel_action action = { .handler = (void *)SIG_DFL };
	uint64_t set = BIT(number);

	kernel_sigaction(number, &action, NULL);
	/* It waits until this handler returns; a fault would come again by itself, a trap would not. */
	RAW4(rt_tgsigqueueinfo, RAW1(getpid, 0), RAW1(gettid, 0), number, info);
	RAW4(rt_sigprocmask, SIG_UNBLOCK, &set, NULL, sizeof(set));
}

static void call_handler(int number, siginfo_t *info, ucontext_t *context)
{
	const struct client_kernel_action action = take_wanted(number);
	uint64_t mask;

	if (action.handler == (void *)SIG_IGN && info->si_code <= 0)
		return;
	if (is_default(&action)) {
		/* Of another signal it was set in this moment, and the kernel does it the next time. */
		if (is_fault(number))
			default_action(number, info);
		return;
	}
	/* The kernel's set is the beginning of libc's. */
	memcpy(&mask, &context->uc_sigmask, sizeof(mask));
	mask |= action.mask | (action.flags & SA_NODEFER ? 0 : BIT(number));
	mask &= ~FAULTS;
	RAW4(rt_sigprocmask, SIG_SETMASK, &mask, NULL, sizeof(mask));
	action.handler(number, info, context);
}

/* SIGSEGV and its like from an instruction, not from kill(2). */
static bool is_caused(int number, const siginfo_t *info)
{
	return (is_fault(number) || number == SIGFPE || number == SIGILL) && info->si_code > 0;
}

static void on_signal(int number, siginfo_t *info, void *context)
{
	if (is_caused(number, info)) {
		if (client_call_stack_faulted(context) || record_signal(number, info, context))
			return;
	} else if (record_defer(number, info, context)) {
		return;
	}
	call_handler(number, info, context);
}

/* By this the kernel tells an action that a child has set from one that it has from its parent. */
static void on_child_signal(int number, siginfo_t *info, void *context)
{
	on_signal(number, info, context);
}

/* ---- Taking over --------------------------------------------------------------------------- */

typedef int sigaction_fn(int number, const struct sigaction *action, struct sigaction *old);
typedef int sigmask_fn(int how, const sigset_t *set, sigset_t *old);

/* Found when the library is loaded, or before: a handler may call our functions. */
static sigaction_fn *next_sigaction;
static sigmask_fn *next_sigprocmask, *next_pthread_sigmask;

static AT_LOAD void find_next(void)
{
	next_sigaction = (sigaction_fn *)dlsym(RTLD_NEXT, "sigaction");
	next_sigprocmask = (sigmask_fn *)dlsym(RTLD_NEXT, "sigprocmask");
	next_pthread_sigmask = (sigmask_fn *)dlsym(RTLD_NEXT, "pthread_sigmask");
}

/* libc's restorer is in every action that it installs. */
static int learn_restorer(void)
{
	struct sigaction action, old;
	struct client_kernel_action kernel;

	action = (struct sigaction){ .sa_handler = SIG_DFL };
	if (next_sigaction(SIGTRAP, &action, &old) != 0)
		return -errno;
	kernel_sigaction(SIGTRAP, NULL, &kernel);
	restorer = kernel.restorer;
	next_sigaction(SIGTRAP, &old, NULL);
	return restorer ? 0 : -EOPNOTSUPP;
}

int client_signal_handlers_own(void)
{
	uint64_t signals = signals_lock(&lock), faults = FAULTS;
	int error = learn_restorer();

	for (int number = 1; number < SIGNALS && !error; number++) {
		if (number == SIGKILL || number == SIGSTOP)
			continue;
		if (kernel_sigaction(number, NULL, &wanted[number]) != 0 ||
		    install(number, &wanted[number], on_signal) != 0)
			error = -EINVAL;
	}
	if (!error) {
		owner = RAW1(getpid, 0);
		atomic_store(&owned, true);
		client_signal_stack_own();
	}
	signals_unlock(&lock, signals);
	RAW4(rt_sigprocmask, SIG_UNBLOCK, &faults, NULL, sizeof(faults));
	return error;
}

static bool is_ours(int number)
{
	return atomic_load(&owned) && number > 0 && number < SIGNALS && number != SIGKILL &&
	       number != SIGSTOP;
}

/* Its functions refuse these two: see sigaction_of_libc(). */
static bool libc_keeps(int number)
{
	return number >= 32 && number < SIGRTMIN;
}

void client_signal_handlers_own_again(void)
{
	uint64_t signals = signals_lock(&lock), faults = FAULTS;

	for (int number = 1; number < SIGNALS && !address_space_is_anothers(); number++) {
		struct client_kernel_action now;

		if (!is_ours(number) || kernel_sigaction(number, NULL, &now) != 0 ||
		    now.handler == on_signal || !needs_handler(number, &now))
			continue;
		put(number, &now);
	}
	signals_unlock(&lock, signals);
	RAW4(rt_sigprocmask, SIG_UNBLOCK, &faults, NULL, sizeof(faults));
}

void client_signal_handlers_fork_child(void)
{
	/* If a child of vfork() has called fork(), wanted[] is not about it. */
	const bool apart = RAW1(getppid, 0) != owner;

	pthread_mutex_init(&lock, NULL);
	owner = RAW1(getpid, 0);
	for (int number = 1; apart && number < SIGNALS; number++) {
		if (is_ours(number)) {
			const struct client_kernel_action action = of_child(number);

			put(number, &action);
		}
	}
}

/* ---- As libc has them ------------------------------------------------------------------------ */

static void to_program(const struct client_kernel_action *from, struct sigaction *to)
{
	memset(to, 0, sizeof(*to));
	to->sa_sigaction = from->handler;
	to->sa_flags = (int)(from->flags & ~(uint64_t)RESTORER_FLAG);
	memcpy(&to->sa_mask, &from->mask, sizeof(from->mask));
}

static struct client_kernel_action from_program(const struct sigaction *from)
{
	struct client_kernel_action to = { .handler = from->sa_sigaction,
				    .flags = (uint32_t)from->sa_flags | RESTORER_FLAG,
				    .restorer = restorer };

	memcpy(&to.mask, &from->sa_mask, sizeof(to.mask));
	return to;
}

bool client_signal_handlers_have(int number)
{
	return is_ours(number);
}

long client_signal_handlers_set(int number, const struct client_kernel_action *action,
				struct client_kernel_action *old)
{
	uint64_t signals = signals_lock(&lock);
	long error = 0;

	*old = get(number);
	if (action)
		error = put(number, action);
	signals_unlock(&lock, signals);
	return error;
}

static int set_action(int number, const struct sigaction *action, struct sigaction *old)
{
	struct client_kernel_action program, was;
	long error;

	if (action)
		program = from_program(action);
	error = client_signal_handlers_set(number, action ? &program : NULL, &was);
	if (error) {
		errno = (int)-error;
		return -1;
	}
	/* Not under the lock: it may lie in a pool. */
	if (old)
		to_program(&was, old);
	return 0;
}

/* Not the kernel's errors: those of libc's function come first. */
PUBLIC int sigaction(int number, const struct sigaction *action, struct sigaction *old)
{
	if (!next_sigaction)
		find_next();
	return is_ours(number) && !libc_keeps(number) ? set_action(number, action, old) :
							next_sigaction(number, action, old);
}

PUBLIC int __sigaction(int number, const struct sigaction *action, struct sigaction *old);
PUBLIC int __sigaction(int number, const struct sigaction *action, struct sigaction *old)
{
	return sigaction(number, action, old);
}

static sighandler_t set_handler(int number, sighandler_t handler, int flags)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = flags }, old;

	if (handler == SIG_ERR || number < 1 || number >= SIGNALS) {
		errno = EINVAL;
		return SIG_ERR;
	}
	return sigaction(number, &action, &old) == 0 ? old.sa_handler : SIG_ERR;
}

/*
 * BSD's meaning, which libc gives it by default; a mask of none and no SA_NODEFER is the same as its own
 * bit.
 */
PUBLIC sighandler_t signal(int number, sighandler_t handler)
{
	return set_handler(number, handler, SA_RESTART);
}

PUBLIC sighandler_t bsd_signal(int number, sighandler_t handler);
PUBLIC sighandler_t bsd_signal(int number, sighandler_t handler)
{
	return set_handler(number, handler, SA_RESTART);
}

PUBLIC sighandler_t ssignal(int number, sighandler_t handler)
{
	return set_handler(number, handler, SA_RESTART);
}

/* System V's: signal() of programs that ask for X/Open alone. */
PUBLIC sighandler_t sysv_signal(int number, sighandler_t handler)
{
	return set_handler(number, handler, (int)(SA_RESETHAND | SA_NODEFER));
}

PUBLIC sighandler_t __sysv_signal(int number, sighandler_t handler);
PUBLIC sighandler_t __sysv_signal(int number, sighandler_t handler)
{
	return set_handler(number, handler, (int)(SA_RESETHAND | SA_NODEFER));
}

uint64_t client_signal_mask(uint64_t mask)
{
	return mask & ~FAULTS;
}

/* The same set without the engine's signals, if they are to be blocked. */
static const sigset_t *without_faults(int how, const sigset_t *set, sigset_t *room)
{
	uint64_t mask;

	if (!set || how == SIG_UNBLOCK || !atomic_load(&owned))
		return set;
	*room = *set;
	memcpy(&mask, room, sizeof(mask));
	mask = client_signal_mask(mask);
	memcpy(room, &mask, sizeof(mask));
	return room;
}

/* The kernel stores the old set, the beginning of libc's, but not to a pool. */
static int set_mask(sigmask_fn *next, int how, const sigset_t *set, sigset_t *old)
{
	sigset_t room, was;
	int result = next(how, without_faults(how, set, &room), old ? &was : NULL);

	if (old && !result)
		memcpy(old, &was, sizeof(uint64_t));
	return result;
}

PUBLIC int sigprocmask(int how, const sigset_t *set, sigset_t *old)
{
	if (!next_sigprocmask)
		find_next();
	return set_mask(next_sigprocmask, how, set, old);
}

PUBLIC int pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
	if (!next_pthread_sigmask)
		find_next();
	return set_mask(next_pthread_sigmask, how, set, old);
}

static _Atomic uintptr_t original_sigmask;

static int sigmask_of_libc(int how, const sigset_t *set, sigset_t *old)
{
	return set_mask((sigmask_fn *)atomic_load_explicit(&original_sigmask, memory_order_relaxed), how, set,
			old);
}

static _Atomic uintptr_t original_sigaction;

/*
 * libc sets its own handlers by this function: of the signal by which pthread_cancel() ends a thread at once,
 * which would leave a stub in the middle of a store, and of the one by which setuid(2) reaches all threads.
 * sigset() and siginterrupt() call it without the symbol, too.
 */
static int sigaction_of_libc(int number, const struct sigaction *action, struct sigaction *old)
{
	sigaction_fn *original =
		(sigaction_fn *)atomic_load_explicit(&original_sigaction, memory_order_relaxed);

	return is_ours(number) ? set_action(number, action, old) : original(number, action, old);
}

int client_signal_handlers_replace(void)
{
	static const struct {
		const char *name;
		void (*replacement)(void);
		_Atomic uintptr_t *original;
	} functions[] = {
		{ "pthread_sigmask", (void (*)(void))sigmask_of_libc, &original_sigmask },
		{ "__libc_sigaction", (void (*)(void))sigaction_of_libc, &original_sigaction },
	};
	/* Not that of a library that interposes it. */
	void *libc = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);
	int error = libc ? 0 : -ENOENT;

	for (size_t i = 0; !error && i < sizeof(functions) / sizeof(functions[0]); i++) {
		void *function = dlsym(libc, functions[i].name);

		error = function ? record_replace((uintptr_t)function, (uintptr_t)functions[i].replacement,
						  functions[i].original) :
				   -ENOENT;
	}
	return error;
}
