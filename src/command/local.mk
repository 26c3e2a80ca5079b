# SPDX-License-Identifier: BSD-3-Clause
# Parsing of command lines, with options in tables, for both programs.
noinst_LIBRARIES += src/command/libcommand.a
libcommand = src/command/libcommand.a $(libcommon)
src_command_libcommand_a_SOURCES = \
	src/command/command_options.c src/command/command_options.h \
	src/command/standard_files.c src/command/standard_files.h \
	src/command/suggest.c src/command/suggest.h
