#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The daemon as a process: its socket, readiness, going to the background, its end, its privileges.
. "$abs_top_srcdir/tests/lib.sh" || exit 1

# started: it answers within 15 seconds.
started() {
	for _ in $(seq 300); do
		"$softpmem" status >/dev/null 2>&1 && return 0
		kill -0 "$daemon_pid" || return 1
		sleep 0.05
	done
	return 1
}
gone() { # gone PID
	for _ in $(seq 300); do
		kill -0 "$1" 2>/dev/null || return 0
		sleep 0.05
	done
	return 1
}

check "it starts" daemon_start --region memfd:64M
check "its socket is the user's alone" test "$(stat -c %a "$socket")" = 600
check_fails "a second one at its socket is refused" "$socket: a daemon answers there already" \
	"$softpmemd" --region memfd:64M --socket "$socket"
check_fails "a second one on its mount is refused" "$mnt" \
	"$softpmemd" --region memfd:64M --mount "$mnt" --socket "$work/second.sock"
check "the first still answers" "$softpmem" status
check "SIGTERM ends it, status 0" daemon_stop
check "the socket is gone" test ! -e "$socket"
check "the mount is gone" sh -c "! mountpoint -q '$mnt'"
check "it said so" grep -q 'softpmemd: stopped$' "$work/daemon.log"

check "again" daemon_start --region memfd:64M
kill -INT "$daemon_pid"
check "SIGINT ends it, status 0" wait "$daemon_pid"
daemon_pid=

check "a third time" daemon_start --region memfd:64M
daemon_kill
check "killed, it leaves its socket" test -S "$socket"
check "which the next one replaces" daemon_start --region memfd:64M
fusermount3 -u "$mnt" || umount "$mnt"
check "unmounted from outside it ends, status 0" wait "$daemon_pid"
daemon_pid=
check "and says why" grep -q 'stopping: the mount has ended' "$work/daemon.log"

echo mine >"$work/file"
check_fails "a file in the socket's place is refused" 'a file of another kind' \
	"$softpmemd" --region memfd:64M --socket "$work/file"
check "and stays" test "$(cat "$work/file")" = mine
check_fails "no such mount point" "$work/nowhere: No such file or directory: make the directory" \
	"$softpmemd" --mount "$work/nowhere" --socket "$socket"
check_fails "a mount point that is a file" "$work/file" "$softpmemd" --mount "$work/file" --socket "$socket"
check_fails "no such group" 'group nobody-of-that-name: there is no such group' \
	"$softpmemd" --group nobody-of-that-name --socket "$socket"
check "and no socket stays" test ! -e "$socket"

# ---- --daemon
cd "$work" || bail "no working directory"
check "--daemon with relative paths" "$softpmemd" --daemon --region file:region,64M --mount mnt \
	--socket control.sock
check "is ready when the parent ends" "$softpmem" status
check "and mounted" mountpoint -q "$mnt"
pid=$("$softpmem" status --json | sed -n 's/^  "pid":\([0-9]*\).*/\1/p')
at_exit+=("kill $pid")
check "it has let go of its directory" test "$(readlink "/proc/$pid/cwd")" = /
check "and of the terminal" test "$(readlink "/proc/$pid/fd/2")" = /dev/null
check_fails "an error comes through" 'region file:region' \
	"$softpmemd" --daemon --region file:region --socket "$work/second.sock"
kill "$pid"
check "it ends" gone "$pid"
check "with its relative socket" test ! -e "$socket"
check "and nothing left over" "$softpmem" check file:region

# ---- Readiness, as a service manager hears it
"$abs_top_builddir/tests/e2e/notify_listener" "$work/notify" >"$work/notified" &
listener=$!
at_exit+=("kill $listener")
for _ in $(seq 100); do
	[ -S "$work/notify" ] && break
	sleep 0.05
done
NOTIFY_SOCKET=$work/notify "$softpmemd" --region memfd:64M --socket "$socket" >>"$work/daemon.log" 2>&1 &
daemon_pid=$!
check "under a service manager it starts" started
check "it stops" daemon_stop
if grep -q '^#define HAVE_SYSTEMD 1' "$abs_top_builddir/config.h"; then
	wait "$listener"
	check "it said when it was ready" grep -qx 'READY=1' "$work/notified"
	check "it said that it was stopping" grep -qx 'STOPPING=1' "$work/notified"
else
	skip "readiness" "built without libsystemd"
fi

touch "$work/journal"
stream=$(stat -c %d:%i "$work/journal")
JOURNAL_STREAM=$stream "$softpmemd" --region memfd:64M --socket "$socket" 2>"$work/journal" &
daemon_pid=$!
started
daemon_stop
check "for the journal each line has its priority" grep -q '^<5>ready: region memfd:64M' "$work/journal"
check "and only for the journal" sh -c "! grep '^<' '$work/daemon.log'"

# ---- Privileges
if [ "$(id -u)" = 0 ]; then
	daemon_start --region memfd:64M || bail "the daemon does not start"
	check "with a mount it keeps CAP_DAC_READ_SEARCH, CAP_KILL, CAP_SYS_PTRACE and CAP_SYS_ADMIN" \
		grep -qx "CapPrm:.0*280024" "/proc/$daemon_pid/status"
	check "in all threads" \
		test "$(cat /proc/"$daemon_pid"/task/*/status | grep CapEff | sort -u | wc -l)" = 1
	check "and can be given no others" grep -qx "CapBnd:.0*280024" "/proc/$daemon_pid/status"
	daemon_stop
	"$softpmemd" --region memfd:64M --socket "$socket" >>"$work/daemon.log" 2>&1 &
	daemon_pid=$!
	check "without one it starts" started
	check "and keeps CAP_KILL and CAP_SYS_PTRACE" grep -qx "CapPrm:.0*80020" "/proc/$daemon_pid/status"
	daemon_stop

	# An unprivileged user: no root, no configuration. Not every machine opens /dev/fuse to
	# its users: here one that does is seen, by this daemon and who looks through its eyes.
	user=$work/user
	mkdir "$user" "$user/mnt"
	chown -R 65534:65534 "$user"
	chmod 755 "$work"
	mknod -m 666 "$work/fuse" c 10 229
	as_user=(setpriv --reuid 65534 --regid 65534 --clear-groups
		env -u SOFTPMEM_SOCKET XDG_RUNTIME_DIR="$user")
	# shellcheck disable=SC2016 # the inner shell's
	unshare -m sh -c 'mount --bind "$1" /dev/fuse && shift && exec "$@"' sh "$work/fuse" \
		"${as_user[@]}" "$softpmemd" --region memfd:64M --mount "$user/mnt" >"$work/user.log" 2>&1 &
	daemon_pid=$!
	export SOFTPMEM_SOCKET=$user/softpmem/control.sock
	if started; then
		inside=(nsenter -m -t "$daemon_pid")
		check "an unprivileged user's daemon" "${as_user[@]}" "$softpmem" create --size 1M /pool
		check "serves its user" "${inside[@]}" "${as_user[@]}" \
			sh -c "echo hello >'$user/mnt/file' && grep hello '$user/mnt/file'"
		check "at a socket of his own" test "$(stat -c %a "$user/softpmem")" = 700
		check_fails "not even root looks into his mount" 'denied' "${inside[@]}" cat "$user/mnt/file"
		check "root may talk to it" "$softpmem" status
		check "power fails without root" "${as_user[@]}" "$softpmem" powerfail
		check "and takes what was not synced" "${inside[@]}" "${as_user[@]}" \
			sh -c "! grep hello '$user/mnt/file'"
		chmod 711 "$user/softpmem"
		chmod 666 "$SOFTPMEM_SOCKET"
		check_fails "others may not talk" 'permission denied: only the daemon.s user' \
			setpriv --reuid 65533 --regid 65533 --clear-groups "$softpmem" status
		check "it ends, and unmounts, status 0" daemon_stop

		# Without XDG_RUNTIME_DIR the place is in /tmp, where others may have been first.
		mkdir "/tmp/softpmem-65531"
		at_exit+=("rmdir /tmp/softpmem-65531")
		nobody=(setpriv --reuid 65531 --regid 65531 --clear-groups
			env -u SOFTPMEM_SOCKET -u XDG_RUNTIME_DIR)
		check_fails "a daemon avoids a place somebody else made" \
			'/tmp/softpmem-65531: it belongs to somebody' \
			"${nobody[@]}" "$softpmemd" --region memfd:64M
		check_fails "so does who talks to one" '/tmp/softpmem-65531: it belongs to somebody' \
			"${nobody[@]}" "$softpmem" status
	else
		sed 's/^/# /' "$work/user.log"
		not_ok "an unprivileged user's daemon"
	fi
	export SOFTPMEM_SOCKET=$socket

	group=$(getent group | awk -F: '$3 > 0 && $3 < 65000 { print $1; exit }')
	gid=$(getent group "$group" | cut -d: -f3)
	"$softpmemd" --region memfd:64M --socket "$socket" --group "$group" >>"$work/daemon.log" 2>&1 &
	daemon_pid=$!
	check "with --group" started
	check "the socket is the group's" test "$(stat -c '%a %g' "$socket")" = "660 $gid"
	check "whose members may talk" setpriv --reuid 65533 --regid 65533 --groups "$gid" "$softpmem" status
	check_fails "others may not" 'Permission denied' \
		setpriv --reuid 65533 --regid 65533 --clear-groups "$softpmem" status
	daemon_stop
fi
finish
