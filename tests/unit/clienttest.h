/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_CLIENTTEST_H
#define TESTS_CLIENTTEST_H

/*
 * The client library inside a test program, without a daemon: this thread gets a WPQ that nobody drains, and
 * memory of the program stands in for a view. Failures go through cmocka.
 */

#include <stdint.h>

#include "client/queues.h"
#include "common/persistence.h"

#define CLIENTTEST_LANE (64u * 1024)

/* One pool of `pages` pages, zeroed and mapped at the returned address, as view 0 of region 0. */
unsigned char *clienttest_open(unsigned pages, enum persistence_domain domain);
void clienttest_close(unsigned char *pool, unsigned pages);

/* This thread's producer. */
struct wpq_producer *clienttest_producer(void);
/* The record at `position` of the FENCED lane. */
const struct wpq_record *clienttest_record(uint64_t position);
/* Bytes of the FENCED lane: appended and not published, and published. */
uint64_t clienttest_pending(void);
uint64_t clienttest_published(void);

#endif
