/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The functions of libc that libpmem.so.1 exports in libc's place. They have no symbol version, so that they
 * answer to any version a program was linked with.
 */

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <unistd.h>

#include "abi/rawcall.h"
#include "client/compiler.h"
#include "client/connection.h"
#include "client/flush.h"
#include "client/mapping.h"

PUBLIC void *mmap(void *address, size_t length, int prot, int flags, int fd, off_t offset);
PUBLIC void *mmap64(void *address, size_t length, int prot, int flags, int fd, off64_t offset);

static void *pointer_or_errno(long result)
{
	if (!raw_failed(result))
		return (void *)result;
	errno = (int)-result;
	return MAP_FAILED;
}

static int zero_or_errno(long result)
{
	if (result)
		errno = (int)-result;
	return result ? -1 : 0;
}

PUBLIC void *mmap(void *address, size_t length, int prot, int flags, int fd, off_t offset)
{
	const void *caller = __builtin_return_address(0);

	return pointer_or_errno(client_mmap_for(caller, address, length, prot, flags, fd, offset));
}

PUBLIC void *mmap64(void *address, size_t length, int prot, int flags, int fd, off64_t offset)
{
	const void *caller = __builtin_return_address(0);

	return pointer_or_errno(client_mmap_for(caller, address, length, prot, flags, fd, offset));
}

PUBLIC int munmap(void *address, size_t length)
{
	return zero_or_errno(client_munmap(address, length));
}

PUBLIC void *mremap(void *address, size_t old_size, size_t new_size, int flags, ...)
{
	void *new_address = NULL;
	va_list arguments;

	va_start(arguments, flags);
	if (flags & (MREMAP_FIXED | MREMAP_DONTUNMAP))
		new_address = va_arg(arguments, void *);
	va_end(arguments);
	return pointer_or_errno(client_mremap(address, old_size, new_size, flags, new_address));
}

PUBLIC int remap_file_pages(void *address, size_t size, int prot, size_t page, int flags)
{
	return zero_or_errno(client_remap_file_pages(address, size, prot, page, flags));
}

PUBLIC int mprotect(void *address, size_t length, int prot)
{
	return zero_or_errno(client_mprotect(address, length, prot, -1));
}

PUBLIC int pkey_mprotect(void *address, size_t length, int prot, int key)
{
	return zero_or_errno(client_mprotect(address, length, prot, key));
}

PUBLIC int madvise(void *address, size_t length, int advice)
{
	return zero_or_errno(client_madvise(address, length, advice));
}

/* A view is a memory file: the kernel tells the daemon of no fsync. Cancellation points, as in libc. */
static int sync_descriptor(int fd, long number)
{
	pthread_testcancel();
	return zero_or_errno(connection_is_view(fd) ? connection_sync(fd) :
						      raw_call(number, (uintptr_t)fd, 0, 0, 0, 0, 0));
}

PUBLIC int fsync(int fd)
{
	return sync_descriptor(fd, SYS_fsync);
}

PUBLIC int fdatasync(int fd)
{
	return sync_descriptor(fd, SYS_fdatasync);
}

PUBLIC int msync(void *address, size_t length, int flags)
{
	return zero_or_errno(client_msync(address, length, flags));
}
