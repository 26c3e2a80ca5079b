# SPDX-License-Identifier: BSD-3-Clause
# What both programs and their tests share, and the daemon's end of the socket.
noinst_LTLIBRARIES += src/libcontrol.la
src_libcontrol_la_SOURCES = \
	src/checkreport.c src/checkreport.h \
	src/control.c src/control.h \
	src/regions.c src/regions.h \
	src/listener.c src/listener.h \
	src/reply.c src/reply.h \
	src/request.c src/request.h \
	src/server.c src/server.h \
	src/socketpath.c src/socketpath.h \
	src/text.c src/text.h
src_libcontrol_la_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS)
src_libcontrol_la_LIBADD = pmem/pool/libpool.la $(JSON_LIBS)

sbin_PROGRAMS += softpmemd
softpmemd_SOURCES = \
	src/attach.c src/attach.h \
	src/attach_kill.c \
	src/attach_paths.c \
	src/attach_private.h \
	src/attach_request.c \
	src/attach_stat.c \
	src/daemon.h \
	src/list.c \
	src/log.c src/log.h \
	src/options.c \
	src/place.c \
	src/power.c \
	src/process.c src/process.h \
	src/served.c src/served.h \
	src/softpmemd.c \
	src/stat.c \
	src/tree.c \
	src/verbs.c src/verbs.h \
	src/walk.c src/walk.h
softpmemd_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS) $(SYSTEMD_CFLAGS)
# Cancelling a thread unwinds it with libgcc_s, which glibc loads only then and without which it aborts: the
# daemon has it from the start, so that it is there wherever its libraries were copied to.
softpmemd_LDADD = src/libcontrol.la fuse/libfusefs.la pmem/pool/libpool.la $(JSON_LIBS) $(SYSTEMD_LIBS) -lgcc_s
softpmemd_LDFLAGS = $(AM_LDFLAGS) -Wl,--no-as-needed

bin_PROGRAMS += softpmem
softpmem_SOURCES = \
	src/cli.h \
	src/cli_live.c \
	src/cli_memtest.c \
	src/cli_pools.c \
	src/cli_power.c \
	src/cli_region.c \
	src/cli_regions.c \
	src/cli_run.c \
	src/cli_stat.c src/cli_stat.h \
	src/cli_status.c \
	src/client.c src/client.h \
	src/output.c src/output.h \
	src/softpmem.c
softpmem_CPPFLAGS = $(AM_CPPFLAGS) -DPKGLIBDIR='"$(pkglibdir)"'
softpmem_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS) $(NCURSES_CFLAGS)
softpmem_LDADD = src/libcontrol.la pmem/pool/libpool.la $(JSON_LIBS) $(NCURSES_LIBS)

systemdsystemunit_DATA = src/softpmemd.service
src/softpmemd.service: src/softpmemd.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) src && $(SED) -e 's|[@]sbindir[@]|$(sbindir)|g' $(srcdir)/src/softpmemd.service.in >$@.tmp && mv $@.tmp $@
CLEANFILES += src/softpmemd.service
EXTRA_DIST += src/softpmemd.service.in src/softpmem.bash

# bash-completion looks for a file of the command's own name: one has both, the other points at it.
install-data-hook:
	$(MKDIR_P) "$(DESTDIR)$(bashcompletiondir)"
	$(INSTALL_DATA) $(srcdir)/src/softpmem.bash "$(DESTDIR)$(bashcompletiondir)/softpmem"
	cd "$(DESTDIR)$(bashcompletiondir)" && rm -f softpmemd && $(LN_S) softpmem softpmemd
uninstall-hook:
	rm -f "$(DESTDIR)$(bashcompletiondir)/softpmem" "$(DESTDIR)$(bashcompletiondir)/softpmemd"
