#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# make campaign: softpmem torture on storage engines of Debian, unmodified. Prints docs/campaigns.md.
#
#   CAMPAIGN_ONLY=REGEX      campaigns whose name matches
#   CAMPAIGN_SECONDS=N       of each campaign (60)
#   CAMPAIGN_METADATA=MODE   instead of the mode of each campaign; then no result is unexpected
#
# The exit status is 1 if a campaign that is to find something found nothing, or the other way round.
# shellcheck disable=SC2016 # the commands are for the shells of a campaign
set -u
: "${abs_top_srcdir:?run me through make campaign}" "${abs_top_builddir:?}"
# shellcheck source=tests/campaign/sections.bash
. "$abs_top_srcdir/tests/campaign/sections.bash" || exit 1
metadata=${CAMPAIGN_METADATA:-}
report=$(mktemp) || exit 1
trap 'rm -f "$report"' EXIT

# campaign NAME finds|passes PACKAGE WHAT OPTION...: run it, and print it as a section.
campaign() {
	local name=$1 expected=$2 package=$3 what=$4 status found
	shift 4
	[[ $name =~ $only ]] || return 0
	[ -z "$metadata" ] || set -- "${@/%ordered/$metadata}"
	softpmem torture --time "$seconds" --timeout 60 "$@" >"$report" 2>&1
	status=$?
	case $status in
	0) found=passes ;;
	1) found=finds ;;
	*) found=failed ;;
	esac
	section "$name" "$what" "$package"
	shown "$report" softpmem torture "$@"
	[ -n "$metadata" ] || expect "$expected" "$found" "this campaign"
	echo
}

# ---- What is to be found ----------------------------------------------------------------------

if has leveldb_load; then
	campaign leveldb-directory finds libleveldb1d \
		'LevelDB renames CURRENT without a sync of its directory, and removes what it named before' \
		--setup 'leveldb_load write db 0 1' --workload 'leveldb_load write db 6 1' \
		--check 'leveldb_load verify db' --metadata strict
	campaign leveldb-rotation finds libleveldb1d \
		'LevelDB does not sync a full log before it goes on with the next one: leveldb#193' \
		--setup 'leveldb_load write db 0 1' --workload 'leveldb_load write db 150 10' \
		--check 'leveldb_load verify db' --metadata ordered
	campaign leveldb-repair finds libleveldb1d \
		'LevelDB that is repaired after a power failure has values that were never put: leveldb#251' \
		--setup 'leveldb_load write db 0 1' --workload 'leveldb_load write db 10 1' \
		--check 'leveldb_load repair db && leveldb_load verify db' --metadata ordered
else
	skipped leveldb 'LevelDB (libleveldb-dev)'
fi

if has nats-server python3; then
	campaign nats finds nats-server \
		'JetStream acknowledges messages that it has not synced: nats-server#7564' \
		--setup 'nats_load.py setup' --workload 'nats_load.py write 10' \
		--check 'nats_load.py verify' --metadata ordered
else
	skipped nats nats-server
fi

if has java python3 && [ -e /usr/share/java/zookeeper.jar ] && [ -e /usr/share/java/slf4j-simple.jar ]; then
	campaign zookeeper finds zookeeper \
		'A new ZooKeeper server does not sync its first snapshot: ZOOKEEPER-2325' \
		--setup 'mkdir data' --workload 'zookeeper_load.py write 3' \
		--check 'zookeeper_load.py verify' --metadata ordered
	campaign zookeeper-purge finds zookeeper \
		'ZooKeeper keeps three snapshots that are not synced, and removes the logs before them' \
		--setup 'mkdir data && zookeeper_load.py write 0' --workload 'zookeeper_load.py purge 24' \
		--check 'zookeeper_load.py verify' --metadata ordered --policy lose --only end --runs 4
	campaign zookeeper-torn-log finds zookeeper \
		'ZooKeeper does not start with a log without a whole header: ZOOKEEPER-2332, LazyFS #2' \
		--setup 'mkdir data && zookeeper_load.py write 0' \
		--workload 'zookeeper_load.py write 2 1000' --check 'zookeeper_load.py verify 1000' \
		--metadata ordered --policy random
	# Operation 9 is the sync of the second transaction.
	campaign zookeeper-torn-transaction finds zookeeper \
		'ZooKeeper does not start with a log whose last transaction is torn: LazyFS #8' \
		--setup 'mkdir data && zookeeper_load.py write 0' \
		--workload 'zookeeper_load.py write 2 1000' --check 'zookeeper_load.py verify 1000' \
		--metadata ordered --policy random --only 9 --runs 20
else
	skipped zookeeper 'ZooKeeper (zookeeper)'
fi

if has redis-server redis-cli; then
	campaign redis-torn-log finds redis-server \
		'Redis with appendfsync=always does not start with a torn log: redis#5177' \
		--setup 'redis_load.bash write 0' --workload 'redis_load.bash write 3 2000' \
		--check 'redis_load.bash verify 2000' --metadata ordered
	campaign redis-users finds redis-server \
		'Redis does not sync the file of its users before it renames it: redis#10924, LazyFS #11' \
		--setup 'touch users.acl && redis_load.bash users write 0' \
		--workload 'redis_load.bash users write 3' --check 'redis_load.bash users verify' \
		--metadata ordered
fi

if has rocksdb_load; then
	campaign rocksdb-hole finds librocksdb7.8 \
		'RocksDB recovers unsynced puts of a log whose predecessor has lost its own' \
		--setup 'rocksdb_load write db 0 1' --workload 'rocksdb_load write db 150 100' \
		--check 'rocksdb_load verify db' --metadata ordered --mode sector:512 --policy random
fi

if has etcd etcdctl; then
	campaign etcd-bootstrap finds etcd-server \
		'etcd whose first start is interrupted has no leader: etcd#12578' \
		--setup true --workload 'etcd_load.bash write 1' --check 'etcd_load.bash verify' \
		--metadata ordered --mode sector:512 --size 256M
	# Operation 10 is the first sync of the database.
	campaign etcd-torn-database finds etcd-server \
		'etcd whose first write to its database is torn: etcd#16596, LazyFS #16 to #18' \
		--setup true --workload 'etcd_load.bash write 1' --check 'etcd_load.bash verify' \
		--metadata ordered --mode sector:512 --policy random --only 10 --runs 40 --size 256M
fi

postgres=
! ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || ! has unshare || postgres=yes
if [ "$postgres" ]; then
	campaign postgres-torn-pages finds postgresql-15 \
		'PostgreSQL with full_page_writes=off, on a file system whose pages are not atomic' \
		--setup 'postgres_load.bash setup full_page_writes=off' \
		--workload 'postgres_load.bash write 12' \
		--check 'postgres_load.bash verify' --metadata ordered --policy random --mode sector:512 \
		--size 256M
	campaign postgres-statistics finds postgresql-15 \
		'PostgreSQL does not sync its statistics when it is shut down: LazyFS #1' \
		--setup 'postgres_load.bash setup' --workload 'postgres_load.bash write 1' \
		--check 'postgres_load.bash statistics' --metadata ordered --policy random --only end \
		--mode sector:512 --size 256M
fi

# ---- What is not to be invented -------------------------------------------------------------------

if has sqlite_load; then
	campaign sqlite-wal passes libsqlite3-0 'SQLite in the journal mode WAL with synchronous=FULL' \
		--setup 'sqlite_load write db WAL FULL 0' --workload 'sqlite_load write db WAL FULL 12' \
		--check 'sqlite_load verify db -' --metadata ordered
	campaign sqlite-delete-extra passes libsqlite3-0 \
		'SQLite in the journal mode DELETE with synchronous=EXTRA' \
		--setup 'sqlite_load write db DELETE EXTRA 0' \
		--workload 'sqlite_load write db DELETE EXTRA 6' \
		--check 'sqlite_load verify db -' --metadata ordered
	campaign sqlite-delete-full finds libsqlite3-0 \
		'SQLite in the journal mode DELETE with synchronous=FULL, where EXTRA is needed' \
		--setup 'sqlite_load write db DELETE FULL 0' \
		--workload 'sqlite_load write db DELETE FULL 6' \
		--check 'sqlite_load verify db -' --metadata ordered
else
	skipped sqlite 'SQLite (libsqlite3-dev)'
fi

if has lmdb_load; then
	campaign lmdb passes liblmdb0 'LMDB with synchronous commits' \
		--setup 'mkdir db && lmdb_load write db sync 0' --workload 'lmdb_load write db sync 10' \
		--check 'lmdb_load verify db -' --metadata ordered --mode sector:512 --size 128M
else
	skipped lmdb 'LMDB (liblmdb-dev)'
fi

if has rocksdb_load; then
	campaign rocksdb passes librocksdb7.8 \
		'RocksDB, with unsynced puts between synced ones as in leveldb-rotation' \
		--setup 'rocksdb_load write db 0 1' --workload 'rocksdb_load write db 150 10' \
		--check 'rocksdb_load acknowledged db' --metadata ordered --mode sector:512
else
	skipped rocksdb 'RocksDB (librocksdb-dev)'
fi

if has redis-server redis-cli; then
	campaign redis passes redis-server \
		'Redis with appendonly and appendfsync always, and with redis-check-aof before it starts' \
		--setup 'redis_load.bash write 0' --workload 'redis_load.bash write 10' \
		--check 'redis_load.bash repaired' --metadata ordered
else
	skipped redis redis-server
fi

if has etcd etcdctl; then
	campaign etcd passes etcd-server 'etcd with one member' \
		--setup 'etcd_load.bash write 0' --workload 'etcd_load.bash write 5' \
		--check 'etcd_load.bash verify' --metadata ordered --mode sector:512 --size 256M
else
	skipped etcd 'etcd (etcd-server, etcd-client)'
fi

if has git; then
	campaign git passes git 'git with core.fsync=all: the repository is sound' \
		--setup 'git_load.bash setup' --workload 'git_load.bash write 3' \
		--check 'git_load.bash verify' --metadata ordered
	campaign git-acknowledged finds git \
		'git with core.fsync=all renames a reference, and does not sync its directory' \
		--setup 'git_load.bash setup' --workload 'git_load.bash write 3' \
		--check 'git_load.bash acknowledged' --metadata ordered
else
	skipped git git
fi

if [ "$postgres" ]; then
	campaign postgres passes postgresql-15 'PostgreSQL' \
		--setup 'postgres_load.bash setup' --workload 'postgres_load.bash write 12' \
		--check 'postgres_load.bash verify' --metadata ordered --mode sector:512 --size 256M
else
	skipped postgres 'PostgreSQL (postgresql-15)'
fi

echo "$unexpected campaigns ended in another way than expected." >&2
[ "$unexpected" -eq 0 ]
