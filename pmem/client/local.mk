# SPDX-License-Identifier: BSD-3-Clause
# libpmem.so.1, which `softpmem run` preloads into the program. It is installed in a directory of its own, so
# that the system's libpmem stays the system's.
#
# libclient.a is all of it; unit tests link it to reach what libpmem.so.1 hides.
noinst_LIBRARIES += pmem/client/libclient.a
libclient = pmem/client/libclient.a $(librecord)
pmem_client_libclient_a_SOURCES = \
	pmem/client/channel.c \
	pmem/client/channel.h \
	pmem/client/compiler.h \
	pmem/client/connection.c \
	pmem/client/connection.h \
	pmem/client/courier.c \
	pmem/client/courier.h \
	pmem/client/errormsg.c \
	pmem/client/errormsg.h \
	pmem/client/events.c \
	pmem/client/events.h \
	pmem/client/fast_path.h \
	pmem/client/flush.c \
	pmem/client/flush.h \
	pmem/client/inline.c \
	pmem/client/inline.h \
	pmem/client/interpose.c \
	pmem/client/kernel_calls.h \
	pmem/client/map_file.c \
	pmem/client/mapping.c \
	pmem/client/mark.c \
	pmem/client/mapping.h \
	pmem/client/modules.c \
	pmem/client/modules.h \
	pmem/client/nontemporal.c \
	pmem/client/nontemporal.h \
	pmem/client/processes.c \
	pmem/client/queues.c \
	pmem/client/queues.h \
	pmem/client/ranges.c \
	pmem/client/ranges.h \
	pmem/client/recording.c \
	pmem/client/recording.h \
	pmem/client/settings.c \
	pmem/client/settings.h \
	pmem/client/signal_handlers.h \
	pmem/client/signals.h \
	pmem/client/stack_refusals.h \
	pmem/client/store.c \
	pmem/client/valgrind.h \
	pmem/abi/wpq_producer.c
pmem_client_libclient_a_CPPFLAGS = $(AM_CPPFLAGS) $(PMEM_CFLAGS)
pmem_client_libclient_a_CFLAGS = $(AM_CFLAGS) -fPIC -fvisibility=hidden -O2

client_objects = $(pmem_client_libclient_a_OBJECTS) $(pmem_client_record_librecord_a_OBJECTS) \
	$(pmem_client_record_libcalls_a_OBJECTS) $(pmem_client_record_libproducer_a_OBJECTS) $(ZYDIS_LIBS)
# The runtime of clang's sanitizers is in the program, not in a library.
if SANITIZERS
client_undefined = undefs
else
client_undefined = defs
endif
client_ldflags = $(AM_LDFLAGS) -shared -Wl,-soname,libpmem.so.1 -Wl,-z,$(client_undefined) \
	-Wl,--version-script=$(srcdir)/pmem/client/libpmem.map

# A shared library that one loader flag names needs no libtool: it is linked as a program.
clientdir = $(pkglibdir)
client_PROGRAMS = pmem/client/libpmem.so.1
pmem_client_libpmem_so_1_SOURCES = \
	pmem/client/next_function.h \
	pmem/client/syscall_processes.c
pmem_client_libpmem_so_1_CFLAGS = $(AM_CFLAGS) -fPIC -fvisibility=hidden -O2
pmem_client_libpmem_so_1_LDADD = $(client_objects)
EXTRA_pmem_client_libpmem_so_1_DEPENDENCIES = pmem/client/libpmem.map
pmem_client_libpmem_so_1_LDFLAGS = $(client_ldflags)
EXTRA_DIST += pmem/client/libpmem.map

# The same for `softpmem record`, with more functions of libc interposed.
client_recorderdir = $(pkglibdir)/recorder
client_recorder_PROGRAMS = pmem/client/recorder/libpmem.so.1
pmem_client_recorder_libpmem_so_1_SOURCES = \
	pmem/client/bounce_rooms.c \
	pmem/client/bounce_rooms.h \
	pmem/client/call_stack.c \
	pmem/client/call_stack.h \
	pmem/client/child_actions.c \
	pmem/client/child_actions.h \
	pmem/client/kernel_call_table.c \
	pmem/client/kernel_calls.c \
	pmem/client/kernel_functions.c \
	pmem/client/kernel_messages.c \
	pmem/client/kernel_mutexes.c \
	pmem/client/kernel_refusals.c \
	pmem/client/kernel_refusals.h \
	pmem/client/kernel_results.c \
	pmem/client/kernel_stores.c \
	pmem/client/libc_copies.c \
	pmem/client/next_function.h \
	pmem/client/output_marks.c \
	pmem/client/output_marks.h \
	pmem/client/signal_handlers.c \
	pmem/client/signal_stacks.c \
	pmem/client/signal_stacks.h \
	pmem/client/special_calls.c \
	pmem/client/special_calls.h \
	pmem/client/stack_refusals.c
# -fexceptions: a thread that is cancelled in a function of libc gives back what it has.
pmem_client_recorder_libpmem_so_1_CFLAGS = $(AM_CFLAGS) -fPIC -fvisibility=hidden -O2 -fno-builtin -fexceptions
pmem_client_recorder_libpmem_so_1_LDADD = $(client_objects)
EXTRA_pmem_client_recorder_libpmem_so_1_DEPENDENCIES = pmem/client/libpmem.map
pmem_client_recorder_libpmem_so_1_LDFLAGS = $(client_ldflags)
