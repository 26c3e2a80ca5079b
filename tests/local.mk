# SPDX-License-Identifier: BSD-3-Clause
# Every test prints TAP, which automake's driver counts. `make check -j` runs them in parallel.
AM_TESTS_ENVIRONMENT = \
	abs_top_srcdir='$(abs_top_srcdir)' abs_top_builddir='$(abs_top_builddir)'; \
	export abs_top_srcdir abs_top_builddir; \
	CMOCKA_MESSAGE_OUTPUT=TAP; export CMOCKA_MESSAGE_OUTPUT;
LOG_DRIVER = env AM_TAP_AWK='$(AWK)' $(SHELL) $(top_srcdir)/build-aux/tap-driver.sh
SH_LOG_DRIVER = $(LOG_DRIVER)
SH_LOG_COMPILER = $(BASH)
TEST_EXTENSIONS = .sh

EXTRA_DIST += tests/lib.sh tests/packages.bash

# Each directory lists its own tests.
include tests/unit/local.mk
include tests/record/local.mk
include tests/format/local.mk
include tests/e2e/local.mk
include tests/fuzz/local.mk
include tests/guest/local.mk
include tests/engines/local.mk
include tests/bench/local.mk
include tests/campaign/local.mk
include tests/pmdk/local.mk
include tests/debian/local.mk

# All suites with larger numbers of power failures, seeds and mutations.
check-long:
	SOFTPMEM_TEST_LONG=1 $(MAKE) $(AM_MAKEFLAGS) check
.PHONY: check-long

# The same tests with sanitizers, in another build directory, and under valgrind.
check-asan:
	$(MKDIR_P) asan
	cd asan && $(abs_top_srcdir)/configure --enable-sanitizers && \
		$(MAKE) && $(MAKE) check TESTS='$$(unit_tests) $$(fuzz_tests) $$(sanitized_tests)'

check-valgrind: $(check_PROGRAMS)
	@for test in $(unit_tests); do \
		echo "== $$test"; \
		valgrind -q --error-exitcode=9 --leak-check=full ./$$test || exit 1; \
	done
.PHONY: check-asan check-valgrind
