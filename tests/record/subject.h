/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_RECORD_SUBJECT_H
#define TESTS_RECORD_SUBJECT_H

/* Of the pool that subject.c stores to, in bytes. */
#define SUBJECT_BYTES (1u << 20)
#define SUBJECT_COUNTER 0u /* 8 bytes, to which all add 1 by locked instructions */
#define SUBJECT_RACE 4096u
#define SUBJECT_SOURCE 196608u
#define SUBJECT_KERNEL 524288u

#endif
