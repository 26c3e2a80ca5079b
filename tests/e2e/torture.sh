#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# softpmem torture: campaigns of power failures.
# shellcheck disable=SC2016 # the commands are for the shells of a campaign
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse

export TMPDIR=$work

# torture STATUS OPTION...: a campaign that ends with this status; it reports to $work/report.
torture() {
	local wanted=$1 status
	shift
	"$softpmem" torture "$@" >"$work/report" 2>"$work/report.err"
	status=$?
	cat "$work/report" "$work/report.err"
	[ "$status" -eq "$wanted" ]
}
reports() { grep -qE -- "$1" "$work/report" || { cat "$work/report"; return 1; }; }
nothing_is_left() { ! compgen -G "$work/softpmem-torture.*" && ! grep -q " $work/" /proc/mounts; }

# ---- A replacement of a file -------------------------------------------------------------
replaced=(--setup 'echo old >file && sync file' --check 'grep -E "^(old|new)$" file')
check "a rename before the bytes are synced is found" \
	torture 1 "${replaced[@]}" --workload 'echo new >file.tmp && mv file.tmp file && sync .'
check "the report names the weakest metadata mode that fails" reports 'metadata mode durable'
check "the report names the file that lost its bytes" reports 'lost: 1 line of /file'
replay() { sed -n 's/^  replay: softpmem torture //p' "$work/report" | head -1; }
replays() { eval "\"$softpmem\" torture $(replay)" >"$work/replayed"; [ $? -eq 1 ]; }
check "the command of a finding finds it again" replays
check "negative control: with a sync before the rename nothing is found" \
	torture 0 --runs 40 "${replaced[@]}" \
	--workload 'echo new >file.tmp && sync file.tmp && mv file.tmp file && sync .'
check "nothing is left of the campaigns" nothing_is_left

# ---- How writes tear ----------------------------------------------------------------------
# 512 bytes that are not synced: a disk keeps all of them or none.
torn=(--policy random --runs 6 --only end --setup 'printf "%512s" >file; sync file'
	--workload 'printf "%512s" | tr " " x | dd of=file conv=notrunc status=none'
	--check 'grep -qE "^( {512}|x{512})$" file')
check "a write that is torn at a line is found" torture 1 "${torn[@]}"
check "negative control: with --mode sector:512 it is not torn" torture 0 "${torn[@]}" --mode sector:512
check "the command of a finding has its mode" torture 1 --mode sector:512 --only end --policy lose \
	--setup 'echo old >file; sync file' --workload 'echo new | dd of=file status=none; echo' \
	--check '[ ! -s "$SOFTPMEM_ACKNOWLEDGED" ] || grep new file'
check "the command with --mode finds it again" replays
check "the replay is of the same mode" reports 'replay: .* --mode sector:512 --only end'
check "a mode that is none is refused" torture 2 --mode sectors --workload true --check true

# ---- Acknowledgements ----------------------------------------------------------------------
acknowledged=(--setup ': >log; sync log'
	--check 'test "$(wc -l <log)" -ge "$(wc -l <"$SOFTPMEM_ACKNOWLEDGED")"')
check "a line that was acknowledged and not synced is found" \
	torture 1 "${acknowledged[@]}" --json --workload 'for i in 1 2 3; do echo $i >>log; echo $i; done'
check "the report has the last line that was acknowledged" reports '"last_acknowledged":"[123]"'
check "negative control: a line that is acknowledged after its sync is never missed" \
	torture 0 "${acknowledged[@]}" --workload 'for i in 1 2 3; do echo $i >>log; sync log; echo $i; done'

# ---- Names ------------------------------------------------------------------------------------
created=(--check 'for n in $(cat "$SOFTPMEM_ACKNOWLEDGED"); do test -e "$n" || exit; done' --policy lose)
check "a file whose directory is not synced is found" \
	torture 1 "${created[@]}" --workload 'echo >a && sync a && echo a'
check "the report names the operation that was lost" reports 'lost: create of /a'
check "the report says that only the letter of POSIX allows it" reports 'metadata mode strict'
check "the missing sync of a directory is not found in the metadata mode ordered" \
	torture 0 "${created[@]}" --metadata ordered --workload 'echo >a && sync a && echo a'
check "negative control: with a sync of the directory nothing is found" \
	torture 0 "${created[@]}" --workload 'echo >a && sync a && sync . && echo a'

# ---- Reduction ----------------------------------------------------------------------------------
# 1024 lines are overwritten and not synced; the check reads one of them.
overwritten=(--setup 'head -c 65536 /dev/zero >big; sync big' --policy lose --only end
	--workload 'head -c 65536 /dev/zero | tr "\0" x | dd of=big conv=notrunc status=none; echo done'
	--check 'grep -q done "$SOFTPMEM_ACKNOWLEDGED" && test "$(dd if=big bs=1 skip=4096 count=1)" = x')
check "a loss of many lines is found" torture 1 "${overwritten[@]}"
check "the report has the one line that the check needs" reports 'lost: 1 line of /big$'
check "the command of the reduced finding finds it again" replays
reduced_alike() { grep -q 'lost: 1 line of /big$' "$work/replayed" || { cat "$work/replayed"; return 1; }; }
check "the command of the reduced finding loses the same line" reduced_alike
made=(--policy lose --metadata strict --only end --workload 'mkdir a b c d e f; sync a b c d e f; echo done'
	--check 'grep -q done "$SOFTPMEM_ACKNOWLEDGED" && test -d c')
check "a loss of many names is found" torture 1 "${made[@]}"
lost_names() { grep -c 'lost: mkdir' "$work/report"; }
check "the report has the one name that the check needs" reports 'lost: mkdir of /c$'
check "the report has no name that the check does not need" test "$(lost_names)" -eq 1
check "--lose-only without --only is refused" torture 2 --lose-only 0-1 --workload true --check true
check "a malformed set is refused" torture 2 --lose-only 5-4 --only end --workload 'echo >a' --check true

# ---- What is no finding ----------------------------------------------------------------------
check "a workload that fails without a power failure is no finding" \
	torture 2 --workload 'echo broken >&2; exit 3' --check true
check "its status and its output are reported" reports 'workload failed with status 3'
check "a check that fails without a power failure is no finding" torture 2 --workload 'echo >a' --check false
check "a setup that fails is no finding" torture 2 --setup false --workload true --check true
check "a workload that hangs is no finding" torture 2 --timeout 1 --workload 'sleep 600' --check true
check "an operation that the workload does not come to is neither a finding nor passed" \
	torture 2 --only 100 --workload 'echo >a' --check true
check "the report says that the run ended before" reports '1 run ended before its operation'
check "a workload without operations is cut at its end" torture 0 --workload true --check true
check "a workload without --check is refused" torture 2 --workload true

# ---- Workloads and checks that misbehave ---------------------------------------------------------
misbehaves() { torture "$1" --timeout 20 --jobs 1 --runs 4 --workload "$2" --check "$3"; }
check "a daemon that the workload leaves behind ends with it" \
	misbehaves 0 "echo >a; setsid sleep 7654.$$ & exit 0" true
is_gone() { ! pgrep -fx "sleep 7654.$$"; }
check "no process of a workload is left" is_gone
check "a workload that prints without end is cut" \
	misbehaves 0 'yes | head -c 40000000; echo >a' \
	'test "$(wc -c <"$SOFTPMEM_ACKNOWLEDGED")" -le 16777216'
check "a check that kills its parent is told" misbehaves 2 'echo >a' 'kill -9 $PPID; sleep 30'
check "the report says that the check killed its parent" reports 'check killed its parent'
check "a workload that fills the region is told" misbehaves 2 'head -c 100M /dev/zero >a' true
check "nothing is left of these campaigns" nothing_is_left

check "a check that leaves a daemon behind is no finding" \
	misbehaves 0 'echo >a' "setsid sleep 7655.$$ & exit 0"
none_is_left() { ! pgrep -fx "sleep 7655.$$"; }
check "no process of a check is left" none_is_left
check "a check that kills all processes of its session is a finding of its own" \
	misbehaves 2 'echo >a' 'kill -9 0; sleep 30'
side_by_side() {
	local first second
	"$softpmem" torture --runs 20 --workload 'echo >a && sync a' --check true >"$work/first" 2>&1 &
	first=$!
	"$softpmem" torture --runs 20 --workload 'echo >a && sync a' --check true >"$work/second" 2>&1 &
	second=$!
	wait "$first" && wait "$second" && return
	cat "$work/first" "$work/second"
	return 1
}
check "two campaigns run side by side" side_by_side
# The size of what was appended is kept or lost by a coin, which the seed determines.
differ() {
	torture 1 --only end --policy random --metadata durable --runs 12 --json --setup ': >a; sync a' \
		--workload 'echo >>a; echo' --check '[ ! -s "$SOFTPMEM_ACKNOWLEDGED" ] || test -s a' &&
		grep -m 1 '"failures":' "$work/report" | grep -Eq ':([1-9]|1[01]),'
}
check "one place is tried with one seed after the other" differ
check "a place beyond the run is told at its end" torture 2 --only 1000000 --workload 'echo >a' --check true

# ---- Limits and signals ----------------------------------------------------------------------------
check "--runs limits the number of power failures" torture 0 --runs 3 --json --workload 'echo >a' --check true
check "the report has the number of power failures" reports '"power_failures":3'
has_lines() { [ -e "$2" ] && [ "$(wc -l <"$2")" -ge "$1" ]; }
interrupted() {
	local campaign status
	# With one job the finding is there once the failure has repeated and another check has failed.
	FAILED=$work/failed "$softpmem" torture --time 600 --jobs 1 --workload 'echo 1 >file' \
		--check 'test -s file || { echo >>"$FAILED"; exit 1; }' >"$work/report" &
	campaign=$!
	await has_lines 3 "$work/failed"
	kill -INT "$campaign"
	wait "$campaign"
	status=$?
	echo "status $status"
	[ "$status" -eq 1 ]
}
check "a campaign that is interrupted reports what it found" interrupted
check "the report says that a signal ended it" reports 'a signal ended the campaign'
check "nothing is left of it" nothing_is_left
finish
