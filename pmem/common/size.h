/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COMMON_SIZE_H
#define COMMON_SIZE_H

#include <stddef.h>
#include <stdint.h>

/*
 * Parse a size as ndctl writes them: decimal or 0x hexadecimal bytes, with an
 * optional suffix K, M, G or T (powers of 1024; k, KiB and the like are the
 * same). Returns 0, -EINVAL (not a size) or -ERANGE (over 2^64-1).
 */
int size_parse(const char *text, uint64_t *out);

/* "64M", "1.5G", "4096": the shortest form a person reads. Returns buffer. */
char *size_format(uint64_t bytes, char *buffer, size_t buffer_size);

#endif
