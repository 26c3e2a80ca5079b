/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COMMON_CLEANUP_H
#define COMMON_CLEANUP_H

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

/* Variable attributes that release what they hold at the end of the scope. */

static inline void cleanup_free_fn(void *pointer)
{
	free(*(void **)pointer);
}

static inline void cleanup_fd_fn(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void cleanup_mutex_fn(pthread_mutex_t **mutex)
{
	if (*mutex)
		pthread_mutex_unlock(*mutex);
}

static inline void cleanup_rwlock_fn(pthread_rwlock_t **lock)
{
	if (*lock)
		pthread_rwlock_unlock(*lock);
}

static inline pthread_mutex_t *locked_mutex(pthread_mutex_t *mutex)
{
	pthread_mutex_lock(mutex);
	return mutex;
}

static inline pthread_rwlock_t *locked_read(pthread_rwlock_t *lock)
{
	pthread_rwlock_rdlock(lock);
	return lock;
}

static inline pthread_rwlock_t *locked_write(pthread_rwlock_t *lock)
{
	pthread_rwlock_wrlock(lock);
	return lock;
}

#define CLEANUP_FREE __attribute__((cleanup(cleanup_free_fn)))
#define CLEANUP_FD __attribute__((cleanup(cleanup_fd_fn)))

#define SCOPE_NAME2(line) scope_lock_##line
#define SCOPE_NAME(line) SCOPE_NAME2(line)
/* Hold the lock until the end of the enclosing scope. */
#define LOCK_SCOPE(mutex)                                                                          \
	pthread_mutex_t *SCOPE_NAME(__LINE__)                                                      \
		__attribute__((cleanup(cleanup_mutex_fn), unused)) = locked_mutex(mutex)
#define READ_SCOPE(lock)                                                                           \
	pthread_rwlock_t *SCOPE_NAME(__LINE__)                                                     \
		__attribute__((cleanup(cleanup_rwlock_fn), unused)) = locked_read(lock)
#define WRITE_SCOPE(lock)                                                                          \
	pthread_rwlock_t *SCOPE_NAME(__LINE__)                                                     \
		__attribute__((cleanup(cleanup_rwlock_fn), unused)) = locked_write(lock)

static inline void *steal_pointer(void *pointer_to_pointer)
{
	void **slot = pointer_to_pointer;
	void *value = *slot;

	*slot = NULL;
	return value;
}

static inline int steal_fd(int *fd)
{
	int value = *fd;

	*fd = -1;
	return value;
}

#endif
