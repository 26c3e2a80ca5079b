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

/* What a trace has beside its events. */
enum brute_feature {
	BRUTE_PLAIN,
	BRUTE_DA_ALLOC, /* as with ext4's auto_da_alloc */
	BRUTE_MODES,	/* one of two directories has a metadata mode of its own */
	BRUTE_SECTORS,	/* writes leave sectors whole */
	BRUTE_SECTORS_TEAR /* the trace says so, and the interpreter lets them tear: for a negative control */
};

/*
 * A trace without its first line, for the caller to free; the same for the same seed. NULL: it has too many
 * states. *states, for trees_free() in any case: each as softpmem explore --list-states prints it.
 */
char *brute_trace_random(uint64_t seed, enum brute_mode mode, enum brute_names_rules rules,
			 enum brute_feature feature, struct trees *states);

#endif
