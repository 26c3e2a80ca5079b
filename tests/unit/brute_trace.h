/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BRUTE_TRACE_H
#define BRUTE_TRACE_H

/*
 * Random small traces with names, in the text form (trace/text_form.h), and all that power failing at any
 * moment of them may leave by the rules of brute_lines.h and brute_names.h: up to 3 threads, 2 files of 2
 * lines each, 2 names in each directory, 12 events.
 */

#include "brute_names.h"
#include "treeset.h"

/*
 * A trace without its first line, for the caller to free; the same for the same seed. NULL: it has too many
 * states. *states, for trees_free() in any case: each as softpmem explore --list-states prints it.
 */
char *brute_trace_random(uint64_t seed, enum brute_mode mode, enum brute_names_rules rules,
			 struct trees *states);

#endif
