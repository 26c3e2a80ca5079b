#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What the kernel caches, and that it is told when that is no longer so. Each
# change is made twice: once unseen by the mount, when the cache must show what
# was, or the other half of the test proves nothing.
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse

mkfifo "$work/commands" "$work/answers"
"$abs_top_builddir/tests/e2e/bare_mount" "$mnt" 64M <"$work/commands" >"$work/answers" 2>>"$work/daemon.log" &
bare_pid=$!
at_exit+=("kill $bare_pid")
exec {commands}>"$work/commands" {answers}<"$work/answers"

tell() {
	local answer
	echo "$*" >&"$commands"
	read -r -u "$answers" answer && [ "$answer" = ok ]
}

# Past the kernel's cache; a cached read would fill it.
pool_holds() {
	[ "$(dd if="$mnt/$1" iflag=direct bs=4096 count=1 status=none)" = "$2" ]
}

holds() {
	[ "$(cat "$mnt/$1")" = "$2" ]
}

write_synced() {
	printf %s "$2" >"$mnt/$1" && sync "$mnt/$1"
}

# In place, unsynced, and read back so that the cache has it.
write_volatile() {
	printf %s "$2" | dd of="$mnt/$1" conv=notrunc status=none && holds "$1" "$2"
}

for _ in $(seq 100); do
	mountpoint -q "$mnt" && break
	sleep 0.05
done

check "a file is written and synced" write_synced file durable
check "the bytes of the file are overwritten without a sync" write_volatile file VOLATIL
check "the pools lose power without telling the mount" tell fail-unseen lose 0
check "negative control: the kernel's cache still has the lost bytes" holds file VOLATIL
check "the pool has the synced bytes" pool_holds file durable
check "another file is written and synced" write_synced other durable
check "the bytes of the other file are overwritten without a sync" write_volatile other VOLATIL
check "power fails through the mount" tell fail lose 0
check "after a power failure through the mount the synced bytes are read" holds other durable

check "a file is written before the pool changes" write_synced scribbled before
check "the bytes of the file are in the kernel's cache" holds scribbled before
check "the pool is changed without telling the mount" tell scribble-unseen scribbled behind
check "negative control: the kernel's cache hides a change of the pool" holds scribbled before
check "the pool is changed and the mount is told" tell scribble scribbled after!
check "a change that the mount was told of is read" holds scribbled after!

check "a name does not exist on the mount" test ! -e "$mnt/made"
check "a pool of that name is created without telling the mount" tell make-unseen made
check "negative control: the kernel's cache hides a new name" test ! -e "$mnt/made"
check "another name does not exist on the mount" test ! -e "$mnt/told"
check "a pool of that name is created and the mount is told" tell make told
check "a new name that the mount was told of is found" test -e "$mnt/told"
check "the pool is destroyed without telling the mount" tell destroy-unseen told
check "negative control: the kernel's cache still has a destroyed name" test -e "$mnt/told"
check "a further pool is created and the mount is told" tell make brief
check "the name of the file is in the kernel's cache" test -e "$mnt/brief"
check "the pool is destroyed and the mount is told" tell destroy brief
check "a destroyed name that the mount was told of is gone" test ! -e "$mnt/brief"

exec {commands}>&-
check "the test daemon ends with its input" wait "$bare_pid"
check "the mount ends with the test daemon" test ! -e "$mnt/file"
finish
