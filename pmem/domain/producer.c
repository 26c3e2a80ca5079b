/* SPDX-License-Identifier: BSD-3-Clause */

/* Mapping a WPQ: the daemon's end, and the one thing of this room that a client is built with. */

#include "domain/wpq.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

static int map_ring_twice(int fd, uint32_t lane, uint32_t lane_size, unsigned char **ring)
{
	off_t offset = (off_t)(PAGE_BYTES + (uint64_t)lane * lane_size);
	unsigned char *room =
		mmap(NULL, 2 * (size_t)lane_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (room == MAP_FAILED)
		return -errno;
	for (int half = 0; half < 2; half++) {
		if (mmap(room + (size_t)half * lane_size, lane_size, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_FIXED, fd, offset) == MAP_FAILED) {
			int error = -errno;

			munmap(room, 2 * (size_t)lane_size);
			return error;
		}
	}
	*ring = room;
	return 0;
}

int wpq_producer_open(int fd, struct wpq_producer *producer)
{
	struct wpq_header *header = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	int error = 0;

	if (header == MAP_FAILED)
		return -errno;
	*producer = (struct wpq_producer){ .header = header };
	if (header->magic != WPQ_MAGIC || header->version != WPQ_VERSION || header->header_size != PAGE_BYTES)
		error = -EPROTO;
	producer->lane_size = header->lane_size;
	for (uint32_t lane = 0; !error && lane < WPQ_LANES; lane++)
		error = map_ring_twice(fd, lane, (uint32_t)producer->lane_size, &producer->rings[lane]);
	if (error)
		wpq_producer_close(producer);
	return error;
}

void wpq_producer_close(struct wpq_producer *producer)
{
	if (!producer->header)
		return;
	for (uint32_t lane = 0; lane < WPQ_LANES; lane++)
		if (producer->rings[lane])
			munmap(producer->rings[lane], 2 * producer->lane_size);
	munmap(producer->header, PAGE_BYTES);
	*producer = (struct wpq_producer){ 0 };
}

int wpq_producer_move(const struct wpq_producer *from, struct wpq_producer *to)
{
	for (unsigned lane = 0; lane < WPQ_LANES; lane++) {
		uint64_t drained =
			atomic_load_explicit(&from->header->lanes[lane].drained, memory_order_acquire);
		uint64_t length = from->pending[lane] - drained;

		if (length > from->lane_size || length > to->lane_size || to->pending[lane])
			return -EPROTO;
		memcpy(to->rings[lane], from->rings[lane] + (drained & (from->lane_size - 1)), length);
		/* What was published and not drained; nothing, if the daemon came to the end of it. */
		to->pending[lane] = from->published[lane] - min_u64(drained, from->published[lane]);
		wpq_publish(to, lane);
		to->pending[lane] = length;
		atomic_store_explicit(&to->header->lanes[lane].pending, length, memory_order_release);
	}
	if (from->pending[WPQ_FENCED] > from->published[WPQ_FENCED])
		to->last = (struct wpq_record *)(to->rings[WPQ_FENCED] + to->pending[WPQ_FENCED]) - 1 -
			   from->last->lines;
	return 0;
}
