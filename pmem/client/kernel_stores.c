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
#include "client/recording.h"
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
	unsigned char *bytes; /* NULL: given back */
	size_t length;
};

/* Memory that the kernel can store to. */
static struct bounce bounce_open(void *pool, size_t length)
{
	return (struct bounce){ .pool = pool, .bytes = client_room_take(length), .length = length };
}

static void give_back(struct bounce *bounce)
{
	unsigned char *bytes = bounce->bytes;

	bounce->bytes = NULL;
	if (bytes)
		client_room_give(bytes, bounce->length);
}
/* Reads are cancellation points. */
#define CLEANUP_BOUNCE __attribute__((cleanup(give_back)))

/* Store the first `stored` bytes to the pool. errno stays. */
static void bounce_store(const struct bounce *bounce, size_t stored)
{
	if (stored)
		record_move(bounce->pool, bounce->bytes, min_u64(stored, bounce->length), false, 0);
}

/* A part that the program may not store to is the kernel's and libc's matter. */
static bool in_pool(uintptr_t address, size_t length)
{
	return unlikely(record_concerns(address, length)) &&
	       client_recording_storable(address, length) == length;
}

/* ---- Random bytes ----------------------------------------------------------------------- */

PUBLIC int getentropy(void *buffer, size_t length)
{
	unsigned char bytes[256];
	int result;

	if (!in_pool((uintptr_t)buffer, length) || length > sizeof(bytes))
		return NEXT(getentropy)(buffer, length);
	result = NEXT(getentropy)(bytes, length);
	if (result == 0)
		record_move(buffer, bytes, length, false, 0);
	return result;
}

PUBLIC void arc4random_buf(void *buffer, size_t length)
{
	if (!in_pool((uintptr_t)buffer, length)) {
		NEXT(arc4random_buf)(buffer, length);
	} else {
		CLEANUP_BOUNCE struct bounce bounce = bounce_open(buffer, length);

		NEXT(arc4random_buf)(bounce.bytes, length);
		bounce_store(&bounce, length);
	}
}

/* ---- Streams ---------------------------------------------------------------------------- */

static size_t read_items(size_t (*function)(void *, size_t, size_t, FILE *), void *buffer, size_t size,
			 size_t length, FILE *stream)
{
	CLEANUP_BOUNCE struct bounce bounce = bounce_open(buffer, length);
	/* By bytes: a last item that is not whole is stored too. */
	const size_t done = function(bounce.bytes, 1, length, stream);

	bounce_store(&bounce, done);
	return done / size;
}

/* libc reads what is more than its own buffer into the caller's. */
static size_t read_stream(size_t (*function)(void *, size_t, size_t, FILE *), void *buffer, size_t size,
			  size_t count, FILE *stream)
{
	size_t length;

	if (__builtin_mul_overflow(size, count, &length) || !in_pool((uintptr_t)buffer, length))
		return function(buffer, size, count, stream);
	return read_items(function, buffer, size, length, stream);
}

PUBLIC size_t fread(void *buffer, size_t size, size_t count, FILE *stream)
{
	return read_stream(NEXT(fread), buffer, size, count, stream);
}

PUBLIC size_t _IO_fread(void *buffer, size_t size, size_t count, FILE *stream);
PUBLIC size_t _IO_fread(void *buffer, size_t size, size_t count, FILE *stream)
{
	return fread(buffer, size, count, stream);
}

#undef fread_unlocked
PUBLIC size_t fread_unlocked(void *buffer, size_t size, size_t count, FILE *stream)
{
	return read_stream(NEXT(fread_unlocked), buffer, size, count, stream);
}

/* ---- With _FORTIFY_SOURCE -------------------------------------------------------------------- */

/*
 * The size of the object is what the compiler knew; libc ends the program if it is less than what is asked
 * for. This function has more arguments than there are registers.
 */
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

	return !__builtin_mul_overflow(size, count, &length) && length <= object &&
	       in_pool((uintptr_t)buffer, length);
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
