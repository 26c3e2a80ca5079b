/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RECORD_PROCESS_MAP_H
#define RECORD_PROCESS_MAP_H

/* What the kernel knows of the memory at an address. Private to pmem/client/record. Async-signal-safe. */

#include <stdbool.h>
#include <stdint.h>

/*
 * May the code at `address` be changed? It has to be of a file, private, executable and not writable:
 * neither JIT code, which its maker changes, nor the vDSO, nor the client's own (record_setup).
 */
bool record_mapping_is_patchable(uint64_t address);

/* Call each() with every mapping, ascending, until it returns false. */
void record_mapping_each(bool (*each)(void *context, uint64_t start, uint64_t end), void *context);

#endif
