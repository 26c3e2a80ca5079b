/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * pointers_subject WHAT POOL: a program to be recorded, which makes the call WHAT by a function of libc. Its
 * command, or a structure in memory, says that its result goes to a mapping of the file POOL. It prints what
 * it saw: the same whether it is recorded or not.
 */

#include <asm/prctl.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define POOL_BYTES (1u << 20)

/* libc's, which its headers do not have. */
int arch_prctl(int command, void *address);
int modify_ldt(int command, void *table, unsigned long bytes);

static unsigned char *pool;

static void expect(const char *what, long got, long wanted)
{
	if (got != wanted)
		errx(1, "%s: %ld instead of %ld, errno %s", what, got, wanted, strerrorname_np(errno));
	printf("%s: %ld\n", what, got);
}

/* Of a child that waits for its parent. */
static void ask_of_traced(bool by_structure)
{
	struct iovec part = { .iov_base = pool + 8192, .iov_len = 512 };
	pid_t pid = fork();
	long result;

	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		_exit(0);
	}
	expect("waitpid", waitpid(pid, NULL, 0) - pid, 0);
	result = by_structure ? ptrace(PTRACE_GETREGSET, pid, (void *)1 /* NT_PRSTATUS */, &part) :
				ptrace(PTRACE_GETREGS, pid, NULL, pool + 8192);
	kill(pid, SIGKILL);
	expect("ptrace", result, 0);
}

static void registers(void)
{
	ask_of_traced(false);
}

static void register_set(void)
{
	ask_of_traced(true);
}

/* A word of the child's that looks like an error. */
static void peek(void)
{
	volatile long *word = (volatile long *)(void *)(pool + 4096);
	pid_t pid;

	*word = -1;
	pid = fork();
	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		_exit(0);
	}
	expect("waitpid", waitpid(pid, NULL, 0) - pid, 0);
	errno = EBUSY;
	expect("ptrace", ptrace(PTRACE_PEEKDATA, pid, word, NULL), -1);
	expect("errno", errno, 0);
	kill(pid, SIGKILL);
}

static void interfaces(void)
{
	struct ifconf list = { .ifc_len = 400, .ifc_buf = (char *)pool + 8192 };

	expect("SIOCGIFCONF", ioctl(socket(AF_INET, SOCK_DGRAM, 0), SIOCGIFCONF, &list), 0);
}

static void descriptors_table(void)
{
	expect("modify_ldt", modify_ldt(2, pool + 8192, 128), 128);
}

static void own_register(void)
{
	expect("arch_prctl", arch_prctl(ARCH_GET_FS, pool + 8192), 0);
	expect("%fs", *(uintptr_t *)(void *)(pool + 8192) == (uintptr_t)pthread_self(), 1);
	*(uintptr_t *)(void *)(pool + 8192) = 0;
}

static void bad_addresses(void)
{
	struct ifconf list = { .ifc_len = 400, .ifc_buf = (char *)64 };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	expect("SIOCGIFCONF", ioctl(fd, SIOCGIFCONF, &list), -1);
	expect("its errno", errno, EFAULT);
	expect("FIONREAD", ioctl(fd, FIONREAD, (void *)64), -1);
	expect("its errno", errno, EFAULT);
}

static void shared_segment(void)
{
	int segment = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600);
	const void *attached = shmat(segment, pool + 65536, SHM_REMAP);

	shmctl(segment, IPC_RMID, NULL);
	expect("shmat", attached == pool + 65536, 1);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*function)(void);
	} calls[] = {
		{ "registers", registers },	  { "register-set", register_set },
		{ "peek", peek },		  { "interfaces", interfaces },
		{ "descriptors", descriptors_table }, { "own-register", own_register },
		{ "bad-addresses", bad_addresses },   { "segment", shared_segment },
	};
	int file = argc == 3 ? open(argv[2], O_RDWR) : -1;

	pool = mmap(NULL, POOL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (pool == MAP_FAILED)
		err(2, "usage: pointers_subject WHAT POOL");
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		if (strcmp(argv[1], calls[i].name) == 0) {
			calls[i].function();
			return 0;
		}
	}
	errx(2, "%s: unknown", argv[1]);
}
