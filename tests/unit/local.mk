# SPDX-License-Identifier: BSD-3-Clause
# A cmocka program for each subject, with its sources and libraries.
unit_tests =
# These compare the models with interpreters for very many inputs: optimized code, without sanitizers.
model_tests = tests/unit/test_explore_names tests/unit/test_litmus tests/unit/test_model_lines_random \
	tests/unit/test_model_names_random

unit_tests += tests/unit/test_common
tests_unit_test_common_SOURCES = tests/unit/test_common.c
tests_unit_test_common_LDADD = $(libcommon) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_vector
tests_unit_test_vector_SOURCES = tests/unit/test_vector.c
tests_unit_test_vector_LDADD = $(libcommon) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_pool
tests_unit_test_pool_SOURCES = tests/unit/test_pool.c $(pool_test_sources)
tests_unit_test_pool_LDADD = $(libpool) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_pool_nameless
tests_unit_test_pool_nameless_SOURCES = tests/unit/test_pool_nameless.c $(pool_test_sources)
tests_unit_test_pool_nameless_LDADD = $(libpool) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_pool_undo
tests_unit_test_pool_undo_SOURCES = tests/unit/test_pool_undo.c $(pool_test_sources)
tests_unit_test_pool_undo_LDADD = $(libpool) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_pool_outage_names
tests_unit_test_pool_outage_names_SOURCES = tests/unit/test_pool_outage_names.c $(pool_test_sources) \
	tests/unit/brute_names.c tests/unit/brute_names.h \
	tests/unit/brute_random.c tests/unit/brute_random.h tests/unit/treeset.c tests/unit/treeset.h
tests_unit_test_pool_outage_names_LDADD = $(libpool) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_pool_extmap
tests_unit_test_pool_extmap_SOURCES = tests/unit/test_pool_extmap.c
tests_unit_test_pool_extmap_LDADD = $(libpool) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_pool_space
tests_unit_test_pool_space_SOURCES = tests/unit/test_pool_space.c
tests_unit_test_pool_space_LDADD = $(libpool) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_pool_names
tests_unit_test_pool_names_SOURCES = tests/unit/test_pool_names.c
tests_unit_test_pool_names_LDADD = $(libpool) $(CMOCKA_LIBS)

pool_test_sources = tests/unit/mediatest.h tests/unit/pooltest.c tests/unit/pooltest.h
unit_tests += tests/unit/test_pool_gate
tests_unit_test_pool_gate_SOURCES = tests/unit/test_pool_gate.c $(pool_test_sources)
tests_unit_test_pool_gate_LDADD = $(libpool) $(CMOCKA_LIBS) -lpthread

unit_tests += tests/unit/test_pool_placement
tests_unit_test_pool_placement_SOURCES = tests/unit/test_pool_placement.c $(pool_test_sources)
tests_unit_test_pool_placement_LDADD = $(libpool) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_pool_writeback
tests_unit_test_pool_writeback_SOURCES = tests/unit/test_pool_writeback.c $(pool_test_sources)
tests_unit_test_pool_writeback_LDADD = $(libpool) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_pool_view_limits
tests_unit_test_pool_view_limits_SOURCES = tests/unit/test_pool_view_limits.c $(pool_test_sources)
tests_unit_test_pool_view_limits_LDADD = $(libpool) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_pool_resize
tests_unit_test_pool_resize_SOURCES = tests/unit/test_pool_resize.c $(pool_test_sources)
tests_unit_test_pool_resize_LDADD = $(libpool) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_pool_lifetime
tests_unit_test_pool_lifetime_SOURCES = tests/unit/test_pool_lifetime.c $(pool_test_sources)
tests_unit_test_pool_lifetime_LDADD = $(libpool) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_pool_load
tests_unit_test_pool_load_SOURCES = tests/unit/test_pool_load.c $(pool_test_sources)
tests_unit_test_pool_load_LDADD = $(libpool) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_pool_recovery
tests_unit_test_pool_recovery_SOURCES = tests/unit/test_pool_recovery.c $(pool_test_sources)
tests_unit_test_pool_recovery_LDADD = $(libpool) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_pool_table
tests_unit_test_pool_table_SOURCES = tests/unit/test_pool_table.c $(pool_test_sources)
tests_unit_test_pool_table_LDADD = $(libpool) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_pool_trim
tests_unit_test_pool_trim_SOURCES = tests/unit/test_pool_trim.c $(pool_test_sources)
tests_unit_test_pool_trim_LDADD = $(libpool) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_pool_xattr
tests_unit_test_pool_xattr_SOURCES = tests/unit/test_pool_xattr.c $(pool_test_sources)
tests_unit_test_pool_xattr_LDADD = $(libpool) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_pool_inode
tests_unit_test_pool_inode_SOURCES = tests/unit/test_pool_inode.c $(pool_test_sources)
tests_unit_test_pool_inode_LDADD = $(libpool) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_control
tests_unit_test_control_SOURCES = tests/unit/test_control.c
tests_unit_test_control_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS)
tests_unit_test_control_LDADD = $(libwire) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_requests
tests_unit_test_requests_SOURCES = tests/unit/test_requests.c
tests_unit_test_requests_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS)
tests_unit_test_requests_LDADD = $(libdaemon) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_suggest
tests_unit_test_suggest_SOURCES = tests/unit/test_suggest.c
tests_unit_test_suggest_LDADD = $(libcommand) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_server
tests_unit_test_server_SOURCES = tests/unit/test_server.c tests/unit/servertest.c tests/unit/servertest.h \
	src/cli/client.c src/cli/client.h
tests_unit_test_server_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS)
tests_unit_test_server_LDADD = $(libserver) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_server_users
tests_unit_test_server_users_SOURCES = tests/unit/test_server_users.c tests/unit/servertest.c \
	tests/unit/servertest.h tests/unit/skipping.h
tests_unit_test_server_users_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS)
tests_unit_test_server_users_LDADD = $(libserver) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_peer
tests_unit_test_peer_SOURCES = tests/unit/test_peer.c
tests_unit_test_peer_LDADD = $(libserver) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_region_file
tests_unit_test_region_file_SOURCES = tests/unit/test_region_file.c tests/unit/skipping.h
tests_unit_test_region_file_LDADD = $(libregion) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_region_physmap
tests_unit_test_region_physmap_SOURCES = tests/unit/test_region_physmap.c tests/unit/physmaptest.c \
	tests/unit/physmaptest.h
tests_unit_test_region_physmap_LDADD = $(libregion) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_region_discover
tests_unit_test_region_discover_SOURCES = tests/unit/test_region_discover.c tests/unit/physmaptest.c \
	tests/unit/physmaptest.h
tests_unit_test_region_discover_LDADD = $(libregion) $(CMOCKA_LIBS)
EXTRA_DIST += \
	tests/data/region/crashkernel \
	tests/data/region/devdax \
	tests/data/region/devdax-disabled \
	tests/data/region/gap \
	tests/data/region/legacy \
	tests/data/region/namespace \
	tests/data/region/namespace-devdax \
	tests/data/region/namespace-disabled \
	tests/data/region/namespace-sector \
	tests/data/region/nvdimm \
	tests/data/region/nvdimm-labels \
	tests/data/region/ramoops \
	tests/data/region/reserved \
	tests/data/region/soft-reserved \
	tests/data/region/two \
	tests/data/region/uefi \
	tests/data/region/unprivileged \
	tests/data/region/variants

unit_tests += tests/unit/test_region_snapshot
tests_unit_test_region_snapshot_SOURCES = tests/unit/test_region_snapshot.c tests/unit/mediatest.h
tests_unit_test_region_snapshot_LDADD = $(libregion) $(CMOCKA_LIBS)
unit_tests += tests/unit/test_region_media
tests_unit_test_region_media_SOURCES = tests/unit/test_region_media.c tests/unit/badpage.c \
	tests/unit/badpage.h tests/unit/rounds.h
tests_unit_test_region_media_LDADD = $(libregion) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_media_errors
tests_unit_test_media_errors_SOURCES = tests/unit/test_media_errors.c tests/unit/badpage.c \
	tests/unit/badpage.h tests/unit/pooltest.c tests/unit/pooltest.h
tests_unit_test_media_errors_LDADD = $(libpool) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_region_memtest
tests_unit_test_region_memtest_SOURCES = tests/unit/test_region_memtest.c
tests_unit_test_region_memtest_LDADD = $(libregion) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_combining
tests_unit_test_combining_SOURCES = tests/unit/test_combining.c tests/unit/wpqtest.c tests/unit/wpqtest.h
tests_unit_test_combining_LDADD = $(libdomain) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_combining_hostile
tests_unit_test_combining_hostile_SOURCES = tests/unit/test_combining_hostile.c tests/unit/wpqtest.c tests/unit/wpqtest.h
tests_unit_test_combining_hostile_LDADD = $(libdomain) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_litmus
tests_unit_test_litmus_SOURCES = tests/unit/test_litmus.c
tests_unit_test_litmus_LDADD = $(libdomain) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_atomicity
tests_unit_test_atomicity_SOURCES = tests/unit/test_atomicity.c \
	tests/unit/atomicity_operations.c tests/unit/atomicity_operations.h \
	tests/unit/pooltest.c tests/unit/pooltest.h
tests_unit_test_atomicity_LDADD = $(libpool) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_damage
tests_unit_test_damage_SOURCES = tests/unit/test_damage.c tests/unit/mediatest.h tests/unit/pooltest.c tests/unit/pooltest.h
tests_unit_test_damage_LDADD = $(libpool) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_wpq
tests_unit_test_wpq_SOURCES = tests/unit/test_wpq.c tests/unit/wpqtest.c tests/unit/wpqtest.h \
	tests/unit/badpage.c tests/unit/badpage.h
tests_unit_test_wpq_LDADD = $(libdomain) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_wpq_create
tests_unit_test_wpq_create_SOURCES = tests/unit/test_wpq_create.c
tests_unit_test_wpq_create_LDADD = $(libdomain) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_order
tests_unit_test_order_SOURCES = tests/unit/test_order.c
tests_unit_test_order_LDADD = $(libdomain) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_attach_views
tests_unit_test_attach_views_SOURCES = tests/unit/test_attach_views.c tests/unit/pooltest.c tests/unit/pooltest.h
tests_unit_test_attach_views_LDADD = $(libattach) $(CMOCKA_LIBS)
unit_tests += tests/unit/test_replaced_under_mapping
tests_unit_test_replaced_under_mapping_SOURCES = tests/unit/test_replaced_under_mapping.c \
	tests/unit/mappedtest.c tests/unit/mappedtest.h tests/unit/pooltest.c tests/unit/pooltest.h
tests_unit_test_replaced_under_mapping_LDADD = $(libpool) $(CMOCKA_LIBS)
unit_tests += tests/unit/test_cut_under_mapping
tests_unit_test_cut_under_mapping_SOURCES = tests/unit/test_cut_under_mapping.c \
	tests/unit/mappedtest.c tests/unit/mappedtest.h tests/unit/pooltest.c tests/unit/pooltest.h
tests_unit_test_cut_under_mapping_LDADD = $(libpool) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_pool_holes
tests_unit_test_pool_holes_SOURCES = tests/unit/test_pool_holes.c tests/unit/pooltest.c tests/unit/pooltest.h
tests_unit_test_pool_holes_LDADD = $(libpool) $(CMOCKA_LIBS)
unit_tests += tests/unit/test_view_release
tests_unit_test_view_release_SOURCES = tests/unit/test_view_release.c \
	tests/unit/mappedtest.c tests/unit/mappedtest.h tests/unit/pooltest.c tests/unit/pooltest.h
tests_unit_test_view_release_LDADD = $(libpool) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_view_index
tests_unit_test_view_index_SOURCES = tests/unit/test_view_index.c
tests_unit_test_view_index_LDADD = $(libdomain) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_gather
tests_unit_test_gather_SOURCES = tests/unit/test_gather.c tests/unit/wpqtest.c tests/unit/wpqtest.h
tests_unit_test_gather_LDADD = $(libdomain) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_race
tests_unit_test_race_SOURCES = tests/unit/test_race.c tests/unit/pooltest.c tests/unit/pooltest.h
tests_unit_test_race_LDADD = $(libpool) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_model_chooser
tests_unit_test_model_chooser_SOURCES = tests/unit/test_model_chooser.c
tests_unit_test_model_chooser_LDADD = $(libmodel) $(CMOCKA_LIBS)
unit_tests += tests/unit/test_trace_buffer
tests_unit_test_trace_buffer_SOURCES = tests/unit/test_trace_buffer.c
tests_unit_test_trace_buffer_LDADD = $(libtrace) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_recorder
tests_unit_test_recorder_SOURCES = tests/unit/test_recorder.c tests/unit/pooltest.c tests/unit/pooltest.h \
	tests/unit/tracetest.c tests/unit/tracetest.h
tests_unit_test_recorder_LDADD = $(librecorder) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_request_gate
tests_unit_test_request_gate_SOURCES = tests/unit/test_request_gate.c
tests_unit_test_request_gate_LDADD = $(libfusefs) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_turn
tests_unit_test_turn_SOURCES = tests/unit/test_turn.c
tests_unit_test_turn_LDADD = $(libfusefs) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_fuse_parts
tests_unit_test_fuse_parts_SOURCES = tests/unit/test_fuse_parts.c tests/unit/pooltest.c tests/unit/pooltest.h
tests_unit_test_fuse_parts_LDADD = $(libfusefs) $(CMOCKA_LIBS)

# A build with a sanitizer has no sandbox.
if !SANITIZERS
unit_tests += tests/unit/test_sandbox
endif
tests_unit_test_sandbox_SOURCES = tests/unit/test_sandbox.c src/daemon/sandbox.c src/daemon/sandbox.h
tests_unit_test_sandbox_CFLAGS = $(AM_CFLAGS) $(SECCOMP_CFLAGS)
tests_unit_test_sandbox_LDADD = $(CMOCKA_LIBS) $(SECCOMP_LIBS) -lpthread

unit_tests += tests/unit/test_outage
tests_unit_test_outage_SOURCES = tests/unit/test_outage.c src/daemon/outage.c src/daemon/outage.h
tests_unit_test_outage_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS)
tests_unit_test_outage_LDADD = $(libmodel) $(CMOCKA_LIBS)
unit_tests += tests/unit/test_model_litmus
tests_unit_test_model_litmus_SOURCES = tests/unit/test_model_litmus.c
tests_unit_test_model_litmus_LDADD = $(libmodel) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_model_lines
tests_unit_test_model_lines_SOURCES = tests/unit/test_model_lines.c
tests_unit_test_model_lines_LDADD = $(libmodel) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_model_lines_random
tests_unit_test_model_lines_random_SOURCES = tests/unit/test_model_lines_random.c tests/unit/brute_lines.c \
	tests/unit/brute_lines.h tests/unit/rounds.h
tests_unit_test_model_lines_random_LDADD = $(libmodel) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_model_names
tests_unit_test_model_names_SOURCES = tests/unit/test_model_names.c \
	tests/unit/namestest.c tests/unit/namestest.h tests/unit/treeset.c tests/unit/treeset.h
tests_unit_test_model_names_LDADD = $(libmodel) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_model_names_litmus
tests_unit_test_model_names_litmus_SOURCES = tests/unit/test_model_names_litmus.c \
	tests/unit/namestest.c tests/unit/namestest.h tests/unit/treeset.c tests/unit/treeset.h
tests_unit_test_model_names_litmus_LDADD = $(libmodel) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_model_names_random
tests_unit_test_model_names_random_SOURCES = tests/unit/test_model_names_random.c \
	tests/unit/brute_names.c tests/unit/brute_names.h \
	tests/unit/brute_random.c tests/unit/brute_random.h tests/unit/treeset.c tests/unit/treeset.h
tests_unit_test_model_names_random_LDADD = $(libmodel) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_model_settle
tests_unit_test_model_settle_SOURCES = tests/unit/test_model_settle.c
tests_unit_test_model_settle_LDADD = $(libmodel) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_trace_file
tests_unit_test_trace_file_SOURCES = tests/unit/test_trace_file.c tests/unit/tracetest.c tests/unit/tracetest.h
tests_unit_test_trace_file_LDADD = $(libtrace) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_trace_document
tests_unit_test_trace_document_SOURCES = tests/unit/test_trace_document.c
tests_unit_test_trace_document_LDADD = $(libtrace) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_trace_text
tests_unit_test_trace_text_SOURCES = tests/unit/test_trace_text.c tests/unit/tracetest.c tests/unit/tracetest.h
tests_unit_test_trace_text_LDADD = $(libtrace) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_trace_replay
tests_unit_test_trace_replay_SOURCES = tests/unit/test_trace_replay.c tests/unit/tracetest.c tests/unit/tracetest.h
tests_unit_test_trace_replay_LDADD = $(libtrace) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_trace_stat
tests_unit_test_trace_stat_SOURCES = tests/unit/test_trace_stat.c tests/unit/tracetest.c tests/unit/tracetest.h
tests_unit_test_trace_stat_LDADD = $(libtrace) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_trace_golden
tests_unit_test_trace_golden_SOURCES = tests/unit/test_trace_golden.c tests/unit/tracetest.c tests/unit/tracetest.h
tests_unit_test_trace_golden_LDADD = $(libtrace) $(CMOCKA_LIBS)
EXTRA_DIST += tests/data/trace

unit_tests += tests/unit/test_trace_pmemcheck
tests_unit_test_trace_pmemcheck_SOURCES = tests/unit/test_trace_pmemcheck.c tests/unit/tracetest.c \
	tests/unit/tracetest.h
tests_unit_test_trace_pmemcheck_LDADD = $(libtrace) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_trace_symbols
tests_unit_test_trace_symbols_SOURCES = tests/unit/test_trace_symbols.c
tests_unit_test_trace_symbols_LDADD = $(libtracesymbols) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_trace_alone
tests_unit_test_trace_alone_SOURCES = tests/unit/test_trace_alone.c tests/unit/tracetest.c tests/unit/tracetest.h
tests_unit_test_trace_alone_LDADD = $(libtrace) $(CMOCKA_LIBS) -lpthread

unit_tests += tests/unit/test_trace_merge
tests_unit_test_trace_merge_SOURCES = tests/unit/test_trace_merge.c tests/unit/tracetest.c tests/unit/tracetest.h
tests_unit_test_trace_merge_LDADD = $(libtrace) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_trace_source
tests_unit_test_trace_source_SOURCES = tests/unit/test_trace_source.c
tests_unit_test_trace_source_LDADD = $(libtrace) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_trace_kill
tests_unit_test_trace_kill_SOURCES = tests/unit/test_trace_kill.c tests/unit/tracetest.c tests/unit/tracetest.h
tests_unit_test_trace_kill_LDADD = $(libtrace) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_trace_litmus
tests_unit_test_trace_litmus_SOURCES = tests/unit/test_trace_litmus.c
tests_unit_test_trace_litmus_LDADD = $(libtrace) $(CMOCKA_LIBS)
EXTRA_DIST += tests/data/litmus

# The shared object that the tests of the search load as a checker.
check_PROGRAMS += tests/explore/checker_commit.so
tests_explore_checker_commit_so_SOURCES = tests/explore/checker_commit.c
tests_explore_checker_commit_so_CFLAGS = $(AM_CFLAGS) -fPIC
tests_explore_checker_commit_so_LDFLAGS = $(AM_LDFLAGS) -shared
# The same checker as a fork server.
check_PROGRAMS += tests/explore/checker_commit
tests_explore_checker_commit_SOURCES = tests/explore/checker_commit.c
tests_explore_checker_commit_LDADD = src/lib/libsoftpmem_checker.a
# An engine for the tests of power failures during recovery.
check_PROGRAMS += tests/explore/drained_list tests/explore/replaying_log
tests_explore_drained_list_SOURCES = tests/explore/drained_list.c
tests_explore_drained_list_CFLAGS = $(AM_CFLAGS) $(PMEM_CFLAGS)
tests_explore_drained_list_LDADD = $(PMEM_LIBS)
tests_explore_replaying_log_SOURCES = tests/explore/replaying_log.c
tests_explore_replaying_log_CFLAGS = $(AM_CFLAGS) $(PMEM_CFLAGS)
tests_explore_replaying_log_LDADD = $(PMEM_LIBS)
# A server for the tests of --checker engine.
check_PROGRAMS += tests/explore/line_server
tests_explore_line_server_SOURCES = tests/explore/line_server.c

unit_tests += tests/unit/test_explore_rounds
tests_unit_test_explore_rounds_SOURCES = tests/unit/test_explore_rounds.c tests/unit/exploretest.c \
	tests/unit/exploretest.h
tests_unit_test_explore_rounds_LDADD = $(libexplore) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_explore_search
tests_unit_test_explore_search_SOURCES = tests/unit/test_explore_search.c tests/unit/exploretest.c \
	tests/unit/exploretest.h
tests_unit_test_explore_search_LDADD = $(libexplore) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_explore_engine
tests_unit_test_explore_engine_SOURCES = tests/unit/test_explore_engine.c tests/unit/exploretest.c \
	tests/unit/exploretest.h
tests_unit_test_explore_engine_LDADD = $(libexplore) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_recovery_facts
tests_unit_test_recovery_facts_SOURCES = tests/unit/test_recovery_facts.c tests/unit/exploretest.c \
	tests/unit/exploretest.h
tests_unit_test_recovery_facts_LDADD = $(libexplore) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_explore_causes
tests_unit_test_explore_causes_SOURCES = tests/unit/test_explore_causes.c tests/unit/exploretest.c \
	tests/unit/exploretest.h
tests_unit_test_explore_causes_LDADD = $(libexplore) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_explore_weakest
tests_unit_test_explore_weakest_SOURCES = tests/unit/test_explore_weakest.c tests/unit/exploretest.c \
	tests/unit/exploretest.h
tests_unit_test_explore_weakest_LDADD = $(libexplore) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_explore_litmus
tests_unit_test_explore_litmus_SOURCES = tests/unit/test_explore_litmus.c
tests_unit_test_explore_litmus_LDADD = $(libexplore) $(CMOCKA_LIBS)

client_test_sources = tests/unit/clienttest.c tests/unit/clienttest.h
unit_tests += tests/unit/test_client_events
tests_unit_test_client_events_SOURCES = tests/unit/test_client_events.c $(client_test_sources)
tests_unit_test_client_events_CFLAGS = $(AM_CFLAGS) $(PMEM_CFLAGS)
tests_unit_test_client_events_LDADD = $(libclient) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_client_flush
tests_unit_test_client_flush_SOURCES = tests/unit/test_client_flush.c $(client_test_sources)
tests_unit_test_client_flush_CFLAGS = $(AM_CFLAGS) $(PMEM_CFLAGS)
tests_unit_test_client_flush_LDADD = $(libclient) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_address_space
tests_unit_test_address_space_SOURCES = tests/unit/test_address_space.c
tests_unit_test_address_space_LDADD = $(libclient) $(CMOCKA_LIBS)

unit_tests += tests/unit/test_client_ranges
tests_unit_test_client_ranges_SOURCES = tests/unit/test_client_ranges.c
tests_unit_test_client_ranges_LDADD = $(libclient) $(CMOCKA_LIBS)

if HAVE_CMOCKA
# Each is built when it is to run.
EXTRA_PROGRAMS += $(unit_tests)
CLEANFILES += $(unit_tests)
TESTS += $(unit_tests)
endif

# Tests of the source tree.
house_tests = \
	tests/unit/headers.sh \
	tests/unit/style.sh \
	tests/unit/walls.sh
TESTS += $(house_tests)
EXTRA_DIST += $(house_tests)

unit_tests += tests/unit/test_explore_names
tests_unit_test_explore_names_SOURCES = tests/unit/test_explore_names.c \
	tests/unit/exploretest.c tests/unit/exploretest.h \
	tests/unit/brute_lines.c tests/unit/brute_lines.h \
	tests/unit/brute_names.c tests/unit/brute_names.h \
	tests/unit/brute_trace.c tests/unit/brute_trace.h \
	tests/unit/brute_world.c tests/unit/brute_world.h \
	tests/unit/treeset.c tests/unit/treeset.h tests/unit/rounds.h
tests_unit_test_explore_names_LDADD = $(libexplore) $(CMOCKA_LIBS)
