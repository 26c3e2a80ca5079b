# SPDX-License-Identifier: BSD-3-Clause
# What processes that map pools ask of the daemon.
noinst_LIBRARIES += src/attach/libattach.a
libattach = src/attach/libattach.a $(libserver) $(librecorder) $(libfusefs)
src_attach_libattach_a_SOURCES = \
	src/attach/attach_answer.c src/attach/attach_answer.h \
	src/attach/attach_context.h \
	src/attach/attach_count.c \
	src/attach/attach_drain.c src/attach/attach_drain.h \
	src/attach/attach_holes.c src/attach/attach_holes.h \
	src/attach/attach_mappers.c src/attach/attach_mappers.h \
	src/attach/attach_message.c src/attach/attach_message.h \
	src/attach/attach_outage.c \
	src/attach/attach_paths.c src/attach/attach_paths.h \
	src/attach/attach_server.c src/attach/attach_server.h \
	src/attach/attach_trace.c src/attach/attach_trace.h \
	src/attach/attach_views.c src/attach/attach_views.h
