# SPDX-License-Identifier: BSD-3-Clause
# Programs written for PMDK, unmodified, on the emulated DIMM.
pmdk_tests = \
	tests/pmdk/across.sh \
	tests/pmdk/blocks.sh \
	tests/pmdk/changed-forms.sh \
	tests/pmdk/descriptors.sh \
	tests/pmdk/disturbed.sh \
	tests/pmdk/domains.sh \
	tests/pmdk/exact.sh \
	tests/pmdk/fences.sh \
	tests/pmdk/torture-fences.sh \
	tests/pmdk/functions.sh \
	tests/pmdk/gone.sh \
	tests/pmdk/inline.sh \
	tests/pmdk/litmus.sh \
	tests/pmdk/mappings.sh \
	tests/pmdk/memcheck.sh \
	tests/pmdk/oneline.sh \
	tests/pmdk/qemu.sh \
	tests/pmdk/larger.sh \
	tests/pmdk/resized.sh \
	tests/pmdk/stat.sh \
	tests/pmdk/symbols.sh \
	tests/pmdk/tools.sh \
	tests/pmdk/unmounted.sh
EXTRA_DIST += $(pmdk_tests) tests/pmdk/blocks.c tests/pmdk/qemu.guest tests/pmdk/qemu.bash

check_PROGRAMS += tests/pmdk/across tests/pmdk/changed_forms tests/pmdk/descriptors tests/pmdk/exact tests/pmdk/fences \
	tests/pmdk/functions tests/pmdk/ledger \
	tests/pmdk/larger tests/pmdk/litmus tests/pmdk/mappings tests/pmdk/oneline tests/pmdk/padding tests/pmdk/resized \
	tests/pmdk/survivor tests/pmdk/without_pidfd
check_PROGRAMS += tests/pmdk/flush_faults.so
tests_pmdk_flush_faults_so_SOURCES = tests/pmdk/flush_faults.c
tests_pmdk_flush_faults_so_CFLAGS = $(AM_CFLAGS) $(PMEM_CFLAGS) -fPIC
tests_pmdk_flush_faults_so_LDFLAGS = $(AM_LDFLAGS) -shared
tests_pmdk_across_SOURCES = tests/pmdk/across.c
tests_pmdk_across_CFLAGS = $(AM_CFLAGS) $(PMEM_CFLAGS)
tests_pmdk_across_LDADD = $(PMEM_LIBS)
tests_pmdk_changed_forms_SOURCES = tests/pmdk/changed_forms.c
tests_pmdk_changed_forms_CFLAGS = $(AM_CFLAGS) $(PMEM_CFLAGS)
tests_pmdk_changed_forms_LDADD = $(PMEM_LIBS)
tests_pmdk_descriptors_SOURCES = tests/pmdk/descriptors.c tests/e2e/tap.h
tests_pmdk_descriptors_CFLAGS = $(AM_CFLAGS) $(PMEM_CFLAGS)
tests_pmdk_descriptors_LDADD = $(PMEM_LIBS) -lpthread
tests_pmdk_exact_SOURCES = tests/pmdk/exact.c
tests_pmdk_exact_CFLAGS = $(AM_CFLAGS) $(PMEM_CFLAGS)
tests_pmdk_exact_LDADD = $(PMEM_LIBS)
tests_pmdk_functions_SOURCES = tests/pmdk/functions.c
tests_pmdk_functions_CFLAGS = $(AM_CFLAGS) $(PMEM_CFLAGS)
tests_pmdk_functions_LDADD = $(PMEM_LIBS)
tests_pmdk_litmus_SOURCES = tests/pmdk/litmus.c
tests_pmdk_litmus_CFLAGS = $(AM_CFLAGS) $(PMEM_CFLAGS)
tests_pmdk_litmus_LDADD = $(PMEM_LIBS) -lpthread
tests_pmdk_mappings_SOURCES = tests/pmdk/mappings.c tests/e2e/tap.h
tests_pmdk_mappings_CFLAGS = $(AM_CFLAGS) $(PMEM_CFLAGS)
tests_pmdk_mappings_LDADD = $(PMEM_LIBS)
tests_pmdk_ledger_SOURCES = tests/pmdk/ledger.c
tests_pmdk_ledger_CFLAGS = $(AM_CFLAGS) $(PMEM_CFLAGS)
tests_pmdk_ledger_LDADD = $(PMEM_LIBS)
tests_pmdk_fences_SOURCES = tests/pmdk/fences.c
tests_pmdk_fences_CFLAGS = $(AM_CFLAGS) $(PMEM_CFLAGS)
tests_pmdk_fences_LDADD = $(PMEM_LIBS) -lpthread
tests_pmdk_oneline_SOURCES = tests/pmdk/oneline.c tests/e2e/powerfail.h
tests_pmdk_oneline_CFLAGS = $(AM_CFLAGS) $(PMEM_CFLAGS)
tests_pmdk_oneline_LDADD = $(PMEM_LIBS) -lpthread
tests_pmdk_larger_SOURCES = tests/pmdk/larger.c
tests_pmdk_larger_CFLAGS = $(AM_CFLAGS) $(PMEM_CFLAGS)
tests_pmdk_larger_LDADD = $(PMEM_LIBS)
tests_pmdk_resized_SOURCES = tests/pmdk/resized.c
tests_pmdk_resized_CFLAGS = $(AM_CFLAGS) $(PMEM_CFLAGS)
tests_pmdk_resized_LDADD = $(PMEM_LIBS)
tests_pmdk_without_pidfd_SOURCES = tests/pmdk/without_pidfd.c
tests_pmdk_padding_SOURCES = tests/pmdk/padding.c
tests_pmdk_padding_CFLAGS = $(AM_CFLAGS) $(PMEM_CFLAGS) -O0 -Wno-uninitialized
tests_pmdk_padding_LDADD = $(PMEM_LIBS)
tests_pmdk_survivor_SOURCES = tests/pmdk/survivor.c
tests_pmdk_survivor_CFLAGS = $(AM_CFLAGS) $(PMEM_CFLAGS)
tests_pmdk_survivor_LDADD = $(PMEM_LIBS)

check_PROGRAMS += tests/pmdk/inline_program tests/pmdk/inline_library.so
tests_pmdk_inline_program_SOURCES = tests/pmdk/inline_program.c
tests_pmdk_inline_program_LDADD = -ldl -lpthread
tests_pmdk_inline_library_so_SOURCES = tests/pmdk/inline_library.c
tests_pmdk_inline_library_so_CFLAGS = $(AM_CFLAGS) -fPIC
tests_pmdk_inline_library_so_LDFLAGS = $(AM_LDFLAGS) -shared

pmemobj_tests = tests/pmdk/examples.sh \
	tests/pmdk/objects.sh tests/pmdk/objects-explore.sh tests/pmdk/objects-sets.sh \
	tests/pmdk/objects-threads.sh tests/pmdk/published.sh
objects_sources = tests/pmdk/objects.c tests/pmdk/objects.h tests/pmdk/objects_cuts.c tests/e2e/powerfail.h
EXTRA_DIST += $(pmemobj_tests) tests/pmdk/examples-all.sh tests/pmdk/examples.bash tests/pmdk/objects.bash tests/pmdk/examples/ex_common.h $(objects_sources) \
	tests/pmdk/objects_explored.c $(published_sources)
published_sources = tests/pmdk/published.c tests/pmdk/published.h tests/pmdk/published_maps.c
if HAVE_PMEMOBJ
check_PROGRAMS += tests/pmdk/objects tests/pmdk/objects_explored tests/pmdk/published
tests_pmdk_published_SOURCES = $(published_sources)
tests_pmdk_published_CFLAGS = $(AM_CFLAGS) $(PMEMOBJ_CFLAGS) $(PMEM_CFLAGS)
tests_pmdk_published_LDADD = $(PMEMOBJ_LIBS) $(PMEM_LIBS)
tests_pmdk_objects_explored_SOURCES = tests/pmdk/objects.c tests/pmdk/objects.h tests/pmdk/objects_explored.c
tests_pmdk_objects_explored_CFLAGS = $(AM_CFLAGS) $(PMEMOBJ_CFLAGS)
tests_pmdk_objects_explored_LDADD = $(PMEMOBJ_LIBS) -lpthread
tests_pmdk_objects_SOURCES = $(objects_sources)
tests_pmdk_objects_CFLAGS = $(AM_CFLAGS) $(PMEMOBJ_CFLAGS)
tests_pmdk_objects_LDADD = $(PMEMOBJ_LIBS) -lpthread
pmdk_tests += $(pmemobj_tests)
long_tests += tests/pmdk/examples-all.sh
endif
EXTRA_DIST += tests/pmdk/pmem2.sh tests/pmdk/pmem2.c
if HAVE_PMEM2
check_PROGRAMS += tests/pmdk/pmem2
tests_pmdk_pmem2_SOURCES = tests/pmdk/pmem2.c
tests_pmdk_pmem2_CFLAGS = $(AM_CFLAGS) $(PMEM2_CFLAGS)
tests_pmdk_pmem2_LDADD = $(PMEM2_LIBS)
pmdk_tests += tests/pmdk/pmem2.sh
endif
TESTS += $(pmdk_tests)

# PMDK's own test suite. It is not in `make check`: it needs the source of PMDK, and about an hour.
EXTRA_DIST += tests/pmdk/suite.sh tests/pmdk/suite.expected
.PHONY: check-pmdk
check-pmdk: all
	$(MAKE) $(AM_MAKEFLAGS) check TESTS=tests/pmdk/suite.sh check_PROGRAMS=
