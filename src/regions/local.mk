# SPDX-License-Identifier: BSD-3-Clause
# Regions that no daemon serves: finding them, their content, and the report of a check.
noinst_LIBRARIES += src/regions/libregions.a
libregions = src/regions/libregions.a $(libwire) $(libpool)
src_regions_libregions_a_SOURCES = \
	src/regions/candidates.c src/regions/candidates.h \
	src/regions/checkreport.c src/regions/checkreport.h
src_regions_libregions_a_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS)
