/* SPDX-License-Identifier: BSD-3-Clause */
/* The consumer's end of the shared memory of a recording. Its contents are hostile. */
#include "trace/buffer.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/align.h"
#include "common/cleanup.h"

#define CLOCK_BYTES PAGE_BYTES

struct trace_buffer {
	int fd;
	struct trace_buffer_header *header;
	const unsigned char *ring;
	uint32_t
		ring_bytes; /* authoritative, as `tail` is: the header's copies are the producer's to spoil */
	uint64_t tail;
};

/* A sealed memfd of `bytes`, mapped shared. */
static int create_shared(const char *name, size_t bytes, int *fd, void **out)
{
	CLEANUP_FD int memory = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (memory < 0 || ftruncate(memory, (off_t)bytes) < 0 ||
	    fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -errno;
	*out = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	if (*out == MAP_FAILED)
		return -errno;
	*fd = steal_fd(&memory);
	return 0;
}

int trace_clock_create(struct trace_clock **clock, int *fd)
{
	void *at;
	int error = create_shared("softpmem-trace-clock", CLOCK_BYTES, fd, &at);

	if (error)
		return error;
	*clock = at;
	(*clock)->magic = TRACE_CLOCK_MAGIC;
	(*clock)->version = TRACE_SHARED_VERSION;
	return 0;
}

int trace_clock_map(int fd, struct trace_clock **clock)
{
	struct stat status;
	struct trace_clock *at;

	if (fstat(fd, &status) < 0)
		return -errno;
	if (status.st_size != CLOCK_BYTES)
		return -EPROTO;
	at = mmap(NULL, CLOCK_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		return -errno;
	if (at->magic != TRACE_CLOCK_MAGIC || at->version != TRACE_SHARED_VERSION) {
		munmap(at, CLOCK_BYTES);
		return -EPROTO;
	}
	*clock = at;
	return 0;
}

void trace_clock_unmap(struct trace_clock *clock)
{
	if (clock)
		munmap(clock, CLOCK_BYTES);
}

void trace_clock_sleep(struct trace_clock *clock, unsigned milliseconds)
{
	const struct timespec timeout = { .tv_sec = milliseconds / 1000,
					  .tv_nsec = (long)(milliseconds % 1000) * 1000000 };

	/* A bell that rings between the caller's last look and this store is heard after the timeout. */
	atomic_store(&clock->asleep, 1);
	syscall(SYS_futex, &clock->asleep, FUTEX_WAIT, 1, &timeout, NULL, 0);
	atomic_store(&clock->asleep, 0);
}

int trace_buffer_create(uint32_t ring_bytes, struct trace_buffer **out)
{
	CLEANUP_FREE struct trace_buffer *buffer = calloc(1, sizeof(*buffer));
	void *at;
	int error;

	if (!buffer)
		return -ENOMEM;
	if (ring_bytes < TRACE_RING_BYTES_MIN || ring_bytes > TRACE_RING_BYTES_MAX ||
	    !is_aligned(ring_bytes, ring_bytes))
		return -EINVAL;
	error = create_shared("softpmem-trace-buffer", TRACE_BUFFER_HEADER_BYTES + (size_t)ring_bytes,
			      &buffer->fd, &at);
	if (error)
		return error;
	buffer->header = at;
	buffer->ring = (unsigned char *)at + TRACE_BUFFER_HEADER_BYTES;
	buffer->ring_bytes = ring_bytes;
	buffer->header->magic = TRACE_BUFFER_MAGIC;
	buffer->header->version = TRACE_SHARED_VERSION;
	buffer->header->header_bytes = TRACE_BUFFER_HEADER_BYTES;
	buffer->header->ring_bytes = ring_bytes;
	*out = steal_pointer(&buffer);
	return 0;
}

int trace_buffer_fd(const struct trace_buffer *buffer)
{
	return buffer->fd;
}

uint32_t trace_buffer_ring_bytes(const struct trace_buffer *buffer)
{
	return buffer->ring_bytes;
}

static void wake_producer(struct trace_buffer_header *header)
{
	/* Sequentially consistent: after the tail or state that the producer looks at before it sleeps. */
	if (atomic_load(&header->waiting) && atomic_exchange(&header->waiting, 0))
		syscall(SYS_futex, &header->tail, FUTEX_WAKE, 1, NULL, NULL, 0);
}

ptrdiff_t trace_buffer_take(struct trace_buffer *buffer, void *to, size_t room)
{
	/* Acquire: the slots below the head are read after it. */
	const uint64_t head = atomic_load_explicit(&buffer->header->head, memory_order_acquire) &
			      ~(uint64_t)1;
	const uint64_t there = head - buffer->tail;
	size_t length = (size_t)min_u64(there, align_down(room, 8)), at, first;

	if (head < buffer->tail || there > buffer->ring_bytes || !is_aligned(head, 8))
		return -EPROTO;
	if (!length)
		return 0;
	at = buffer->tail & (buffer->ring_bytes - 1);
	first = (size_t)min_u64(length, buffer->ring_bytes - at);
	memcpy(to, buffer->ring + at, first);
	memcpy((unsigned char *)to + first, buffer->ring, length - first);
	buffer->tail += length;
	atomic_store(&buffer->header->tail, buffer->tail);
	wake_producer(buffer->header);
	return (ptrdiff_t)length;
}

bool trace_buffer_idle(const struct trace_buffer *buffer)
{
	return atomic_load_explicit(&buffer->header->head, memory_order_acquire) == buffer->tail;
}

uint64_t trace_buffer_head(const struct trace_buffer *buffer)
{
	return atomic_load(&buffer->header->head);
}

void trace_buffer_close(struct trace_buffer *buffer)
{
	atomic_store(&buffer->header->state, TRACE_BUFFER_CLOSED);
	wake_producer(buffer->header);
}

void trace_buffer_destroy(struct trace_buffer *buffer)
{
	if (!buffer)
		return;
	trace_buffer_close(buffer);
	munmap(buffer->header, TRACE_BUFFER_HEADER_BYTES + (size_t)buffer->ring_bytes);
	close(buffer->fd);
	free(buffer);
}
