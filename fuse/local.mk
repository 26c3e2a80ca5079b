# SPDX-License-Identifier: BSD-3-Clause
# The only room that includes libfuse's headers. fusefs.h is for others, all other headers are private.
noinst_LIBRARIES += fuse/libfusefs.a
libfusefs = fuse/libfusefs.a $(librecorder) $(FUSE_LIBS)
fuse_libfusefs_a_SOURCES = \
	fuse/cached_pages.c fuse/cached_pages.h \
	fuse/deferral.c fuse/deferral.h \
	fuse/dispatch.c fuse/dispatch.h \
	fuse/fusefs.c fuse/fusefs.h \
	fuse/invalidate.c fuse/invalidate.h \
	fuse/late_request.c fuse/late_request.h \
	fuse/late_work.c fuse/late_work.h \
	fuse/mount_context.h \
	fuse/mountpoint.c fuse/mountpoint.h \
	fuse/negotiate.c fuse/negotiate.h \
	fuse/newer_requests.c fuse/newer_requests.h \
	fuse/node.c fuse/node.h \
	fuse/op_attributes.c fuse/op_attributes.h \
	fuse/op_data.c fuse/op_data.h \
	fuse/op_directory.c fuse/op_directory.h \
	fuse/op_names.c fuse/op_names.h \
	fuse/op_open.c fuse/op_open.h \
	fuse/op_seek.c fuse/op_seek.h \
	fuse/op_xattr.c fuse/op_xattr.h \
	fuse/operations.c fuse/operations.h \
	fuse/park.c fuse/park.h \
	fuse/parking.c fuse/parking.h \
	fuse/regions_root.c fuse/regions_root.h \
	fuse/reply_entry.c fuse/reply_entry.h \
	fuse/request_gate.c fuse/request_gate.h \
	fuse/request_events.c fuse/request_events.h \
	fuse/request_moment.c fuse/request_moment.h \
	fuse/request_path.c fuse/request_path.h \
	fuse/set_id_bits.c fuse/set_id_bits.h \
	fuse/shadow.c fuse/shadow.h \
	fuse/turn.c fuse/turn.h \
	fuse/workers.c fuse/workers.h
fuse_libfusefs_a_CFLAGS = $(AM_CFLAGS) $(FUSE_CFLAGS)
