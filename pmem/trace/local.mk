# SPDX-License-Identifier: BSD-3-Clause
# What runs inside recorded programs; linked into libpmem.so.1 as well.
trace_producer_sources = \
	pmem/trace/buffer.h \
	pmem/trace/event.h \
	pmem/trace/producer.c \
	pmem/trace/slot.h

noinst_LTLIBRARIES += pmem/trace/libtrace.la
pmem_trace_libtrace_la_SOURCES = $(trace_producer_sources) \
	pmem/trace/buffer.c
pmem_trace_libtrace_la_LIBADD = pmem/common/libcommon.la
