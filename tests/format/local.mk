# SPDX-License-Identifier: BSD-3-Clause
# Tests of docs/format.md: a reader that was written from it is compared with the loader, also on golden images.
format_sources = tests/format/document_reader.c tests/format/document_reader.h tests/format/scene.c tests/format/scene.h \
	tests/unit/pooltest.c tests/unit/pooltest.h

unit_tests += tests/format/test_format
tests_format_test_format_SOURCES = tests/format/test_format.c $(format_sources)
tests_format_test_format_LDADD = $(libpool) $(CMOCKA_LIBS)
EXTRA_DIST += \
	tests/data/format/v1-clean.img.gz tests/data/format/v1-clean.tree \
	tests/data/format/v1-cut.img.gz tests/data/format/v1-cut.tree

if HAVE_CMOCKA
check_PROGRAMS += tests/format/make_golden
endif
tests_format_make_golden_SOURCES = tests/format/make_golden.c $(format_sources)
tests_format_make_golden_LDADD = $(libpool) $(CMOCKA_LIBS)

check_PROGRAMS += tests/format/read_region
tests_format_read_region_SOURCES = tests/format/read_region.c tests/format/document_reader.c tests/format/document_reader.h
