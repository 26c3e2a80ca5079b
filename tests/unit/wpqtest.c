/* SPDX-License-Identifier: BSD-3-Clause */
#include "wpqtest.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/align.h"
#include "mediatest.h"

static struct placement find(void *owner, uint64_t page, uint64_t want)
{
	return (struct placement){
		.media_offset = MACHINE_MEDIA_OFFSET + page * PAGE_BYTES, .pages = want, .placed = true
	};
}

static int place(void *owner, uint64_t page, uint64_t want, struct placement *out)
{
	return -ENOSPC;
}

const struct view_owner_ops machine_identity = { .find = find, .place = place };

const unsigned char *machine_media(const struct machine *m)
{
	machine_read_media(m, 0, m->media, VIEW_SIZE);
	return m->media;
}

void machine_read_media(const struct machine *m, uint64_t offset, void *bytes, uint64_t length)
{
	mediatest_read(m->region, MACHINE_MEDIA_OFFSET + offset, bytes, length);
}

static bool drain_when_full(void *context, struct wpq_header *header)
{
	return domain_drain(context) == 0;
}

void machine_make_wpqs(struct machine *m, uint32_t lane_size)
{
	for (int i = 0; i < 2; i++) {
		assert_int_equal(wpq_create(m->domain, lane_size, &m->wpqs[i]), 0);
		assert_int_equal(wpq_producer_open(wpq_fd(m->wpqs[i]), &m->producers[i]), 0);
		m->producers[i].full = drain_when_full;
		m->producers[i].full_context = m->domain;
	}
}

void machine_end_wpqs(struct machine *m)
{
	for (int i = 0; i < 2; i++) {
		wpq_producer_close(&m->producers[i]);
		wpq_destroy(m->wpqs[i]);
	}
}

struct machine *machine_open(const char *spec, unsigned flags, uint32_t lane_size)
{
	struct machine *m = calloc(1, sizeof(*m));

	m->media = malloc(VIEW_SIZE);
	assert_int_equal(region_open(spec, flags, &m->region, NULL), 0);
	assert_int_equal(domain_create(m->region, PERSISTENCE_MEMORY_CONTROLLER, &m->domain), 0);
	assert_int_equal(view_create(m->domain, &machine_identity, NULL, &m->view), 0);
	assert_int_equal(view_attach(m->view, VIEW_SIZE), 0);
	machine_make_wpqs(m, lane_size);
	return m;
}

void machine_close(struct machine *m)
{
	machine_end_wpqs(m);
	view_destroy(m->view);
	domain_destroy(m->domain);
	region_close(m->region);
	free(m->media);
	free(m);
}

int machine_setup(void **state)
{
	*state = machine_open("memfd:2M", 0, WPQ_BYTES);
	return 0;
}

int machine_teardown(void **state)
{
	machine_close(*state);
	return 0;
}

bool machine_flush(struct machine *m, int thread, uint64_t offset, uint64_t length)
{
	return wpq_flush(&m->producers[thread], view_id(m->view), view_memory(m->view), offset, length, 0);
}

void machine_store(struct machine *m, int thread, uint64_t line, unsigned char byte)
{
	view_memory(m->view)[line * LINE_SIZE] = byte;
	assert_true(machine_flush(m, thread, line * LINE_SIZE, 1));
}

void machine_persist(struct machine *m, int thread, uint64_t line, unsigned char byte)
{
	machine_store(m, thread, line, byte);
	wpq_fence(&m->producers[thread]);
}

unsigned char machine_has(const struct machine *m, uint64_t line)
{
	unsigned char byte;

	machine_read_media(m, line * LINE_SIZE, &byte, 1);
	return byte;
}

bool machine_has_slot(const struct machine *m, int thread, uint64_t line)
{
	return m->producers[thread].in_use & wpq_bit(wpq_slot_index(view_id(m->view), line * LINE_SIZE)) &&
	       machine_slot(m, thread, line)->offset == line * LINE_SIZE;
}

struct wpq_slot *machine_slot(const struct machine *m, int thread, uint64_t line)
{
	return &m->producers[thread]
			.header->combining.slots[wpq_slot_index(view_id(m->view), line * LINE_SIZE)];
}

void machine_fill_slot(struct machine *m, int thread, uint64_t line)
{
	machine_persist(m, thread, line, '1');
	machine_persist(m, thread, line, '2');
	assert_true(machine_has_slot(m, thread, line));
}

int machine_settle(struct machine *m, enum chooser_policy policy, uint64_t seed)
{
	const struct chooser chooser = { .policy = policy, .seed = seed };

	return domain_settle(m->domain, &chooser);
}

void expected_flush(struct machine *m, struct expected *expected, uint64_t line, uint64_t count)
{
	assert_true(machine_flush(m, 0, line * LINE_SIZE, count * LINE_SIZE));
	memcpy(expected->flushed + line * LINE_SIZE, view_memory(m->view) + line * LINE_SIZE,
	       count * LINE_SIZE);
	memset(expected->waits + line, true, count);
}

void expected_fence(struct machine *m, struct expected *expected)
{
	wpq_fence(&m->producers[0]);
	for (uint64_t line = 0; line < VIEW_SIZE / LINE_SIZE; line++)
		if (expected->waits[line])
			memcpy(expected->durable + line * LINE_SIZE, expected->flushed + line * LINE_SIZE,
			       LINE_SIZE);
	memset(expected->waits, false, sizeof(expected->waits));
}

void machine_only_zero_dies(struct machine *m)
{
	const uint64_t line = 8192 / LINE_SIZE;

	assert_int_equal(domain_drain(m->domain), -EPROTO);
	assert_true(wpq_is_dead(m->wpqs[0]));
	assert_false(wpq_is_dead(m->wpqs[1]));
	machine_persist(m, 1, line, 'y');
	assert_int_equal(domain_drain(m->domain), 0);
	assert_int_equal(machine_has(m, line), 'y');
}
