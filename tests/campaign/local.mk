# SPDX-License-Identifier: BSD-3-Clause
# make campaign and make campaign-explore print what docs/campaigns.md has.
campaign_programs =
if HAVE_LEVELDB
campaign_programs += tests/campaign/leveldb_load
endif
if HAVE_ROCKSDB
campaign_programs += tests/campaign/rocksdb_load
endif
check_PROGRAMS += $(campaign_programs)
EXTRA_DIST += tests/campaign/campaign.sh tests/campaign/etcd_load.bash tests/campaign/explore.sh \
	tests/campaign/git_load.bash tests/campaign/in_state.sh tests/campaign/keys.bash \
	tests/campaign/nats_load.py tests/campaign/postgres_load.bash tests/campaign/redis_load.bash \
	tests/campaign/sections.bash tests/campaign/server.bash tests/campaign/server.py \
	tests/campaign/zookeeper_load.py

tests_campaign_leveldb_load_SOURCES = tests/campaign/kv_load.c
tests_campaign_leveldb_load_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests/engines
tests_campaign_leveldb_load_LDADD = -lleveldb
tests_campaign_rocksdb_load_SOURCES = tests/campaign/kv_load.c
tests_campaign_rocksdb_load_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests/engines -DUSE_ROCKSDB
tests_campaign_rocksdb_load_LDADD = -lrocksdb

.PHONY: campaign campaign-explore
campaign: all $(engine_programs) $(campaign_programs)
	abs_top_srcdir='$(abs_top_srcdir)' abs_top_builddir='$(abs_top_builddir)' \
		$(BASH) $(srcdir)/tests/campaign/campaign.sh
campaign-explore: all $(engine_programs) $(campaign_programs)
	abs_top_srcdir='$(abs_top_srcdir)' abs_top_builddir='$(abs_top_builddir)' \
		$(BASH) $(srcdir)/tests/campaign/explore.sh
