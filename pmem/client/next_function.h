/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLIENT_NEXT_FUNCTION_H
#define CLIENT_NEXT_FUNCTION_H

/*
 * The function that ours is called in the place of: libc's, unless another library interposes it too. It is
 * called with six integer arguments, as many as there are argument registers; those that it does not have are
 * passed on as they come.
 */

#include <dlfcn.h>
#include <stdatomic.h>

#include "client/compiler.h"

typedef long next_function_fn(long a, long b, long c, long d, long e, long f);

/* Static; the name is set. */
struct next_function {
	const char *name;
	next_function_fn *_Atomic found;
};

/* NULL: there is none. Thread-safe. */
static inline next_function_fn *next_function(struct next_function *next)
{
	next_function_fn *found = atomic_load_explicit(&next->found, memory_order_acquire);

	if (unlikely(!found)) {
		found = (next_function_fn *)dlsym(RTLD_NEXT, next->name);
		atomic_store_explicit(&next->found, found, memory_order_release);
	}
	return found;
}

#endif
