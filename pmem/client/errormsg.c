/* SPDX-License-Identifier: BSD-3-Clause */

#include "client/errormsg.h"

#include <errno.h>
#include <libpmem.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "abi/rawcall.h"
#include "client/compiler.h"

void client_complain(const char *what, const char *detail)
{
	char text[400] = "softpmem: ";

	strncat(text, what, 200);
	strncat(text, detail, 150);
	strcat(text, "\n");
	RAW3(write, 2, text, strlen(text));
}

/*
 * A thread that has failed has memory for its message. It is no thread-local variable, because these take a
 * part of each thread's stack, which may be little.
 */
#define MESSAGE_BYTES ((size_t)PATH_MAX + 256)

static pthread_key_t message_key;
static pthread_once_t message_once = PTHREAD_ONCE_INIT;
static bool have_key;

static void give_back(void *message)
{
	RAW2(munmap, message, MESSAGE_BYTES);
}

static void make_key(void)
{
	have_key = pthread_key_create(&message_key, give_back) == 0;
}

/* NULL: it has no message, or there is no memory. */
static char *message_of_thread(bool make)
{
	char *message;
	long at;

	pthread_once(&message_once, make_key);
	if (!have_key)
		return NULL;
	message = pthread_getspecific(message_key);
	if (message || !make)
		return message;
	at = RAW6(mmap, NULL, MESSAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (raw_failed(at))
		return NULL;
	if (pthread_setspecific(message_key, (void *)at) != 0) {
		give_back((void *)at);
		return NULL;
	}
	return (char *)at;
}

__attribute__((format(printf, 2, 0)))
static void set_message(int error, const char *format, va_list arguments)
{
	char *message = message_of_thread(true);
	size_t used;

	if (!message)
		return;
	vsnprintf(message, MESSAGE_BYTES, format, arguments);
	used = strlen(message);
	if (error)
		snprintf(message + used, MESSAGE_BYTES - used, ": %s", strerrordesc_np(error));
}

void client_set_errormsg(int error, const char *format, ...)
{
	const int before = errno;
	va_list arguments;

	va_start(arguments, format);
	set_message(error, format, arguments);
	va_end(arguments);
	errno = error ? error : before;
}

PUBLIC const char *pmem_errormsg(void)
{
	const char *message = message_of_thread(false);

	return message ? message : "";
}

PUBLIC const char *pmem_check_version(unsigned major_required, unsigned minor_required)
{
	if (major_required != PMEM_MAJOR_VERSION) {
		client_set_errormsg(0, "libpmem major version mismatch (need %u, found %u)", major_required,
			    PMEM_MAJOR_VERSION);
		return pmem_errormsg();
	}
	if (minor_required > PMEM_MINOR_VERSION) {
		client_set_errormsg(0, "libpmem minor version mismatch (need %u, found %u)", minor_required,
			    PMEM_MINOR_VERSION);
		return pmem_errormsg();
	}
	return NULL;
}
