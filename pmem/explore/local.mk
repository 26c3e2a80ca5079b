# SPDX-License-Identifier: BSD-3-Clause
# Crash points, crash states, checkers and findings. Knows traces and models; nothing of the daemon.
noinst_LIBRARIES += pmem/explore/libexplore.a
libexplore = pmem/explore/libexplore.a $(libtrace) $(libmodel) $(libcommon) -ldl
pmem_explore_libexplore_a_SOURCES = \
	pmem/explore/changes.c pmem/explore/changes.h \
	pmem/explore/checker.c pmem/explore/checker.h \
	pmem/explore/checker_command.c \
	pmem/explore/checker_engine.c \
	pmem/explore/checker_forked.c pmem/explore/fork_protocol.h \
	pmem/explore/checker_loaded.c \
	pmem/explore/checker_private.h \
	pmem/explore/checkpoint.c pmem/explore/checkpoint.h \
	pmem/explore/cut.c pmem/explore/cut.h \
	pmem/explore/digests.c pmem/explore/digests.h \
	pmem/explore/evidence.c pmem/explore/evidence.h \
	pmem/explore/finding.c pmem/explore/finding.h \
	pmem/explore/image.c pmem/explore/image.h \
	pmem/explore/input.c pmem/explore/input.h \
	pmem/explore/list.c pmem/explore/list.h \
	pmem/explore/oracle.c pmem/explore/oracle.h \
	pmem/explore/operation_text.c pmem/explore/operation_text.h \
	pmem/explore/spawn.c pmem/explore/spawn.h \
	pmem/explore/state_order.c pmem/explore/state_order.h \
	pmem/explore/places.c pmem/explore/places.h \
	pmem/explore/points.c pmem/explore/points.h \
	pmem/explore/recovery_facts.c pmem/explore/recovery_facts.h \
	pmem/explore/reduce.c pmem/explore/reduce.h \
	pmem/explore/search.c pmem/explore/search.h \
	pmem/explore/state_tree.c pmem/explore/state_tree.h \
	pmem/explore/timeline.c pmem/explore/timeline.h \
	pmem/explore/trial.c pmem/explore/trial.h \
	pmem/explore/walk_bytes.c pmem/explore/walk_state.h \
	pmem/explore/walk_names.c pmem/explore/walk_names.h \
	pmem/explore/xattr_sets.c pmem/explore/xattr_sets.h \
	pmem/explore/trace_walk.c pmem/explore/trace_walk.h \
	pmem/explore/weakest.c pmem/explore/weakest.h \
	pmem/explore/weakest_lines.c \
	pmem/explore/worker.c pmem/explore/worker.h

softpmemincludedir = $(includedir)/softpmem
softpmeminclude_HEADERS = pmem/explore/softpmem_checker.h
