/* SPDX-License-Identifier: BSD-3-Clause */
#include "badpage.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

/* The only test code that uses the address of a region's mapping. */
#include "region/backend.h"

#define PAGE 4096u

static struct sigaction region_handler;

void badpage_init(void)
{
	struct region *region = NULL;

	/* Opening a first region installs the handler. */
	if (region_open("memfd:2M", 0, &region, NULL) < 0)
		abort();
	sigaction(SIGBUS, NULL, &region_handler);
	region_close(region);
}

void badpage_catch(void)
{
	sigaction(SIGBUS, &region_handler, NULL);
}

void badpage_unreadable(struct region *region, uint64_t offset)
{
	const int protection = PROT_READ | (region_is_read_only(region) ? 0 : PROT_WRITE);
	int empty = memfd_create("badpage", MFD_CLOEXEC);

	badpage_catch();
	assert_true(empty >= 0);
	assert_ptr_not_equal(mmap(region->media + offset, PAGE, protection, MAP_SHARED | MAP_FIXED, empty, 0),
			     MAP_FAILED);
	close(empty);
}

static struct {
	unsigned char *page;
	unsigned order;
	struct sigaction before;
} poisoned;

/* A signal that a thread sends to itself is handled before the access is repeated. */
static void on_sigsegv(int number, siginfo_t *info, void *context)
{
	const unsigned char *at = info->si_addr;
	siginfo_t error = { .si_signo = SIGBUS, .si_code = BUS_MCEERR_AR };

	if (at < poisoned.page || at >= poisoned.page + PAGE) {
		sigaction(SIGSEGV, &poisoned.before, NULL);
		return;
	}
	error.si_addr = info->si_addr;
	error.si_addr_lsb = (short)(12 + poisoned.order);
	syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGBUS, &error);
}

void badpage_memory_error(struct region *region, uint64_t offset, unsigned order)
{
	struct sigaction action = { .sa_sigaction = on_sigsegv, .sa_flags = SA_SIGINFO };

	badpage_catch();
	poisoned.page = region->media + offset;
	poisoned.order = order;
	assert_int_equal(mprotect(poisoned.page, PAGE, PROT_NONE), 0);
	assert_int_equal(sigaction(SIGSEGV, &action, &poisoned.before), 0);
}
