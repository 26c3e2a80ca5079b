# SPDX-License-Identifier: BSD-3-Clause
# Storage engines on a mount whose power fails.
engine_tests = \
	tests/engines/ext4-loop.sh \
	tests/engines/fio.sh \
	tests/engines/indexes.sh \
	tests/engines/postgres-fsdax.sh \
	tests/engines/little-engines.sh \
	tests/engines/little-explore.sh \
	tests/engines/rocksdb.sh
engine_programs = tests/engines/indexes tests/engines/little_engines

if HAVE_SQLITE
engine_programs += tests/engines/sqlite_load
engine_tests += tests/engines/sqlite-wal.sh tests/engines/sqlite-rollback.sh tests/engines/sqlite-extra.sh \
	tests/engines/sqlite-eadr.sh tests/engines/sqlite-daemon-killed.sh
endif
if HAVE_LMDB
engine_programs += tests/engines/lmdb_load
engine_tests += tests/engines/lmdb.sh
endif
check_PROGRAMS += $(engine_programs)
TESTS += $(engine_tests)
long_tests += tests/engines/postgres-sector.sh

tests_engines_indexes_SOURCES = \
	tests/engines/clht.c \
	tests/engines/fast_fair.c \
	tests/engines/indexes.c tests/engines/indexes.h \
	tests/engines/level_hash.c
tests_engines_indexes_LDADD = -lpthread

tests_engines_little_engines_SOURCES = \
	tests/engines/little_bytes.c \
	tests/engines/little_engines.c tests/engines/little_engines.h \
	tests/engines/little_names.c
tests_engines_little_engines_LDADD = src/lib/libsoftpmem.a -ldl

tests_engines_sqlite_load_SOURCES = tests/engines/acknowledged.h tests/engines/sqlite_load.c
tests_engines_sqlite_load_CPPFLAGS = $(AM_CPPFLAGS) $(SQLITE_CFLAGS)
tests_engines_sqlite_load_LDADD = $(SQLITE_LIBS)
tests_engines_lmdb_load_SOURCES = tests/engines/acknowledged.h tests/engines/lmdb_load.c
tests_engines_lmdb_load_CPPFLAGS = $(AM_CPPFLAGS) $(LMDB_CFLAGS)
tests_engines_lmdb_load_LDADD = $(LMDB_LIBS)

EXTRA_DIST += \
	tests/engines/cuts.bash \
	tests/engines/ext4-loop.sh \
	tests/engines/fio.sh \
	tests/engines/indexes.sh \
	tests/engines/little-engines.sh \
	tests/engines/lmdb.sh \
	tests/engines/postgres-fsdax.sh \
	tests/engines/postgres.bash \
	tests/engines/rocksdb.sh \
	tests/engines/sqlite-daemon-killed.sh \
	tests/engines/sqlite-eadr.sh \
	tests/engines/sqlite-extra.sh \
	tests/engines/sqlite-rollback.sh \
	tests/engines/sqlite-wal.sh \
	tests/engines/sqlite.bash
