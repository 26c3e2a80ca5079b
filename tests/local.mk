# SPDX-License-Identifier: BSD-3-Clause
# Every test prints TAP, which automake's driver counts. `make check -j` runs them in parallel.
AM_TESTS_ENVIRONMENT = \
	abs_top_srcdir='$(abs_top_srcdir)' abs_top_builddir='$(abs_top_builddir)'; \
	export abs_top_srcdir abs_top_builddir; \
	CMOCKA_MESSAGE_OUTPUT=TAP; export CMOCKA_MESSAGE_OUTPUT;
# With LOG_COMPILER before it: unit tests have no extension.
AM_LOG_FLAGS = $(BASH) $(top_srcdir)/tests/unit_test.sh
LOG_DRIVER = env AM_TAP_AWK='$(AWK)' $(SHELL) $(top_srcdir)/build-aux/tap-driver.sh
SH_LOG_DRIVER = $(LOG_DRIVER)
SH_LOG_COMPILER = $(BASH)
TEST_EXTENSIONS = .sh

EXTRA_DIST += tests/unit_test.sh tests/lib.sh tests/packages.bash

# For make check-long alone: they take long, and show what shorter tests show in part.
long_tests =

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

EXTRA_DIST += $(long_tests)

# What ./check runs without sanitizers: programs as they are installed, and the models.
system_tests = $(house_tests) $(model_tests) $(record_tests) $(recorded_tests) $(e2e_tests) $(guest_tests) \
	$(engine_tests) $(bench_tests) $(pmdk_tests)
# What it runs with them besides the other unit tests, and the programs that these tests need.
sanitized_tests = $(fuzz_tests) tests/engines/fio.sh tests/e2e/cli-powerfail.sh tests/e2e/control-daemon.sh
sanitized_programs = $(fuzz_programs) tests/e2e/notify_listener tests/explore/checker_commit \
	tests/explore/checker_commit.so

# All suites with larger numbers of power failures, seeds and mutations.
check-long:
	SOFTPMEM_TEST_LONG=1 $(MAKE) $(AM_MAKEFLAGS) check TESTS='$(TESTS) $(long_tests)'
.PHONY: check-long

# The same tests with sanitizers, in another build directory.
check-asan:
	$(MKDIR_P) asan
	cd asan && $(abs_top_srcdir)/configure --enable-sanitizers && \
		$(MAKE) && $(MAKE) check TESTS='$$(unit_tests) $$(sanitized_tests)'

.PHONY: check-asan
