/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Calls every function of libpmem with valid and invalid arguments, in the directory argv[1], and prints the
 * result of each call as one line. The same program with the system's libpmem must print the same for the
 * same kind of file.
 */

#include <errno.h>
#include <fcntl.h>
#include <libpmem.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static void map(const char *what, const char *path, size_t length, int flags)
{
	size_t mapped = 77;
	int is_pmem = 77;
	void *address;
	int error;

	errno = 0;
	address = pmem_map_file(path, length, flags, 0640, &mapped, &is_pmem);
	error = errno;
	if (!address) {
		printf("map %s: errno %d, %s; length %zu, is_pmem %d left alone\n", what, error,
		       pmem_errormsg(), mapped, is_pmem);
		return;
	}
	printf("map %s: length %zu, is_pmem %d, %s\n", what, mapped, is_pmem,
	       (uintptr_t)address % PMEM_MIN_PART == 0 ? "aligned" : "not aligned");
	printf("unmap: %d\n", pmem_unmap(address, mapped));
}

static void map_in_all_ways(void)
{
	map("what is not there", "none", 0, 0);
	map("with a length", "none", 4096, 0);
	map("creating, without a length", "a", 0, PMEM_FILE_CREATE);
	map("with a flag that is none", "a", 4096, 1 << 7);
	map("with EXCL alone", "none", 0, PMEM_FILE_EXCL);
	map("with SPARSE alone", "none", 0, PMEM_FILE_SPARSE);
	map("with TMPFILE alone", ".", 0, PMEM_FILE_TMPFILE);
	map("with TMPFILE and a length", ".", 4096, PMEM_FILE_TMPFILE);
	map("a new file", "a", 8192, PMEM_FILE_CREATE);
	map("a new file that is there", "a", 8192, PMEM_FILE_CREATE | PMEM_FILE_EXCL);
	map("a file that is there", "a", 0, 0);
	map("a file, with EXCL", "a", 0, PMEM_FILE_EXCL);
	map("a file, with SPARSE", "a", 0, PMEM_FILE_SPARSE);
	map("a file, cut", "a", 4096, PMEM_FILE_CREATE);
	map("a file, grown", "a", 3 << 20, PMEM_FILE_CREATE);
	map("an odd length", "b", 12345, PMEM_FILE_CREATE);
	map("a sparse file", "c", 4 << 20, PMEM_FILE_CREATE | PMEM_FILE_SPARSE);
	map("a nameless file", ".", 2 << 20, PMEM_FILE_CREATE | PMEM_FILE_TMPFILE);
	map("a nameless, sparse, exclusive file", ".", 2 << 20,
	    PMEM_FILE_CREATE | PMEM_FILE_TMPFILE | PMEM_FILE_EXCL | PMEM_FILE_SPARSE);
	map("a nameless file in a file", "a", 4096, PMEM_FILE_CREATE | PMEM_FILE_TMPFILE);
	map("a nameless file in nothing", "none", 4096, PMEM_FILE_CREATE | PMEM_FILE_TMPFILE);
	map("a negative length", "d", SIZE_MAX, PMEM_FILE_CREATE | PMEM_FILE_SPARSE);
	map("a directory", ".", 0, 0);
	map("a directory, creating", ".", 4096, PMEM_FILE_CREATE);
	close(open("empty", O_CREAT | O_RDWR, 0600));
	map("an empty file", "empty", 0, 0);
	if (chdir("/") == 0)
		map("no directory", "/nowhere/at/all", 4096, PMEM_FILE_CREATE);
}

static void say(const char *what, int result)
{
	int error = errno;

	printf("%s: %d", what, result);
	if (result < 0)
		printf(", errno %d, %s", error, pmem_errormsg());
	printf("\n");
	errno = 0;
}

static void ask_and_sync(unsigned char *at, size_t length)
{
	int local = 0;

	say("is_pmem of the mapping", pmem_is_pmem(at, length));
	say("is_pmem of a part", pmem_is_pmem(at + 100, 1000));
	say("is_pmem of an empty range", pmem_is_pmem(at, 0));
	say("is_pmem past its end", pmem_is_pmem(at, length + PMEM_MIN_PART));
	say("has_hw_drain", pmem_has_hw_drain());
	say("has_auto_flush", pmem_has_auto_flush());
	say("msync of an odd range", pmem_msync(at + 5, 100));
	say("msync of an empty range", pmem_msync(at + 5, 0));
	say("msync of unmapped memory", pmem_msync((void *)0x10000, 100));
	say("deep_persist of an odd range", pmem_deep_persist(at + 5, 100));
	say("deep_persist of an empty range", pmem_deep_persist(at + 5, 0));
	say("deep_drain", pmem_deep_drain(at + 5, 100));
	say("deep_persist of the stack", pmem_deep_persist(&local, sizeof(local)));
	say("deep_drain of unmapped memory", pmem_deep_drain((void *)0x10000, 100));
	pmem_deep_flush(at + 63, 2);
	pmem_flush(at + 1, 4097);
	pmem_drain();
	pmem_persist(at + 7, 1);
	pmem_persist(at + length - 1, 1);
	pmem_persist(&local, sizeof(local));
	pmem_persist(NULL, 0);
	say("unmap of an odd address", pmem_unmap(at + 1, 4096));
	say("unmap of an empty range", pmem_unmap(at, 0));
}

static unsigned long sum(const unsigned char *at, size_t length)
{
	unsigned long result = 5381;

	for (size_t i = 0; i < length; i++)
		result = result * 33 + at[i];
	return result;
}

static void copy_in_all_ways(unsigned char *at)
{
	static unsigned char source[70000];
	static const size_t lengths[] = { 0, 1, 7, 8, 63, 64, 65, 255, 256, 1000, 4096, 65536, 69999 };
	static const unsigned flags[] = { 0, PMEM_F_MEM_NODRAIN, PMEM_F_MEM_NONTEMPORAL, PMEM_F_MEM_TEMPORAL,
					  PMEM_F_MEM_WC, PMEM_F_MEM_WB, PMEM_F_MEM_NOFLUSH,
					  PMEM_F_MEM_VALID_FLAGS };

	for (size_t i = 0; i < sizeof(source); i++)
		source[i] = (unsigned char)(i * 7);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		size_t length = lengths[i];

		for (size_t f = 0; f < sizeof(flags) / sizeof(*flags); f++) {
			unsigned char *to = at + 4096 * f + i * 3;

			if (pmem_memcpy(to, source, length, flags[f]) != to ||
			    pmem_memmove(to + 5, to, length, flags[f]) != to + 5 ||
			    pmem_memmove(to + 2, to + 5, length, flags[f]) != to + 2 ||
			    pmem_memset(to + length / 2, 0x1ff & (int)f, length / 3, flags[f]) !=
				    to + length / 2)
				printf("a copy returned another address\n");
		}
		if (pmem_memcpy_persist(at, source + 1, length) != at ||
		    pmem_memcpy_nodrain(at + 9, source, length) != at + 9 ||
		    pmem_memmove_persist(at + 3, at, length) != at + 3 ||
		    pmem_memmove_nodrain(at + 1, at + 2, length) != at + 1 ||
		    pmem_memset_persist(at + 11, 300, length / 2) != at + 11 ||
		    pmem_memset_nodrain(at + 13, -1, length / 4) != at + 13)
			printf("a copy returned another address\n");
		pmem_drain();
		printf("after copies of %zu: %lx\n", length, sum(at, 200000));
	}
}

static void say_version(unsigned major, unsigned minor)
{
	const char *why = pmem_check_version(major, minor);

	printf("version %u.%u: %s\n", major, minor, why ? why : "good");
}

int main(int argc, char **argv)
{
	size_t length;
	int is_pmem;
	unsigned char *at;

	if (argc != 2 || chdir(argv[1]) != 0)
		return 2;
	umask(022);
	printf("no error yet: '%s'\n", pmem_errormsg());
	say_version(1, 0);
	say_version(1, 1);
	say_version(2, 0);
	say_version(0, 0);
	say_version(1, 99);
	at = pmem_map_file("main", 3 << 20, PMEM_FILE_CREATE, 0600, &length, &is_pmem);
	if (!at)
		return 1;
	printf("is_pmem %d\n", is_pmem);
	ask_and_sync(at, length);
	copy_in_all_ways(at);
	say("unmap", pmem_unmap(at, length));
	say("unmap again", pmem_unmap(at, length));
	at = pmem_map_file("main", 0, 0, 0, NULL, NULL);
	printf("after mapping it again: %lx\n", at ? sum(at, 3 << 20) : 0);
	map_in_all_ways();
	return 0;
}
