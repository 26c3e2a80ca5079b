# SPDX-License-Identifier: BSD-3-Clause
# Fuzz targets. In `make check` each runs over its committed corpus and mutations of
# it; `make fuzz` builds them with clang's libFuzzer and lets them run.
fuzz_tests = \
	tests/fuzz/replay_control.sh \
	tests/fuzz/replay_discovery.sh \
	tests/fuzz/replay_region.sh \
	tests/fuzz/replay_trace.sh
TESTS += $(fuzz_tests)
EXTRA_DIST += $(fuzz_tests) tests/fuzz/corpus

check_PROGRAMS += tests/fuzz/replay_control
tests_fuzz_replay_control_SOURCES = tests/fuzz/fuzz_control.c tests/fuzz/replay.c tests/fuzz/fuzz.h
tests_fuzz_replay_control_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS)
tests_fuzz_replay_control_LDADD = $(libdaemon)

check_PROGRAMS += tests/fuzz/replay_discovery
tests_fuzz_replay_discovery_SOURCES = tests/fuzz/fuzz_discovery.c tests/fuzz/replay.c tests/fuzz/fuzz.h
tests_fuzz_replay_discovery_LDADD = $(libregion)

check_PROGRAMS += tests/fuzz/replay_region
tests_fuzz_replay_region_SOURCES = tests/fuzz/fuzz_region.c tests/fuzz/replay.c tests/fuzz/fuzz.h
tests_fuzz_replay_region_LDADD = $(libpool)

check_PROGRAMS += tests/fuzz/replay_trace
tests_fuzz_replay_trace_SOURCES = tests/fuzz/fuzz_trace.c tests/fuzz/replay.c tests/fuzz/fuzz.h
tests_fuzz_replay_trace_LDADD = $(libtrace)

FUZZ_CC = clang
FUZZ_SECONDS = 600
fuzz_flags = $(AM_CPPFLAGS) -I. -std=gnu17 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined
fuzz_control_sources = src/wire/frame.c src/wire/request.c src/wire/text.c pmem/common/message.c pmem/domain/domain.c pmem/pool/mode.c
fuzz_discovery_sources = $(pmem_common_libcommon_a_SOURCES) $(pmem_region_libregion_a_SOURCES)
# All of the library, instrumented.
fuzz_region_sources = $(pmem_common_libcommon_a_SOURCES) $(pmem_region_libregion_a_SOURCES) \
	$(pmem_domain_libdomain_a_SOURCES) $(pmem_pool_libpool_a_SOURCES)
fuzz_trace_sources = $(pmem_common_libcommon_a_SOURCES) $(pmem_trace_libtrace_a_SOURCES)

fuzz_region_libraries = $(PMEM_CFLAGS) $(NDCTL_CFLAGS) $(DAXCTL_CFLAGS) $(PMEM_LIBS) $(NDCTL_LIBS) $(DAXCTL_LIBS)

# Findings are left in tests/fuzz/found.
fuzz: fuzz-control fuzz-discovery fuzz-region fuzz-trace

fuzz-control:
	@target=control; sources='$(fuzz_control_sources)'; libraries='$(JSON_CFLAGS) $(JSON_LIBS)'; $(run_fuzz)
fuzz-discovery:
	@target=discovery; sources='$(fuzz_discovery_sources)'; libraries='$(fuzz_region_libraries)'; $(run_fuzz)
fuzz-region:
	@target=region; sources='$(fuzz_region_sources)'; libraries='$(fuzz_region_libraries)'; $(run_fuzz)
fuzz-trace:
	@target=trace; sources='$(fuzz_trace_sources)'; libraries='$(ZSTD_CFLAGS) $(ZSTD_LIBS)'; $(run_fuzz)

run_fuzz = $(MKDIR_P) tests/fuzz/found/$$target; \
	files=$(srcdir)/tests/fuzz/fuzz_$$target.c; \
	for file in $$sources; do case $$file in *.c) files="$$files $(srcdir)/$$file" ;; esac; done; \
	$(FUZZ_CC) $(fuzz_flags) -o tests/fuzz/fuzz_$$target $$files $$libraries && \
	tests/fuzz/fuzz_$$target -max_total_time=$(FUZZ_SECONDS) -max_len=4096 \
		-artifact_prefix=tests/fuzz/found/$$target- tests/fuzz/found/$$target $(srcdir)/tests/fuzz/corpus/$$target

clean-local:
	rm -rf tests/fuzz/found tests/fuzz/fuzz_control tests/fuzz/fuzz_discovery tests/fuzz/fuzz_region tests/fuzz/fuzz_trace

.PHONY: fuzz fuzz-control fuzz-discovery fuzz-region fuzz-trace
