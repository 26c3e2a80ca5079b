# SPDX-License-Identifier: BSD-3-Clause
noinst_LTLIBRARIES += pmem/pool/libpool.la
pmem_pool_libpool_la_SOURCES = \
	pmem/pool/mode.c \
	pmem/pool/pool.h
pmem_pool_libpool_la_LIBADD = pmem/domain/libdomain.la
