#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# softpmem explore on traces in the text form, with a command as checker.
# shellcheck disable=SC2016 # the dumps are for the shells of oracles
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse

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
check "the finding shows what the checker printed after a zero byte" grep -q 'printed: key?is torn' \
	<("$softpmem" explore "$work/late.txt" -- sh -c 'printf "key\0is torn"; exit 3')
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

# The commit and its record are in one line: it becomes durable in the order of the stores.
cat >"$work/one-line.txt" <<-'END'
	softpmem-trace 1
	file file=1 size=4096 path="log"
	t1 store 1+0x8 u64=7
	t1 store 1+0x0 u64=1
	t1 clwb 1+0x0
	t1 sfence
END
sed 's/ 64)/ 8)/' "$work/checker" >"$work/line-checker"
chmod +x "$work/line-checker"
check "a record in the line of its commit is found missing with --persistency word" \
	[ "$(status_of --persistency word "$work/one-line.txt" -- "$work/line-checker" {})" = 1 ]
check "the finding says that it does not fail with lines" \
	grep -q 'it fails in the persistency mode word (only if' "$work/out"
check "negative control: with lines nothing is found" explore "$work/one-line.txt" -- "$work/line-checker" {}

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

# ---- Oracles and checkers that are built in

# The dump is the number of the commit and its record; a record that is missing is not noticed.
dump='[ "$(od -An -tu1 -N1 "$1" | tr -d " ")" != 0 ] || exit 0
	od -An -tu1 -N1 "$1"; od -An -tu1 -j64 -N1 "$1"'
oracle() {
	local wanted=$1 kind=$2
	shift 2
	[ "$(status_of --oracle "$kind" --dump "$@")" = "$wanted" ]
}
cat >"$work/marked.txt" <<-'END'
	softpmem-trace 1
	file file=1 size=4096 path="log"
	t1 store 1+0x40 u64=7
	t1 store 1+0x0 u64=1
	t1 clwb 1+0x40
	t1 clwb 1+0x0
	t1 sfence
	t1 mark "committed"
END
check "the oracle equiv finds a dump that is no state between operations" \
	oracle 1 equiv "$dump" "$work/marked.txt"
check "the finding says what is wrong with the dump" \
	grep -q 'the dump is not that of the last mark or the next one' "$work/out"
replayed_oracle() {
	local command
	command=$(sed -n 's/^  replay: softpmem //p' "$work/out" | head -n 1)
	eval "$softpmem $command" >"$work/out"
	[ $? -eq 1 ]
}
check "the command of the finding has the oracle and its dump" replayed_oracle
check "the oracle prefix finds it, too" oracle 1 prefix "$dump" "$work/marked.txt"
check "negative control: with the record before the commit the oracle prefix finds nothing" \
	oracle 0 prefix "$dump" "$work/right.txt"
check "negative control: nor does the oracle equiv" oracle 0 equiv "$dump" "$work/right.txt"
check "the oracle alive takes any dump" oracle 0 alive "$dump" "$work/marked.txt"
check "the oracle alive finds a command that fails" \
	oracle 1 alive '[ "$(od -An -tu1 -N1 "$1" | tr -d " ")" = 0 ]' "$work/marked.txt"
check "the oracle stable finds a recovery that goes on when it is repeated" \
	oracle 1 stable 'cat "$1" | wc -c; echo >>"$1"' "$work/marked.txt"
check "negative control: it takes one that changes nothing" oracle 0 stable 'cksum "$1"' "$work/marked.txt"
wrong "--oracle without --dump is a usage error" "belong together" 2 --oracle alive "$work/late.txt"
wrong "--checker with a checker is a usage error" \
	"excludes --checker" 2 --checker sqlite "$work/late.txt" -- true
if command -v sqlite3 >/dev/null; then
	sqlite3 "$work/whole.db" 'create table t(a); insert into t values (1)'
	{
		printf 'softpmem-trace 1\nfile file=1 size=%d path="db"\nt1 store 1+0x0 bytes=' \
			"$(stat -c %s "$work/whole.db")"
		od -An -v -tx1 "$work/whole.db" | tr -d ' \n'
		printf '\nt1 mark "stored"\n'
	} >"$work/sqlite.txt"
	check "--checker sqlite finds a database of which pages are lost" \
		[ "$(status_of --checker sqlite --states 60 "$work/sqlite.txt")" = 1 ]
	sed 's/mark "stored"/msync 1+0x0 length=8192/' "$work/sqlite.txt" >"$work/synced.txt"
	last=$(grep -c '' "$work/synced.txt")
	check "negative control: a whole database passes --checker sqlite" \
		[ "$(status_of --checker sqlite --at "$last" "$work/synced.txt")" = 0 ]
	no_database='no file is a database of SQLite when the trace ends'
	says_missing() { "$softpmem" explore --checker sqlite --states 1 "$1" 2>&1 | grep -c "$no_database"; }
	check "--checker sqlite says of a trace without a database that there is none" \
		[ "$(says_missing "$work/right.txt")" = 1 ]
	check "negative control: --checker sqlite does not say so of a trace with a database" \
		[ "$(says_missing "$work/synced.txt")" = 0 ]
else
	skip "--checker sqlite finds a database of which pages are lost" "sqlite3 is not installed"
fi

printf 'softpmem-trace 1\nfile file=1 size=9223372036854775807 path="a"\n' >"$work/large.txt"
wrong "explore names the trace and the event that it stops at" "large.txt: event 1 (file): " 1 \
	"$work/large.txt" -- true

# ---- Shards

shard() {
	"$softpmem" explore --shard "$1" --output "$work/shard-$2" "$work/late.txt" -- "$work/checker" {}
}
for k in 1 2 3; do
	shard "$k/3" "$k" >/dev/null
done
"$softpmem" explore --output "$work/whole" "$work/late.txt" -- "$work/checker" {} >/dev/null
count() { sed -n "s/^ *\"$1\": *\([0-9]*\),*$/\1/p" "$2" | head -n 1; }
merged() { "$softpmem" report --format json "$@"; }
merges() {
	merged "$work"/shard-[123] >"$work/merged" &&
		[ "$(count states_checked "$work/merged")" = "$(count states_checked "$work/whole")" ] &&
		[ "$(count states_failed "$work/merged")" = "$(count states_failed "$work/whole")" ]
}
check "three shards together check and fail what one search does" merges
check_fails "a missing shard is an error" "1 shards are missing" merged "$work/shard-1" "$work/shard-3"
names_missing() { merged_html "$work/shard-1" "$work/shard-3" | grep -q '</strong> 2 of 3'; }
merged_html() { "$softpmem" report "$@" 2>/dev/null; }
check "the report names the missing shard" names_missing
check_fails "a shard that is given twice is refused" "there twice" merged "$work/shard-1" "$work/shard-1"
"$softpmem" explore --shard 2/3 --seed 7 --output "$work/other" "$work/late.txt" -- "$work/checker" {} \
	>/dev/null
check_fails "a shard of another search is refused" \
	"not of the same search" merged "$work/shard-1" "$work/other"
wrong "--shard refuses what is no share" "takes K/N" 2 --shard 4/3 "$work/late.txt" -- true

# ---- Traces that are not all of a run

part() {
	printf 'softpmem-trace 1\nfile file=1 size=4096 path="log"\nt1 store 1+0x0 u64=1\n%s\n' "$1"
	printf 't1 clwb 1+0x0\nt1 sfence\nt1 store 1+0x8 u64=2\n'
}
part 'lost count=2 reason="it was killed"' >"$work/lost.txt"
part 'outage generation=2 seed=1 policy="lose"' >"$work/outage.txt"
check "the result says that events are missing, and where" \
	grep -q '^event 3 says that events are missing (it was killed): findings after it may not be real' \
	<("$softpmem" explore "$work/lost.txt" -- true)
check "a power failure of the run itself ends what is explored" \
	grep -q '^event 3 is a power failure of the run itself: what follows is not explored' \
	<("$softpmem" explore "$work/outage.txt" -- true)
check "no state has what was stored after a power failure of the run" \
	test "$("$softpmem" explore --list-states "$work/outage.txt" | wc -l)" -eq 2
check "negative control: of a trace with all of a run nothing of it is said" \
	test -z "$("$softpmem" explore "$work/late.txt" -- true | grep '^event ')"
regions() {
	printf 'softpmem-trace 1\n%s\nfile file=1 mode=040555 path="/"\n' "$1"
	printf 'file file=%s mode=040755 path="/r%s"\nname file=%s parent=1 name="r%s"\n' 2 2 2 2 3 3 3 3
	printf 'create file=4 parent=2 name="data"\ncreate file=5 parent=3 name="log"\nfsync file=5\n'
}
says_regions() { "$softpmem" explore "$@" -- true | grep -q '^the trace is of several regions: '; }
says_none() { ! says_regions "$@"; }
regions 'info key="several-regions" value="yes"' >"$work/regions.txt"
regions '' >"$work/one-region.txt"
check "the result says that the regions of a trace have one order" says_regions "$work/regions.txt"
check "in the metadata mode strict regions have no order, and nothing is said" \
	says_none --metadata strict "$work/regions.txt"
check "negative control: of a trace of one region nothing is said of regions" \
	says_none "$work/one-region.txt"
says_no_root() { "$softpmem" explore "$1" -- true | grep -q '^the trace has names of files, and no '; }
has_root() { ! says_no_root "$@"; }
sed 's|path="/"|path=""|' "$work/one-region.txt" >"$work/no-root.txt"
check "the result says that names have no effect without a root" says_no_root "$work/no-root.txt"
check "negative control: of a trace with a root that is not said" has_root "$work/one-region.txt"
wrong "--at names an event that is no crash point" "no crash point is after so many events" 1 \
	--at 2 "$work/lost.txt" -- true

# ---- Interrupted searches

{
	printf 'softpmem-trace 1\nfile file=1 size=4096 path="log"\n'
	for i in 1 2 3 4 5 6; do
		printf 't1 store 1+%d u64=%d\n' $((64 * i)) "$i"
	done
} >"$work/six.txt"
# It fails on the states that have record 6 without record 1. At its tenth run it stops, until it is killed.
cat >"$work/stopping" <<-'END'
	#!/bin/sh
	echo >>"$2"
	[ "$(grep -c '' "$2")" -ne 10 ] || [ -e "$2.stopped" ] || { : >"$2.stopped"; exec sleep 60; }
	[ "$(od -An -tu1 -j384 -N1 "$1")" -eq 0 ] || [ "$(od -An -tu1 -j64 -N1 "$1")" -ne 0 ]
END
chmod +x "$work/stopping"
resumable() {
	local runs=$1
	shift
	"$softpmem" explore --jobs 1 --output "$runs.json" "$@" "$work/six.txt" -- "$work/stopping" {} "$runs"
}
: >"$work/runs"
# The job is the search itself, so that it is the search that is killed.
(TMPDIR=$work exec "$softpmem" explore --jobs 1 --output "$work/runs.json" "$work/six.txt" -- \
	"$work/stopping" {} "$work/runs" >/dev/null 2>&1) &
search=$!
for ((i = 0; i < 600; i++)); do
	# The head has 80 bytes, and a number of states 48.
	[ ! -e "$work/runs.stopped" ] || [ "$(stat -c %s "$work/runs.json.progress")" -lt 128 ] || break
	sleep 0.1
done
check "a search keeps its progress beside its output" [ -s "$work/runs.json.progress" ]
kill -KILL "$search"
wait "$search" 2>/dev/null
is_removed() { ! compgen -G "$work/softpmem-explore.*"; }
check "the directory of a search that was killed is removed" await is_removed
refuses_resume() {
	check_fails "$1" "another trace, checker or options" resumable "$work/runs" --resume "${@:2}"
}
refuses_resume "a search is not resumed with another seed" --seed 2
cp -p "$work/stopping" "$work/unchanged"
echo '# changed' >>"$work/stopping"
refuses_resume "a search is not resumed with a checker that has changed"
mv "$work/unchanged" "$work/stopping"
: >"$work/runs"
resumable "$work/runs" --resume >/dev/null 2>&1
: >"$work/whole.stopped"
resumable "$work/whole" >/dev/null 2>&1
same_result() {
	local file
	for file in runs whole; do
		grep -v -e milliseconds -e replay -e "/$file" "$work/$file.json" >"$work/$file.facts"
	done
	[ -s "$work/runs.facts" ] && grep -q '"states_failed": *[1-9]' "$work/runs.json" &&
		cmp "$work/runs.facts" "$work/whole.facts"
}
check "a search that was killed and resumed has the result of one that was not" same_result
check "the resumed search does not check again what was checked" \
	[ "$(grep -c '' "$work/runs")" -lt "$(grep -c '' "$work/whole")" ]
check "a search that has written its output leaves no progress" [ ! -e "$work/runs.json.progress" ]
wrong "--resume without --output is a usage error" "had this --output" 2 --resume "$work/six.txt" -- true

# ---- Limits

# The first check takes longer than the time, so none begins after it, however fast or slow the machine is.
limited() {
	local limit=$1
	shift
	"$softpmem" explore --jobs 1 --json "$@" >"$work/limited"
	[ "$(sed -n 's/^ *"limit": *"\([a-z]*\)",*$/\1/p' "$work/limited")" = "$limit" ] &&
		[ "$(count states_legal "$work/limited")" -gt 10 ]
}
check "--time ends a search, which says so" limited time --time 1 "$work/six.txt" -- sleep 2
check "no check begins when the time is over" [ "$(count states_checked "$work/limited")" -le 1 ]
check "negative control: without --time all states are checked, and no limit is named" \
	limited "" "$work/six.txt" -- true
check "--states ends a search, which says so" limited states --states 5 "$work/six.txt" -- true
check "--states is the number of states that are checked" [ "$(count states_checked "$work/limited")" = 5 ]

# ---- Without a checker

check "--checker none finds stores that were never flushed" \
	[ "$(status_of --checker none "$work/six.txt")" = 1 ]
check "--checker none counts the stores that were never flushed" \
	grep -q ' 6 stores that were never flushed' "$work/out"
cat >"$work/careless.txt" <<-'END'
	softpmem-trace 1
	file file=1 path="/" mode=040755
	create file=2 parent=1 name="log" mode=0100644
	t1 write 2+0x0 bytes=0102
	t1 store 2+0x40 u64=1
	t1 clwb 2+0x40
	t1 clwb 2+0x40
END
status_of --checker none --json "$work/careless.txt" >/dev/null
tells_all() {
	local kind
	for kind in unfenced redundant_flushes unsynced_file unsynced_directory; do
		grep -q "\"kind\": *\"$kind\"" "$work/out" || return 1
	done
}
check "its JSON has the flush without fence, the one in vain, and what was not synced" tells_all
# A sync of a file commits what was done to names before, as does mapping it.
cat >"$work/committed.txt" <<-'END'
	softpmem-trace 1
	file file=1 path="/" mode=040755
	create file=2 parent=1 name="log" mode=0100644
	truncate file=2 size=4096
END
commits() { # commits STATUS EVENT OPTIONS...
	echo "$2" | cat "$work/committed.txt" - >"$work/commits.txt"
	[ "$(status_of --checker none "${@:3}" "$work/commits.txt")" = "$1" ]
}
check "--checker none finds a name and a size that nothing has committed" commits 1 'mark "end"'
check "--checker none finds neither the name nor the size of a mapped file" commits 0 'map 2+0x0'
check "--checker none finds neither the name nor the size of a synced file" commits 0 'fsync file=2'
check "--checker none --metadata strict finds the name of a synced file" \
	commits 1 'fsync file=2' --metadata strict
check "--checker none --metadata durable finds no name and no size" \
	commits 0 'mark "end"' --metadata durable
check "negative control: of a careful program it finds nothing" \
	[ "$(status_of --checker none "$work/right.txt")" = 0 ]

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
	(cd "$work" && TMPDIR=$work "$softpmem" explore --workload "$@")
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

# --checker mount: a tree of files, that the command may change. What it changes is not in the next state.
cat >"$work/check-tree" <<-'END'
	#!/bin/sh
	[ "$1" = "$SOFTPMEM_STATE" ] && [ ! -e "$1/left" ] && : >"$1/left" || exit 8
	cd "$1" || exit 9
	[ -h a/link ] || exit 0
	[ "$(stat -c %a b):$(stat -c %a:%h a/one):$(readlink a/link):$(cat a/two)" = "$2" ]
END
chmod +x "$work/check-tree"
cat >"$work/tree" <<-'END'
	mkdir a b && : >b/file && chmod 550 b && printf abc >a/one && chmod 640 a/one && sync a/one
	ln a/one a/two && ln -s one a/link && sync a
END
tree() {
	workload "$(cat "$work/tree")" --checker mount -- "$work/check-tree" {} 550:640:2:one:abc
}
check "the checker mount gets the names, modes, links and bytes of a tree, afresh for each state" tree
check "negative control: with another mode of the directory the checker mount finds it" \
	[ "$(cd "$work" && status_of --checker mount softpmem.trace -- \
		"$work/check-tree" {} 551:640:2:one:abc)" = 1 ]
wrong "the checker mount refuses a trace that has no tree" \
	"has no tree of files" 1 --checker mount "$work/late.txt" -- true
wrong "the checker mount without a command is a usage error" \
	"takes a checker after --" 2 --checker mount "$work/late.txt"
fork_server=$abs_top_builddir/tests/explore/checker_commit
check "a fork server finds the record that is missing" \
	[ "$(status_of --checker fork-server "$work/late.txt" -- "$fork_server" print)" = 1 ]
replays_forked() {
	local command
	command=$(sed -n 's/^  replay: softpmem //p' "$work/out" | head -n 1)
	eval "$softpmem $command" >"$work/out"
	[ $? -eq 1 ] && grep -q 'a record is missing' "$work/out"
}
check "the command of a fork server's finding replays it" replays_forked
check "no daemon of the workload is left" test -z "$(pgrep -f "$work/softpmem-explore.*daemon" || true)"
check_fails "a workload that fails is told apart from a finding" "the workload has failed with status 3" \
	workload "exit 3" -- true
check_fails "--workload with --replay is a usage error" "--workload makes a trace" \
	"$softpmem" explore --workload true --replay 1n -- true
finish
