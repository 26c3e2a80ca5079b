# SPDX-License-Identifier: BSD-3-Clause
# Tests with a real daemon and a real mount.
e2e_tests = \
	tests/e2e/agreement.sh \
	tests/e2e/cli-completion.sh \
	tests/e2e/cli-manual.sh \
	tests/e2e/cli-pools.sh \
	tests/e2e/metadata.sh \
	tests/e2e/many-pools.sh \
	tests/e2e/metadata-da-alloc.sh \
	tests/e2e/metadata-directories.sh \
	tests/e2e/cli-change.sh \
	tests/e2e/cli-explore.sh \
	tests/e2e/explore-slurm.sh \
	tests/e2e/cli-powerfail.sh \
	tests/e2e/powerfail-moment.sh \
	tests/e2e/cli-region.sh \
	tests/e2e/cli-report.sh \
	tests/e2e/cli-json.sh \
	tests/e2e/cli-options.sh \
	tests/e2e/cli-output.sh \
	tests/e2e/cli-surroundings.sh \
	tests/e2e/tutorial.sh \
	tests/e2e/cli-trace.sh \
	tests/e2e/cli-words.sh \
	tests/e2e/explore-engine.sh \
	tests/e2e/explore-recovery.sh \
	tests/e2e/explore-rules.sh tests/e2e/explore-xattrs.sh \
	tests/e2e/control-daemon.sh \
	tests/e2e/control-many.sh \
	tests/e2e/daemon-gone.sh \
	tests/e2e/disk-full.sh \
	tests/e2e/fuse-exercise.sh \
	tests/e2e/fuse-late.sh \
	tests/e2e/fuse-memory.sh \
	tests/e2e/fuse-mount.sh \
	tests/e2e/fuse-operations.sh \
	tests/e2e/fuse-permissions.sh \
	tests/e2e/fuse-power.sh \
	tests/e2e/fuse-unseen.sh \
	tests/e2e/fuse-xattr.sh \
	tests/e2e/format-document.sh \
	tests/e2e/record-mount.sh \
	tests/e2e/region-lost.sh \
	tests/e2e/regions.sh \
	tests/e2e/regions-test.sh \
	tests/e2e/run-attach.sh \
	tests/e2e/run-cannot.sh \
	tests/e2e/run-forks.sh \
	tests/e2e/run-hostile.sh \
	tests/e2e/run-mark.sh \
	tests/e2e/run-refused.sh \
	tests/e2e/run-verb.sh \
	tests/e2e/service-units.sh \
	tests/e2e/several.sh \
	tests/e2e/snapshot-pool.sh \
	tests/e2e/snapshot.sh \
	tests/e2e/torture.sh
TESTS += $(e2e_tests)
EXTRA_DIST += $(e2e_tests)

check_PROGRAMS += tests/e2e/forks
tests_e2e_forks_SOURCES = tests/e2e/forks.c tests/e2e/tap.h
tests_e2e_forks_CFLAGS = $(AM_CFLAGS) $(PMEM_CFLAGS)
tests_e2e_forks_LDADD = $(PMEM_LIBS)

check_PROGRAMS += tests/e2e/marker
tests_e2e_marker_SOURCES = tests/e2e/marker.c tests/e2e/tap.h
tests_e2e_marker_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/src/lib
tests_e2e_marker_LDADD = src/lib/libsoftpmem.a -ldl

check_PROGRAMS += tests/e2e/trace_tree
tests_e2e_trace_tree_SOURCES = tests/e2e/trace_tree.c
tests_e2e_trace_tree_LDADD = $(libtrace)

check_PROGRAMS += tests/e2e/exercise
tests_e2e_exercise_SOURCES = tests/e2e/exercise.c tests/e2e/exercise_model.c tests/e2e/exercise_model.h tests/e2e/powerfail.h

check_PROGRAMS += tests/e2e/cache_storm
tests_e2e_cache_storm_SOURCES = tests/e2e/cache_storm.c

check_PROGRAMS += tests/e2e/bare_mount
tests_e2e_bare_mount_SOURCES = tests/e2e/bare_mount.c
tests_e2e_bare_mount_LDADD = $(libfusefs)

check_PROGRAMS += tests/e2e/fileops
tests_e2e_fileops_SOURCES = \
	tests/e2e/fileops.c tests/e2e/fileops.h \
	tests/e2e/fileops_attributes.c \
	tests/e2e/fileops_cache.c \
	tests/e2e/fileops_data.c \
	tests/e2e/fileops_names.c \
	tests/e2e/fileops_removed.c \
	tests/e2e/tap.h

check_PROGRAMS += tests/e2e/powercut
tests_e2e_powercut_SOURCES = tests/e2e/powercut.c tests/e2e/powerfail.h tests/e2e/tap.h
check_PROGRAMS += tests/e2e/notify_listener
tests_e2e_notify_listener_SOURCES = tests/e2e/notify_listener.c

check_PROGRAMS += tests/e2e/attached
tests_e2e_attached_SOURCES = tests/e2e/attached.c tests/e2e/attaching.c tests/e2e/attaching.h tests/e2e/powerfail.h tests/e2e/tap.h
tests_e2e_attached_LDADD = $(libdomain)

check_PROGRAMS += tests/e2e/agreement
tests_e2e_agreement_SOURCES = tests/e2e/agreement.c tests/e2e/attaching.c tests/e2e/attaching.h tests/e2e/powerfail.h tests/e2e/tap.h
tests_e2e_agreement_LDADD = $(libdomain)

check_PROGRAMS += tests/e2e/unmounted
tests_e2e_unmounted_SOURCES = tests/e2e/unmounted.c tests/e2e/attaching.c tests/e2e/attaching.h tests/e2e/tap.h
tests_e2e_unmounted_LDADD = $(libdomain)

check_PROGRAMS += tests/e2e/crowd
tests_e2e_crowd_SOURCES = tests/e2e/crowd.c tests/e2e/attaching.c tests/e2e/attaching.h
tests_e2e_crowd_LDADD = $(libdomain)
check_PROGRAMS += tests/e2e/many_pools
tests_e2e_many_pools_SOURCES = tests/e2e/many_pools.c tests/e2e/attaching.c tests/e2e/attaching.h
tests_e2e_many_pools_LDADD = $(libdomain)
check_PROGRAMS += tests/e2e/view_growth
tests_e2e_view_growth_SOURCES = tests/e2e/view_growth.c tests/e2e/attaching.c tests/e2e/attaching.h tests/e2e/tap.h
tests_e2e_view_growth_LDADD = $(libdomain)

check_PROGRAMS += tests/e2e/hostile
tests_e2e_hostile_SOURCES = tests/e2e/hostile.c tests/e2e/attaching.c tests/e2e/attaching.h tests/e2e/tap.h
tests_e2e_hostile_LDADD = $(libdomain)

check_PROGRAMS += tests/e2e/reused_pid
tests_e2e_reused_pid_SOURCES = tests/e2e/reused_pid.c tests/e2e/attaching.c tests/e2e/attaching.h tests/e2e/tap.h
tests_e2e_reused_pid_LDADD = $(libdomain)

check_PROGRAMS += tests/e2e/pairings
tests_e2e_pairings_SOURCES = tests/e2e/pairings.c tests/e2e/powerfail.h tests/e2e/tap.h
tests_e2e_pairings_CFLAGS = $(AM_CFLAGS) $(PMEM_CFLAGS)
tests_e2e_pairings_LDADD = $(PMEM_LIBS)
