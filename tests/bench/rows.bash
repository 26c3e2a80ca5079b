# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Rows of make bench for files on the mount.

milliseconds_since() {
	awk -v from="$1" -v to="$EPOCHREALTIME" 'BEGIN { printf "%.2f\n", (to - from) * 1000 }'
}

# fio_job FIELD FILE OPTION...: print one figure of fio's terse output (7: KiB/s and 8: IOPS of reads; 48
# and 49: of writes).
fio_job() {
	local field=$1 file=$2
	shift 2
	(cd "$work" && fio --name=bench --filename="$file" --size="${file_mib}M" --output-format=terse \
		--terse-version=3 --randseed="$seed" "$@") |
		awk -F ';' -v field="$field" \
			'$1 == 3 { print $field; found = $field > 0 } END { exit !found }'
}

# lay_out SIDE: write and sync the test file of a side once.
lay_out() {
	local file=${directory[$1]}/data
	[ -s "$file" ] || dd if=/dev/urandom of="$file" bs=1M count="$file_mib" conv=fsync status=none
}

# io SIDE READ_OR_WRITE OPTION...: measure I/O on the existing file. A sync afterwards is not measured.
io() {
	local side=$1 kind=$2 field=8 status=0
	shift 2
	lay_out "$side" || return 1
	[ "$kind" = read ] || field=49
	fio_job "$field" "${directory[$side]}/data" "$@" || status=1
	sync "${directory[$side]}/data"
	return "$status"
}

# recorded_io SIDE READ_OR_WRITE OPTION...: the same on our mount, while it is recorded or is not.
recorded_io() {
	local side=$1 trace=$shm/recorded.trace status=0
	shift
	[ "$side" = softpmem ] || { io softpmem "$@"; return; }
	lay_out softpmem || return 1
	"$softpmem" record -o "$trace" &
	until [ -s "$trace" ]; do sleep 0.05; done
	# It waits until the trace has the contents of the files.
	sync "${directory[softpmem]}/data"
	io softpmem "$@" || status=1
	"$softpmem" record --stop && wait $! || status=1
	rm -f "$trace"
	return "$status"
}

# write_new SIDE OPTION...: print the MiB/s of writing a new file.
write_new() {
	local side=$1 status=0
	shift
	rm -f "${directory[$side]}/new"
	fio_job 48 "${directory[$side]}/new" --rw=write --bs=1M --ioengine=psync --fallocate=none "$@" |
		awk '{ print $1 / 1024 }' || status=1
	rm -f "${directory[$side]}/new"
	return "$status"
}

read_all() {
	lay_out "$1" || return 1
	fio_job 7 "${directory[$1]}/data" --rw=read --bs=1M --ioengine=psync | awk '{ print $1 / 1024 }'
}

# cached SIDE OPTION...: measure I/O on a file whose pages are all in the kernel's cache.
cached() {
	local side=$1
	shift
	lay_out "$side" && cat "${directory[$side]}/data" >/dev/null || return 1
	io "$side" "$@" --invalidate=0
}

sqlite_commits() {
	local db=${directory[$1]}/bench.db
	rm -f "$db"*
	"$abs_top_builddir/tests/engines/sqlite_load" bench "$db" WAL FULL "$commits"
}

lmdb_commits() {
	rm -rf "${directory[$1]}/lmdb"
	mkdir "${directory[$1]}/lmdb"
	"$abs_top_builddir/tests/engines/lmdb_load" bench "${directory[$1]}/lmdb" "$commits"
}

# The rounds a second of a campaign, for each processor: an interrupted load, recovery and a full check.
torture_rounds() {
	local load=$abs_top_builddir/tests/engines/sqlite_load
	TMPDIR=$work "$softpmem" torture --json --time "$torture_seconds" \
		--setup "$load write db WAL FULL 0" \
		--workload "$load write db WAL FULL 8" --check "$load verify db -" |
		tr -d ' ,' | awk -F : -v jobs="$(nproc)" '
			$1 == "\"power_failures\"" { rounds = $2 }
			$1 == "\"milliseconds\"" { print rounds * 1000 / $2 / jobs; found = rounds > 0 }
			END { exit !found }'
}

# passthrough_ll neither stores nor checks owners, so only the directory itself must belong to postgres.
use_cluster() {
	pg_data=${directory[$1]}/pg
	pg_out=$work/pg
}

# Make a cluster on tmpfs, and copy it to both sides.
clusters_make() {
	local side
	use_cluster tmpfs
	postgres_initdb >"$work/initdb.log" 2>&1 || fail "initdb: $(tail -n 2 "$work/initdb.log")"
	printf 'shared_buffers = 128MB\nmax_wal_size = 1GB\n' >>"$pg_data/postgresql.conf"
	if ! postgres_start >&2 || ! postgres_fill || ! postgres_stop; then
		fail "PostgreSQL does not start"
	fi
	for side in softpmem passthrough; do
		cp -a "$pg_data" "${directory[$side]}/pg" || fail "the cluster cannot be copied, $side"
		sync -f "${directory[$side]}/pg"
	done
	rm -rf "$pg_data"
}

pgbench_transactions() {
	use_cluster "$1"
	postgres_start >&2 || return 1
	query CHECKPOINT >/dev/null &&
		"$pg_bin/pgbench" -h "$pg_out" -U postgres -n -c 4 -j 2 -T "$pgbench_seconds" \
			--random-seed=1 postgres |
		awk '$1 == "tps" { print $3; found = 1 } END { exit !found }' || return 1
	postgres_stop
}

# Start another daemon, on a second socket, and wait until its log reports that it is ready.
second_start() {
	exec {second_log}< <(exec "$softpmemd" --socket "$work/second.sock" "$@" 2>&1)
	second_pid=$!
	while read -r -t 120 -u "$second_log" line; do
		[[ $line != *ready* ]] || return 0
	done
	return 1
}

second_stop() {
	kill -TERM "$second_pid"
	wait "$second_pid"
	exec {second_log}<&-
}

fresh_start() {
	local from=$EPOCHREALTIME what=$2
	second_start --region "memfd:$start_region" &&
		"$softpmem" --socket "$work/second.sock" create --size "$start_pool" /pool || return 1
	case $what in
	time) milliseconds_since "$from" ;;
	memory) awk '$1 == "VmRSS:" { print $2 / 1024 }' "/proc/$second_pid/status" ;;
	esac
	second_stop
}

# Create a region with many pools once, through another mount.
many_pools() {
	[ ! -e "$shm/many" ] || return 0
	mkdir "$work/many"
	second_start --region "file:$shm/many,$many_region" --mount "$work/many" || return 1
	mkdir "$work/many/d"
	(cd "$work/many/d" && seq -f '%06g' "$pools" | xargs touch) || return 1
	second_stop
}

reload() {
	local from
	many_pools || return 1
	from=$EPOCHREALTIME
	second_start --region "file:$shm/many" || return 1
	milliseconds_since "$from"
	second_stop
}

# power_failure SIDE POLICY...: print the time of a power failure of one pool, with as many unsynced bytes
# as memcpy copies.
power_failure() {
	local from
	if [ "$1" = memcpy ]; then
		"$abs_top_builddir/tests/bench/memcpy_time" "$gib_mib"
		return
	fi
	rm -f "$mnt/written"
	dd if=/dev/zero of="$mnt/written" bs=1M count="$gib_mib" status=none || return 1
	from=$EPOCHREALTIME
	"$softpmem" powerfail --policy "${@:2}" >/dev/null || return 1
	milliseconds_since "$from"
	rm -f "$mnt/written"
}

# sync_of_a_page SIDE MIB: "small" has a file of 1 MiB, softpmem one of MIB. The files stay for all rounds.
sync_of_a_page() {
	local mib=$2
	[ "$1" != small ] || mib=1
	"$abs_top_builddir/tests/bench/sync_time" "$mnt/synced-$mib" "$mib"
}

# Is there memory for the media and the view of so many MiB?
memory_for() { awk -v mib="$1" '$1 == "MemAvailable:" { exit $2 / 1024 < mib * 2.2 }' /proc/meminfo; }

# trace_figure SIDE NAME: one figure of those that trace_time prints.
trace_figure() {
	"$abs_top_builddir/tests/bench/trace_time" "$trace_events" | sed -n "s/^$2  *\\([0-9.]*\\) .*/\\1/p"
}

# create_and_sync SIDE: "few" has 100 other files in the directory, softpmem has $pools.
create_and_sync() {
	local files=100
	[ "$1" = few ] || files=$pools
	mkdir -p "$mnt/beside-$files"
	"$abs_top_builddir/tests/bench/metadata_time" create "$mnt/beside-$files" "$files"
}

# name_changes SIDE OURS [MODE]: in a directory of this metadata mode, or of the daemon's. OURS is the daemon:
# `private`, where nobody checks permissions, as with passthrough_ll, or `shared`.
name_changes() {
	local in=${directory[$1]}/names status ours=$socket
	if [ "$1" = softpmem ] && [ "$2" = private ]; then
		in=$work/private/names
		ours=$work/private.sock
	fi
	if [ "$1" = softpmem ] && [ -n "${3:-}" ]; then
		"$softpmem" --socket "$ours" create --directory --metadata "$3" /names || return 1
	else
		mkdir "$in" || return 1
	fi
	"$abs_top_builddir/tests/bench/metadata_time" names "$in" "$names"
	status=$?
	rmdir "$in"
	return "$status"
}

# failure_of_names SIDE
failure_of_names() {
	local from
	mkdir "$mnt/uncommitted" && "$softpmem" sync || return 1
	"$abs_top_builddir/tests/bench/metadata_time" make "$mnt/uncommitted" "$uncommitted" || return 1
	from=$EPOCHREALTIME
	"$softpmem" powerfail >/dev/null || return 1
	milliseconds_since "$from"
	rmdir "$mnt/uncommitted" # it is empty again
}

# failure_with_open_files SIDE: "one" has one open file.
failure_with_open_files() {
	local files=1 from holder
	[ "$1" = one ] || files=$open_files
	mkdir -p "$mnt/held"
	coproc HOLDER { exec "$abs_top_builddir/tests/bench/metadata_time" hold "$mnt/held" "$files"; }
	holder=$HOLDER_PID
	read -r -t 120 -u "${HOLDER[0]}" || return 1
	from=$EPOCHREALTIME
	"$softpmem" powerfail --policy lose >/dev/null || return 1
	milliseconds_since "$from"
	eval "exec ${HOLDER[1]}>&-"
	wait "$holder"
	rm -rf "$mnt/held"
}

rows() {
	local mib against aio=(--ioengine=libaio --direct=1 --iodepth=16 --bs=4k "--io_size=${io_mib}M")
	local psync=(--ioengine=psync --bs=4k "--io_size=${io_mib}M")
	local mmap=(--ioengine=mmap --bs=4k "--io_size=${file_mib}M" --norandommap)

	row "1 MiB sequential read" MiB/s higher 1 passthrough read_all
	row "1 MiB sequential write, new file" MiB/s higher 1 passthrough write_new
	row "1 MiB sequential write, new file, fsync" MiB/s higher - passthrough write_new --end_fsync=1
	row "4 KiB random read, psync" IOPS higher 1 passthrough io read --rw=randread "${psync[@]}"
	row "4 KiB random write, psync" IOPS higher 1 passthrough io write --rw=randwrite "${psync[@]}"
	row "4 KiB random write, psync, recorded" IOPS higher 0.9 unrecorded recorded_io write \
		--rw=randwrite "${psync[@]}"
	row "4 KiB random read, libaio direct q16" IOPS higher 1 passthrough io read --rw=randread "${aio[@]}"
	row "4 KiB random write, libaio direct q16" IOPS higher 1 passthrough io write --rw=randwrite \
		"${aio[@]}"
	row "cached re-read, 1 MiB" IOPS higher 0.8 tmpfs cached read --rw=read --ioengine=psync --bs=1M
	row "cached re-read, 4 KiB random" IOPS higher 0.8 tmpfs cached read --rw=randread "${psync[@]}"
	row "mmap read, 4 KiB random" IOPS higher 0.8 tmpfs cached read --rw=randread "${mmap[@]}"
	row "mmap store, 4 KiB random" IOPS higher 0.8 tmpfs cached write --rw=randwrite "${mmap[@]}"
	row "SQLite WAL FULL updates" commits/s higher 1 passthrough sqlite_commits
	row "LMDB synchronous commits" commits/s higher 1 passthrough lmdb_commits
	if postgres_is_installed; then
		[[ ! "pgbench, 4 clients" =~ $only ]] || clusters_make
		row "pgbench, 4 clients" tps higher 1 passthrough pgbench_transactions
	fi
	row "daemon start, ${start_region}iB region and ${start_pool}iB pool" ms lower 100 - fresh_start time
	row "the same, memory" MiB lower 64 - fresh_start memory
	row "reload of $pools pools" ms lower 1000 - reload
	for mib in "${sync_mib[@]}"; do
		memory_for "$mib" || {
			echo "bench: there is no memory for a file of $mib MiB: its row is left out" >&2
			continue
		}
		row "sync of one page of $mib MiB" us lower 1.2 small sync_of_a_page "$mib"
		rm -f "$mnt"/synced-*
	done
	row "create and fsync beside $pools files" us lower 1.2 few create_and_sync
	rm -rf "$mnt"/beside-*
	row "create, rename, unlink, ordered" names/s higher 1 passthrough name_changes private
	row "create, rename, unlink, durable" names/s higher 1 passthrough name_changes private durable
	row "create, rename, unlink, ordered, --allow-other" names/s higher 1 passthrough+permissions \
		name_changes shared
	row "create, rename, unlink, durable, --allow-other" names/s higher 1 passthrough+permissions \
		name_changes shared durable
	row "power failure with $uncommitted uncommitted names" ms lower 1000 - failure_of_names
	row "SQLite rounds of softpmem torture, a processor" rounds/s higher 20 - torture_rounds
	row "power failure with $open_files open files" ms lower - one failure_with_open_files
	row "power failure, $gib_mib MiB written, lose" ms lower 3 memcpy power_failure lose
	row "power failure, $gib_mib MiB written, keep" ms lower 3 memcpy power_failure keep
	row "power failure, $gib_mib MiB written, random" ms lower 3 memcpy power_failure random --seed 1
	row "trace of $trace_events events, read" s lower 3 - trace_figure "reading the whole trace"
	row "trace of $trace_events events, memory to read it" MiB lower 64 - \
		trace_figure "more memory for that"
	row "trace of $trace_events events, an event" bytes lower 24 - trace_figure "trace file, an event"
}
