#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# softpmem explore on traces in the text form, with a command as checker.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1

softpmem=$abs_top_builddir/softpmem
cat >"$work/late.txt" <<-'END'
	softpmem-trace 1
	file file=1 size=4096 path="log"
	t1 store 1+0x0 u64=1
	t1 clwb 1+0x0
	t1 sfence
	t1 mark "committed"
	t1 store 1+0x40 u64=7
	t1 clwb 1+0x40
	t1 sfence
END
cat >"$work/right.txt" <<-'END'
	softpmem-trace 1
	file file=1 size=4096 path="log"
	t1 store 1+0x40 u64=7
	t1 clwb 1+0x40
	t1 sfence
	t1 store 1+0x0 u64=1
	t1 clwb 1+0x0
	t1 sfence
	t1 mark "committed"
END
cat >"$work/checker" <<-'END'
	#!/bin/sh
	byte() { od -An -tu1 -j "$2" -N1 "$1" | tr -d ' '; }
	[ "$(byte "$1" 0)" = 0 ] || [ "$(byte "$1" 64)" = 7 ] || {
		echo "the record is missing"
		exit 3
	}
END
chmod +x "$work/checker"

explore() {
	"$softpmem" explore "$@" >"$work/out" 2>"$work/err"
}
status_of() {
	explore "$@"
	echo $?
}

check "a trace without the bug has no finding and exit status 0" \
	explore "$work/right.txt" -- "$work/checker" {}
check "the summary says that all states were checked" grep -q '^all states were checked$' "$work/out"
check "a record that is flushed after its commit is found, with exit status 1" \
	[ "$(status_of "$work/late.txt" -- "$work/checker" {})" = 1 ]
check "the finding tells how the checker failed" grep -q 'the checker failed with status 3' "$work/out"
check "the finding shows what the checker printed" grep -q 'the record is missing' "$work/out"
check "the finding names the mark that was acknowledged before" grep -q "the last one 'committed'" "$work/out"
replay=$(sed -n 's/^  replay: softpmem explore --replay \([^ ]*\) .*/\1/p' "$work/out" | head -n 1)
check "the finding names the state for a replay" [ -n "$replay" ]
check "the replayed state fails again" \
	[ "$(status_of --replay "$replay" "$work/late.txt" -- "$work/checker" {})" = 1 ]
check "the files of a replayed state can be saved" \
	explore --replay "$replay" --save "$work/saved" "$work/late.txt"
check_fails "the checker fails on the saved file" "the record is missing" "$work/checker" "$work/saved/log"
check "--json is a JSON object with the finding" \
	[ "$(status_of --json "$work/late.txt" -- "$work/checker" {})" = 1 ]
check "the JSON has the verdict" grep -q '"verdict": *"failed with status 3"' "$work/out"

explore --list-states "$work/right.txt"
cat >"$work/states" <<-'END'
	log size=4096
	log size=4096 0x0=1 0x40=7
	log size=4096 0x40=7
END
check "--list-states prints exactly the legal states in order" cmp -s "$work/states" "$work/out"
explore --list-states --domain cpu_cache "$work/late.txt"
check "under eADR each state has all earlier stores" \
	[ "$(cat "$work/out")" = "log size=4096
log size=4096 0x0=1
log size=4096 0x0=1 0x40=7" ]

wrong() {
	local name=$1 pattern=$2 status=$3
	shift 3
	wrong_says() {
		[ "$(status_of "$@")" = "$status" ] && grep -q -e "$pattern" "$work/err"
	}
	check "$name" wrong_says "$@"
}
wrong "a trace that does not exist is named" "nowhere: No such file" 1 "$work/nowhere" -- true
wrong "a file that is not a trace is refused" "no trace" 1 "$work/checker" -- true
printf 'softpmem-trace 1\nfile file=1 size=64\nt1 frob 1+0x0\n' >"$work/bad.txt"
wrong "a text with an unknown event is refused with its line" "bad.txt:3" 1 "$work/bad.txt" -- true
wrong "a missing checker is a usage error" "name the checker" 2 "$work/late.txt"
wrong "--states refuses a word" "--states takes a whole number" 2 --states many "$work/late.txt" -- true
wrong "--save without --replay is a usage error" \
	"--save requires --replay" 2 --save x "$work/late.txt" -- true
wrong "a state that is not of this trace is refused" \
	"not the name of a state" 1 --replay 5n:9999=1 "$work/late.txt" -- true
wrong "a checker that cannot be started is named" "no-such-program" 1 "$work/late.txt" -- ./no-such-program

# ---- --workload: record and explore in one command

checker=$work/check-log
cat >"$checker" <<-'END'
	#!/bin/sh
	# A log that is there has its three bytes.
	log=$SOFTPMEM_STATE/state/log
	[ ! -e "$log" ] || [ "$(cat "$log")" = abc ] || { echo "the log is torn"; exit 1; }
END
chmod +x "$checker"
workload() {
	(cd "$work" && "$softpmem" explore --workload "$@")
}
sound='mkdir state && printf abc >state/new && sync state/new && mv state/new state/log && sync state'
torn='mkdir state && printf x >state/log && sync state/log state && printf abc >state/log && sync state/log'
check "a workload that replaces its log by a rename has no finding" \
	workload "$sound" -- "$checker"
check "a trace of the workload is left" test -s "$work/softpmem.trace"
check_fails "a workload that writes its log in place has a finding" "the log is torn" \
	workload "$torn" -- "$checker"
cat >"$work/check-names" <<-'END'
	#!/bin/sh
	cd "$SOFTPMEM_STATE" || exit 9
	[ ! -e a/new ] || [ ! -e b/moved ] || { echo "both names"; exit 1; }
	[ ! -e b/moved ] || [ ! -d b/empty ] || { echo "moved, with an empty directory"; exit 2; }
END
chmod +x "$work/check-names"
check_fails "the files and directories of a state have the names of their moment" \
	"moved, with an empty directory" \
	workload \
	'mkdir a b b/empty && printf abc >a/new && sync a/new && mv a/new b/moved && sync a b' -- \
	"$work/check-names"
has_not_both_names() {
	! grep -q "both names" "$work/check.out"
}
check "a renamed file has not both names" has_not_both_names
check "no daemon of the workload is left" test -z "$(pgrep -f "softpmem-explore.*daemon" || true)"
check_fails "a workload that fails is told apart from a finding" "the workload has failed with status 3" \
	workload "exit 3" -- true
check_fails "--workload with --replay is a usage error" "--workload makes a trace" \
	"$softpmem" explore --workload true --replay 1n -- true
finish
