/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RECORD_ELF_FUNCTIONS_H
#define RECORD_ELF_FUNCTIONS_H

/*
 * Where the functions of a loaded object are, by what it brings along: .eh_frame_hdr and .eh_frame, the
 * dynamic symbols, and the symbols of its file. Everything read is checked against the object's segments or
 * the file's size. Private to pmem/client/record. Not in signal handlers: uses malloc().
 */

#include <link.h>
#include <stdbool.h>
#include <stdint.h>

struct record_function {
	uint64_t start, end;
};

struct record_functions {
	struct record_function *items; /* for free(); ascending by start, no two with the same start */
	size_t count, room;
};

/* A segment of code that is readable and not writable. */
struct record_text {
	uint64_t start, end;
};
#define RECORD_TEXTS_MAX 8u

/* The object's segments of code; returns their number. */
unsigned record_object_texts(const struct dl_phdr_info *object, struct record_text texts[RECORD_TEXTS_MAX]);
/* Its functions that lie in one of the texts. -ENOMEM; what is malformed is left out. */
int record_object_functions(const struct dl_phdr_info *object, struct record_functions *out);

#endif
