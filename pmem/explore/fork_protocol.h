/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef EXPLORE_FORK_PROTOCOL_H
#define EXPLORE_FORK_PROTOCOL_H

/*
 * Between `softpmem explore` and a fork server: a checker program that is linked with
 * libsoftpmem_checker.a, starts once, and forks a process for each state. Both ends run on one
 * machine as one user, so numbers are in its byte order.
 *
 * The server reads requests from descriptor 3 and writes replies to descriptor 4. What it needs is
 * in descriptors of its parent, the explorer, which it opens by /proc/PPID/fd: a table of the
 * state's files, the marks, and the bytes of each file. The explorer puts a state's lines on the
 * bytes before it asks for a check, and takes them off after the reply; the server maps the bytes
 * privately and never touches them itself, so that its children see them as they are.
 */

#include <stdint.h>

#define FORK_PROTOCOL_VERSION 1u
/* Set for a fork server, so that a program that is run by hand can tell. */
#define FORK_VARIABLE "SOFTPMEM_FORK_SERVER"

#define FORK_REQUESTS 3
#define FORK_REPLIES 4

/* The table and the marks are mapped once, with so much room. */
#define FORK_AREA_BYTES ((uint64_t)1 << 30)
/* Files of a trace. */
#define FORK_FILES_MAX (1u << 20)

enum fork_request_kind {
	FORK_TABLE = 1,	 /* the table is in descriptor `fd` */
	FORK_MARKS = 2,	 /* the marks are in descriptor `fd` */
	FORK_FILE = 3,	 /* file `file` is `length` bytes long, a multiple of a page, in descriptor `fd` */
	FORK_FORGET = 4, /* all files and marks: another walk begins */
	FORK_CHECK = 5,	 /* check the state in the table. The only request that is answered */
};

struct fork_request {
	uint32_t kind;
	uint32_t file;
	int32_t fd;
	uint32_t reserved;
	uint64_t length;
};
_Static_assert(sizeof(struct fork_request) == 24, "a request has no padding");

/* The first reply tells that the server has started: `status` is what softpmem_checker_start() returned. */
struct fork_reply {
	uint32_t version;
	int32_t error;	  /* a negative errno: no process was forked */
	int32_t status;	  /* of the process, as waitpid(2) gives it */
	uint32_t returned; /* 1: softpmem_checker_check() returned `code` */
	int32_t code;
	uint32_t reserved;
};
_Static_assert(sizeof(struct fork_reply) == 24, "a reply has no padding");

/* At the beginning of the table. */
struct fork_table {
	/* Written by the server. */
	int32_t child;	   /* the process that checks; 0: none does */
	uint32_t returned; /* written by that process, as in the reply */
	int32_t code;
	uint32_t reserved;
	/* Written by the explorer. */
	uint64_t entries; /* struct fork_entry that follow */
	uint64_t marks;	  /* struct fork_mark among the marks that the state has */
};
_Static_assert(sizeof(struct fork_table) == 32, "the head of the table has no padding");

/* A text and its NUL take so many bytes: what follows is aligned. */
#define FORK_ALIGNMENT 8u
static inline uint64_t fork_text_bytes(uint64_t length)
{
	return (length + FORK_ALIGNMENT) / FORK_ALIGNMENT * FORK_ALIGNMENT;
}

/* A name of a file. Its path follows, and then the next entry. */
struct fork_entry {
	uint32_t file;
	uint32_t path_length; /* without its NUL */
	uint64_t size;	      /* of the file, in bytes */
};
_Static_assert(sizeof(struct fork_entry) == 16, "an entry has no padding");

/* A mark. Its text follows, and then the next mark. */
struct fork_mark {
	uint64_t length; /* without its NUL */
};

#endif
