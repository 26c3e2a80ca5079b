#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# make campaign-explore: records storage engines of Debian, unmodified, on a mount, and explores the crash
# states of the traces. docs/campaigns.md has a table of what it finds.
#
#   CAMPAIGN_ONLY=REGEX      engines whose name matches
#   CAMPAIGN_SECONDS=N       of each search (60); each trace has one in each of two metadata modes
#
# The exit status is 1 if a search that is to find something found nothing, or the other way round.
# shellcheck disable=SC2016 # the loads are for other shells
set -u
: "${abs_top_srcdir:?run me through make campaign-explore}" "${abs_top_builddir:?}"
# shellcheck source=tests/campaign/sections.bash
. "$abs_top_srcdir/tests/campaign/sections.bash" || exit 1
work=$(mktemp -d "${TMPDIR:-/tmp}/campaign.XXXXXX") || exit 1
export SOFTPMEM_SOCKET=$work/socket
daemon=
trap 'stop_daemon; rm -rf "$work"' EXIT

# start_daemon MODE: of files, fsdax or a sector mode.
start_daemon() {
	mkdir -p "$work/mnt" || return
	softpmemd --region memfd:512M --mode "$1" --mount "$work/mnt" --socket "$SOFTPMEM_SOCKET" \
		>"$work/daemon.log" 2>&1 &
	daemon=$!
	for _ in $(seq 200); do
		softpmem status >/dev/null 2>&1 && return
		sleep 0.05
	done
	return 1
}
stop_daemon() {
	[ -n "$daemon" ] || return 0
	softpmem stop >/dev/null 2>&1 || kill "$daemon"
	wait "$daemon"
	daemon=
}

# recorded MODE SETUP LOAD: the load, on the mount where SETUP was run before, is recorded to $work/run.trace.
recorded() {
	local status=0
	{
		start_daemon "$1" && cd "$work/mnt" && sh -c "$2" &&
			softpmem record -o "$work/run.trace" -- sh -c "$3" >"$work/load.out"
	} 2>"$work/load.err" || status=1
	cd / || return
	stop_daemon
	[ "$status" -eq 0 ] || cat "$work/load.err" "$work/daemon.log"
	return "$status"
}

# searched MODE finds|passes CHECK: in the metadata mode.
searched() {
	local mode=$1 expected=$2 found words
	read -r -a words <<<"$3"
	set -- softpmem explore --metadata "$mode" --time "$seconds" --timeout 60 --checker mount run.trace \
		-- in_state.sh '{}' "${words[@]}"
	(cd "$work" && "$@") >"$work/report" 2>&1
	case $? in
	0) found=passes ;;
	1) found=finds ;;
	*) found=failed ;;
	esac
	# Of a search that is cut off by a message there is no summary.
	grep -q ' states\{0,1\} of ' "$work/report" || found=failed
	shown "$work/report" "$@"
	expect "$expected" "$found" "the search in $mode"
	echo
}

# engine NAME PACKAGE MODE ORDERED STRICT WHAT SETUP LOAD CHECK: record it in files of a mode, explore the
# trace in both metadata modes, and print it as a section. ORDERED and STRICT: finds or passes.
engine() {
	local name=$1 package=$2 mode=$3 ordered=$4 strict=$5 what=$6 setup=$7 load=$8 check=$9
	[[ $name =~ $only ]] || return 0
	section "$name" "$what; files in the mode $mode" "$package"
	recorded "$mode" "$setup" "$load" >"$work/report" || {
		shown "$work/report" softpmem record -o run.trace -- sh -c "$load"
		expect recorded "is not recorded" "$name"
		return
	}
	printf '    $ %s\n' "$setup" "$(quoted softpmem record -o run.trace -- sh -c "$load")"
	searched ordered "$ordered" "$check"
	searched strict "$strict" "$check"
}

if has sqlite_load; then
	engine sqlite-wal libsqlite3-0 fsdax passes passes \
		'SQLite in the journal mode WAL with synchronous=FULL' \
		'sqlite_load write db WAL FULL 0' 'sqlite_load write db WAL FULL 10' 'sqlite_load verify db -'
	engine sqlite-wal-off libsqlite3-0 fsdax finds finds \
		'SQLite in the journal mode WAL with synchronous=OFF: a negative control' \
		'sqlite_load write db WAL FULL 0' 'sqlite_load write db WAL OFF 10' 'sqlite_load verify db -'
	engine sqlite-delete-extra libsqlite3-0 fsdax passes passes \
		'SQLite in the journal mode DELETE with synchronous=EXTRA' \
		'sqlite_load write db DELETE EXTRA 0' 'sqlite_load write db DELETE EXTRA 4' \
		'sqlite_load verify db -'
	engine sqlite-delete-full libsqlite3-0 fsdax finds finds \
		'SQLite in the journal mode DELETE with synchronous=FULL, where EXTRA is needed' \
		'sqlite_load write db DELETE FULL 0' 'sqlite_load write db DELETE FULL 4' \
		'sqlite_load verify db -'
else
	skipped sqlite 'SQLite (libsqlite3-dev)'
fi

if has lmdb_load; then
	for mode in sector:512 fsdax; do
		found=passes
		[ "$mode" = sector:512 ] || found=finds
		engine "lmdb-${mode%:*}" liblmdb0 "$mode" "$found" "$found" 'LMDB with synchronous commits' \
			'mkdir db && lmdb_load write db sync 0' 'lmdb_load write db sync 6' \
			'lmdb_load verify db -'
	done
else
	skipped lmdb 'LMDB (liblmdb-dev)'
fi

if has leveldb_load; then
	engine leveldb libleveldb1d fsdax finds finds \
		'LevelDB, with nine unsynced puts before each synced one' \
		'leveldb_load write db 0 1' 'leveldb_load write db 80 10' 'leveldb_load verify db'
	engine leveldb-synced libleveldb1d fsdax passes finds 'LevelDB, all of whose puts are synced' \
		'leveldb_load write db 0 1' 'leveldb_load write db 70 1' 'leveldb_load verify db'
else
	skipped leveldb 'LevelDB (libleveldb-dev)'
fi

if has rocksdb_load; then
	engine rocksdb librocksdb7.8 fsdax finds finds \
		'RocksDB, with nine unsynced puts before each synced one' \
		'rocksdb_load write db 0 1' 'rocksdb_load write db 80 10' 'rocksdb_load verify db'
	engine rocksdb-synced librocksdb7.8 sector:512 passes finds 'RocksDB, all of whose puts are synced' \
		'rocksdb_load write db 0 1' 'rocksdb_load write db 70 1' 'rocksdb_load verify db'
else
	skipped rocksdb 'RocksDB (librocksdb-dev)'
fi

if has redis-server redis-cli; then
	engine redis redis-server fsdax finds finds 'Redis with appendonly and appendfsync always' \
		'redis_load.bash write 0' 'redis_load.bash write 8' 'redis_load.bash verify'
else
	skipped redis redis-server
fi

if has etcd etcdctl; then
	engine etcd etcd-server sector:512 passes passes 'etcd with one member' \
		'etcd_load.bash write 0' 'etcd_load.bash write 5' 'etcd_load.bash verify'
else
	skipped etcd 'etcd (etcd-server, etcd-client)'
fi

if ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 && has unshare; then
	# A process with threads, as a recorded one, cannot enter a user namespace. The numbers are marks if a
	# recorded process prints them.
	engine postgres postgresql-15 sector:512 passes passes PostgreSQL 'postgres_load.bash setup' \
		'env -u LD_PRELOAD postgres_load.bash write 8 | while read -r n; do echo "$n"; done' \
		'postgres_load.bash verify'
else
	skipped postgres 'PostgreSQL (postgresql-15)'
fi

echo "$unexpected searches ended in another way than expected." >&2
[ "$unexpected" -eq 0 ]
