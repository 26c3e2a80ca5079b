/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * results_subject POOL: a program to be recorded, which lets the kernel store results of system calls to a
 * mapping of the file POOL, by functions of libc and by instructions of its own, and compares what is stored
 * with what the same call stores elsewhere. It prints what the calls return: the same whether it is recorded
 * or not.
 *
 * results_subject POOL NUMBER:ARGUMENT...: for each, a child makes the system call of this number with an
 * address in the pool in this argument, from 0, and -1 in the others; how the child ended is printed.
 */

#include "results.h"

#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "raw_call.h"

#define POOL_BYTES (1u << 20)

static unsigned char *pool;

static bool is_zero(const unsigned char *bytes)
{
	for (size_t i = 0; i < RESULT_BYTES; i++)
		if (bytes[i])
			return false;
	return true;
}

static void try_row(const struct result_row *row, bool raw)
{
	static _Alignas(4096) unsigned char elsewhere[RESULT_BYTES];
	const char *how = raw ? "by an instruction" : "by a function";
	unsigned char *at = pool + (raw ? RESULT_BYTES : 0);
	long wanted, got;

	memset(elsewhere, 0, sizeof(elsewhere));
	memset(at, 0, RESULT_BYTES);
	wanted = row->function(elsewhere, raw);
	got = row->function(at, raw);
	if (!row->varies && got != wanted)
		errx(1, "%s %s returns %ld, and %ld elsewhere", row->name, how, got, wanted);
	if ((got < 0) != (wanted < 0))
		errx(1, "%s %s: %ld, and %ld elsewhere", row->name, how, got, wanted);
	if (!row->varies && memcmp(at, elsewhere, RESULT_BYTES) != 0)
		errx(1, "%s %s has stored something else", row->name, how);
	if (got >= 0 && is_zero(at) && !is_zero(elsewhere))
		errx(1, "%s %s has stored nothing", row->name, how);
	printf("%s %s %s\n", row->name, how, got < 0 ? strerrorname_np((int)-got) : "succeeds");
}

static void try_rows(const struct result_row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		try_row(&rows[i], false);
		try_row(&rows[i], true);
	}
}

static void try_refusal(const char *which)
{
	long a[6] = { -1, -1, -1, -1, -1, -1 }, number;
	unsigned argument;
	int status;
	pid_t pid;

	if (sscanf(which, "%ld:%u", &number, &argument) != 2 || argument > 5)
		errx(2, "%s: no NUMBER:ARGUMENT", which);
	a[argument] = (long)pool;
	fflush(stdout);
	pid = fork();
	if (!pid) {
		call(number, a[0], a[1], a[2], a[3], a[4], a[5]);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		err(1, "fork");
	printf("%s %s\n", which, WIFEXITED(status) && !WEXITSTATUS(status) ? "returns" : "ends the process");
}

int main(int argc, char **argv)
{
	int file = argc > 1 ? open(argv[1], O_RDWR) : -1;

	pool = mmap(NULL, POOL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (pool == MAP_FAILED)
		err(2, "usage: results_subject POOL [NUMBER:ARGUMENT...]");
	for (int i = 2; i < argc; i++)
		try_refusal(argv[i]);
	if (argc > 2)
		return 0;
	try_rows(socket_rows, socket_row_count);
	try_rows(file_rows, file_row_count);
	try_rows(process_rows, process_row_count);
	return 0;
}
