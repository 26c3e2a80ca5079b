# SPDX-License-Identifier: BSD-3-Clause
# softpmemd. All of it except main() is in a library, which tests link.
noinst_LIBRARIES += src/daemon/libdaemon.a
libdaemon = src/daemon/libdaemon.a $(libcommand) $(libattach) $(libregions) $(SYSTEMD_LIBS) $(SECCOMP_LIBS)
src_daemon_libdaemon_a_SOURCES = \
	src/daemon/daemon.h \
	src/daemon/daemon_options.c \
	src/daemon/log.c src/daemon/log.h \
	src/daemon/moment.c src/daemon/moment.h \
	src/daemon/mount_users.c src/daemon/mount_users.h \
	src/daemon/outage.c src/daemon/outage.h \
	src/daemon/place.c \
	src/daemon/process.c src/daemon/process.h \
	src/daemon/sandbox.c src/daemon/sandbox.h \
	src/daemon/served.c src/daemon/served.h \
	src/daemon/snapshots.c src/daemon/snapshots.h \
	src/daemon/spawner.c src/daemon/spawner.h \
	src/daemon/verb_check.c \
	src/daemon/verb_create.c \
	src/daemon/verb_destroy.c \
	src/daemon/verb_events.c \
	src/daemon/verb_list.c \
	src/daemon/verb_mark.c \
	src/daemon/verb_path.c \
	src/daemon/verb_powerfail.c \
	src/daemon/verb_record.c \
	src/daemon/verb_rename.c \
	src/daemon/verb_resize.c \
	src/daemon/verb_restore.c \
	src/daemon/verb_snapshot.c \
	src/daemon/verb_stat.c \
	src/daemon/verb_status.c \
	src/daemon/verb_stop.c \
	src/daemon/verb_sync.c \
	src/daemon/verbs.c src/daemon/verbs.h \
	src/daemon/walk.c src/daemon/walk.h
src_daemon_libdaemon_a_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS) $(SYSTEMD_CFLAGS) $(SECCOMP_CFLAGS)

bin_PROGRAMS += softpmemd
softpmemd_SOURCES = src/daemon/softpmemd.c
softpmemd_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS)
# Cancelling a thread unwinds it with libgcc_s. glibc loads that library only then, and aborts if it is missing. The
# daemon is linked with it, so that it is copied wherever the libraries of the daemon are.
softpmemd_LDADD = $(libdaemon) -lgcc_s
softpmemd_LDFLAGS = $(AM_LDFLAGS) -Wl,--no-as-needed

systemdsystemunit_DATA = src/daemon/softpmemd.service src/daemon/softpmemd-mount.service
src/daemon/softpmemd.service: src/daemon/softpmemd.service.in Makefile
src/daemon/softpmemd-mount.service: src/daemon/softpmemd-mount.service.in Makefile
$(systemdsystemunit_DATA):
	$(AM_V_GEN)$(MKDIR_P) src/daemon && $(SED) -e 's|[@]bindir[@]|$(bindir)|g' $(srcdir)/$@.in >$@.tmp && mv $@.tmp $@
CLEANFILES += $(systemdsystemunit_DATA)
EXTRA_DIST += src/daemon/softpmemd.service.in src/daemon/softpmemd-mount.service.in
