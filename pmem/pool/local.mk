# SPDX-License-Identifier: BSD-3-Clause
noinst_LTLIBRARIES += pmem/pool/libpool.la
pmem_pool_libpool_la_SOURCES = \
	pmem/pool/attach.c \
	pmem/pool/attributes.c \
	pmem/pool/bytes.c \
	pmem/pool/extmap.c \
	pmem/pool/file.c \
	pmem/pool/format.h \
	pmem/pool/gate.c \
	pmem/pool/load.c \
	pmem/pool/loadmap.c \
	pmem/pool/mode.c \
	pmem/pool/namei.c \
	pmem/pool/names.c \
	pmem/pool/pool.h \
	pmem/pool/pools.c \
	pmem/pool/pool_outage.c \
	pmem/pool/private.h \
	pmem/pool/rename.c \
	pmem/pool/resize.c \
	pmem/pool/space.c \
	pmem/pool/sync.c \
	pmem/pool/table.c
pmem_pool_libpool_la_LIBADD = pmem/domain/libdomain.la
