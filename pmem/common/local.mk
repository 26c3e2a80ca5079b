# SPDX-License-Identifier: BSD-3-Clause
noinst_LIBRARIES += pmem/common/libcommon.a
libcommon = pmem/common/libcommon.a
pmem_common_libcommon_a_SOURCES = \
	pmem/common/align.h \
	pmem/common/alloc.h \
	pmem/common/cleanup.h \
	pmem/common/clock.h \
	pmem/common/crc32c.c pmem/common/crc32c.h \
	pmem/common/end_children.c pmem/common/end_children.h \
	pmem/common/log_sink.c pmem/common/log_sink.h \
	pmem/common/message.c pmem/common/message.h \
	pmem/common/persistence.c pmem/common/persistence.h \
	pmem/common/prefetch.h \
	pmem/common/processors.h \
	pmem/common/remove_tree.c pmem/common/remove_tree.h \
	pmem/common/rng.h \
	pmem/common/size.c pmem/common/size.h \
	pmem/common/vector.c pmem/common/vector.h \
	pmem/common/write_all.h
