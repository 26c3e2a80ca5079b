/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ATOMICITY_OPERATIONS_H
#define ATOMICITY_OPERATIONS_H

/* The operations that test_atomicity.c cuts. */

struct pools;

struct atomicity_operation {
	const char *name;
	void (*prepare)(struct pools *pools); /* a region that was just formatted */
	void (*run)(struct pools *pools);
};
/* The last one has no name. */
extern const struct atomicity_operation atomicity_operations[];
/* For the negative control. */
extern const struct atomicity_operation atomicity_rename_over;

#endif
