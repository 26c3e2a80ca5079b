/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_WPQTEST_H
#define TESTS_WPQTEST_H

/* What the tests of WPQs share: one view of a small region, and two producers. Failures go through cmocka. */

#include "domain/domain.h"
#include "domain/wpq.h"

#define VIEW_SIZE (256u * 1024)
#define WPQ_BYTES 16384u
/* Where the view begins in the media: its pages follow each other there. */
#define MACHINE_MEDIA_OFFSET (1u << 20)

struct machine {
	struct region *region;
	struct domain *domain;
	struct view *view;
	struct wpq *wpqs[2];
	struct wpq_producer producers[2];
	unsigned char *media; /* VIEW_SIZE bytes, for machine_media() */
};

/* The owner of a view that begins at MACHINE_MEDIA_OFFSET in the media. */
extern const struct view_owner_ops machine_identity;
/* The view's VIEW_SIZE bytes on the media as they are now; a copy, which the next call overwrites. */
const unsigned char *machine_media(const struct machine *m);
/* Some of them. */
void machine_read_media(const struct machine *m, uint64_t offset, void *bytes, uint64_t length);

/* Of a region by this spec, with lanes of so many bytes. machine_close() frees it. */
struct machine *machine_open(const char *spec, unsigned flags, uint32_t lane_size);
void machine_close(struct machine *m);
/* The same as setup and teardown: in a memfd, lanes of WPQ_BYTES. */
int machine_setup(void **state);
int machine_teardown(void **state);
#define machine_test(test) cmocka_unit_test_setup_teardown(test, machine_setup, machine_teardown)

void machine_make_wpqs(struct machine *m, uint32_t lane_size);
void machine_end_wpqs(struct machine *m);

bool machine_flush(struct machine *m, int thread, uint64_t offset, uint64_t length);
/* Store to a line's first byte, and flush it; and fence. */
void machine_store(struct machine *m, int thread, uint64_t line, unsigned char byte);
void machine_persist(struct machine *m, int thread, uint64_t line, unsigned char byte);
/* A line's first byte on the media. */
unsigned char machine_has(const struct machine *m, uint64_t line);

/* Persist a line twice, as '1' and '2': from then on it has a slot in the thread's WPQ. */
void machine_fill_slot(struct machine *m, int thread, uint64_t line);
bool machine_has_slot(const struct machine *m, int thread, uint64_t line);
struct wpq_slot *machine_slot(const struct machine *m, int thread, uint64_t line);

/* domain_settle(), as the first step of an outage. */
int machine_settle(struct machine *m, enum chooser_policy policy, uint64_t seed);

/* What thread 0 has flushed and fenced, by a model that knows nothing of rings and copies. */
struct expected {
	unsigned char flushed[VIEW_SIZE], durable[VIEW_SIZE];
	bool waits[VIEW_SIZE / LINE_SIZE];
};
/* Flush these lines as they are now; fence. */
void expected_flush(struct machine *m, struct expected *expected, uint64_t line, uint64_t count);
void expected_fence(struct machine *m, struct expected *expected);

/* A drain finds that thread 0's WPQ is malformed, and the other thread's WPQ goes on. */
void machine_only_zero_dies(struct machine *m);

#endif
