/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * padding FILE [branch]: persists a struct whose padding was never stored to, as PMDK's programs do.
 * "branch": also decides by an uninitialised byte, which memcheck is to report.
 */

#include <libpmem.h>
#include <stdio.h>
#include <string.h>

struct record {
	char tag; /* 7 bytes of padding follow */
	long number;
};

int main(int argc, char **argv)
{
	struct record record;
	volatile char never_stored_to;
	size_t length;
	char *at = argc >= 2 ? pmem_map_file(argv[1], 4096, PMEM_FILE_CREATE, 0600, &length, NULL) : NULL;

	if (!at)
		return 2;
	record.tag = 1;
	record.number = 2;
	for (int round = 0; round < 3; round++) {
		pmem_memcpy_persist(at, &record, sizeof(record));
		memcpy(at + 64, &record, sizeof(record));
		pmem_persist(at + 64, sizeof(record));
		memcpy(at + 128, &record, sizeof(record));
		pmem_msync(at + 128, sizeof(record));
	}
	if (argc == 3 && never_stored_to == 7)
		puts("seven");
	return pmem_unmap(at, length) ? 1 : 0;
}
