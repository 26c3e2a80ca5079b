/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLIENT_MAPPING_H
#define CLIENT_MAPPING_H

/*
 * mmap(2) and its relatives, with views in the place of pools. Arguments are the program's, unchecked.
 * They return what the system call returns, or a negative errno; errno is left alone. Thread-safe.
 */

#include <stddef.h>
#include <sys/types.h>

long client_mmap(void *address, size_t length, int prot, int flags, int fd, off_t offset);
long client_munmap(void *address, size_t length);
long client_mremap(void *address, size_t old_size, size_t new_size, int flags, void *new_address);

#endif
