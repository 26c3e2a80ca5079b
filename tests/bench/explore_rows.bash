# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Rows of make bench for softpmem explore. Searches have one worker.

# Once: twenty lines of which each may be lost, and a tree of which each name may be.
explore_traces_make() {
	local i
	[ ! -s "$shm/tree.txt" ] || return 0
	{
		printf 'softpmem-trace 1\nfile file=1 size=65536 path="log"\n'
		for ((i = 300; i < 320; i++)); do printf 't1 store 1+%d u64=%d\n' $((64 * i)) "$i"; done
	} >"$shm/lines.txt"
	{
		printf 'softpmem-trace 1\nfile file=1 path="/" mode=040755\n'
		for ((i = 2; i < 18; i++)); do
			printf 'mkdir file=%d parent=1 name="directory%d" mode=040755\n' "$i" "$i"
			printf 'create file=%d parent=%d name="file" mode=0100644\n' $((i + 100)) "$i"
			printf 'write %d+0x0 bytes=%s\n' $((i + 100)) "$(printf '%08192d' "$i")"
		done
	} >"$shm/tree.txt"
}

# states_each_second STATES ARGUMENT...: what softpmem explore with these arguments checks in a second.
states_each_second() {
	local states=$1
	shift
	"$softpmem" explore --json --jobs 1 --states "$states" "$@" | tr -d ' ,' | awk -F : '
		$1 == "\"states_checked\"" { states = $2 }
		$1 == "\"milliseconds\"" { print states * 1000 / ($2 ? $2 : 1); found = states > 0 }
		END { exit !found }'
}

checked_states() {
	local checker=$abs_top_builddir/tests/explore/checker_commit
	explore_traces_make
	case $2 in
	persistent) states_each_second "$((explore_states * 20))" "$shm/lines.txt" -- "$checker.so" ;;
	fork-server)
		states_each_second "$explore_states" --checker fork-server "$shm/lines.txt" -- "$checker"
		;;
	command) states_each_second "$explore_states" "$shm/lines.txt" -- true ;;
	mount) states_each_second "$((explore_states / 4))" --checker mount --metadata strict \
		"$shm/tree.txt" -- true ;;
	esac
}

# walked_events SIDE STATES: stores, flushes and fences of random lines; the time to find the crash points,
# which are alike, and to check states of the first ones.
walked_events() {
	local checker=$abs_top_builddir/tests/explore/checker_commit.so from status=0
	if [ ! -s "$shm/walk.trace" ]; then
		awk -v events="$trace_events" 'BEGIN {
			srand(1)
			print "softpmem-trace 1\nfile file=1 size=67108864 path=\"log\""
			print "site site=1 stack=0+0x1"
			for (i = 0; i < events; i += 3) {
				line = 64 * int(rand() * 1048576)
				printf "t1 store 1+%d site=1 u64=%d\n", line, line ? i + 1 : 0
				printf "t1 clwb 1+%d site=1\nt1 sfence site=1\n", line
			}
		}' >"$shm/walk.txt" &&
			"$softpmem" trace import -o "$shm/walk.trace" "$shm/walk.txt" || return 1
		rm -f "$shm/walk.txt"
	fi
	from=$EPOCHREALTIME
	"$softpmem" explore --jobs 1 --states "$2" "$shm/walk.trace" -- "$checker" >/dev/null || status=1
	milliseconds_since "$from" | awk '{ print $1 / 1000 }'
	return "$status"
}

# A B+tree of which each sixth flush is left out, from the workload to the finding.
found_in_tree() {
	local indexes=$abs_top_builddir/tests/engines/indexes load from status
	load="truncate -s 1M pool && INDEXES_FLUSHES_KEPT=5 $indexes fast_fair pool load 1 200"
	from=$EPOCHREALTIME
	(cd "$shm" && "$softpmem" explore --states 100 --workload "$load" -- \
		"$indexes" fast_fair {} check) >"$work/explored" 2>&1
	status=$?
	milliseconds_since "$from" | awk '{ print $1 / 1000 }'
	[ "$status" -eq 1 ] && grep -q '^finding 1: the checker' "$work/explored"
}

explore_rows() {
	row "states checked by a shared object" states/s higher 20000 - checked_states persistent
	row "states checked by a fork server" states/s higher 1500 - checked_states fork-server
	row "states checked by a command" states/s higher 400 - checked_states command
	row "states checked on a tree of 16 directories and files" states/s higher 30 - checked_states mount
	row "crash points of $trace_events events" s lower 5 - walked_events 1
	row "100 states of $trace_events events" s lower 5 - walked_events 100
	rm -f "$shm/walk.trace"
	if grep -qw clwb /proc/cpuinfo; then
		row "from a workload on a B+tree to its bug" s lower 5 - found_in_tree
	fi
}
