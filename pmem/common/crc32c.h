/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COMMON_CRC32C_H
#define COMMON_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/*
 * CRC-32C (Castagnoli; RFC 3720, appendix B.4). Start with crc = 0; feeding the
 * result back in continues over the next bytes. Uses the SSE4.2 instruction
 * where the processor has it. Thread safe.
 */
uint32_t crc32c(uint32_t crc, const void *bytes, size_t length);

#endif
