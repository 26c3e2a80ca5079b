# SPDX-License-Identifier: BSD-3-Clause
# Command lines: options declared in tables, for both programs.
noinst_LTLIBRARIES += src/command/libcommand.la
src_command_libcommand_la_SOURCES = \
	src/command/command_options.c src/command/command_options.h \
	src/command/suggest.c src/command/suggest.h
src_command_libcommand_la_LIBADD = pmem/common/libcommon.la
