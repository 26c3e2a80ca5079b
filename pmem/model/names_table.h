/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef MODEL_NAMES_TABLE_H
#define MODEL_NAMES_TABLE_H

/* Private to the metadata model: pending operations, and what they touch. */

#include "common/vector.h"
#include "model/keys.h"
#include "model/names.h"
#include "model/slab.h"

struct names_pending;
struct names_list;

/* Which of the operations before it in its list an operation needs. */
enum names_need {
	NAMES_NEEDS_NONE,
	NAMES_NEEDS_PREVIOUS, /* and by that all: the list is of a cell */
	NAMES_NEEDS_ALL	      /* the list is of a directory's entries, which an rmdir found empty */
};

struct names_link {
	struct names_link *previous, *next; /* in the list, in the order of the operations */
	struct names_list *list;
	struct names_pending *pending;
	enum names_need need;
};

struct names_list {
	struct names_link *first, *last;
	size_t count;
	size_t visited; /* counts used by a pass over all operations; see names_choice.c */
};

/* A name in a directory. In METADATA_STRICT only: the log's order implies that of each name. */
struct names_cell {
	struct keys_node key;
	struct names_list list;
	size_t refs; /* operations */
	char name[];
};

struct names_inode {
	struct keys_node key;
	struct names_list size, attributes; /* two cells */
	struct names_list entries;	    /* operations on names in it */
	/* The log up to these positions is committed by fsync and by fdatasync. */
	uint64_t last, last_data;
	/* The same of the log of ordered operations in a model of METADATA_STRICT. */
	uint64_t own_last, own_last_data;
	size_t refs;			   /* operations */
	struct names_inode *before, *after; /* in names->idle while there are none */
	bool truncated;			   /* auto_da_alloc: to 0, and not closed since; counts in refs */
};

#define NAMES_MOST_INODES 4
/*
 * METADATA_STRICT needs the order of operations on each cell. In the other modes the log's order implies
 * it, but for the sizes of files.
 */
#define NAMES_LINKS_STRICT 5
#define NAMES_LINKS_LOG 1

struct names_pending {
	struct names_pending *before, *after; /* in names->log or names->appends */
	struct names_op op;		      /* its names are those below */
	uint64_t order;			      /* among all operations */
	uint64_t position;		      /* in the log; of an append: the log's end when it was made */
	enum metadata_mode mode;	      /* its own, or the model's */
	struct names_pending *ordered_before, *ordered_after; /* in names->ordered */
	bool append;
	bool forced, survives; /* of the choice */
	size_t index;	       /* in names->table */
	struct names_pending *stack; /* while it is being committed */
	union {
		struct names_cell *cells[2]; /* METADATA_STRICT */
		char *names[2];		     /* the other modes; malloc()ed */
	};
	struct names_inode *inodes[NAMES_MOST_INODES];
	unsigned links;
	struct names_link link[]; /* as many as the mode needs */
};

struct names_queue {
	struct names_pending *first, *last;
	size_t count;
};

struct names {
	struct names_options options;
	struct names_queue log, appends;
	/* METADATA_STRICT: the operations of the log whose own mode is METADATA_ORDERED. */
	struct names_queue ordered;
	uint64_t order;	    /* of the newest operation */
	uint64_t log_end;   /* the position of the newest operation in the log */
	uint64_t committed; /* METADATA_ORDERED guarantees the log up to here, in every mode */
	uint64_t newest_id;
	struct keys cells, inodes;
	struct names_inode *idle; /* inodes without operations whose `last` still matters */
	struct slab pending_slab, inode_slab;

	/* The choice: all pending operations in order, and by which mode it was made. */
	VECTOR(struct names_pending *) table;
	bool chosen;
	enum metadata_mode chosen_mode;
	size_t cut; /* log_cut() of the choice, for names_size() */
};

/* The inode if it has pending operations, or was written to since some. */
struct names_inode *names_find_inode(const struct names *names, uint64_t inode);
/* The same, added if it is not there; NULL without memory. It is idle until somebody has a reference. */
struct names_inode *names_get_inode(struct names *names, uint64_t inode);
void names_ref_inode(struct names *names, struct names_inode *inode);
void names_unref_inode(struct names *names, struct names_inode *inode);
/* Nothing is pending: no inode matters any more. */
void names_free_idle(struct names *names);

/* An operation with its cells and inodes, but in no list yet; NULL without memory. */
struct names_pending *names_prepare(struct names *names, const struct names_op *op);
/* Is it one of names->ordered, if it is no append? */
static inline bool names_is_own_ordered(const struct names *names, const struct names_pending *pending)
{
	return names->options.mode == METADATA_STRICT && pending->mode == METADATA_ORDERED;
}

/* Its inodes concern the log from its position on. */
void names_note_inodes(const struct names *names, const struct names_pending *pending);
/* Put it at the end of its lists and of the log. */
void names_enter(struct names *names, struct names_pending *pending);
/* Give back what was prepared. */
void names_release(struct names *names, struct names_pending *pending);
/* Take it out of its lists, and give it back. */
void names_drop(struct names *names, struct names_pending *pending);

void names_queue_add(struct names_queue *queue, struct names_pending *pending);
void names_queue_remove(struct names_queue *queue, struct names_pending *pending);

/* Put all pending operations into names->table by age, and number them by that. 0 or -ENOMEM. */
int names_build_table(struct names *names);

#endif
