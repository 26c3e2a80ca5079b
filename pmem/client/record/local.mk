# SPDX-License-Identifier: BSD-3-Clause
# The recorder's instruction engine, in libpmem.so.1 and, by itself, in its tests. Zydis is known here only.
#
# libcalls runs between two instructions of the program, with its vector registers in place: it must not be
# compiled to use them, nor to call what may (memcpy, memset).
noinst_LIBRARIES += pmem/client/record/librecord.a pmem/client/record/libcalls.a \
	pmem/client/record/libproducer.a
librecord = pmem/client/record/librecord.a pmem/client/record/libcalls.a \
	pmem/client/record/libproducer.a $(ZYDIS_LIBS)
pmem_client_record_libproducer_a_SOURCES = $(trace_producer_sources)
pmem_client_record_libproducer_a_CFLAGS = $(AM_CFLAGS) -fPIC -fvisibility=hidden -O2
pmem_client_record_libcalls_a_SOURCES = \
	pmem/client/address_space.c \
	pmem/client/address_space.h \
	pmem/client/fence_seen.c \
	pmem/client/fence_seen.h \
	pmem/client/record/calls.c \
	pmem/client/record/calls.h \
	pmem/client/record/line_locks.c \
	pmem/client/record/line_locks.h \
	pmem/client/record/event_log.c \
	pmem/client/record/event_log.h \
	pmem/client/record/pages_ahead.c \
	pmem/client/record/pages_ahead.h \
	pmem/client/record/operand.c \
	pmem/client/record/system_calls.c \
	pmem/client/record/operand.h
pmem_client_record_libcalls_a_CFLAGS = $(AM_CFLAGS) -fPIC -fvisibility=hidden -O2 -mgeneral-regs-only \
	-ffreestanding -fno-stack-protector -fno-sanitize=all $(RECORD_CALLS_CFLAGS)
pmem_client_record_librecord_a_SOURCES = \
	pmem/client/record/asm.h \
	pmem/client/record/code.c \
	pmem/client/record/code.h \
	pmem/client/record/decode.c \
	pmem/client/record/decode.h \
	pmem/client/record/emit.c \
	pmem/client/record/emit.h \
	pmem/client/record/emit_call.c \
	pmem/client/record/emit_exit.c \
	pmem/client/record/engine.c \
	pmem/client/record/engine.h \
	pmem/client/record/fault.c \
	pmem/client/record/loader.c \
	pmem/client/record/process_map.c \
	pmem/client/record/process_map.h \
	pmem/client/record/elf_functions.c \
	pmem/client/record/elf_functions.h \
	pmem/client/record/own_stores.c \
	pmem/client/record/patch.c \
	pmem/client/record/patch.h \
	pmem/client/record/record.h \
	pmem/client/record/reencode.c \
	pmem/client/record/reencode.h \
	pmem/client/record/scan.c \
	pmem/client/record/sites.c \
	pmem/client/record/sites.h \
	pmem/client/record/state.h \
	pmem/client/record/step.c \
	pmem/client/record/stub.h \
	pmem/client/record/thunk.S \
	pmem/client/record/thunk.h
pmem_client_record_librecord_a_CFLAGS = $(AM_CFLAGS) -fPIC -fvisibility=hidden -O2
