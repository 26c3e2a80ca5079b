# SPDX-License-Identifier: BSD-3-Clause
# The control protocol, for both programs. It does not depend on pools and regions.
noinst_LIBRARIES += src/wire/libwire.a
libwire = src/wire/libwire.a $(libcommon) $(JSON_LIBS)
src_wire_libwire_a_SOURCES = \
	src/wire/frame.c src/wire/frame.h \
	src/wire/request.c src/wire/request.h \
	src/wire/socketpath.c src/wire/socketpath.h \
	src/wire/spawner_protocol.h \
	src/wire/text.c src/wire/text.h
src_wire_libwire_a_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS)
