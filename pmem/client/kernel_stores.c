/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Functions of libc through which the kernel stores to memory of the program, while it is recorded. The
 * kernel cannot store to a pool's mapping, which is read-only. Bytes go to memory of ours first, and are
 * then stored to the pool and recorded like a copy of the program's. These functions are in the library
 * that `softpmem record` preloads only.
 */

/* The functions themselves are defined here, not their checked forms. */
#undef _FORTIFY_SOURCE

#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "client/bounce_rooms.h"
#include "client/compiler.h"
#include "client/record/record.h"
#include "common/align.h"

/* The next definition of this function, which is libc's unless another library interposes it too. */
#define NEXT(function)                                                                             \
	({                                                                                         \
		static __typeof__(function) *_Atomic next_found;                                   \
		__typeof__(function) *next_now = atomic_load_explicit(&next_found, memory_order_acquire); \
                                                                                                   \
		if (unlikely(!next_now)) {                                                         \
			next_now = (__typeof__(function) *)dlsym(RTLD_NEXT, #function);            \
			atomic_store_explicit(&next_found, next_now, memory_order_release);        \
		}                                                                                  \
		next_now;                                                                          \
	})

/* ---- Memory in a pool's place ----------------------------------------------------------- */

struct bounce {
	void *pool;
	unsigned char *bytes;
	size_t length;
};

/* Memory that the kernel can store to. */
static struct bounce bounce_open(void *pool, size_t length)
{
	return (struct bounce){ .pool = pool, .bytes = client_room_take(length), .length = length };
}

/* Store the first `stored` bytes to the pool. errno stays. */
static void bounce_close(struct bounce *bounce, ssize_t stored)
{
	if (stored > 0)
		record_move(bounce->pool, bounce->bytes, min_u64((size_t)stored, bounce->length), false, 0);
	client_room_give(bounce->bytes, bounce->length);
}

static bool in_pool(const void *address, size_t length)
{
	return unlikely(record_concerns((uintptr_t)address, length));
}

/* CALL reads into BYTES, which stands for `buffer`, and returns how many bytes that are. */
#define READ_BY_BOUNCE(buffer, length, BYTES, CALL)                     \
	({                                                              \
		struct bounce bounce = bounce_open((buffer), (length)); \
		void *BYTES = bounce.bytes;                             \
		ssize_t bounce_result = (CALL);                         \
                                                                        \
		bounce_close(&bounce, bounce_result);                   \
		bounce_result;                                          \
	})

/* ---- One buffer ------------------------------------------------------------------------- */

PUBLIC ssize_t read(int fd, void *buffer, size_t length)
{
	if (!in_pool(buffer, length))
		return NEXT(read)(fd, buffer, length);
	return READ_BY_BOUNCE(buffer, length, to, NEXT(read)(fd, to, length));
}

PUBLIC ssize_t pread(int fd, void *buffer, size_t length, off_t offset)
{
	if (!in_pool(buffer, length))
		return NEXT(pread)(fd, buffer, length, offset);
	return READ_BY_BOUNCE(buffer, length, to, NEXT(pread)(fd, to, length, offset));
}

PUBLIC ssize_t pread64(int fd, void *buffer, size_t length, off64_t offset)
{
	if (!in_pool(buffer, length))
		return NEXT(pread64)(fd, buffer, length, offset);
	return READ_BY_BOUNCE(buffer, length, to, NEXT(pread64)(fd, to, length, offset));
}

PUBLIC ssize_t recv(int fd, void *buffer, size_t length, int flags)
{
	if (!in_pool(buffer, length))
		return NEXT(recv)(fd, buffer, length, flags);
	return READ_BY_BOUNCE(buffer, length, to, NEXT(recv)(fd, to, length, flags));
}

PUBLIC ssize_t getrandom(void *buffer, size_t length, unsigned flags)
{
	if (!in_pool(buffer, length))
		return NEXT(getrandom)(buffer, length, flags);
	return READ_BY_BOUNCE(buffer, length, to, NEXT(getrandom)(to, length, flags));
}

PUBLIC int getentropy(void *buffer, size_t length)
{
	unsigned char bytes[256];
	int result;

	if (!in_pool(buffer, length) || length > sizeof(bytes))
		return NEXT(getentropy)(buffer, length);
	result = NEXT(getentropy)(bytes, length);
	if (result == 0)
		record_move(buffer, bytes, length, false, 0);
	return result;
}

PUBLIC void arc4random_buf(void *buffer, size_t length)
{
	struct bounce bounce;

	if (!in_pool(buffer, length)) {
		NEXT(arc4random_buf)(buffer, length);
		return;
	}
	bounce = bounce_open(buffer, length);
	NEXT(arc4random_buf)(bounce.bytes, length);
	bounce_close(&bounce, (ssize_t)length);
}

/* libc reads what is more than its own buffer into the caller's. */
static size_t read_stream(size_t (*function)(void *, size_t, size_t, FILE *), void *buffer, size_t size,
			  size_t count, FILE *stream)
{
	size_t length, done;
	struct bounce bounce;

	if (__builtin_mul_overflow(size, count, &length) || !in_pool(buffer, length))
		return function(buffer, size, count, stream);
	bounce = bounce_open(buffer, length);
	/* By bytes: a last item that is not whole is stored too. */
	done = function(bounce.bytes, 1, length, stream);
	bounce_close(&bounce, (ssize_t)done);
	return done / size;
}

PUBLIC size_t fread(void *buffer, size_t size, size_t count, FILE *stream)
{
	return read_stream(NEXT(fread), buffer, size, count, stream);
}

#undef fread_unlocked
PUBLIC size_t fread_unlocked(void *buffer, size_t size, size_t count, FILE *stream)
{
	return read_stream(NEXT(fread_unlocked), buffer, size, count, stream);
}

/* ---- With _FORTIFY_SOURCE -------------------------------------------------------------------- */

/*
 * The size of the object is what the compiler knew; libc ends the program if it is less than what is asked
 * for.
 */
PUBLIC ssize_t __read_chk(int fd, void *buffer, size_t length, size_t object);
PUBLIC ssize_t __read_chk(int fd, void *buffer, size_t length, size_t object)
{
	if (length > object || !in_pool(buffer, length))
		return NEXT(__read_chk)(fd, buffer, length, object);
	return read(fd, buffer, length);
}

PUBLIC ssize_t __pread_chk(int fd, void *buffer, size_t length, off_t offset, size_t object);
PUBLIC ssize_t __pread_chk(int fd, void *buffer, size_t length, off_t offset, size_t object)
{
	if (length > object || !in_pool(buffer, length))
		return NEXT(__pread_chk)(fd, buffer, length, offset, object);
	return pread(fd, buffer, length, offset);
}

PUBLIC ssize_t __pread64_chk(int fd, void *buffer, size_t length, off64_t offset, size_t object);
PUBLIC ssize_t __pread64_chk(int fd, void *buffer, size_t length, off64_t offset, size_t object)
{
	if (length > object || !in_pool(buffer, length))
		return NEXT(__pread64_chk)(fd, buffer, length, offset, object);
	return pread64(fd, buffer, length, offset);
}

PUBLIC ssize_t __recv_chk(int fd, void *buffer, size_t length, size_t object, int flags);
PUBLIC ssize_t __recv_chk(int fd, void *buffer, size_t length, size_t object, int flags)
{
	if (length > object || !in_pool(buffer, length))
		return NEXT(__recv_chk)(fd, buffer, length, object, flags);
	return recv(fd, buffer, length, flags);
}

PUBLIC ssize_t __recvfrom_chk(int fd, void *buffer, size_t length, size_t object, int flags,
			      struct sockaddr *address, socklen_t *size);
PUBLIC ssize_t __recvfrom_chk(int fd, void *buffer, size_t length, size_t object, int flags,
			      struct sockaddr *address, socklen_t *size)
{
	if (length > object)
		return NEXT(__recvfrom_chk)(fd, buffer, length, object, flags, address, size);
	return recvfrom(fd, buffer, length, flags, address, size);
}

/* A read of so many items that fits into the object, and is into a pool. */
static bool fits_in_pool(const void *buffer, size_t object, size_t size, size_t count)
{
	size_t length;

	return !__builtin_mul_overflow(size, count, &length) && length <= object && in_pool(buffer, length);
}

PUBLIC size_t __fread_chk(void *buffer, size_t object, size_t size, size_t count, FILE *stream);
PUBLIC size_t __fread_chk(void *buffer, size_t object, size_t size, size_t count, FILE *stream)
{
	if (!fits_in_pool(buffer, object, size, count))
		return NEXT(__fread_chk)(buffer, object, size, count, stream);
	return fread(buffer, size, count, stream);
}

PUBLIC size_t __fread_unlocked_chk(void *buffer, size_t object, size_t size, size_t count, FILE *stream);
PUBLIC size_t __fread_unlocked_chk(void *buffer, size_t object, size_t size, size_t count, FILE *stream)
{
	if (!fits_in_pool(buffer, object, size, count))
		return NEXT(__fread_unlocked_chk)(buffer, object, size, count, stream);
	return fread_unlocked(buffer, size, count, stream);
}

/* ---- Several buffers ------------------------------------------------------------------------ */

/* As many as the kernel takes. */
#define PARTS_MOST 1024

struct parts {
	struct iovec bounced[PARTS_MOST]; /* memory of ours in the place of pools */
	const struct iovec *program;
	int count;
};

static bool parts_in_pool(const struct iovec *iov, int count)
{
	for (int i = 0; i < count && count <= PARTS_MOST; i++)
		if (in_pool(iov[i].iov_base, iov[i].iov_len))
			return true;
	return false;
}

static struct parts *parts_open(const struct iovec *iov, int count)
{
	struct bounce memory = bounce_open(NULL, sizeof(struct parts));
	struct parts *parts = (struct parts *)(void *)memory.bytes;

	parts->program = iov;
	parts->count = count;
	memcpy(parts->bounced, iov, (size_t)count * sizeof(*iov));
	for (int i = 0; i < count; i++)
		if (in_pool(iov[i].iov_base, iov[i].iov_len))
			parts->bounced[i].iov_base = bounce_open(iov[i].iov_base, iov[i].iov_len).bytes;
	return parts;
}

/* As parts of the buffers that are in pools, in their order. */
static void parts_close(struct parts *parts, ssize_t stored)
{
	for (int i = 0; i < parts->count; i++) {
		const ssize_t length = (ssize_t)parts->program[i].iov_len;
		struct bounce bounce = { .pool = parts->program[i].iov_base,
					 .bytes = parts->bounced[i].iov_base,
					 .length = parts->program[i].iov_len };

		if (bounce.bytes != bounce.pool)
			bounce_close(&bounce, stored < length ? stored : length);
		stored = stored < length ? 0 : stored - length;
	}
	client_room_give(parts, sizeof(*parts));
}

#define READ_BY_PARTS(iov, count, PARTS, CALL)                         \
	({                                                             \
		struct parts *parts_now = parts_open((iov), (count)); \
		const struct iovec *PARTS = parts_now->bounced;        \
		ssize_t parts_result = (CALL);                         \
                                                                       \
		parts_close(parts_now, parts_result);                  \
		parts_result;                                          \
	})

PUBLIC ssize_t readv(int fd, const struct iovec *iov, int count)
{
	if (!parts_in_pool(iov, count))
		return NEXT(readv)(fd, iov, count);
	return READ_BY_PARTS(iov, count, to, NEXT(readv)(fd, to, count));
}

PUBLIC ssize_t preadv(int fd, const struct iovec *iov, int count, off_t offset)
{
	if (!parts_in_pool(iov, count))
		return NEXT(preadv)(fd, iov, count, offset);
	return READ_BY_PARTS(iov, count, to, NEXT(preadv)(fd, to, count, offset));
}

PUBLIC ssize_t preadv64(int fd, const struct iovec *iov, int count, off64_t offset)
{
	if (!parts_in_pool(iov, count))
		return NEXT(preadv64)(fd, iov, count, offset);
	return READ_BY_PARTS(iov, count, to, NEXT(preadv64)(fd, to, count, offset));
}

PUBLIC ssize_t preadv2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
	if (!parts_in_pool(iov, count))
		return NEXT(preadv2)(fd, iov, count, offset, flags);
	return READ_BY_PARTS(iov, count, to, NEXT(preadv2)(fd, to, count, offset, flags));
}

PUBLIC ssize_t preadv64v2(int fd, const struct iovec *iov, int count, off64_t offset, int flags)
{
	if (!parts_in_pool(iov, count))
		return NEXT(preadv64v2)(fd, iov, count, offset, flags);
	return READ_BY_PARTS(iov, count, to, NEXT(preadv64v2)(fd, to, count, offset, flags));
}
