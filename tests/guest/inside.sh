# shellcheck shell=dash
# SPDX-License-Identifier: BSD-3-Clause
#
# For scripts inside a guest, which run under busybox: they print results in lines that guest_report turns
# into TAP on the host.

socket=/run/control.sock
export SOFTPMEM_SOCKET=$socket
daemon_pid=

ok() { echo "@ok $1"; }
not_ok() { echo "@not_ok $1"; }
note() { sed 's/^/@note /'; }

check() {
	local what=$1
	shift
	if "$@" >/tmp/out 2>&1; then
		ok "$what"
	else
		not_ok "$what"
		echo "failed: $*" | note
		note </tmp/out
	fi
}

# check_fails NAME PATTERN COMMAND...: the command must exit with an error, not by a signal, and print
# PATTERN.
check_fails() {
	local what=$1 pattern=$2 status
	shift 2
	"$@" >/tmp/out 2>&1
	status=$?
	if [ "$status" -ne 0 ] && [ "$status" -lt 128 ] && grep -Eq -- "$pattern" /tmp/out; then
		ok "$what"
	else
		not_ok "$what"
		echo "status $status, wanted a failure that says '$pattern': $*" | note
		note </tmp/out
	fi
}

# daemon_start OPTION...: start a daemon with its mount on /mnt. The mount is ready when this returns.
daemon_start() {
	softpmemd --mount /mnt --socket "$socket" "$@" >>/tmp/daemon.log 2>&1 &
	daemon_pid=$!
	for _ in $(seq 200); do
		softpmem status >/dev/null 2>&1 && grep -q ' /mnt fuse' /proc/mounts && return 0
		kill -0 "$daemon_pid" 2>/dev/null || break
		sleep 0.1
	done
	note </tmp/daemon.log
	return 1
}

daemon_stop() {
	kill -TERM "$daemon_pid"
	wait "$daemon_pid"
}

# status_field NAME: print a number from softpmem status --json.
status_field() {
	softpmem status --json | grep -o "\"$1\": *[0-9]*" | head -n 1 | grep -o '[0-9]*$'
}
