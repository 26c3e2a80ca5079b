# SPDX-License-Identifier: BSD-3-Clause
# Regions that no daemon serves: which there are, what they hold, and the report of a check of one.
noinst_LTLIBRARIES += src/regions/libregions.la
src_regions_libregions_la_SOURCES = \
	src/regions/candidates.c src/regions/candidates.h \
	src/regions/checkreport.c src/regions/checkreport.h
src_regions_libregions_la_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS)
src_regions_libregions_la_LIBADD = src/wire/libwire.la pmem/pool/libpool.la
