# SPDX-License-Identifier: BSD-3-Clause
# Fuzz targets. In `make check` each runs over its committed corpus and mutations of
# it; `make fuzz` builds them with clang's libFuzzer and lets them run.
fuzz_tests = \
	tests/fuzz/replay_attach.sh \
	tests/fuzz/replay_control.sh \
	tests/fuzz/replay_discovery.sh \
	tests/fuzz/replay_fuse.sh \
	tests/fuzz/replay_region.sh \
	tests/fuzz/replay_trace.sh
TESTS += $(fuzz_tests)
EXTRA_DIST += $(fuzz_tests) tests/fuzz/corpus

fuzz_programs =

fuzz_programs += tests/fuzz/replay_attach
tests_fuzz_replay_attach_SOURCES = tests/fuzz/fuzz_attach.c tests/fuzz/replay.c tests/fuzz/fuzz.h
tests_fuzz_replay_attach_LDADD = $(libattach)

fuzz_programs += tests/fuzz/replay_control
tests_fuzz_replay_control_SOURCES = tests/fuzz/fuzz_control.c tests/fuzz/replay.c tests/fuzz/fuzz.h
tests_fuzz_replay_control_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS)
tests_fuzz_replay_control_LDADD = $(libdaemon)

fuzz_programs += tests/fuzz/replay_discovery
tests_fuzz_replay_discovery_SOURCES = tests/fuzz/fuzz_discovery.c tests/fuzz/replay.c tests/fuzz/fuzz.h
tests_fuzz_replay_discovery_LDADD = $(libregion)

fuzz_programs += tests/fuzz/replay_fuse
tests_fuzz_replay_fuse_SOURCES = tests/fuzz/fuzz_fuse.c tests/fuzz/replay.c tests/fuzz/fuzz.h
tests_fuzz_replay_fuse_CFLAGS = $(AM_CFLAGS) $(FUSE_CFLAGS)
tests_fuzz_replay_fuse_LDADD = $(libfusefs)

fuzz_programs += tests/fuzz/replay_region
tests_fuzz_replay_region_SOURCES = tests/fuzz/fuzz_region.c tests/fuzz/replay.c tests/fuzz/fuzz.h
tests_fuzz_replay_region_LDADD = $(libpool)

fuzz_programs += tests/fuzz/replay_trace
tests_fuzz_replay_trace_SOURCES = tests/fuzz/fuzz_trace.c tests/fuzz/replay.c tests/fuzz/fuzz.h
tests_fuzz_replay_trace_LDADD = $(libtrace)

check_PROGRAMS += $(fuzz_programs)

# The programs for libFuzzer link the same libraries, in their own build directory, where clang instruments all of
# the code. `make fuzz-build` only builds them. Each replayer above links what its fuzz target links, so a library
# that is missing here fails in `make check` too.
fuzz_targets = tests/fuzz/fuzz_attach tests/fuzz/fuzz_control tests/fuzz/fuzz_discovery tests/fuzz/fuzz_fuse \
	tests/fuzz/fuzz_region tests/fuzz/fuzz_trace
EXTRA_PROGRAMS += $(fuzz_targets)
tests_fuzz_fuzz_attach_SOURCES = tests/fuzz/fuzz_attach.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_attach_LDADD = $(libattach)
tests_fuzz_fuzz_attach_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_control_SOURCES = tests/fuzz/fuzz_control.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_control_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS)
tests_fuzz_fuzz_control_LDADD = $(libdaemon)
tests_fuzz_fuzz_control_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_discovery_SOURCES = tests/fuzz/fuzz_discovery.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_discovery_LDADD = $(libregion)
tests_fuzz_fuzz_discovery_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_fuse_SOURCES = tests/fuzz/fuzz_fuse.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_fuse_CFLAGS = $(AM_CFLAGS) $(FUSE_CFLAGS)
tests_fuzz_fuzz_fuse_LDADD = $(libfusefs)
tests_fuzz_fuzz_fuse_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_region_SOURCES = tests/fuzz/fuzz_region.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_region_LDADD = $(libpool)
tests_fuzz_fuzz_region_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_trace_SOURCES = tests/fuzz/fuzz_trace.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_trace_LDADD = $(libtrace)
tests_fuzz_fuzz_trace_LDFLAGS = $(fuzz_ldflags)
fuzz_ldflags = $(AM_LDFLAGS) -fsanitize=fuzzer

FUZZ_CC = clang
FUZZ_SECONDS = 600

fuzz: fuzz-attach fuzz-control fuzz-discovery fuzz-fuse fuzz-region fuzz-trace

fuzz-build:
	$(MKDIR_P) fuzzing
	cd fuzzing && { [ -f Makefile ] || \
		CONFIG_SHELL=$(SHELL) $(SHELL) $(abs_top_srcdir)/configure -q CC='$(FUZZ_CC)' --enable-fuzzing; }
	cd fuzzing && $(MAKE) $(AM_MAKEFLAGS) $(fuzz_targets)

# Inputs that make a target fail, and those that reach new code, are left in tests/fuzz/found.
fuzz-attach fuzz-control fuzz-discovery fuzz-fuse fuzz-region fuzz-trace: fuzz-build
	@target=$(@:fuzz-%=%); found=tests/fuzz/found; \
	$(MKDIR_P) $$found/$$target && \
	fuzzing/tests/fuzz/fuzz_$$target -max_total_time=$(FUZZ_SECONDS) -max_len=4096 \
		-artifact_prefix=$$found/$$target- $$found/$$target $(srcdir)/tests/fuzz/corpus/$$target

clean-local:
	rm -rf tests/fuzz/found fuzzing

.PHONY: fuzz fuzz-build fuzz-attach fuzz-control fuzz-discovery fuzz-fuse fuzz-region fuzz-trace
