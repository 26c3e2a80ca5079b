/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLI_TORTURE_H
#define CLI_TORTURE_H

/* What the parts of a campaign (softpmem torture) share: its settings, a cut, and what came of it. */

#include <stdbool.h>
#include <stdint.h>

#include "cli/torture_process.h"
#include "common/vector.h"

#define TORTURE_SEED_DEFAULT 1u
#define TORTURE_TIMEOUT_DEFAULT 30u
#define TORTURE_SIZE_DEFAULT (64u << 20)
/* Bytes of the workload's standard output that are kept for the check. */
#define TORTURE_ACKNOWLEDGED_MAX ((off_t)16 << 20)

struct torture_settings {
	const char *workload, *check, *setup; /* for sh -c; setup: NULL if there is none */
	uint64_t size;			      /* of the region, in bytes */
	unsigned timeout_ms;		      /* of each command */
	unsigned jobs;
	unsigned seconds;     /* no run begins after this time; 0: no limit */
	/* The most rounds. 0: as long as `seconds` say; if these are 0 too, until every cut was tried. */
	uint64_t runs;
	uint64_t seed;	      /* of the first random cut */
	const char *policy;   /* only this one; NULL: lose, keep, random */
	const char *mode;     /* of pools; NULL: the daemon's default */
	const char *metadata; /* only this mode; NULL: ordered and strict */
	bool auto_da_alloc;   /* of the daemons, which then are ordered */
};

/* ---- A cut ---------------------------------------------------------------------------- */

/* One way for the power to fail. */
struct torture_cut {
	/* Before this operation, or at this fence of a program; from 1. Both 0: the workload has ended. */
	uint64_t operation, fence;
	bool after; /* the fence */
	const char *policy; /* static */
	uint64_t seed;	    /* of random */
	const char *mode;   /* metadata mode, static; NULL: the daemon knows none */
	char *lose_only;    /* the only lines and operations that are lost, with this seed; NULL: all */
};

/*
 * A file that lost lines, or whose size changed; or an operation on a name, a size or attributes that was
 * taken back.
 */
struct torture_lost {
	char *operation; /* "rename"; NULL: it is about a file's bytes */
	char *path, *to_path; /* to_path: of a rename; else NULL */
	uint64_t lines;
	uint64_t size_before, size_after;
};

enum torture_result {
	TORTURE_PASSED,
	TORTURE_FAILED,		/* the check failed */
	TORTURE_NOT_REACHED,	/* the workload ended before the operation or fence */
	TORTURE_WORKLOAD_HUNG,	/* it neither ended nor came to the operation or fence in time */
	TORTURE_WORKLOAD_FAILED /* without an outage */
};

/* Of a check or a workload that ended. */
struct torture_verdict {
	bool timed_out;
	int status; /* wait status; -1: it killed its parent */
	struct torture_tail output;
};

struct torture_outcome {
	enum torture_result result;
	struct torture_verdict verdict; /* of the check; of the workload if that failed */
	/* The operation at which power failed: "rename", and its path; or "fence". NULL: it had ended. */
	char *operation, *path;
	VECTOR(struct torture_lost) lost;
	uint64_t acknowledged;	  /* bytes that the workload had printed */
	char last_acknowledged[256]; /* the last whole line of them, without its end */
};

void torture_outcome_clear(struct torture_outcome *outcome);
/* "failed with status 1", "was killed by SIGSEGV", "did not end in 30 s". */
void torture_verdict_text(const struct torture_verdict *verdict, unsigned timeout_ms, char *text,
			  size_t size);

/* ---- Metadata modes ------------------------------------------------------------------- */

/* From the one that loses least to the one that loses most; ended by NULL. */
extern const char *const torture_modes[];
/* The daemons of a campaign run in this one: a power failure by the rules of another one loses no more. */
const char *torture_mode_most(const struct torture_settings *settings);
/* What `ordered` loses includes all that this one loses: it is tried only to reduce a failure. */
#define TORTURE_MODE_LEAST "durable"

#endif
