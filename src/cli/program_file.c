/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/program_file.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "common/cleanup.h"

/* The kernel looks for a script's interpreter in so many bytes, and follows so many interpreters. */
enum { FIRST_BYTES = 256, INTERPRETERS_MAX = 5 };

union first_bytes {
	Elf64_Ehdr header;
	char text[FIRST_BYTES + 1]; /* ends with a zero */
};

/* ---- Where it is ---------------------------------------------------------------------- */

char *program_find(const char *name)
{
	const char *path = getenv("PATH");
	CLEANUP_FREE char *copy = strdup(path ? path : "/usr/bin:/bin");
	char *place, *rest = copy;
	int error = ENOENT;
	struct stat st;

	if (strchr(name, '/'))
		return access(name, F_OK) == 0 ? strdup(name) : NULL;
	while (rest && (place = strsep(&rest, ":"))) {
		char *program;

		if (asprintf(&program, "%s/%s", *place ? place : ".", name) < 0)
			return NULL;
		if (stat(program, &st) == 0 && S_ISREG(st.st_mode)) {
			if (access(program, X_OK) == 0)
				return program;
			error = errno; /* unless a later directory has one that can be run */
		}
		free(program);
	}
	errno = error;
	return NULL;
}

/* ---- What it names as its interpreter ---------------------------------------------------- */

/* Returns a descriptor of the file; -1 if it cannot be read. */
static int open_program(const char *program, union first_bytes *first)
{
	/* O_NONBLOCK: a fifo must not keep us waiting. */
	CLEANUP_FD int fd = open(program, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	*first = (union first_bytes){ .text = "" };
	if (fd < 0 || pread(fd, first->text, FIRST_BYTES, 0) < 0)
		return -1;
	return steal_fd(&fd);
}

static bool is_elf(const union first_bytes *first)
{
	return memcmp(first->header.e_ident, ELFMAG, SELFMAG) == 0;
}

static bool script_interpreter(const union first_bytes *first, char interpreter[PATH_MAX])
{
	const char *name = first->text + 2 + strspn(first->text + 2, " \t");
	const size_t length = strcspn(name, " \t\n");

	if (memcmp(first->text, "#!", 2) != 0 || length == 0 || name + length == first->text + FIRST_BYTES)
		return false;
	memcpy(interpreter, name, length);
	interpreter[length] = '\0';
	return true;
}

/* The program's part that names its loader: 1 if there is one, 0 if not, -1 if that is unknown. */
static int find_loader(int fd, const Elf64_Ehdr *header, Elf64_Phdr *part)
{
	for (unsigned i = 0; i < header->e_phnum; i++) {
		off_t at = (off_t)(header->e_phoff + (uint64_t)i * header->e_phentsize);

		if (pread(fd, part, sizeof(*part), at) != (ssize_t)sizeof(*part))
			return -1;
		if (part->p_type == PT_INTERP)
			return 1;
	}
	return 0;
}

static bool elf_interpreter(int fd, const Elf64_Ehdr *header, char interpreter[PATH_MAX])
{
	Elf64_Phdr part;

	if (header->e_ident[EI_CLASS] != ELFCLASS64 || find_loader(fd, header, &part) != 1 ||
	    part.p_filesz < 2 || part.p_filesz > PATH_MAX)
		return false;
	return pread(fd, interpreter, part.p_filesz, (off_t)part.p_offset) == (ssize_t)part.p_filesz &&
	       interpreter[part.p_filesz - 1] == '\0';
}

static bool find_interpreter(const char *program, char interpreter[PATH_MAX])
{
	union first_bytes first;
	CLEANUP_FD int fd = open_program(program, &first);

	if (fd < 0)
		return false;
	return is_elf(&first) ? elf_interpreter(fd, &first.header, interpreter) :
				script_interpreter(&first, interpreter);
}

/* ---- Can it be run? -------------------------------------------------------------------- */

int program_file_error(const char *program)
{
	struct stat st;

	if (stat(program, &st) < 0 || access(program, X_OK) < 0)
		return errno;
	return S_ISREG(st.st_mode) ? 0 : EACCES;
}

int program_interpreter_error(const char *program, char interpreter[PATH_MAX])
{
	char next[PATH_MAX];

	for (int i = 0; i < INTERPRETERS_MAX && find_interpreter(program, next); i++) {
		int error;

		strcpy(interpreter, next);
		error = program_file_error(interpreter);
		if (error)
			return error;
		program = interpreter;
	}
	return 0;
}

/* The status of a trial that could not be made. It is the errno of no failure. */
#define NOT_TRIED 255

/* Stops at its first instruction, because this process traces it. */
static void execute_stopped(const char *program, char **arguments, pid_t parent)
{
	/* The end of its tracer would let the program run. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent ||
	    ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
		_exit(NOT_TRIED);
	execv(program, arguments);
	_exit(errno);
}

/* Wait until the child is at its first instruction, or has ended. Returns its status; -1: unknown. */
static int wait_for_trial(pid_t child)
{
	int status;

	for (;;) {
		if (waitpid(child, &status, 0) != child)
			return -1;
		if (!WIFSTOPPED(status) || WSTOPSIG(status) == SIGTRAP)
			return status;
		/* A signal to all processes of a terminal. */
		ptrace(PTRACE_CONT, child, NULL, WSTOPSIG(status));
	}
}

int program_try(const char *program, char **arguments)
{
	char interpreter[PATH_MAX];
	const pid_t parent = getpid();
	const pid_t child = fork();
	int status;

	if (child == 0)
		execute_stopped(program, arguments, parent);
	status = child > 0 ? wait_for_trial(child) : -1;
	/* Under a debugger, which traces the child already, or where ptrace(2) is forbidden. */
	if (status < 0 || (WIFEXITED(status) && WEXITSTATUS(status) == NOT_TRIED))
		return program_interpreter_error(program, interpreter);
	if (WIFSTOPPED(status)) {
		kill(child, SIGKILL);
		waitpid(child, &status, 0);
		return 0;
	}
	/* Where the kernel notices too late that it cannot load the file, it ends the process. */
	return WIFSIGNALED(status) ? ENOEXEC : WEXITSTATUS(status);
}

/* ---- Will it load our libpmem? ----------------------------------------------------------- */

static void warn(const char *program, const char *what)
{
	fprintf(stderr, "softpmem: warning: %s: %s: it will run without softpmem's libpmem\n",
		program, what);
}

static void look_at_elf(const char *program, int fd, const Elf64_Ehdr *header)
{
	Elf64_Phdr part;

	if (header->e_ident[EI_VERSION] != EV_CURRENT)
		return; /* no program, which execve(2) says */
	if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_machine != EM_X86_64)
		warn(program, "it is not an x86-64 program and cannot load libpmem.so.1");
	else if (find_loader(fd, header, &part) == 0)
		warn(program, "it is linked statically and does not load libpmem.so.1");
}

/* The loader ignores LD_PRELOAD for a program that gains privileges. */
static void look_at_privileges(const char *program, int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return;
	if (((st.st_mode & S_ISUID) && st.st_uid != geteuid()) ||
	    ((st.st_mode & S_ISGID) && (st.st_mode & S_IXGRP) && st.st_gid != getegid()))
		warn(program, "it is setuid or setgid, and the loader ignores LD_PRELOAD");
	else if (geteuid() != 0 && fgetxattr(fd, "security.capability", NULL, 0) > 0)
		warn(program, "it has file capabilities, and the loader ignores LD_PRELOAD");
}

/* A script's interpreter may be a script again. */
static void look_at_program(const char *program, int interpreters)
{
	union first_bytes first;
	char interpreter[PATH_MAX];
	CLEANUP_FD int fd = open_program(program, &first);

	if (fd < 0)
		return;
	if (is_elf(&first)) {
		look_at_elf(program, fd, &first.header);
		look_at_privileges(program, fd);
	} else if (interpreters && script_interpreter(&first, interpreter)) {
		look_at_program(interpreter, interpreters - 1);
	}
}

void program_warn(const char *program)
{
	look_at_program(program, INTERPRETERS_MAX);
}
