# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Sourced by every shell test: TAP, a private directory, and a private daemon, which are removed however the
# test ends.
#
#   . "$abs_top_srcdir/tests/lib.sh"
#   daemon_start --region memfd:64M
#   check "a file comes back" test -e "$mnt/file"
#   finish

set -u
: "${abs_top_srcdir:?run me through make check, or set abs_top_srcdir and abs_top_builddir}"
: "${abs_top_builddir:?}"
PATH=$abs_top_builddir:$PATH
# Some programs are in directories that are not in the PATH of ordinary users.
PATH=$PATH:/usr/sbin:/sbin
softpmemd=$abs_top_builddir/softpmemd
softpmem=$abs_top_builddir/softpmem

# In a build with sanitizers, softpmem run has the library loaded before the runtime of ASan that it needs.
sanitized=
if grep -q __asan_init "$softpmemd" 2>/dev/null; then
	# shellcheck disable=SC2034 # for those who source this
	sanitized=yes
	export ASAN_OPTIONS=verify_asan_link_order=0${ASAN_OPTIONS:+:$ASAN_OPTIONS}
fi

# softpmem run -- "${faulty[@]}" PROGRAM: with the faults that tests/pmdk/flush_faults.c lists.
# shellcheck disable=SC2034 # for those who source this
client_library=$abs_top_builddir/pmem/client/libpmem.so.1
faulty=(env "LD_PRELOAD=$abs_top_builddir/tests/pmdk/flush_faults.so:$client_library")

# Tests look at modes, and have other users come in.
umask 022
work=$(mktemp -d "${TMPDIR:-/tmp}/softpmem-test.XXXXXX") || exit 1
mnt=$work/mnt
shared=$work/shared
socket=$work/control.sock
export SOFTPMEM_SOCKET=$socket
mkdir "$mnt"
daemon_pid=
tests_run=0
tests_failed=0
at_exit=()

note() { printf '# %s\n' "$@"; }

# rounds VARIABLE SHORT LONG: set the variable to SHORT, or, with SOFTPMEM_TEST_LONG=1 (make check-long), to
# LONG.
rounds() {
	local number=$2
	[ "${SOFTPMEM_TEST_LONG:-0}" = 0 ] || number=$3
	printf -v "$1" %s "$number"
}

ok() {
	tests_run=$((tests_run + 1))
	printf 'ok %d - %s\n' "$tests_run" "$1"
}

not_ok() {
	tests_run=$((tests_run + 1))
	tests_failed=$((tests_failed + 1))
	printf 'not ok %d - %s\n' "$tests_run" "$1"
}

# check NAME COMMAND...: a test that passes if the command succeeds.
check() {
	local what=$1
	shift
	if "$@" >"$work/check.out" 2>&1; then
		ok "$what"
	else
		not_ok "$what"
		note "failed: $*"
		sed 's/^/#   /' "$work/check.out"
	fi
}

# check_fails NAME PATTERN COMMAND...: a test that passes if the command fails with a status below 128 (not
# by a signal) and its output matches the extended regular expression.
check_fails() {
	local what=$1 pattern=$2 status
	shift 2
	"$@" >"$work/check.out" 2>&1
	status=$?
	if [ "$status" -ne 0 ] && [ "$status" -lt 128 ] && grep -Eq -- "$pattern" "$work/check.out"; then
		ok "$what"
	else
		not_ok "$what"
		note "status $status, wanted a failure that says '$pattern': $*"
		sed 's/^/#   /' "$work/check.out"
	fi
}

# await COMMAND...: repeat the command until it succeeds, for at most half a minute.
await() {
	for _ in $(seq 600); do
		"$@" && return 0
		sleep 0.05
	done
	return 1
}

# relay COMMAND...: run a program that prints TAP, and report its tests, and its end as one more test.
relay() {
	local line ended=
	while IFS= read -r line; do
		case $line in
		"ok "*) ok "${line#ok * - }" ;;
		"not ok "*) not_ok "${line#not ok * - }" ;;
		1..*) ended=yes ;;
		*) printf '%s\n' "$line" ;;
		esac
	done < <("$@" 2>&1)
	check "${1##*/} ran to its end" test -n "$ended"
}

skip() {
	tests_run=$((tests_run + 1))
	printf 'ok %d - %s # SKIP %s\n' "$tests_run" "$1" "$2"
}

# needs_fuse: where no mount can be made, skip the whole test. To be called first.
needs_fuse() {
	[ -w /dev/fuse ] && return
	skip "$(basename "$0" .sh)" "/dev/fuse is missing, or this user may not open it"
	finish
}

bail() {
	printf 'Bail out! %s\n' "$*"
	exit 1
}

finish() {
	printf '1..%d\n' "$tests_run"
	[ "$tests_failed" -eq 0 ]
	exit
}

# trace_of_one_store: print a trace, as text, of a program that makes one store durable.
trace_of_one_store() {
	printf '%s\n' 'softpmem-trace 1' 'file file=1 size=4096 path="log"' \
		't1 store 1+0x0 u64=1' 't1 clwb 1+0x0' 't1 sfence'
}

# share PATH...: copy files of the build directory to $shared, where every user can run them. Another user
# may be unable to enter the build directory.
share() {
	local path
	chmod 711 "$work" || return 1
	for path; do
		install -D -m 755 "$abs_top_builddir/$path" "$shared/$path" || return 1
	done
}

# daemon_start [OPTION...]: start a daemon on $mnt and $socket, and wait until it is ready.
daemon_start() {
	"$softpmemd" --mount "$mnt" --socket "$socket" "$@" >>"$work/daemon.log" 2>&1 &
	daemon_pid=$!
	for _ in $(seq 300); do
		if "$softpmem" status >/dev/null 2>&1 && mountpoint -q "$mnt"; then
			return 0
		fi
		kill -0 "$daemon_pid" 2>/dev/null || break
		sleep 0.05
	done
	sed 's/^/# daemon: /' "$work/daemon.log"
	return 1
}

# daemon_stop: stop the daemon cleanly. The status is that of the daemon.
daemon_stop() {
	local status=0
	[ -n "$daemon_pid" ] || return 0
	kill -TERM "$daemon_pid" 2>/dev/null
	wait "$daemon_pid" || status=$?
	daemon_pid=
	return $status
}

# daemon_kill: kill the daemon as in a crash. The stale mount stays.
daemon_kill() {
	kill -KILL "$daemon_pid" 2>/dev/null
	wait "$daemon_pid" 2>/dev/null
	daemon_pid=
}

cleanup() {
	local status=$? i
	trap - EXIT
	for ((i = ${#at_exit[@]} - 1; i >= 0; i--)); do
		eval "${at_exit[$i]}" >/dev/null 2>&1
	done
	if [ -n "$daemon_pid" ]; then
		kill -TERM "$daemon_pid" 2>/dev/null
		for _ in $(seq 100); do
			kill -0 "$daemon_pid" 2>/dev/null || break
			sleep 0.05
		done
		kill -KILL "$daemon_pid" 2>/dev/null
		wait "$daemon_pid" 2>/dev/null
	fi
	if grep -q " $mnt fuse" /proc/mounts; then
		fusermount3 -u -z "$mnt" 2>/dev/null || umount -l "$mnt" 2>/dev/null
	fi
	if [ "$status" -ne 0 ] && [ -s "$work/daemon.log" ]; then
		tail -n 40 "$work/daemon.log" | sed 's/^/# daemon: /'
	fi
	rm -rf --one-file-system "$work"
	exit "$status"
}
trap cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# The address of a socket has at most 107 bytes: $work/home/softpmem/control.sock.attach is the longest.
[ ${#work} -le 73 ] || bail "the name of the directory TMPDIR is too long for sockets in it: $TMPDIR"
