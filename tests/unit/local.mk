# SPDX-License-Identifier: BSD-3-Clause
# One cmocka program a subject.
unit_cppflags = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
if HAVE_CMOCKA
unit_tests = tests/unit/test_common
check_PROGRAMS += $(unit_tests)
TESTS += $(unit_tests)
endif
tests_unit_test_common_SOURCES = tests/unit/test_common.c
tests_unit_test_common_LDADD = pmem/common/libcommon.la $(CMOCKA_LIBS)
