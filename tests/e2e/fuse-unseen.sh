#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What the kernel caches, and that it is told when that is no longer so. Each
# change is made twice: once unseen by the mount, when the cache must show what
# was, or the other half of the test proves nothing.
. "$abs_top_srcdir/tests/lib.sh"

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

check "a file with durable bytes" write_synced file durable
check "and others over them" write_volatile file VOLATIL
check "a power failure behind the mount's back" tell fail-unseen lose 0
check "is not seen: the cache gives what the pool no longer holds" holds file VOLATIL
check "which is" pool_holds file durable
check "the same again" write_synced other durable
check "with a power failure the mount knows of" write_volatile other VOLATIL
check "namely this one" tell fail lose 0
check "is seen" holds other durable

check "a file" write_synced scribbled before
check "that is cached" holds scribbled before
check "is changed unseen" tell scribble-unseen scribbled behind
check "which does not show" holds scribbled before
check "is changed and said so" tell scribble scribbled after!
check "which shows" holds scribbled after!

check "no such file" test ! -e "$mnt/made"
check "made unseen" tell make-unseen made
check "is still not there" test ! -e "$mnt/made"
check "no such file either" test ! -e "$mnt/told"
check "made and said so" tell make told
check "is there" test -e "$mnt/told"
check "destroyed unseen" tell destroy-unseen told
check "is still there" test -e "$mnt/told"
check "made, seen" tell make brief
check "looked at" test -e "$mnt/brief"
check "destroyed and said so" tell destroy brief
check "is gone" test ! -e "$mnt/brief"

exec {commands}>&-
check "the end of its input ends it" wait "$bare_pid"
check "and its mount" test ! -e "$mnt/file"
finish
