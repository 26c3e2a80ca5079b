/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Each system call that the system's headers number has a row in the table of what is done while a program is
 * recorded, and so has the documentation. `test_calls list` prints the table as the documentation has it,
 * `test_calls refused` what is refused before the call is made, a NUMBER:ARGUMENT a line.
 */

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../e2e/tap.h"
#include "client/kernel_calls.h"
#include "client/special_calls.h"

unsigned tap_run, tap_failed;

static const struct {
	const char *name;
	int number;
} listed[] = {
#include "tests/record/call_numbers.h"
};
#define LISTED (sizeof(listed) / sizeof(listed[0]))

/* What they do is tested where programs are recorded. */
#define IS_SPECIAL(function)                                            \
	enum record_call_way function(struct record_system_call *call) \
	{                                                               \
		(void)call;                                             \
		return RECORD_CALL_AS_IT_IS;                            \
	}
IS_SPECIAL(special_parts)
IS_SPECIAL(special_io_submit)
IS_SPECIAL(special_recvmsg)
IS_SPECIAL(special_recvmmsg)
IS_SPECIAL(special_process_vm_writev)
IS_SPECIAL(special_vmsplice)
IS_SPECIAL(special_output)
IS_SPECIAL(special_sendmmsg)
IS_SPECIAL(special_file_handle)
IS_SPECIAL(special_msgrcv)
IS_SPECIAL(special_fcntl)
IS_SPECIAL(special_shmctl)
IS_SPECIAL(special_msgctl)
IS_SPECIAL(special_semctl)
IS_SPECIAL(special_prctl)
IS_SPECIAL(special_arch_prctl)
IS_SPECIAL(special_seccomp)
IS_SPECIAL(special_ioctl)
IS_SPECIAL(special_ring)
IS_SPECIAL(special_sigaction)
IS_SPECIAL(special_sigmask)
IS_SPECIAL(special_sigaltstack)
IS_SPECIAL(special_clone)
IS_SPECIAL(special_robust_list)
IS_SPECIAL(special_futex)
IS_SPECIAL(special_mapping)
IS_SPECIAL(special_sync)

/* In the order of the documentation. */
enum decision { RECORDED, SEEN, MAPPED, REFUSED, ON_FAULT, NO_RINGS, NOTHING, DECISIONS };
static const char *const titles[DECISIONS] = {
	[RECORDED] = "Results that the kernel would store to a pool are recorded:",
	[SEEN] = "What the program asks for is seen, results are recorded, and what cannot be is refused:",
	[MAPPED] = "Mappings and files of pools are treated as by the functions of libc:",
	[REFUSED] = "Ends the process if a result would go to a pool:",
	[ON_FAULT] = "Is made, and ends the process if it fails with EFAULT and concerns a pool:",
	[NO_RINGS] = "Fails with ENOSYS:",
	[NOTHING] = "Stores nothing to memory of the program:",
};

static enum decision decision_of(const struct kernel_call *call)
{
	if (call->special == special_ring)
		return NO_RINGS;
	if (call->special == special_mapping || call->special == special_sync)
		return MAPPED;
	if (call->special)
		return SEEN;
	if (call->refused)
		return REFUSED;
	if (call->faults)
		return ON_FAULT;
	return call->outputs[0].kind == KERNEL_OUTPUT_NONE ? NOTHING : RECORDED;
}

static void list(void)
{
	for (unsigned decision = 0; decision < DECISIONS; decision++) {
		size_t columns = 0;

		printf("%s%s\n", decision ? "\n" : "", titles[decision]);
		for (size_t i = 0; i < LISTED; i++) {
			const struct kernel_call *call = kernel_call_by_number(listed[i].number);

			if (!call || decision_of(call) != decision)
				continue;
			if (columns + strlen(call->name) > 110) {
				putchar('\n');
				columns = 0;
			}
			columns += (size_t)printf("%s`%s`", columns ? " " : "", call->name);
		}
		putchar('\n');
	}
}

static void list_refused(void)
{
	for (size_t i = 0; i < LISTED; i++) {
		const struct kernel_call *call = kernel_call_by_number(listed[i].number);

		for (unsigned argument = 0; call && argument < 6; argument++)
			if (call->refused >> argument & 1)
				printf("%d:%u %s\n", listed[i].number, argument, call->name);
	}
}

static void test_all_are_there(void)
{
	unsigned missing = 0, misnamed = 0, too_large = 0;

	for (size_t i = 0; i < LISTED; i++) {
		const struct kernel_call *call = kernel_call_by_number(listed[i].number);

		too_large += listed[i].number >= (int)RECORD_CALL_NUMBERS;
		missing += !call;
		misnamed += call && strcmp(call->name, listed[i].name) != 0;
		if (!call || strcmp(call->name, listed[i].name) != 0)
			printf("# %s\n", listed[i].name);
	}
	OK(LISTED > 350, "the system's headers number its calls");
	OK(!too_large, "the table is large enough for all of them");
	OK(!missing, "there is a decision for each of them");
	OK(!misnamed, "each has its name");
}

/* Which of its arguments are looked at is what its results are. */
static void test_arguments_are_looked_at(void)
{
	const uint8_t *asked = kernel_calls_of_interest();
	unsigned wrong = 0;

	for (size_t i = 0; i < LISTED; i++) {
		const struct kernel_call *call = kernel_call_by_number(listed[i].number);
		uint8_t wanted = call->refused;

		if (decision_of(call) == NOTHING && asked[listed[i].number])
			wrong++;
		for (unsigned j = 0; j < KERNEL_OUTPUTS_MAX; j++)
			if (call->outputs[j].kind != KERNEL_OUTPUT_NONE)
				wanted |= (uint8_t)(1u << call->outputs[j].argument);
		wrong += (asked[listed[i].number] & wanted) != wanted;
	}
	OK(!wrong, "the arguments that tell of results are looked at, and others are not");
	OK(asked[RECORD_CALL_NUMBERS - 1] == 0x3f, "all arguments of a call that is not known are looked at");
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "list") == 0)
		list();
	else if (argc == 2 && strcmp(argv[1], "refused") == 0)
		list_refused();
	if (argc == 2)
		return 0;
	test_all_are_there();
	test_arguments_are_looked_at();
	return tap_done();
}
