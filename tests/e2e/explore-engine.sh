#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# softpmem explore --checker engine: a server is started on each crash state, asked, and stopped.
# shellcheck disable=SC2016 # the commands are for other shells
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1

if ! command -v jq >/dev/null; then
	skip "checkers that are engines" "jq is not installed"
	finish
fi
server=$abs_top_builddir/tests/explore/line_server
cd "$work" || exit 1
export TMPDIR=$work

# A line of the log, acknowledged; then one whose fence comes after its acknowledgement, or before it.
log() {
	cat <<-END
		softpmem-trace 1
		file file=1 size=4096 path="log"
		t1 store 1+0x0 u64=0x0a31000000000000
		t1 clwb 1+0x0
		t1 sfence
		t1 mark "1"
		t1 store 1+0x40 u64=0x0a32000000000000
		t1 clwb 1+0x40
	END
	[ "$1" = buggy ] || echo "t1 sfence"
	echo 't1 mark "2"'
	[ "$1" = fixed ] || echo "t1 sfence"
}
log buggy >buggy.txt
log fixed >fixed.txt

# The server must have the last line that was acknowledged.
start="exec $server serve {} \$SOFTPMEM_RUN/socket"
cat >ask <<END
#!/bin/sh
said=\$("$server" ask "\$SOFTPMEM_RUN/socket") || exit
last=
while read -r line; do last=\$line; done <"\$SOFTPMEM_MARKS"
case \$said in *"\$last"*) exit 0 ;; esac
echo "no line \$last"
exit 5
END
chmod +x ask

# explored STATUS OPTION...: a search or replay with this status; what it prints is in the file `out`.
explored() {
	local wanted=$1 status
	shift
	timeout 120 "$softpmem" explore --checker engine "$@" >out 2>&1
	status=$?
	cat out
	[ "$status" -eq "$wanted" ]
}
tells() { grep -q -e "$1" out; }
same() {
	jq -S 'del(.milliseconds, .trace)' "$1" >one && jq -S 'del(.milliseconds, .trace)' "$2" >other &&
		cmp one other
}
# All processes of servers have the name of this test's directory in their arguments or are this sleep.
sleeper="sleep 7.$$"
nothing_left() {
	! pgrep -af "^($server serve $work|$sleeper)"
}

check "a line that is acknowledged before it is fenced is found by asking the server" \
	explored 1 --jobs 1 --output one.json --start "$start" --ask ./ask buggy.txt
check "the finding has the status of the command that asks" tells 'the checker failed with status 5'
check "the finding has the last output of both" \
	tells 'the checker printed: no line 2.*the server printed: it serves'
command=$(sed -n 's/^  replay: softpmem //p' out | head -n 1)
name=$(sed -n 's/^explore --replay \([^ ]*\) .*/\1/p' <<<"$command")
replays() {
	eval "$softpmem $command" >replayed
	[ $? -eq 1 ] && grep -q 'no line 2' replayed
}
check "the command of the finding replays it" replays
check "negative control: the server that fences first has no finding" \
	explored 0 --start "$start" --ask ./ask fixed.txt
explored 1 --jobs 3 --output three.json --start "$start" --ask ./ask buggy.txt >/dev/null
check "the result does not depend on the number of jobs" same one.json three.json
cat >lock <<'END'
#!/bin/sh
mkdir "$TMPDIR/lock-$SOFTPMEM_WORKER" || exit 6
./ask
status=$?
rmdir "$TMPDIR/lock-$SOFTPMEM_WORKER"
exit $status
END
chmod +x lock
check "servers that run at the same time have different numbers" \
	explored 0 --jobs 3 --start "$start" --ask ./lock fixed.txt
check "no server is left" nothing_left
something_left() { ! nothing_left; }
$sleeper &
check "negative control: a process that is left is seen" await something_left
kill "$!"

# one STATUS OPTION...: one state only.
one() {
	local status=$1
	shift
	explored "$status" --replay "$name" "$@" buggy.txt
}

check "a server that ends before it answers is a finding of its own" \
	one 1 --start 'echo "no log"; exit 3' --ask 'exit 75'
check "the finding of a server that ended has its status" \
	tells 'saw the server end with status 3 before it answered'
check "the finding of a server that ended has its last output" \
	tells 'the server printed: no log'
check "a server that a signal ends before it answers is a finding of its own" \
	one 1 --start 'kill -SEGV $$' --ask 'exit 75'
check "the finding of a server that a signal ended has the signal" tells 'saw the server killed by signal 11'
check "a server that ends with 0 and leaves no process is a finding of its own" \
	one 1 --start 'true' --ask 'exit 75'
check "a server that never answers is a finding after --timeout" \
	one 1 --timeout 1 --start "$sleeper" --ask 'exit 75'
check "the finding says that a server that never answers was not ready" \
	tells 'saw no server that was ready in 1 s'
# shellcheck disable=SC2016  # the command that asks expands it
later='[ ! -e "$SOFTPMEM_RUN/asked" ] || exec sleep 1000; : >"$SOFTPMEM_RUN/asked"; exit 75'
check "the time may end while the question is asked once more" \
	one 1 --timeout 1 --start "$sleeper" --ask "$later"
check "the finding is the same then" tells 'saw no server that was ready in 1 s'
check "a server that --ready waits for in vain is a finding after --timeout" \
	one 1 --timeout 1 --start "$sleeper" --ready 'exit 1' --ask true
check "the finding says that a server that --ready waits for was not ready" \
	tells 'saw no server that was ready in 1 s'
check "a command that asks and hangs is told apart from a server that is not ready" \
	one 1 --timeout 1 --start "$sleeper" --ask "$sleeper"
check "the finding says that a command that hangs did not end" tells 'the checker did not end in 1 s'
check "no server and no command that asks is left after --timeout" nothing_left

check "--ready is repeated until it ends with 0, and then the server is asked" \
	one 1 --start "$start" --ready "$server ask \$SOFTPMEM_RUN/socket" --ask ./ask
check "the server's verdict is found" tells 'no line 2'
check "\$1 is the state's file, as {} is" \
	one 0 --start "$sleeper" --ask '[ "$1" = "{}" ] && [ "$1" = "$SOFTPMEM_IMAGE" ] && [ -f "$1" ]'

check "--stop stops the server in place of SIGTERM" \
	one 0 --start "trap 'echo no >$work/term' TERM; until [ -e $work/enough ]; do sleep 0.01; done" \
	--ask true --stop ": >$work/enough; echo stopped >$work/stopped"
check "the command of --stop was run, and there was no SIGTERM" test -s stopped -a ! -e term
check "without --stop the server is stopped by SIGTERM" one 0 --ask "test -e $work/ready" \
	--start "trap 'echo yes >$work/term; exit' TERM; : >$work/ready; while :; do sleep 0.01; done" \
	--ready "test -e $work/ready"
check "the server without --stop has received SIGTERM" test -s term

# Hostile servers: each is in a session of its own or ignores SIGTERM, and none is left.
check "a server that ignores SIGTERM is killed" \
	one 0 --start "trap '' TERM; : >\$SOFTPMEM_RUN/up; exec $sleeper" \
	--ready 'test -e $SOFTPMEM_RUN/up' --ask true
check "a server that ignores SIGTERM is not left" nothing_left
daemon="setsid sh -c 'setsid $server serve {} \$SOFTPMEM_RUN/socket & $sleeper &' & exit 0"
check "a server that goes to the background is asked" one 1 --start "$daemon" --ask ./ask
check "the answer of a server in the background is the verdict" tells 'no line 2'
check "no server in the background is left" nothing_left
check "a daemon that ends before it answers is found" \
	one 1 --start "setsid sh -c 'echo gone; exit 4' &" --ask 'exit 75'
check "the finding of a daemon that ended has its status" \
	tells 'saw the server end with status 4 before it answered'
check "a command that asks leaves nothing behind, either" \
	one 0 --start "$sleeper" --ask "setsid $sleeper & exit 0"
check "no process of a command that asks is left" nothing_left

killed_search() {
	local pid
	timeout 60 "$softpmem" explore --checker engine --jobs 2 --start "echo >$work/began; exec $sleeper" \
		--ask 'exit 75' buggy.txt >killed 2>&1 &
	pid=$!
	await test -s began || return 1
	# The signal is for softpmem: timeout would hand on no SIGKILL.
	pkill -KILL -P "$pid"
	wait "$pid"
	await nothing_left
}
check "the servers of a search that is killed end with it" killed_search

# A tree of a mount.
if [ -w /dev/fuse ]; then
	tree() {
		explored "$1" --start "$server serve {}/log \$SOFTPMEM_RUN/socket" --ask ./ask --workload "$2"
	}
	check "a file that is acknowledged before its fsync is found on the tree of a mount" \
		tree 1 'echo 1 >log && sync log . && echo 1 && echo 2 >>log && echo 2 && sync log'
	check "negative control: one that is acknowledged after its fsync is not" \
		tree 0 'echo 1 >log && sync log . && echo 1 && echo 2 >>log && sync log && echo 2'
else
	skip "the tree of a mount" "/dev/fuse is missing"
fi

refused() {
	local name=$1 pattern=$2
	shift 2
	refuses() { "$softpmem" explore "$@" >out 2>&1; [ $? -eq 2 ] && tells "$pattern"; }
	check "$name" refuses "$@"
}
refused "--checker engine needs a server" "takes --start and --ask" --checker engine --ask true buggy.txt
refused "--checker engine needs a question" "takes --start and --ask" --checker engine --start true buggy.txt
refused "--checker engine takes no checker" "no checker after --" \
	--checker engine --start true --ask true buggy.txt -- true
refused "--start is for --checker engine" "are for --checker engine" --start true buggy.txt -- true
refused "--depth 2 refuses --checker engine" "does not end when it has recovered" \
	--depth 2 --checker engine --start true --ask true buggy.txt
finish
