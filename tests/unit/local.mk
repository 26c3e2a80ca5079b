# SPDX-License-Identifier: BSD-3-Clause
# One cmocka program a subject.
if HAVE_CMOCKA
unit_tests = tests/unit/test_common \
unit_tests = tests/unit/test_common \
	tests/unit/test_pool \
	tests/unit/test_region_file \
	tests/unit/test_region_physmap
check_PROGRAMS += $(unit_tests)
TESTS += $(unit_tests)
endif
tests_unit_test_common_SOURCES = tests/unit/test_common.c
tests_unit_test_common_LDADD = pmem/common/libcommon.la $(CMOCKA_LIBS)
tests_unit_test_pool_SOURCES = tests/unit/test_pool.c
tests_unit_test_pool_LDADD = pmem/pool/libpool.la $(CMOCKA_LIBS)
tests_unit_test_region_file_SOURCES = tests/unit/test_region_file.c
tests_unit_test_region_file_LDADD = pmem/region/libregion.la $(CMOCKA_LIBS)
tests_unit_test_region_physmap_SOURCES = tests/unit/test_region_physmap.c
tests_unit_test_region_physmap_LDADD = pmem/region/libregion.la $(CMOCKA_LIBS)
EXTRA_DIST += \
	tests/data/region/devdax \
	tests/data/region/gap \
	tests/data/region/legacy \
	tests/data/region/namespace \
	tests/data/region/ramoops \
	tests/data/region/reserved \
	tests/data/region/soft-reserved \
	tests/data/region/unprivileged
