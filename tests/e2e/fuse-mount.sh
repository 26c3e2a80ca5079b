#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Mounting and unmounting: what is in the way, what a dead daemon left, what is still held.
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse

# A daemon that must fail to start, on the directory given.
refused() {
	check_fails "$1" "$2" "$softpmemd" --socket "$work/refused.sock" --region memfd:16M --mount "$3"
}

is_dead() {
	! stat -f "$mnt" >/dev/null 2>&1
}

refused "a mount point that does not exist is refused" "$work/none: .*[Nn]o such" "$work/none"
echo >"$work/file"
refused "a mount point that is not a directory is refused" "[Nn]ot a directory" "$work/file"

daemon_start --region "file:$work/region,64M" || bail "no daemon"
refused "a live daemon is mounted there" "another softpmemd is mounted there" "$mnt"
check "a refused mount does not disturb the first daemon" touch "$mnt/still"
printf durable >"$mnt/kept"
sync "$mnt/kept"
daemon_kill
check "a killed daemon leaves a dead mount" is_dead
daemon_start --region "file:$work/region" || bail "no daemon after one that was killed"
check "the next daemon replaces the dead mount and has the synced file" test "$(cat "$mnt/kept")" = durable
check "the log says that a dead mount was cleared" \
	grep -q "cleared the mount that a dead daemon left" "$work/daemon.log"
check "there is one mount, not two" test "$(grep -c " $mnt fuse" /proc/mounts)" -eq 1

# Held open and mapped, a dirty page in it, and nobody to unmap it in time.
mkfifo "$work/hold"
printf 'before the stop' >"$mnt/held"
sync "$mnt/held"
python3 -c '
import mmap, sys
with open(sys.argv[1], "r+b") as held:
    pages = mmap.mmap(held.fileno(), 15)
    pages[0:6] = b"AFTER!"
    print("stored", flush=True)
    sys.stdin.read()
' "$mnt/held" <"$work/hold" >"$work/holder" &
holder=$!
exec {hold}>"$work/hold"
check "a process stores through a mapping" await grep -q stored "$work/holder"
check "the daemon stops while a mapped file is dirty" daemon_stop
check "a stop removes the mount although a file is mapped" test ! -e "$mnt/held"
exec {hold}>&-
wait "$holder"
daemon_start --region "file:$work/region" || bail "no daemon after a stop"
check "a clean stop keeps stores of a mapping" test "$(cat "$mnt/held")" = "AFTER! the stop"
check "a stop with a dirty mapping counts as clean" \
	sh -c "'$softpmem' status | grep -q 'dirty shutdowns: *1\$'"

exec {open}<"$mnt/kept"
check_fails "umount is refused while a file is open" "busy" umount "$mnt"
exec {open}<&-
check "umount succeeds once the file is closed" fusermount3 -u "$mnt"
await sh -c "! kill -0 $daemon_pid 2>/dev/null"
check "a daemon whose mount was unmounted exits with status 0" wait "$daemon_pid"
daemon_pid=

daemon_start --region "file:$work/region" --read-only || bail "no daemon that only reads"
check "a read-only mount can be read" test "$(cat "$mnt/kept")" = durable
check_fails "a read-only mount cannot be written" "[Rr]ead-only" touch "$mnt/new"
check "a read-only daemon stops cleanly" daemon_stop

if [ "$(id -u)" -ne 0 ]; then
	skip "what only root can set up" "not root"
	finish
fi

daemon_start --region memfd:16M || bail "no daemon"
device=$(awk -v at="$mnt" '$5 == at { print $3 }' /proc/self/mountinfo)
check "as root the mount may fill memory with dirty pages" \
	test "$(cat "/sys/class/bdi/$device/max_ratio")" = 100
daemon_stop

mkdir "$work/foreign"
exec {fuse}<>/dev/fuse
mount -i -t fuse.foreign -o "fd=$fuse,rootmode=40000,user_id=0,group_id=0" foreign "$work/foreign"
exec {fuse}>&-
at_exit+=("umount -l '$work/foreign'")
refused "a dead mount of another file system is refused" "a dead mount of another file system" "$work/foreign"

check_fails "without /dev/fuse the message says how to load it" "/dev/fuse: .*modprobe fuse" \
	unshare -m sh -c "mount -t tmpfs none /dev && exec '$softpmemd' --region memfd:16M --mount '$mnt' \
		--socket '$work/refused.sock'"
finish
