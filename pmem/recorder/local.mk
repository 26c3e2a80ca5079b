# SPDX-License-Identifier: BSD-3-Clause
# A recording of the pools: takes the events of the mount and of recorded processes, and writes a trace.
noinst_LIBRARIES += pmem/recorder/librecorder.a
librecorder = pmem/recorder/librecorder.a $(libpool) $(libtrace)
pmem_recorder_librecorder_a_SOURCES = \
	pmem/recorder/recorded.c pmem/recorder/recorded.h \
	pmem/recorder/recorder.c pmem/recorder/recorder.h \
	pmem/recorder/recorder_clients.c pmem/recorder/recorder_clients.h \
	pmem/recorder/recorder_files.c pmem/recorder/recorder_files.h \
	pmem/recorder/recorder_state.h
