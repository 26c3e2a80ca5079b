# SPDX-License-Identifier: BSD-3-Clause
# libpmem.so.1, which `softpmem run` preloads into the program. It is installed in a directory of its own, so
# that the system's libpmem stays the system's, and is not built beside the programs: libtool would take it
# for the -lpmem that the daemon is linked with.
#
# libclient.la is all of it; unit tests link it to reach what libpmem.so.1 hides.
noinst_LTLIBRARIES += pmem/client/libclient.la
pmem_client_libclient_la_SOURCES = \
	pmem/client/compiler.h \
	pmem/client/connection.c \
	pmem/client/connection.h \
	pmem/client/errormsg.c \
	pmem/client/errormsg.h \
	pmem/client/events.c \
	pmem/client/events.h \
	pmem/client/fast_path.h \
	pmem/client/flush.c \
	pmem/client/flush.h \
	pmem/client/interpose.c \
	pmem/client/map_file.c \
	pmem/client/mapping.c \
	pmem/client/mapping.h \
	pmem/client/nontemporal.c \
	pmem/client/nontemporal.h \
	pmem/client/queues.c \
	pmem/client/queues.h \
	pmem/client/ranges.c \
	pmem/client/ranges.h \
	pmem/client/settings.c \
	pmem/client/settings.h \
	pmem/client/signals.h \
	pmem/client/store.c \
	pmem/abi/wpq_producer.c
pmem_client_libclient_la_CPPFLAGS = $(AM_CPPFLAGS) $(PMEM_CFLAGS)
pmem_client_libclient_la_CFLAGS = $(AM_CFLAGS) -fvisibility=hidden -O2

pkglib_LTLIBRARIES += pmem/client/libpmem.la
pmem_client_libpmem_la_SOURCES =
pmem_client_libpmem_la_LIBADD = pmem/client/libclient.la
pmem_client_libpmem_la_LDFLAGS = $(AM_LDFLAGS) -version-info 1:0:0 -no-undefined \
	-Wl,--version-script=$(srcdir)/pmem/client/libpmem.map
EXTRA_pmem_client_libpmem_la_DEPENDENCIES = pmem/client/libpmem.map
EXTRA_DIST += pmem/client/libpmem.map
