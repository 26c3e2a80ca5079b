# SPDX-License-Identifier: BSD-3-Clause
noinst_LTLIBRARIES += pmem/region/libregion.la
pmem_region_libregion_la_SOURCES = \
	pmem/region/backend.h \
	pmem/region/devmem.c \
	pmem/region/file.c \
	pmem/region/media.c \
	pmem/region/memfd.c \
	pmem/region/physmap.c pmem/region/physmap.h \
	pmem/region/physmap_check.c \
	pmem/region/region.c pmem/region/region.h
pmem_region_libregion_la_CFLAGS = $(AM_CFLAGS) $(PMEM_CFLAGS)
pmem_region_libregion_la_LIBADD = pmem/common/libcommon.la $(PMEM_LIBS)
