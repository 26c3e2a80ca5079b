/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/*
 * The interface of libFuzzer: each target defines this function, and replay.c calls it where there is no
 * libFuzzer.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
