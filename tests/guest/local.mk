# SPDX-License-Identifier: BSD-3-Clause
# Tests in a guest under QEMU, which has a real /dev/mem and can be reset.
guest_tests = \
	tests/guest/dax.sh \
	tests/guest/devmem.sh \
	tests/guest/reservations.sh \
	tests/guest/synchronous.sh
TESTS += $(guest_tests)
long_tests += tests/guest/pmemobj.sh
EXTRA_DIST += $(guest_tests) tests/guest/dax.guest tests/guest/devmem.guest tests/guest/pmemobj.guest \
	tests/guest/reservations.guest tests/guest/synchronous.guest \
	tests/guest/guest.sh tests/guest/inside.sh
check_PROGRAMS += tests/guest/map_uncached tests/guest/synchronous
tests_guest_map_uncached_SOURCES = tests/guest/map_uncached.c
tests_guest_synchronous_SOURCES = tests/guest/synchronous.c
persistent_sources = tests/guest/persistent.c tests/pmdk/objects.c tests/pmdk/objects.h
EXTRA_DIST += $(persistent_sources)
if HAVE_PMEMOBJ
check_PROGRAMS += tests/guest/persistent
tests_guest_persistent_SOURCES = $(persistent_sources)
tests_guest_persistent_CFLAGS = $(AM_CFLAGS) $(PMEMOBJ_CFLAGS)
tests_guest_persistent_LDADD = $(PMEMOBJ_LIBS) -lpthread
endif

.PHONY: check-guest
check-guest: all
	$(MAKE) $(AM_MAKEFLAGS) check TESTS='$(guest_tests) tests/guest/pmemobj.sh'

# The kernel that the tests downloaded.
distclean-local:
	rm -rf tests/guest/kernel tests/guest/kernel.new tests/guest/kernel.lock
