# SPDX-License-Identifier: BSD-3-Clause
# Programs that send marks are compiled and linked with libsoftpmem.a; checkers that are fork servers with
# libsoftpmem_checker.a, which has their main().
include_HEADERS = src/lib/softpmem.h
lib_LIBRARIES = src/lib/libsoftpmem.a
src_lib_libsoftpmem_a_SOURCES = src/lib/softpmem_mark.c
src_lib_libsoftpmem_a_CFLAGS = $(AM_CFLAGS) -fPIC
lib_LIBRARIES += src/lib/libsoftpmem_checker.a
src_lib_libsoftpmem_checker_a_SOURCES = src/lib/softpmem_checker.c
src_lib_libsoftpmem_checker_a_CFLAGS = $(AM_CFLAGS) -fPIC
pkgconfigdir = $(libdir)/pkgconfig
pkgconfig_DATA = src/lib/softpmem.pc
