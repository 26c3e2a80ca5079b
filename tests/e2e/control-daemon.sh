#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The daemon as a process: its socket, readiness, going to the background, its end, its privileges.
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse

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

check "the daemon starts" daemon_start --region memfd:64M
check "only the user may open the socket" test "$(stat -c %a "$socket")" = 600
check_fails "a second daemon at the same socket is refused" "$socket: a daemon answers there already" \
	"$softpmemd" --region memfd:64M --socket "$socket"
check_fails "a second daemon on the same mount is refused" "$mnt" \
	"$softpmemd" --region memfd:64M --mount "$mnt" --socket "$work/second.sock"
check "the first daemon still answers" "$softpmem" status
check "SIGTERM ends the daemon with status 0" daemon_stop
check "a stopped daemon removes its socket" test ! -e "$socket"
check "a stopped daemon removes its mount" sh -c "! mountpoint -q '$mnt'"
check "the log says that the daemon stopped" grep -q 'softpmemd: stopped$' "$work/daemon.log"

check "the daemon starts again" daemon_start --region memfd:64M
kill -INT "$daemon_pid"
check "SIGINT ends the daemon with status 0" wait "$daemon_pid"
daemon_pid=

check "the daemon starts a third time" daemon_start --region memfd:64M
daemon_kill
check "a killed daemon leaves its socket" test -S "$socket"
check "the next daemon replaces the stale socket" daemon_start --region memfd:64M
fusermount3 -u "$mnt" || umount "$mnt"
check "an unmount from outside ends the daemon with status 0" wait "$daemon_pid"
daemon_pid=
check "the log says that the mount has ended" grep -q 'stopping: the mount has ended' "$work/daemon.log"

echo mine >"$work/file"
check_fails "a file in the socket's place is refused" 'a file of another kind' \
	"$softpmemd" --region memfd:64M --socket "$work/file"
check "a file in the socket's place is left unchanged" test "$(cat "$work/file")" = mine
check_fails "a mount point that does not exist is refused" \
	"$work/nowhere: No such file or directory: make the directory" \
	"$softpmemd" --mount "$work/nowhere" --socket "$socket"
check_fails "a mount point that is a file is refused" \
	"$work/file" "$softpmemd" --mount "$work/file" --socket "$socket"
check_fails "--group with an unknown group is refused" 'group nobody-of-that-name: no such group' \
	"$softpmemd" --group nobody-of-that-name --socket "$socket"
check_fails "a mount point that has files is refused, and the message names the option" \
	"$work: the directory has files.*--nonempty" "$softpmemd" --mount "$work" --socket "$socket"
mkdir "$work/full" && touch "$work/full/file"
mnt=$work/full daemon_start --region memfd:64M --nonempty
check "a mount with --nonempty hides the files of its directory" test ! -e "$work/full/file"
check "the daemon that hides files stops" daemon_stop
check "the files are there again" test -e "$work/full/file"
total=$(($(awk '/^MemTotal|^SwapTotal/ { sum += $2 } END { print sum }' /proc/meminfo) * 2))
check "a region larger than memory is served" daemon_start --region "memfd:${total}K"
check "the log warns that there is less memory than the region has" \
	grep -q "region memfd:${total}K: this machine has only .* of memory available" "$work/daemon.log"
check "negative control: there is no warning about the smaller regions" \
	test "$(grep -c 'of memory available' "$work/daemon.log")" = 1
daemon_stop
check "a daemon that was refused leaves no socket" test ! -e "$socket"

# ---- --daemon
cd "$work" || bail "no working directory"
check "--daemon accepts relative paths" "$softpmemd" --daemon --region file:region,64M --mount mnt \
	--socket control.sock
check "the daemon answers once its parent has exited" "$softpmem" status
check "the mount is there once the parent has exited" mountpoint -q "$mnt"
pid=$("$softpmem" status --json | sed -n 's/^  "pid":\([0-9]*\).*/\1/p')
at_exit+=("kill $pid")
check "a daemon in the background has / as its working directory" test "$(readlink "/proc/$pid/cwd")" = /
check "a daemon in the background has no terminal" test "$(readlink "/proc/$pid/fd/2")" = /dev/null
check_fails "an error of a daemon in the background is printed by its parent" 'region file:region' \
	"$softpmemd" --daemon --region file:region --socket "$work/second.sock"
kill "$pid"
check "the daemon in the background ends" gone "$pid"
check "the relative socket is removed" test ! -e "$socket"
check "the region is released and has no damage" "$softpmem" check file:region

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
check "the daemon starts under a service manager" started
check "the daemon stops under a service manager" daemon_stop
if grep -q '^#define HAVE_SYSTEMD 1' "$abs_top_builddir/config.h"; then
	wait "$listener"
	check "the service manager was told READY=1" grep -qx 'READY=1' "$work/notified"
	check "the service manager was told STOPPING=1" grep -qx 'STOPPING=1' "$work/notified"
else
	skip "readiness" "built without libsystemd"
fi

touch "$work/journal"
stream=$(stat -c %d:%i "$work/journal")
JOURNAL_STREAM=$stream "$softpmemd" --region memfd:64M --socket "$socket" 2>"$work/journal" &
daemon_pid=$!
started
daemon_stop
check "lines for the journal have a priority" grep -q '^<5>ready: region memfd:64M' "$work/journal"
check "lines that do not go to the journal have no priority" sh -c "! grep '^<' '$work/daemon.log'"

# ---- Privileges
if [ "$(id -u)" = 0 ]; then
	daemon_start --region memfd:64M || bail "the daemon does not start"
	# one_of_all FIELD: what the field of all threads of the daemon is.
	one_of_all() { cat /proc/"$daemon_pid"/task/*/status | sed -n "s/^$1:[[:space:]]*//p" | sort -u; }
	# A build with a sanitizer has no sandbox.
	if ! nm "$softpmemd" | grep -q __asan_init; then
		check "no thread of root's daemon gains privileges by executing a program" \
			test "$(one_of_all NoNewPrivs)" = 1
		check "all threads of root's daemon have the filters of system calls and of mounting" \
			test "$(one_of_all Seccomp) $(one_of_all Seccomp_filters)" = "2 2"
	fi
	check "a daemon with a mount keeps CAP_DAC_READ_SEARCH, CAP_KILL, CAP_SYS_PTRACE and CAP_SYS_ADMIN" \
		grep -qx "CapPrm:.0*280024" "/proc/$daemon_pid/status"
	check "all threads of the daemon have the same capabilities" \
		test "$(cat /proc/"$daemon_pid"/task/*/status | grep CapEff | sort -u | wc -l)" = 1
	check "the daemon cannot gain other capabilities" \
		grep -qx "CapBnd:.0*280024" "/proc/$daemon_pid/status"
	daemon_stop
	"$softpmemd" --region memfd:64M --socket "$socket" >>"$work/daemon.log" 2>&1 &
	daemon_pid=$!
	check "a daemon without a mount starts" started
	check "a daemon without a mount keeps only CAP_KILL and CAP_SYS_PTRACE" \
		grep -qx "CapPrm:.0*80020" "/proc/$daemon_pid/status"
	daemon_stop

	# An unprivileged user: no root, no configuration. Not every machine opens /dev/fuse to
	# its users: here one that does is seen, by this daemon and who looks through its eyes.
	user=$work/user
	mkdir "$user" "$user/mnt"
	chown -R 65534:65534 "$user"
	share softpmem softpmemd || bail "the programs cannot be copied"
	mknod -m 666 "$work/fuse" c 10 229
	as_user=(setpriv --reuid 65534 --regid 65534 --clear-groups
		env -u SOFTPMEM_SOCKET XDG_RUNTIME_DIR="$user")
	# shellcheck disable=SC2016 # the inner shell's
	unshare -m sh -c 'mount --bind "$1" /dev/fuse && shift && exec "$@"' sh "$work/fuse" \
		"${as_user[@]}" "$shared/softpmemd" --region memfd:64M --mount "$user/mnt" \
		>"$work/user.log" 2>&1 &
	daemon_pid=$!
	export SOFTPMEM_SOCKET=$user/softpmem/control.sock
	if started; then
		inside=(nsenter -m -t "$daemon_pid")
		check "the daemon of a user without privileges answers create" \
			"${as_user[@]}" "$shared/softpmem" create --size 1M /pool
		check "the user can write and read on the mount" "${inside[@]}" "${as_user[@]}" \
			sh -c "echo hello >'$user/mnt/file' && grep hello '$user/mnt/file'"
		check "the default socket is in a directory of the user's own" \
			test "$(stat -c %a "$user/softpmem")" = 700
		check_fails "another user, even root, cannot read the user's mount" \
			'denied' "${inside[@]}" cat "$user/mnt/file"
		check "root may use the socket of another user's daemon" "$softpmem" status
		check "a user's daemon with a mount can execute fusermount3, which is setuid" \
			test "$(cat /proc/"$daemon_pid"/task/*/status | grep -c '^NoNewPrivs:.*1')" = 0
		check "powerfail works without root" "${as_user[@]}" "$shared/softpmem" powerfail
		check "powerfail without root loses unsynced bytes" "${inside[@]}" "${as_user[@]}" \
			sh -c "! grep hello '$user/mnt/file'"
		chmod 711 "$user/softpmem"
		chmod 666 "$SOFTPMEM_SOCKET"
		check_fails "other users may not use the socket" 'permission denied: only the daemon.s user' \
			setpriv --reuid 65533 --regid 65533 --clear-groups "$shared/softpmem" status
		check "the user's daemon ends with status 0 and unmounts" daemon_stop

		# Without XDG_RUNTIME_DIR the place is in /tmp, where others may have been first. These
		# programs have a /tmp of their own.
		mkdir -m 755 "$work/tmp" "$work/tmp/softpmem-65531"
		install -m 755 "$softpmem" "$softpmemd" "$work/tmp"
		# shellcheck disable=SC2016 # the inner shell's
		nobody=(unshare -m sh -c 'mount --bind "$1" /tmp && shift && exec "$@"' sh "$work/tmp"
			setpriv --reuid 65531 --regid 65531 --clear-groups
			env -u SOFTPMEM_SOCKET -u XDG_RUNTIME_DIR)
		check_fails "a daemon refuses a socket directory that belongs to somebody else" \
			'/tmp/softpmem-65531: belongs to another user' \
			"${nobody[@]}" /tmp/softpmemd --region memfd:64M
		check_fails "softpmem refuses a socket directory that belongs to somebody else" \
			'/tmp/softpmem-65531: belongs to another user' \
			"${nobody[@]}" /tmp/softpmem status
	else
		sed 's/^/# /' "$work/user.log"
		not_ok "an unprivileged user's daemon"
	fi
	export SOFTPMEM_SOCKET=$socket

	group=$(getent group | awk -F: '$3 > 0 && $3 < 65000 { print $1; exit }')
	gid=$(getent group "$group" | cut -d: -f3)
	"$softpmemd" --region memfd:64M --socket "$socket" --group "$group" >>"$work/daemon.log" 2>&1 &
	daemon_pid=$!
	check "a daemon starts with --group" started
	check "the socket belongs to the group" test "$(stat -c '%a %g' "$socket")" = "660 $gid"
	check "members of the group may use the socket" \
		setpriv --reuid 65533 --regid 65533 --groups "$gid" "$shared/softpmem" status
	marks_from=$SECONDS
	for ((i = 0; i < 22; i++)); do
		setpriv --reuid 65533 --regid 65533 --groups "$gid" "$shared/softpmem" mark "of a member $i"
		"$softpmem" mark "of root $i"
	done
	# On a busy machine the loop takes more than a minute.
	marks_most=$((20 * ((SECONDS - marks_from) / 60 + 1)))
	check "a user of the group causes at most 20 lines a minute in the log" \
		test "$(grep -c 'mark: of a member' "$work/daemon.log")" -le "$marks_most"
	check "negative control: the lines of root are not limited" \
		test "$(grep -c 'mark: of root' "$work/daemon.log")" = 22
	check_fails "users outside the group may not use the socket" 'Permission denied' \
		setpriv --reuid 65533 --regid 65533 --clear-groups "$shared/softpmem" status
	daemon_stop
fi
finish
