# SPDX-License-Identifier: BSD-3-Clause
noinst_LIBRARIES += pmem/region/libregion.a
libregion = pmem/region/libregion.a $(libcommon) $(PMEM_LIBS) $(NDCTL_LIBS) $(DAXCTL_LIBS)
pmem_region_libregion_a_SOURCES = \
	pmem/region/backend.h \
	pmem/region/backend_copy.c \
	pmem/region/backend_dax.c \
	pmem/region/backend_devmem.c \
	pmem/region/backend_file.c \
	pmem/region/backend_memfd.c \
	pmem/region/cmdline.c pmem/region/cmdline.h \
	pmem/region/discover.c pmem/region/discover.h \
	pmem/region/failure.c \
	pmem/region/finder.h \
	pmem/region/mappers.c pmem/region/mappers.h \
	pmem/region/media.c pmem/region/media.h \
	pmem/region/memtest.c pmem/region/memtest.h \
	pmem/region/memtest_region.c \
	pmem/region/nd.c pmem/region/nd.h \
	pmem/region/ndctl.c \
	pmem/region/numa.c pmem/region/numa.h \
	pmem/region/physmap.c pmem/region/physmap.h \
	pmem/region/physmap_check.c \
	pmem/region/file_place.c pmem/region/file_place.h \
	pmem/region/physmap_map.h \
	pmem/region/physmap_stretch.c \
	pmem/region/platform.c pmem/region/platform.h \
	pmem/region/region.c pmem/region/region.h \
	pmem/region/snapshot.c pmem/region/snapshot.h
pmem_region_libregion_a_CFLAGS = $(AM_CFLAGS) $(PMEM_CFLAGS) $(NDCTL_CFLAGS) $(DAXCTL_CFLAGS)
