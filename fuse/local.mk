# SPDX-License-Identifier: BSD-3-Clause
# The only room that includes libfuse's headers.
noinst_LTLIBRARIES += fuse/libfusefs.la
fuse_libfusefs_la_SOURCES = \
	fuse/attributes.c \
	fuse/data.c \
	fuse/directory.c \
	fuse/fusefs.c fuse/fusefs.h \
	fuse/invalidate.c \
	fuse/loop.c \
	fuse/mount.c \
	fuse/names.c \
	fuse/negotiate.c \
	fuse/nodes.c \
	fuse/park.c \
	fuse/private.h \
	fuse/request_gate.c fuse/request_gate.h \
	fuse/shadow.c \
	fuse/top.c
fuse_libfusefs_la_CFLAGS = $(AM_CFLAGS) $(FUSE_CFLAGS)
fuse_libfusefs_la_LIBADD = pmem/pool/libpool.la $(FUSE_LIBS)
