#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# softpmem explore --depth 2: power fails again while a checker recovers.
# shellcheck disable=SC2016 # the commands are for other shells
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse

for tool in jq xmllint; do
	command -v "$tool" >/dev/null || { echo "1..0 # SKIP $tool is not installed"; exit 0; }
done
engine=$abs_top_builddir/tests/explore/replaying_log
cd "$work" || exit 1

# explored STATUS OPTION...: a search with this status; what it prints is in the file `out`.
explored() {
	local wanted=$1 status
	shift
	"$softpmem" explore "$@" >out 2>&1
	status=$?
	cat out
	[ "$status" -eq "$wanted" ]
}
same() {
	jq -S 'del(.milliseconds)' "$1" >one && jq -S 'del(.milliseconds)' "$2" >other && diff one other
}

# ---- An engine on libpmem

check "the recovery is right on every crash state of the run" explored 0 \
	--workload "truncate -s 4096 pool && sync pool . && $engine work pool" -- "$engine" check-buggy {}
check "a recovery that clears its log too early is found when power fails again during it" \
	explored 1 --depth 2 --jobs 1 --output one.json softpmem.trace -- "$engine" check-buggy {}
tells() { grep -q -e "$1" out; }
check "the finding says that power fails twice" \
	tells '^finding 1, if power fails again during recovery: the checker failed with status 1'
check "the finding has the store that recovery loses" tells '  lost: pool, bytes 64 to 71, stored by event '
check "the finding has the line of source that stored it" \
	tells 'of thread 1 at [^ ]* replaying_log.c:[0-9]*'
command=$(sed -n 's/^  replay: softpmem //p' out | head -n 1)
name=$(sed -n 's/^explore --replay \([^ ]*\) .*/\1/p' <<<"$command")
replays() {
	eval "$softpmem $command" >replayed
	[ $? -eq 1 ] && grep -q 'left [01], right [01], acknowledged 0' replayed
}
check "the command of the finding records the recovery again and fails again" replays
saved() {
	"$softpmem" explore --replay "$name" --save saved softpmem.trace -- "$engine" check-buggy {} >saving
	[ $? -eq 1 ] && ! "$engine" check-buggy saved/pool
}
check "the saved image is one on which the checker fails" saved
check_fails "a state is not replayed with a checker that recovers in another way" \
	"does something else" "$softpmem" explore --replay "$name" softpmem.trace -- "$engine" check-fixed {}
check_fails "a state that a recovery leaves is not saved without the checker that recovers" \
	"name the checker that recovers" "$softpmem" explore --replay "$name" --save no softpmem.trace
check "a recovery that stores another number each time is found, too" \
	explored 1 --depth 2 --at "${name%%[ng]*}" softpmem.trace -- "$engine" check-owner {}
command=$(sed -n 's/^  replay: softpmem //p' out | head -n 1)
check "the command of its finding fails again" replays
check "negative control: a recovery that is safe has no finding, and what it prints acknowledges nothing" \
	explored 0 --depth 2 softpmem.trace -- "$engine" check-fixed {}
check "the summary says that all states of the recoveries were checked" \
	tells '^all states of the recoveries were checked$'

explored 1 --depth 2 --jobs 3 --output three.json softpmem.trace -- "$engine" check-buggy {} >/dev/null
check "the result does not depend on the number of jobs" same one.json three.json
for k in 1 2; do
	explored 1 --depth 2 --shard $k/2 --output "shard-$k" softpmem.trace -- "$engine" check-buggy {} \
		>/dev/null
done
"$softpmem" report --format json shard-1 shard-2 >merged.json
check "two shards together record and check what one search does" cmp <(jq .depth one.json) \
	<(jq .depth merged.json)
budget() {
	"$softpmem" explore --depth 2 --states 15 --json softpmem.trace -- "$engine" check-fixed {} >few.json
	jq -e '.states_checked + .depth.states_checked <= 15 and .depth.states_checked > 0 and
		(.complete | not)' few.json
}
check "--states bounds the states of both levels together" budget

oracle() {
	explored "$1" --depth 2 --oracle equiv --dump "[ ! -f \"\$1\" ] || $engine dump-$2 \"\$1\"" \
		softpmem.trace
}
check "an oracle finds it by what a second recovery prints" oracle 1 buggy
check "negative control: it finds nothing of the recovery that is safe" oracle 0 fixed

# ---- Reports

check "the JSON has both power failures, each with its event" jq -e '.findings | length > 0 and
	all(.depth == 2 and .after_event > 0 and .first.after_event > 0 and (.evidence | length) > 0 and
	(.first.state as $first | .state | startswith($first + "/")))' one.json
for format in html junit sarif; do
	"$softpmem" report --format "$format" one.json >"report.$format"
done
check "the HTML says where power fails first, and where then" \
	grep -q '<dt>then, during recovery</dt>' report.html
check "the summary of the HTML counts the states that a power failure during recovery leaves" \
	grep -q ', and on [1-9][0-9]* of [0-9]* that a power failure during recovery leaves' report.html
check "the HTML is well-formed" xmllint --html --noout --nowarning report.html
unique_ids() { [ -z "$(grep -o ' id="[^"]*"' report.html | sort | uniq -d)" ]; }
check "no id is in the HTML twice" unique_ids
check "the JUnit XML is well-formed" xmllint --noout report.junit
check "the JUnit XML says where power fails first" grep -q 'Then, during the recovery' report.junit
check "the SARIF counts the power failures" jq -e '.runs[0].results | length > 0 and
	all(.properties.powerFailures == 2 and (.message.text | contains("First, power fails")))' report.sarif

# ---- A recovery of files on the mount

cat >recover <<-'END'
	#!/bin/sh
	cd "$SOFTPMEM_STATE" || exit 9
	if [ -e log ]; then
		cp log data
		[ "$1" = buggy ] || sync data
		rm log
		sync .
	fi
	[ ! -e data ] || [ "$(cat data)" = old ] || [ "$(cat data)" = new ]
END
chmod +x recover
check "the recovery of a file is right on every crash state of the run" explored 0 --workload \
	'printf old >tmp && sync tmp . && mv tmp data && sync . &&
	printf new >next && sync next && mv next log && sync .' -- "$work/recover" buggy
check "a recovery that does not sync the file that it restores is found" \
	explored 1 --depth 2 --checker mount softpmem.trace -- "$work/recover" buggy
check "negative control: one that syncs the file leaves nothing but what it can restore" \
	explored 0 --depth 2 --checker mount softpmem.trace -- "$work/recover" fixed

# ---- A recovery that changes attributes alone

# It marks the file in two steps, and a mark of the first step is one that it does not know.
cat >marking <<-'END'
	#!/usr/bin/env python3
	import os, sys
	path, name = os.environ["SOFTPMEM_STATE"] + "/data", b"user.recovered"
	if not os.path.exists(path):
	    sys.exit(0)
	value = os.getxattr(path, name) if name.decode() in os.listxattr(path) else b""
	steps = [b"yes"] if sys.argv[1] == "xattr-fixed" else [b"soon", b"yes"]
	if sys.argv[1].startswith("xattr") and value != b"yes":
	    for step in steps if value == b"" else sys.exit(1):
	        os.setxattr(path, name, step)
	mode = os.stat(path).st_mode & 0o777
	steps = [0o640] if sys.argv[1] == "mode-fixed" else [0o700, 0o640]
	if sys.argv[1].startswith("mode") and mode != 0o640:
	    for step in steps if mode == 0o600 else sys.exit(1):
	        os.chmod(path, step)
	current = os.path.dirname(path) + "/current"
	if sys.argv[1].startswith("target") and os.readlink(current) != "other":
	    if sys.argv[1] == "target-fixed":
	        if os.path.lexists(current + ".new"):
	            os.unlink(current + ".new")
	        os.symlink("other", current + ".new")
	        os.rename(current + ".new", current)
	    else:
	        os.unlink(current)
	        os.symlink("other", current)
END
chmod +x marking
TMPDIR=$work "$softpmem" explore --workload \
	'umask 77 && ln -s data current && sync . && printf old >data && sync data .' -- true >/dev/null 2>&1
marks() { # STATUS HOW
	TMPDIR=$work explored "$1" --depth 2 --checker mount softpmem.trace -- "$work/marking" "$2"
}
for what in mode xattr target; do
	check "a recovery that changes nothing but the $what of a file in two steps is found" \
		marks 1 "$what-buggy"
	check "the finding of the $what says that power fails twice" tells '^finding 1, if power fails again'
	check "negative control: one that changes its $what in one step has no finding" \
		marks 0 "$what-fixed"
	check "negative control: a recovery that changes its $what in one step is recorded" \
		tells '^[1-9][0-9]* states\{0,1\} [a-z]* recovered by .*: [1-9][0-9]* recover[a-z]* recorded'
done

# ---- What cannot be recorded

refused() {
	local name=$1 pattern=$2
	shift 2
	refuses() { "$softpmem" explore "$@" >out 2>&1; [ $? -eq 2 ] && tells "$pattern"; }
	check "$name" refuses "$@"
}
refused "--depth 2 refuses a shared object" "is a shared object: --depth 2 records" \
	--depth 2 softpmem.trace -- ./checker.so
refused "--depth 2 refuses a fork server" "a fork server recovers in memory of its own" \
	--depth 2 --checker fork-server softpmem.trace -- ./checker
refused "--depth 2 refuses --checker pmempool" "pmempool does not recover" \
	--depth 2 --checker pmempool softpmem.trace
refused "--depth 2 refuses --checker none" "none does not recover" --depth 2 --checker none softpmem.trace
refused "--depth refuses 3" "depth" --depth 3 softpmem.trace -- true
# ---- Recoveries that differ each time

# As of threads in another order: it stores once more when it is recorded again.
cat >unsteady <<-END
	#!/bin/sh
	case \$1 in
	*/again/*) exec "$engine" check-owner "\$1" ;;
	esac
	exec "$engine" check-buggy "\$1"
END
chmod +x unsteady
"$softpmem" explore --workload "truncate -s 4096 pool && sync pool . && $engine work pool" -- true \
	>/dev/null 2>&1
check "what cannot be replayed because the recovery differs is not reported" \
	explored 0 --depth 2 --jobs 1 --output unsteady.json softpmem.trace -- "$work/unsteady" {}
check "explore says how many failures are not reported, and why" tells \
	'^[1-9][0-9]* failures are not reported: their recoveries, recorded again, .* several threads or'
check "the JSON has the number of these failures" \
	jq -e '.depth.reordered > 0 and .unstable == 0' unsteady.json
check "the HTML has the number of these failures" grep -q 'recorded again, stored in another order' \
	<("$softpmem" report --format html unsteady.json)
check "negative control: of a recovery that is the same each time all are reported" \
	jq -e '.depth.reordered == 0' one.json

# ---- Interrupted searches

# It stops, until it is killed, when the states of crashes of a recovery have been checked.
cat >stopping <<-END
	#!/bin/sh
	cd "$work" || exit 9
	echo >>runs
	if [ ! -e stopped ]; then
		size=\$(stat -c %s two.json.progress.1 2>/dev/null)
		[ "\${size:-0}" -lt 128 ] || { : >stopped; exec sleep 60; }
	fi
	exec "$engine" check-buggy "\$1"
END
chmod +x stopping
deep() {
	"$softpmem" explore --depth 2 --jobs 1 --output "$@" softpmem.trace -- "$work/stopping" {} >out 2>&1
}
: >stopped
: >runs
deep whole.json
whole=$(grep -c '' runs)
check "a search of depth 2 that wrote its output leaves no progress" \
	[ -z "$(compgen -G 'whole.json.progress*')" ]
rm stopped
(TMPDIR=$work exec "$softpmem" explore --depth 2 --jobs 1 --output two.json softpmem.trace -- \
	"$work/stopping" {} >/dev/null 2>&1) &
search=$!
await test -e stopped
kill -KILL "$search"
wait "$search" 2>/dev/null
check "a search of depth 2 that was killed keeps its progress" [ -s two.json.progress ]
: >runs
deep two.json --resume
check "a search of depth 2 that was killed and resumed has the result of one that was not" \
	same whole.json two.json
check "the resumed search of depth 2 does not check again what was checked" \
	[ "$(grep -c "" runs)" -lt "$((whole - 5))" ]
check "the resumed search of depth 2 leaves no progress" [ -z "$(compgen -G 'two.json.progress*')" ]
note "$whole checks, and $(grep -c '' runs) after the search was resumed"
finish
