# SPDX-License-Identifier: BSD-3-Clause
# What programs are compiled and linked with that tell softpmem something.
include_HEADERS = lib/softpmem.h
lib_LIBRARIES = lib/libsoftpmem.a
lib_libsoftpmem_a_SOURCES = lib/mark.c
lib_libsoftpmem_a_CFLAGS = $(AM_CFLAGS) -fPIC
pkgconfigdir = $(libdir)/pkgconfig
pkgconfig_DATA = lib/softpmem.pc
