#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# softpmem torture on a libpmem program with a missing flush, and on the same program with it.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse

ledger=$abs_top_builddir/tests/pmdk/ledger

# torture STATUS PROGRAM OPTION...: a campaign on the ledger ends with this status.
torture() {
	local wanted=$1 program=$2 status
	shift 2
	"$softpmem" torture --setup "'$softpmem' create --size 64k /pool" \
		--workload "'$softpmem' run '$ledger' pool $program" --check "'$ledger' pool check" \
		--size 16M "$@" >"$work/report" 2>&1
	status=$?
	[ "$status" -eq "$wanted" ] || { cat "$work/report"; return 1; }
}
reports() { grep -Eq -- "$1" "$work/report"; }
few=(--policy lose --metadata ordered)

check "a missing flush before the count is found" torture 1 wrong "${few[@]}"
check "the report counts the fences of the run" reports '^[0-9]+ operations? and 5 fences, at '
check "the finding is at a fence" reports '^  power fails right (before|after) fence [1-9] of the program$'
check "the check says what is lost" reports 'the check printed: .*entry [1-4] of [1-4] is lost'
check "the finding names the one line that is lost" reports '^  lost: 1 line of /pool$'
check "the finding occurs in each metadata mode" reports 'metadata mode durable'
check "the failures at all fences are one finding" test "$(grep -c '^finding ' "$work/report")" = 1
replay=$(sed -n 's/^  replay: softpmem //p' "$work/report")
replays() { eval "\"\$softpmem\" $replay" >"$work/report" 2>&1; [ $? -eq 1 ] && reports '^finding 1: '; }
check "the command of the finding replays it" replays
check "the replay cuts at the same place" reports "$(grep -o -m1 'right [a-z]* fence [0-9]*' "$work/report")"
check "negative control: without its fences the mistake is not found" torture 0 wrong "${few[@]}" --only end
check "the last fence makes everything durable" torture 0 wrong "${few[@]}" --only after-fence:5
check "--json has the fence" torture 1 wrong "${few[@]}" --only after-fence:2 --json
check "--json has the fence as the place of the finding" reports '"after_fence": ?2'
check "--json has the number of fences" reports '"fences": ?5'
check "nothing is found with the flush" torture 0 right "${few[@]}"
check "the report says that nothing is found" reports '^no finding$'
check "the fences of the program without a mistake were tried" reports ' and 9 fences, at '
check "a fence beyond the run is told" torture 2 right "${few[@]}" --only before-fence:1000
check "the report says that the run ended before" reports 'ended before its operation or fence'
check "a place that is none is refused" torture 2 right --only before-fence:x
finish
