/* SPDX-License-Identifier: BSD-3-Clause */
#include "clienttest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "abi/wpq_layout.h"
#include "client/connection.h"

static struct queue *queue;

/* The memory of a WPQ as the daemon makes it, empty. */
static int make_wpq(void)
{
	const struct wpq_header header = { .magic = WPQ_MAGIC,
					   .version = WPQ_VERSION,
					   .header_size = WPQ_HEADER_BYTES,
					   .lane_size = CLIENTTEST_LANE,
					   .awake = 1 };
	int fd = memfd_create("clienttest", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, WPQ_HEADER_BYTES + (off_t)WPQ_LANES * CLIENTTEST_LANE), 0);
	assert_int_equal(pwrite(fd, &header, sizeof(header), 0), sizeof(header));
	return fd;
}

unsigned char *clienttest_open(unsigned pages, enum persistence_domain domain)
{
	const size_t length = pages * (size_t)PAGE_BYTES;
	unsigned char *pool =
		mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct range range = { .start = (uintptr_t)pool,
			       .end = (uintptr_t)pool + length,
			       .flags = RANGE_POOL };
	uint64_t signals;
	int fd = make_wpq();

	assert_ptr_not_equal(pool, MAP_FAILED);
	connection_domain_known = (int)domain;
	queue = mmap(NULL, sizeof(*queue), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(queue, MAP_FAILED);
	assert_int_equal(wpq_producer_open(fd, &queue->producer), 0);
	close(fd);
	memset(thread_self.queues, 0, sizeof(thread_self.queues));
	thread_self.queues[0] = queue;
	signals = ranges_lock();
	assert_int_equal(ranges_insert(&range), 0);
	ranges_unlock(signals);
	return pool;
}

void clienttest_close(unsigned char *pool, unsigned pages)
{
	thread_self.queues[0] = NULL;
	wpq_producer_close(&queue->producer);
	munmap(queue, sizeof(*queue));
	munmap(pool, pages * (size_t)PAGE_BYTES);
}

struct wpq_producer *clienttest_producer(void)
{
	return &queue->producer;
}

const struct wpq_record *clienttest_record(uint64_t position)
{
	return (const struct wpq_record *)(queue->producer.rings[WPQ_FENCED] + position);
}

uint64_t clienttest_pending(void)
{
	return queue->producer.pending[WPQ_FENCED] - queue->producer.published[WPQ_FENCED];
}

uint64_t clienttest_published(void)
{
	return queue->producer.published[WPQ_FENCED];
}
