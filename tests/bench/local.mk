# SPDX-License-Identifier: BSD-3-Clause
# make bench prints the table of docs/benchmarks.md. `make check` only tests that it runs.
bench_tests = tests/bench/smoke.sh
TESTS += $(bench_tests)
EXTRA_DIST += $(bench_tests) tests/bench/bench.sh tests/bench/rows.bash tests/bench/pmem_rows.bash tests/bench/explore_rows.bash \
	tests/bench/map_time.c tests/bench/objects_time.c

check_PROGRAMS += tests/bench/memcpy_time
tests_bench_memcpy_time_SOURCES = tests/bench/memcpy_time.c

check_PROGRAMS += tests/bench/metadata_time
tests_bench_metadata_time_SOURCES = tests/bench/metadata_time.c tests/bench/now.h

check_PROGRAMS += tests/bench/sync_time
tests_bench_sync_time_SOURCES = tests/bench/sync_time.c

bench_programs = tests/bench/memcpy_time tests/bench/metadata_time tests/bench/sync_time \
	tests/bench/pmem_time tests/bench/handover_time
check_PROGRAMS += tests/bench/pmem_time
tests_bench_pmem_time_SOURCES = tests/bench/pmem_time.c
tests_bench_pmem_time_CFLAGS = $(AM_CFLAGS) $(PMEM_CFLAGS)
tests_bench_pmem_time_LDADD = $(PMEM_LIBS)
check_PROGRAMS += tests/bench/handover_time
tests_bench_handover_time_SOURCES = tests/bench/handover_time.c
tests_bench_handover_time_CFLAGS = $(AM_CFLAGS) $(PMEM_CFLAGS)
tests_bench_handover_time_LDADD = $(PMEM_LIBS) -lpthread
bench_programs += tests/bench/record_time
check_PROGRAMS += tests/bench/record_time
tests_bench_record_time_SOURCES = tests/bench/record_time.c
tests_bench_record_time_LDADD = -lpthread -lm
bench_programs += tests/bench/trace_time
check_PROGRAMS += tests/bench/trace_time
tests_bench_trace_time_SOURCES = tests/bench/trace_time.c
tests_bench_trace_time_LDADD = $(libtrace) -lpthread
if HAVE_PMEMOBJ
bench_programs += tests/bench/objects_time
check_PROGRAMS += tests/bench/objects_time
tests_bench_objects_time_SOURCES = tests/bench/objects_time.c
tests_bench_objects_time_CFLAGS = $(AM_CFLAGS) $(PMEMOBJ_CFLAGS)
tests_bench_objects_time_LDADD = $(PMEMOBJ_LIBS) -lpthread
endif

.PHONY: bench
bench: all $(engine_programs) $(bench_programs) tests/explore/checker_commit tests/explore/checker_commit.so
	abs_top_srcdir='$(abs_top_srcdir)' abs_top_builddir='$(abs_top_builddir)' $(BASH) $(srcdir)/tests/bench/bench.sh
