#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What a caller may do to the programs beside their arguments: closed descriptors, limits, directories for
# temporary files.
. "$abs_top_srcdir/tests/lib.sh" || exit 1

cd "$work" || bail "no working directory"
trace_of_one_store >once.txt

# ---- Closed descriptors ------------------------------------------------------------------

closed_in_daemon() { # closed_in_daemon: the descriptors 0 to 2 of a daemon that was started without them
	local pid link fd
	"$softpmemd" --region memfd:16M --socket "$work/closed.sock" <&- >&- 2>&- &
	pid=$!
	await "$softpmem" --socket "$work/closed.sock" status >/dev/null 2>&1
	for fd in 0 1 2; do
		link=$(readlink "/proc/$pid/fd/$fd")
		echo "$fd: $link"
		[ "$link" = /dev/null ] || echo "wrong"
	done >closed.out
	"$softpmem" --socket "$work/closed.sock" stop
	wait "$pid"
	cat closed.out
	! grep -q wrong closed.out
}
whole_without() { # whole_without REDIRECTION: record a trace with these descriptors closed
	rm -f softpmem.trace
	eval "'$softpmem' explore --states 1 --workload 'echo x >a' -- true $1"
	"$softpmem" trace info softpmem.trace && "$softpmem" trace info softpmem.trace | grep -q ', complete'
}
not_listed() {
	"$softpmem" trace stat once.txt >&-
}
check "a daemon that is started without standard files opens nothing in their place" closed_in_daemon
if [ -w /dev/fuse ]; then
	check "a trace is whole that was recorded with standard error closed" whole_without '2>&-'
	check "a trace is whole that was recorded with all standard files closed" whole_without '<&- >&- 2>&-'
else
	skip "a trace is whole that was recorded with standard error closed" "no /dev/fuse"
fi
check_fails "a closed standard output is a failure" 'cannot write' not_listed

# ---- Limits -----------------------------------------------------------------------------

too_large() { # with a limit of 1 KiB for files
	(
		ulimit -f 1
		exec "$@"
	) 2>&1 | cat
	return "${PIPESTATUS[0]}"
}
check_fails "a file beyond the limit of file sizes is a failure with a message" 'File too large' \
	too_large "$softpmem" explore once.txt -- true

# ---- The directory for temporary files ---------------------------------------------------

with_tmpdir() { # with_tmpdir VALUE COMMAND...
	(
		export TMPDIR=$1
		shift
		exec "$@"
	)
}
check_fails "a TMPDIR that is not there is named, with the reason" \
	"^softpmem: $work/nowhere: .*No such file or directory: set TMPDIR" \
	with_tmpdir "$work/nowhere" "$softpmem" explore once.txt -- true
check_fails "torture names it, too" "$work/nowhere: .*No such file or directory: set TMPDIR" \
	with_tmpdir "$work/nowhere" "$softpmem" torture --workload true --check true
in_memory() { # an empty TMPDIR is none: states are not put into the root directory
	# shellcheck disable=SC2016 # for the shell that checks
	with_tmpdir "" "$softpmem" explore once.txt -- sh -c 'case $1 in /softpmem*) exit 1 ;; esac' sh {}
}
check "an empty TMPDIR counts as none" in_memory

# ---- Signals ------------------------------------------------------------------------------

# A check that hangs, and tells who it is; its child would go on by itself.
cat >hang <<END
#!/bin/sh
sleep 600 &
echo \$! >>"$work/hanging"
wait
END
chmod +x hang
is_hanging() { [ -s hanging ]; }
all_ended() {
	local pid
	while read -r pid; do
		# A zombie has ended.
		! readlink "/proc/$pid/exe" || return 1
	done <hanging
}
at_exit+=("cat $work/hanging $work/hung | xargs kill -KILL")
# ends_its_checks SIGNAL WORD...: explore is ended by the signal while it runs checks; none of them is left.
ends_its_checks() {
	local signal=$1 pid
	shift
	[ ! -e hanging ] || cat hanging >>hung
	rm -f hanging
	# A shell starts what is in the background with SIGINT ignored.
	env --default-signal=INT "$softpmem" explore "$@" once.txt -- ./hang {} &
	pid=$!
	await is_hanging || return
	kill "-$signal" "$pid"
	wait "$pid"
	await all_ended
}
for signal in INT TERM HUP KILL; do
	check "SIG$signal to explore leaves no check behind" ends_its_checks $signal
done
check "SIGTERM to explore leaves no check of --replay behind" ends_its_checks TERM --replay 3n
finish
