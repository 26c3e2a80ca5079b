# SPDX-License-Identifier: BSD-3-Clause
# make bench prints the table of the README. In `make check` it only has to run.
bench_tests = tests/bench/smoke.sh
TESTS += $(bench_tests)
EXTRA_DIST += $(bench_tests) tests/bench/bench.sh tests/bench/rows.bash

check_PROGRAMS += tests/bench/memcpy_time
tests_bench_memcpy_time_SOURCES = tests/bench/memcpy_time.c

.PHONY: bench
bench: all $(engine_programs) tests/bench/memcpy_time
	abs_top_srcdir='$(abs_top_srcdir)' abs_top_builddir='$(abs_top_builddir)' $(BASH) $(srcdir)/tests/bench/bench.sh
