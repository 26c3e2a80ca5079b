#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# make campaign: softpmem torture on storage engines of Debian, unmodified. Prints docs/campaigns.md.
#
#   CAMPAIGN_ONLY=REGEX      campaigns whose name matches
#   CAMPAIGN_SECONDS=N       of each campaign (60)
#
# The exit status is 1 if a campaign that is to find something found nothing, or the other way round.
# shellcheck disable=SC2016 # the commands are for the shells of a campaign
set -u
: "${abs_top_srcdir:?run me through make campaign}" "${abs_top_builddir:?}"
PATH=$abs_top_builddir:$abs_top_builddir/tests/campaign:$abs_top_builddir/tests/engines:$PATH
PATH=$PATH:$abs_top_srcdir/tests/campaign:/usr/sbin:/sbin
only=${CAMPAIGN_ONLY:-.}
seconds=${CAMPAIGN_SECONDS:-60}
report=$(mktemp) || exit 1
trap 'rm -f "$report"' EXIT
unexpected=0

quoted() {
	local word line=softpmem\ torture
	for word; do
		case $word in
		--*) line+=" $word" ;;
		*[!A-Za-z0-9._/-]* | '') line+=" '$word'" ;;
		*) line+=" $word" ;;
		esac
	done
	echo "$line"
}

# has PROGRAM...: are they there?
has() {
	local program
	for program; do
		command -v "$program" >/dev/null || return 1
	done
}

# version PACKAGE: of Debian's package.
version() { dpkg-query -W -f '${Version}' "$1" 2>/dev/null || echo "of another origin"; }

# campaign NAME finds|passes PACKAGE WHAT OPTION...: run it, and print it as a section.
campaign() {
	local name=$1 expected=$2 package=$3 what=$4 status found
	shift 4
	[[ $name =~ $only ]] || return 0
	softpmem torture --time "$seconds" --timeout 60 "$@" >"$report" 2>&1
	status=$?
	case $status in
	0) found=passes ;;
	1) found=finds ;;
	*) found=failed ;;
	esac
	printf '## %s\n\n%s (%s %s).\n\n' "$name" "$what" "$package" "$(version "$package")"
	printf '    $ %s\n' "$(quoted "$@")"
	sed 's/^/    /' "$report"
	if [ "$found" != "$expected" ]; then
		printf '\n**Unexpected: this campaign %s.**\n' "$found"
		unexpected=$((unexpected + 1))
	fi
	echo
}

# skipped NAME PROGRAM
skipped() { [[ ! $1 =~ $only ]] || printf '## %s\n\nNot run: %s is not installed.\n\n' "$1" "$2"; }

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
		--check 'lmdb_load verify db -' --metadata ordered --size 128M
else
	skipped lmdb 'LMDB (liblmdb-dev)'
fi

if has rocksdb_load; then
	campaign rocksdb passes librocksdb7.8 \
		'RocksDB, with unsynced puts between synced ones as in leveldb-rotation' \
		--setup 'rocksdb_load write db 0 1' --workload 'rocksdb_load write db 150 10' \
		--check 'rocksdb_load verify db' --metadata ordered
else
	skipped rocksdb 'RocksDB (librocksdb-dev)'
fi

if has redis-server redis-cli; then
	campaign redis passes redis-server 'Redis with appendonly and appendfsync always' \
		--setup 'redis_load.bash write 0' --workload 'redis_load.bash write 10' \
		--check 'redis_load.bash verify' --metadata ordered
else
	skipped redis redis-server
fi

if has etcd etcdctl; then
	campaign etcd passes etcd-server 'etcd with one member' \
		--setup 'etcd_load.bash write 0' --workload 'etcd_load.bash write 5' \
		--check 'etcd_load.bash verify' --metadata ordered --size 256M
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

echo "$unexpected campaigns ended in another way than expected." >&2
[ "$unexpected" -eq 0 ]
