# SPDX-License-Identifier: BSD-3-Clause
# Programs that send marks are compiled and linked with this.
include_HEADERS = src/lib/softpmem.h
lib_LIBRARIES = src/lib/libsoftpmem.a
src_lib_libsoftpmem_a_SOURCES = src/lib/softpmem_mark.c
src_lib_libsoftpmem_a_CFLAGS = $(AM_CFLAGS) -fPIC
pkgconfigdir = $(libdir)/pkgconfig
pkgconfig_DATA = src/lib/softpmem.pc
