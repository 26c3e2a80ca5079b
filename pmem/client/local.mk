# SPDX-License-Identifier: BSD-3-Clause
# What a client process loads, through `softpmem run`. In a directory of its own: the system's libpmem
# stays the system's.
# Not beside the programs either: libtool would take it for the -lpmem that the daemon is linked with.
pkglib_LTLIBRARIES += pmem/client/libpmem.la
pmem_client_libpmem_la_SOURCES = \
	pmem/client/compiler.h \
	pmem/client/connection.c \
	pmem/client/connection.h \
	pmem/client/copy.c \
	pmem/client/errormsg.c \
	pmem/client/errormsg.h \
	pmem/client/fast_path.h \
	pmem/client/flush.c \
	pmem/client/flush.h \
	pmem/client/interpose.c \
	pmem/client/map_file.c \
	pmem/client/mapping.c \
	pmem/client/mapping.h \
	pmem/client/queues.c \
	pmem/client/queues.h \
	pmem/client/ranges.c \
	pmem/client/ranges.h \
	pmem/client/settings.c \
	pmem/client/settings.h \
	pmem/client/signals.h \
	pmem/client/stream.c \
	pmem/client/stream.h \
	pmem/abi/wpq_producer.c
pmem_client_libpmem_la_CPPFLAGS = $(AM_CPPFLAGS) $(PMEM_CFLAGS)
pmem_client_libpmem_la_CFLAGS = $(AM_CFLAGS) -fvisibility=hidden -O2
pmem_client_libpmem_la_LDFLAGS = $(AM_LDFLAGS) -version-info 1:0:0 -no-undefined \
	-Wl,--version-script=$(srcdir)/pmem/client/libpmem.map
EXTRA_pmem_client_libpmem_la_DEPENDENCIES = pmem/client/libpmem.map
EXTRA_DIST += pmem/client/libpmem.map
