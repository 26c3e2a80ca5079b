#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# make bench: softpmem against libfuse's passthrough_ll over tmpfs, tmpfs itself, the
# system's libpmem on tmpfs, and memcpy. Both sides of a row run in turn, round by round, on files made the
# same way; a row is the median of its rounds.
#
#   BENCH_ROUNDS=N      rounds (7)
#   BENCH_SMALL=1       tiny sizes, to test the benchmark itself
#   BENCH_ONLY=REGEX    rows whose name matches
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
# shellcheck source=tests/engines/cuts.bash
. "$abs_top_srcdir/tests/engines/cuts.bash"
# shellcheck source=tests/engines/postgres.bash
. "$abs_top_srcdir/tests/engines/postgres.bash"
# shellcheck source=tests/bench/rows.bash
. "$abs_top_srcdir/tests/bench/rows.bash"
# shellcheck source=tests/bench/pmem_rows.bash
. "$abs_top_srcdir/tests/bench/pmem_rows.bash"
# shellcheck source=tests/bench/explore_rows.bash
. "$abs_top_srcdir/tests/bench/explore_rows.bash"

rounds=${BENCH_ROUNDS:-7}
only=${BENCH_ONLY:-.}
if [ -n "${BENCH_SMALL:-}" ]; then
	file_mib=4 io_mib=1 commits=50 pgbench_seconds=1 pools=200 open_files=20 names=100 uncommitted=200
	gib_mib=8 start_region=1G start_pool=512M many_region=128M sync_mib=(8 16)
	pmem_seconds=0.02 pmem_mib=4 pmem_fio_ms=100 objects_scatter=5000 map_keys=1000 trace_events=10000
	torture_seconds=1 explore_states=20
else
	file_mib=512 io_mib=128 commits=4000 pgbench_seconds=5 pools=100000 open_files=10000
	names=20000 uncommitted=100000
	gib_mib=1024 start_region=16G start_pool=8G many_region=2G sync_mib=(1024 8192)
	torture_seconds=10 pmem_seconds=1 pmem_mib=256 pmem_fio_ms=2000 map_keys=100000 trace_events=10000000
	objects_scatter=1048576 explore_states=2000
fi

shm=$(mktemp -d /dev/shm/softpmem-bench.XXXXXX) || exit 1
results=$work/results
example=/usr/share/doc/libfuse3-dev/examples/passthrough_ll.c
declare -A directory=([softpmem]=$mnt [passthrough]=$work/passthrough
	[passthrough+permissions]=$work/checked [tmpfs]=$shm/direct [libpmem]=$shm/direct)
passthrough_pids=()
private_pid= # of a daemon of ours whose mount root alone may enter

bench_cleanup() {
	postgres_kill_at_exit
	fusermount3 -u -z "$work/passthrough"
	fusermount3 -u -z "$work/checked"
	kill "${passthrough_pids[@]}"
	kill "$private_pid" && wait "$private_pid"
	rm -rf "$shm"
}
at_exit+=(bench_cleanup)

fail() {
	echo "bench: $*" >&2
	exit 1
}

# passthrough_start DIRECTORY SOURCE [OPTIONS]: options as close to ours as possible: requests go to the
# daemon, the kernel caches pages, and root allows all users. Nobody checks permissions without an option.
passthrough_start() {
	local options=source=$2,cache=always,no_writeback${3:-}
	[ "$(id -u)" -ne 0 ] || options+=,allow_other
	"$work/passthrough_ll" -f -o "$options" "$1" >>"$work/passthrough.log" 2>&1 &
	passthrough_pids+=($!)
	for _ in $(seq 100); do
		mountpoint -q "$1" && return 0
		sleep 0.05
	done
	fail "passthrough_ll does not mount: $(tail -n 1 "$work/passthrough.log")"
}

sides_start() {
	[ -r "$example" ] || fail "$example is not there: install libfuse3-dev"
	# shellcheck disable=SC2046 # pkg-config prints words
	gcc -O2 -o "$work/passthrough_ll" "$example" $(pkg-config --cflags --libs fuse3) 2>"$work/cc.log" ||
		fail "passthrough_ll does not build: $(head -n 1 "$work/cc.log")"
	[ "$(stat -f -c %T "$shm")" = tmpfs ] || fail "/dev/shm is no tmpfs"
	chmod 711 "$work" "$shm"
	mkdir "$shm/direct" "$shm/source" "$shm/source-checked" "$work/passthrough" "$work/checked" \
		"$work/private"
	passthrough_start "$work/passthrough" "$shm/source"
	# To check permissions, the kernel asks for a directory's attributes before each change of its names.
	# Files in it belong to root, so programs that run as other users cannot use it.
	passthrough_start "$work/checked" "$shm/source-checked" ,xattr,default_permissions
	local options=()
	[ "$(id -u)" -ne 0 ] || options=(--allow-other)
	daemon_start --region memfd:10G "${options[@]}" || fail "the daemon does not start"
	"$softpmemd" --region memfd:1G --mount "$work/private" --socket "$work/private.sock" \
		>>"$work/daemon.log" 2>&1 &
	private_pid=$!
	await mountpoint -q "$work/private" || fail "a second daemon does not start"
}

# row NAME UNIT BETTER TARGET AGAINST MEASURE [ARGUMENT...]: MEASURE SIDE ARGUMENT... prints a number.
#   BETTER: higher or lower. TARGET: the ratio of our figure to theirs. AGAINST: a side, or "-" for a limit.
row() {
	local name=$1 unit=$2 better=$3 target=$4 against=$5 round side sides=(softpmem)
	shift 5
	[[ $name =~ $only ]] || return 0
	[ "$against" = - ] || sides+=("$against")
	rm -f "$results".*
	for ((round = 0; round < rounds; round++)); do
		for side in "${sides[@]}"; do
			"$1" "$side" "${@:2}" >>"$results.$side" 2>"$work/measure.err" ||
				fail "$name, $side: $(tail -n 2 "$work/measure.err")"
		done
		# Alternate the side that runs first.
		[ "${#sides[@]}" -eq 1 ] || sides=("${sides[1]}" "${sides[0]}")
	done
	print_row "$name" "$unit" "$better" "$target" "$against"
}

median() {
	sort -g "$1" | awk '
		{ v[NR] = $1 }
		END { if (NR % 2) print v[(NR + 1) / 2]; else print (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

print_row() {
	local ours theirs=-
	ours=$(median "$results.softpmem")
	[ "$5" = - ] || theirs=$(median "$results.$5")
	awk -v name="$1" -v unit="$2" -v better="$3" -v target="$4" -v against="$5" \
		-v ours="$ours" -v theirs="$theirs" '
	function number(v) { return v == "-" ? v : sprintf(v >= 100 ? "%.0f" : v >= 1 ? "%.1f" : "%.3f", v) }
	BEGIN {
		ratio = against == "-" ? ours : ours / theirs
		met = better == "higher" ? ratio >= target : ratio <= target
		verdict = target == "-" ? "" : met ? "met" : "missed"
		limit = (better == "higher" ? "at least " : "at most ") target
		limit = target == "-" ? "-" : limit (against == "-" ? " " unit : "")
		printf "| %s | %s | %s | %s %s | %s | %s | %s |\n", name, unit, number(ours), number(theirs),
			against == "-" ? "" : against, against == "-" ? "-" : sprintf("%.2f", ratio),
			limit, verdict
	}'
}

sides_start
printf '%s rounds, %s, %s processors, Linux %s\n\n' "$rounds" "$(date -u +%F)" "$(nproc)" "$(uname -r)"
echo '| measure | unit | softpmem | against | ratio | target | |'
echo '| --- | --- | ---: | ---: | ---: | --- | --- |'
rows
explore_rows
pmem_rows
