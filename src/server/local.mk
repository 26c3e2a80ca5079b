# SPDX-License-Identifier: BSD-3-Clause
# A server with a thread for each client, and the control socket on top of it.
noinst_LIBRARIES += src/server/libserver.a
libserver = src/server/libserver.a $(libwire)
src_server_libserver_a_SOURCES = \
	src/server/control_server.c src/server/control_server.h \
	src/server/foreign_fd.c src/server/foreign_fd.h \
	src/server/listener.c src/server/listener.h \
	src/server/loglimit.c src/server/loglimit.h \
	src/server/peer.c src/server/peer.h \
	src/server/reply.c src/server/reply.h \
	src/server/server.c src/server/server.h
src_server_libserver_a_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS)
