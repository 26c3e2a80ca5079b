# SPDX-License-Identifier: BSD-3-Clause
noinst_LTLIBRARIES += pmem/domain/libdomain.la
pmem_domain_libdomain_la_SOURCES = \
	pmem/domain/domain.c pmem/domain/domain.h
pmem_domain_libdomain_la_LIBADD = pmem/region/libregion.la
