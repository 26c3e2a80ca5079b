# SPDX-License-Identifier: BSD-3-Clause
# softpmem.
bin_PROGRAMS += softpmem
softpmem_SOURCES = \
	src/cli/cli.c src/cli/cli.h \
	src/cli/cli_check.c \
	src/cli/cli_create.c \
	src/cli/cli_destroy.c \
	src/cli/cli_explore.c \
	src/cli/cli_format.c \
	src/cli/cli_list.c \
	src/cli/cli_live.c \
	src/cli/cli_mark.c \
	src/cli/cli_memtest.c src/cli/cli_memtest.h \
	src/cli/cli_path.c \
	src/cli/cli_powerfail.c \
	src/cli/cli_record.c \
	src/cli/cli_regions.c \
	src/cli/cli_rename.c \
	src/cli/cli_report.c \
	src/cli/cli_resize.c \
	src/cli/cli_restore.c \
	src/cli/cli_run.c \
	src/cli/cli_snapshot.c \
	src/cli/cli_stat.c src/cli/cli_stat.h \
	src/cli/cli_status.c \
	src/cli/cli_stop.c \
	src/cli/cli_sync.c \
	src/cli/cli_torture.c \
	src/cli/cli_trace.c \
	src/cli/client.c src/cli/client.h \
	src/cli/explore_cause.c src/cli/explore_cause.h \
	src/cli/explore_checkers.c src/cli/explore_checkers.h \
	src/cli/explore_depth.c src/cli/explore_depth.h \
	src/cli/explore_durability.c src/cli/explore_durability.h \
	src/cli/explore_identity.c src/cli/explore_identity.h \
	src/cli/explore_json.c src/cli/explore_json.h \
	src/cli/explore_print.c src/cli/explore_print.h \
	src/cli/explore_recovery.c src/cli/explore_recovery.h \
	src/cli/explore_replay.c src/cli/explore_replay.h \
	src/cli/explore_site.c src/cli/explore_site.h \
	src/cli/explore_workload.c src/cli/explore_workload.h \
	src/cli/output.c src/cli/output.h \
	src/cli/output_file.c src/cli/output_file.h \
	src/cli/program_file.c src/cli/program_file.h \
	src/cli/report.h \
	src/cli/report_html.c \
	src/cli/report_machine.c \
	src/cli/report_merge.c \
	src/cli/report_text.c \
	src/cli/run_program.c src/cli/run_program.h \
	src/cli/scratch.c src/cli/scratch.h \
	src/cli/softpmem.c \
	src/cli/torture.c src/cli/torture.h \
	src/cli/torture_campaign.c src/cli/torture_campaign.h \
	src/cli/torture_daemon.c src/cli/torture_daemon.h \
	src/cli/torture_findings.c src/cli/torture_findings.h \
	src/cli/torture_keeper.c src/cli/torture_keeper.h \
	src/cli/torture_plan.c src/cli/torture_plan.h \
	src/cli/torture_print.c src/cli/torture_print.h \
	src/cli/torture_process.c src/cli/torture_process.h \
	src/cli/torture_reduce.c src/cli/torture_reduce.h \
	src/cli/torture_round.c src/cli/torture_round.h \
	src/cli/trace_commands.h \
	src/cli/trace_convert.c \
	src/cli/trace_info.c \
	src/cli/trace_statistics.c
softpmem_CPPFLAGS = $(AM_CPPFLAGS) -DPKGLIBDIR='"$(pkglibdir)"'
softpmem_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS) $(NCURSES_CFLAGS)
# libregions is for the verbs that work on regions without a daemon.
softpmem_LDADD = $(libexplore) $(libtracesymbols) $(libcommand) $(libregions) $(libwire) $(NCURSES_LIBS)
EXTRA_DIST += src/cli/softpmem.bash

# bash-completion looks for a file with the name of the command. One file completes both commands; a link has the
# other name.
install-data-hook:
	$(MKDIR_P) "$(DESTDIR)$(bashcompletiondir)"
	$(INSTALL_DATA) $(srcdir)/src/cli/softpmem.bash "$(DESTDIR)$(bashcompletiondir)/softpmem"
	cd "$(DESTDIR)$(bashcompletiondir)" && rm -f softpmemd && $(LN_S) softpmem softpmemd
uninstall-hook:
	rm -f "$(DESTDIR)$(bashcompletiondir)/softpmem" "$(DESTDIR)$(bashcompletiondir)/softpmemd"
