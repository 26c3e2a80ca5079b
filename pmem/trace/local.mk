# SPDX-License-Identifier: BSD-3-Clause
# What runs inside recorded programs; linked into libpmem.so.1 as well.
trace_producer_sources = \
	pmem/trace/buffer.h \
	pmem/trace/encode.c pmem/trace/encode.h \
	pmem/trace/event.h \
	pmem/trace/producer.c \
	pmem/trace/schema.c pmem/trace/schema.h \
	pmem/trace/slot.h \
	pmem/trace/varint.h

noinst_LIBRARIES += pmem/trace/libtrace.a
libtrace = pmem/trace/libtrace.a $(libcommon) $(ZSTD_LIBS)
pmem_trace_libtrace_a_SOURCES = $(trace_producer_sources) \
	pmem/trace/buffer.c \
	pmem/trace/catalog.c pmem/trace/catalog.h \
	pmem/trace/event_stream.c pmem/trace/event_stream.h \
	pmem/trace/file_format.h \
	pmem/trace/heap.h \
	pmem/trace/idmap.c pmem/trace/idmap.h \
	pmem/trace/merge.c pmem/trace/merge.h \
	pmem/trace/merge_run.c pmem/trace/merge_state.h \
	pmem/trace/parse.c \
	pmem/trace/pmemcheck.h \
	pmem/trace/pmemcheck_export.c \
	pmem/trace/pmemcheck_import.c \
	pmem/trace/print.c \
	pmem/trace/reader.c pmem/trace/reader.h \
	pmem/trace/replay_contents.c pmem/trace/replay_contents.h \
	pmem/trace/source.c pmem/trace/source.h \
	pmem/trace/stat.c pmem/trace/stat.h \
	pmem/trace/text_form.h \
	pmem/trace/value.c pmem/trace/value.h \
	pmem/trace/writer.c pmem/trace/writer.h
pmem_trace_libtrace_a_CFLAGS = $(AM_CFLAGS) $(ZSTD_CFLAGS)

# Apart from the rest, for the programs that show places: it needs libdw.
noinst_LIBRARIES += pmem/trace/libtracesymbols.a
libtracesymbols = pmem/trace/libtracesymbols.a $(libtrace) $(DW_LIBS)
pmem_trace_libtracesymbols_a_SOURCES = pmem/trace/symbols.c pmem/trace/symbols.h
pmem_trace_libtracesymbols_a_CFLAGS = $(AM_CFLAGS) $(DW_CFLAGS)
