# SPDX-License-Identifier: BSD-3-Clause
# Fuzz targets. In `make check` each runs over its committed corpus and mutations of
# it; `make fuzz` builds them with clang's libFuzzer and lets them run.
fuzz_targets = control
fuzz_tests = tests/fuzz/replay_control.sh
TESTS += $(fuzz_tests)
EXTRA_DIST += $(fuzz_tests) tests/fuzz/corpus

check_PROGRAMS += tests/fuzz/replay_control
tests_fuzz_replay_control_SOURCES = tests/fuzz/control.c tests/fuzz/replay.c tests/fuzz/fuzz.h
tests_fuzz_replay_control_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS)
tests_fuzz_replay_control_LDADD = src/libcontrol.la $(JSON_LIBS)

FUZZ_CC = clang
FUZZ_SECONDS = 600
fuzz_flags = $(AM_CPPFLAGS) -std=gnu17 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined
fuzz_control_sources = tests/fuzz/control.c src/control.c src/request.c src/text.c pmem/common/message.c \
	pmem/domain/domain.c pmem/pool/mode.c

fuzz:
	@for target in $(fuzz_targets); do \
		$(MAKE) fuzz-$$target || exit 1; \
	done

fuzz-control:
	$(MKDIR_P) tests/fuzz/found/control
	cd $(srcdir) && $(FUZZ_CC) $(fuzz_flags) -I$(abs_top_builddir) $(JSON_CFLAGS) \
		-o $(abs_top_builddir)/tests/fuzz/fuzz_control $(fuzz_control_sources) $(JSON_LIBS)
	tests/fuzz/fuzz_control -max_total_time=$(FUZZ_SECONDS) -max_len=4096 \
		tests/fuzz/found/control $(srcdir)/tests/fuzz/corpus/control

clean-local:
	rm -rf tests/fuzz/found tests/fuzz/fuzz_control

.PHONY: fuzz fuzz-control
