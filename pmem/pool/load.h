/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef POOL_LOAD_H
#define POOL_LOAD_H

/*
 * Private to pmem/pool: loads a region from the media into memory, for opening and for checking. Writes
 * nothing, and trusts nothing on the media before it was checked.
 */

#include "common/vector.h"
#include "pool/directory_names.h"
#include "pool/inode.h"
#include "pool/pools.h"

struct load_report {
	void (*problem)(void *context, const struct pools_problem *problem);
	void (*progress)(void *context, const char *what, uint64_t done, uint64_t total);
	void *context;
	struct pools_check_result *result; /* counts what is found */
};
/* Report a problem and count it. A NULL report drops it. */
void pool_load_problem(const struct load_report *report, enum pools_problem_kind kind, uint64_t offset,
		       const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Load everything into memory and report what is wrong: 0, -ENODATA, -EUCLEAN, -EPROTONOSUPPORT, -ENOMEM. */
int pool_load_all(const struct region *region, const struct load_report *report, struct pools **out,
		  struct message *message);

/* The state of pool_load_all(). */
struct loader {
	const struct load_report *report;
	struct pools *pools;
	struct pool **files;	 /* by entry; NULL where it is none */
	VECTOR(struct name_slot) names; /* in the order of entries */
	uint32_t *name_at;		/* by entry: 1 + its place in names; 0: no name */
};
/* The offset of the entry's first slot in the region, for reports. */
uint64_t pool_load_offset(const struct loader *loader, uint32_t index);
/* Record something that recovery has to complete: 0 or -ENOMEM. */
int pool_load_note_fix(struct pools *pools, enum fix_kind kind, uint32_t index);
/* Add a name's entry to loader->names if its text is valid: 0 or -ENOMEM. */
int pool_load_note_name(struct loader *loader, uint32_t index, const struct name_slot *slot);
/* Build the tree from loader->names: 0 or -ENOMEM. */
int pool_load_names(struct loader *loader);
/* Find the root, and files and directories without a name: 0 or -ENOMEM. */
int pool_load_find_nameless(struct loader *loader);
/*
 * Load a file's extents into the pool, and claim their blocks and those of the map. False: the map is
 * damaged; what was loaded until then is in the pool.
 */
bool pool_load_map(struct pool *pool, const struct file_slot *slot, const struct load_report *report);

#endif
