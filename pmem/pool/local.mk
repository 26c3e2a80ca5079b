# SPDX-License-Identifier: BSD-3-Clause
noinst_LIBRARIES += pmem/pool/libpool.a
libpool = pmem/pool/libpool.a $(libdomain)
pmem_pool_libpool_a_SOURCES = \
	pmem/pool/attach.c \
	pmem/pool/bytes.c \
	pmem/pool/create.c \
	pmem/pool/directory_names.c \
	pmem/pool/directory_names.h \
	pmem/pool/extmap.c \
	pmem/pool/extmap.h \
	pmem/pool/format.h \
	pmem/pool/format_region.c \
	pmem/pool/gate.c \
	pmem/pool/gate.h \
	pmem/pool/inode.c \
	pmem/pool/inode.h \
	pmem/pool/lifetime.c \
	pmem/pool/lifetime.h \
	pmem/pool/load.c \
	pmem/pool/load.h \
	pmem/pool/load_map.c \
	pmem/pool/load_names.c \
	pmem/pool/lookup.c \
	pmem/pool/mode.c \
	pmem/pool/namespace.h \
	pmem/pool/placement.c \
	pmem/pool/placement.h \
	pmem/pool/pool.h \
	pmem/pool/pool_attributes.c \
	pmem/pool/pool_outage.c \
	pmem/pool/pools.c \
	pmem/pool/pools.h \
	pmem/pool/recovery.c \
	pmem/pool/recovery.h \
	pmem/pool/remove.c \
	pmem/pool/rename.c \
	pmem/pool/resize.c \
	pmem/pool/resize.h \
	pmem/pool/seek.c \
	pmem/pool/pool_snapshot.c \
	pmem/pool/space.c \
	pmem/pool/space.h \
	pmem/pool/superblock.c \
	pmem/pool/superblock.h \
	pmem/pool/table.c \
	pmem/pool/table.h \
	pmem/pool/trim.c \
	pmem/pool/undo.c \
	pmem/pool/undo.h \
	pmem/pool/undo_apply.c \
	pmem/pool/view_limits.c \
	pmem/pool/view_limits.h \
	pmem/pool/writeback.c \
	pmem/pool/writeback.h \
	pmem/pool/xattr.c \
	pmem/pool/xattr.h
