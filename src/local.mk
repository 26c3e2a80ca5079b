# SPDX-License-Identifier: BSD-3-Clause
# What both programs and their tests share, and the daemon's end of the socket.
noinst_LTLIBRARIES += src/libcontrol.la
src_libcontrol_la_SOURCES = \
	src/wire/checkreport.c src/wire/checkreport.h \
	src/wire/frame.c src/wire/frame.h \
	src/wire/candidates.c src/wire/candidates.h \
	src/server/listener.c src/server/listener.h \
	src/server/loglimit.c src/server/loglimit.h \
	src/server/peer.c src/server/peer.h \
	src/server/server.c src/server/server.h \
	src/server/reply.c src/server/reply.h \
	src/wire/request.c src/wire/request.h \
	src/server/control_server.c src/server/control_server.h \
	src/wire/socketpath.c src/wire/socketpath.h \
	src/wire/text.c src/wire/text.h
src_libcontrol_la_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS)
src_libcontrol_la_LIBADD = pmem/pool/libpool.la $(JSON_LIBS)

sbin_PROGRAMS += softpmemd
softpmemd_SOURCES = \
	src/attach/attach_answer.c src/attach/attach_answer.h \
	src/attach/attach_context.h \
	src/attach/attach_count.c \
	src/attach/attach_drain.c src/attach/attach_drain.h \
	src/attach/attach_mappers.c src/attach/attach_mappers.h \
	src/attach/attach_message.c src/attach/attach_message.h \
	src/attach/attach_outage.c \
	src/attach/attach_paths.c src/attach/attach_paths.h \
	src/attach/attach_server.c src/attach/attach_server.h \
	src/attach/attach_views.c src/attach/attach_views.h \
	src/daemon/daemon.h \
	src/daemon/verb_list.c \
	src/daemon/log.c src/daemon/log.h \
	src/daemon/options.c \
	src/daemon/outage.c src/daemon/outage.h \
	src/daemon/place.c \
	src/daemon/verb_powerfail.c \
	src/daemon/process.c src/daemon/process.h \
	src/daemon/served.c src/daemon/served.h \
	src/daemon/softpmemd.c \
	src/daemon/verb_stat.c \
	src/daemon/verb_tree.c \
	src/daemon/verbs.c src/daemon/verbs.h \
	src/daemon/walk.c src/daemon/walk.h
softpmemd_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS) $(SYSTEMD_CFLAGS)
# Cancelling a thread unwinds it with libgcc_s, which glibc loads only then and without which it aborts: the
# daemon has it from the start, so that it is there wherever its libraries were copied to.
softpmemd_LDADD = src/libcontrol.la fuse/libfusefs.la pmem/pool/libpool.la $(JSON_LIBS) $(SYSTEMD_LIBS) -lgcc_s
softpmemd_LDFLAGS = $(AM_LDFLAGS) -Wl,--no-as-needed

bin_PROGRAMS += softpmem
softpmem_SOURCES = \
	src/cli/cli.h \
	src/cli/cli_live.c \
	src/cli/cli_memtest.c \
	src/cli/cli_pools.c \
	src/cli/cli_powerfail.c \
	src/cli/cli_region.c \
	src/cli/cli_regions.c \
	src/cli/cli_run.c \
	src/cli/cli_stat.c src/cli/cli_stat.h \
	src/cli/cli_status.c \
	src/cli/client.c src/cli/client.h \
	src/cli/output.c src/cli/output.h \
	src/cli/softpmem.c
softpmem_CPPFLAGS = $(AM_CPPFLAGS) -DPKGLIBDIR='"$(pkglibdir)"'
softpmem_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS) $(NCURSES_CFLAGS)
softpmem_LDADD = src/libcontrol.la pmem/pool/libpool.la $(JSON_LIBS) $(NCURSES_LIBS)

systemdsystemunit_DATA = src/daemon/softpmemd.service
src/daemon/softpmemd.service: src/daemon/softpmemd.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) src/daemon && $(SED) -e 's|[@]sbindir[@]|$(sbindir)|g' $(srcdir)/src/daemon/softpmemd.service.in >$@.tmp && mv $@.tmp $@
CLEANFILES += src/daemon/softpmemd.service
EXTRA_DIST += src/daemon/softpmemd.service.in src/cli/softpmem.bash

# bash-completion looks for a file of the command's own name: one has both, the other points at it.
install-data-hook:
	$(MKDIR_P) "$(DESTDIR)$(bashcompletiondir)"
	$(INSTALL_DATA) $(srcdir)/src/cli/softpmem.bash "$(DESTDIR)$(bashcompletiondir)/softpmem"
	cd "$(DESTDIR)$(bashcompletiondir)" && rm -f softpmemd && $(LN_S) softpmem softpmemd
uninstall-hook:
	rm -f "$(DESTDIR)$(bashcompletiondir)/softpmem" "$(DESTDIR)$(bashcompletiondir)/softpmemd"
