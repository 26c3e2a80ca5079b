# SPDX-License-Identifier: BSD-3-Clause
# What the daemon and client processes share. The daemon and the tests link this library; libpmem.so.1
# compiles wpq_producer.c itself, with hidden visibility.
noinst_LIBRARIES += pmem/abi/libabi.a
libabi = pmem/abi/libabi.a
pmem_abi_libabi_a_SOURCES = \
	pmem/abi/attach_protocol.h \
	pmem/abi/line.h \
	pmem/abi/rawcall.h \
	pmem/abi/wpq_layout.h \
	pmem/abi/wpq_producer.c pmem/abi/wpq_producer.h
