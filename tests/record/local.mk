# SPDX-License-Identifier: BSD-3-Clause
# The recorder's instruction engine, by itself.
record_tests =

record_world = tests/record/world.c tests/record/world.h
record_libs = $(librecord) $(libtrace)

record_tests += tests/record/test_forms
tests_record_test_forms_SOURCES = tests/record/test_forms.c tests/record/enumerate.c \
	tests/record/form.h tests/record/formrun.S tests/record/formstate.c $(record_world)
tests_record_test_forms_LDADD = $(record_libs)
EXTRA_DIST += tests/record/uncovered.txt

record_tests += tests/record/test_step tests/record/test_flags tests/record/test_processes
tests_record_test_flags_SOURCES = tests/record/test_flags.c tests/e2e/tap.h
tests_record_test_flags_LDADD = $(record_libs)
tests_record_test_processes_SOURCES = tests/record/test_processes.c tests/e2e/tap.h
tests_record_test_processes_LDADD = $(record_libs)
tests_record_test_step_SOURCES = tests/record/test_step.c tests/e2e/tap.h
tests_record_test_step_LDADD = $(record_libs)

record_tests += tests/record/test_patch
tests_record_test_patch_SOURCES = tests/record/test_patch.c tests/e2e/tap.h $(record_world)
tests_record_test_patch_LDADD = $(record_libs)

record_tests += tests/record/test_exits
tests_record_test_exits_SOURCES = tests/record/test_exits.c tests/e2e/tap.h $(record_world)
tests_record_test_exits_LDADD = $(record_libs)

record_tests += tests/record/test_threads
tests_record_test_threads_SOURCES = tests/record/test_threads.c tests/e2e/tap.h $(record_world)
tests_record_test_threads_LDADD = $(record_libs)

# Position-independent and not: where jumps can lead differs.
record_tests += tests/record/test_inline tests/record/test_inline_nopie
tests_record_test_inline_SOURCES = tests/record/test_inline.c tests/record/inline_code.S tests/record/form.h \
	tests/record/formrun.S tests/e2e/tap.h $(record_world)
tests_record_test_inline_LDADD = $(record_libs)
tests_record_test_inline_nopie_SOURCES = $(tests_record_test_inline_SOURCES)
tests_record_test_inline_nopie_CFLAGS = $(AM_CFLAGS) -fno-pie
tests_record_test_inline_nopie_LDFLAGS = $(AM_LDFLAGS) -no-pie
tests_record_test_inline_nopie_LDADD = $(record_libs)

# All numbers that the system's headers have.
tests/record/call_numbers.h: $(srcdir)/tests/record/local.mk
	$(AM_V_at)$(MKDIR_P) tests/record
	$(AM_V_GEN)echo '#include <asm/unistd_64.h>' | $(CC) -E -dM -x c - | \
		sed -n 's/^#define __NR_\([a-z0-9_]*\) \([0-9]*\)$$/{ "\1", \2 },/p' | \
		sort -n -k 4 >$@.new && mv $@.new $@
CLEANFILES += tests/record/call_numbers.h
tests/record/test_calls.$(OBJEXT): tests/record/call_numbers.h

record_tests += tests/record/test_calls
tests_record_test_calls_SOURCES = tests/record/test_calls.c tests/e2e/tap.h pmem/client/kernel_call_table.c

check_PROGRAMS += $(record_tests)
TESTS += $(record_tests)

# Is the replay of a trace what the pool holds? For scripts.
check_PROGRAMS += tests/record/same_contents
tests_record_same_contents_SOURCES = tests/record/same_contents.c
tests_record_same_contents_LDADD = $(libtrace)

check_PROGRAMS += tests/record/subject
tests_record_subject_SOURCES = tests/record/subject.c tests/record/subject.h
tests_record_subject_LDADD = -lpthread -ldl

check_PROGRAMS += tests/record/kernel_subject
tests_record_kernel_subject_SOURCES = tests/record/kernel_subject.c
tests_record_kernel_subject_LDADD = -lpthread

check_PROGRAMS += tests/record/results_subject
tests_record_results_subject_SOURCES = tests/record/results_subject.c tests/record/results.h \
	tests/record/results_files.c tests/record/results_processes.c tests/record/results_sockets.c \
	tests/record/meanwhile.h tests/record/raw_call.h
tests_record_results_subject_LDADD = -lrt -lpthread

check_PROGRAMS += tests/record/adverse_subject
tests_record_adverse_subject_SOURCES = tests/record/adverse_subject.c tests/record/raw_call.h
tests_record_adverse_subject_LDADD = -lpthread

check_PROGRAMS += tests/record/races_subject
tests_record_races_subject_SOURCES = tests/record/races_subject.c
tests_record_races_subject_LDADD = -lpthread -ldl

check_PROGRAMS += tests/record/children_subject
tests_record_children_subject_SOURCES = tests/record/children_subject.c tests/record/raw_call.h
tests_record_children_subject_LDADD = -lpthread

check_PROGRAMS += tests/record/pointers_subject
tests_record_pointers_subject_SOURCES = tests/record/pointers_subject.c

check_PROGRAMS += tests/record/signals_subject
tests_record_signals_subject_SOURCES = tests/record/signals_subject.c
tests_record_signals_subject_LDADD = -lpthread

check_PROGRAMS += tests/record/made_subject
tests_record_made_subject_SOURCES = tests/record/made_subject.c
tests_record_made_subject_LDADD = -lpthread

check_PROGRAMS += tests/record/cancel_subject
tests_record_cancel_subject_SOURCES = tests/record/cancel_subject.c tests/record/raw_call.h
tests_record_cancel_subject_LDADD = -lpthread

check_PROGRAMS += tests/record/calls_subject
tests_record_calls_subject_SOURCES = tests/record/calls_subject.c tests/record/meanwhile.h \
	tests/record/raw_call.h
tests_record_calls_subject_LDADD = -lpthread

check_PROGRAMS += tests/record/beside_subject
tests_record_beside_subject_SOURCES = tests/record/beside_subject.c tests/record/meanwhile.h \
	tests/record/raw_call.h
tests_record_beside_subject_LDADD = -lpthread

check_PROGRAMS += tests/record/stack_subject
tests_record_stack_subject_SOURCES = tests/record/stack_subject.c
tests_record_stack_subject_CFLAGS = $(AM_CFLAGS) -O1 -g1 -fomit-frame-pointer

check_PROGRAMS += tests/record/words_subject
tests_record_words_subject_SOURCES = tests/record/words_subject.c
tests_record_words_subject_LDADD = -lpthread

check_PROGRAMS += tests/record/overlap_subject
tests_record_overlap_subject_SOURCES = tests/record/overlap_subject.c

# The functions themselves are called.
check_PROGRAMS += tests/record/protected_subject
tests_record_protected_subject_SOURCES = tests/record/protected_subject.c tests/record/raw_call.h
tests_record_protected_subject_CFLAGS = $(AM_CFLAGS) -fno-builtin

check_PROGRAMS += tests/record/output_subject
tests_record_output_subject_SOURCES = tests/record/output_subject.c tests/record/meanwhile.h
tests_record_output_subject_LDADD = -lpthread

check_PROGRAMS += tests/record/persist_subject
tests_record_persist_subject_SOURCES = tests/record/persist_subject.c
tests_record_persist_subject_CFLAGS = $(AM_CFLAGS) $(PMEM_CFLAGS)
tests_record_persist_subject_LDADD = $(PMEM_LIBS)

if HAVE_PMEMOBJ
check_PROGRAMS += tests/record/ahead_subject
tests_record_ahead_subject_SOURCES = tests/record/ahead_subject.c
tests_record_ahead_subject_CFLAGS = $(AM_CFLAGS) $(PMEM_CFLAGS)
tests_record_ahead_subject_LDADD = $(PMEM_LIBS)
check_PROGRAMS += tests/record/objects_subject
tests_record_objects_subject_SOURCES = tests/record/objects_subject.c
tests_record_objects_subject_CFLAGS = $(AM_CFLAGS) $(PMEMOBJ_CFLAGS)
tests_record_objects_subject_LDADD = $(PMEMOBJ_LIBS) -lpthread
endif

recorded_tests = tests/record/recorded.sh tests/record/kernel.sh tests/record/calls.sh tests/record/adverse.sh \
	tests/record/children.sh tests/record/libraries.sh tests/record/races.sh \
	tests/record/maps.sh \
	tests/record/recorded-qemu.sh
TESTS += $(recorded_tests)
long_tests += tests/record/recorded-go.sh tests/record/recorded-made.sh tests/record/recorded-programs.sh
EXTRA_DIST += tests/record/recorded-made.sh tests/record/recorded-programs.sh
EXTRA_DIST += tests/record/recorded-go.sh tests/record/go_subject.go
EXTRA_DIST += tests/record/blocks_subject.c $(recorded_tests) tests/record/recorded.bash tests/record/exceptions.cc tests/record/mapping.py
