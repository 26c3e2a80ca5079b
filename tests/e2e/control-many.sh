#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Many pools in one directory: listing streams, takes the daemon no memory to speak of, and
# a client that stops reading in the middle holds nobody up.
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse

rounds many 40000 100000
memory() { # KiB the daemon has had at most, since it was last reset
	sed -n 's/^VmHWM:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$daemon_pid/status"
}
listed() {
	"$softpmem" list --json /many | grep -c '"path":'
}

daemon_start --region memfd:512M || bail "the daemon does not start"
mkdir "$mnt/many"
(cd "$mnt/many" && seq "$many" | xargs touch)
before=$(memory)
check "list --json shows every pool" test "$(listed)" = "$many"
check "the table of list shows every pool" test "$("$softpmem" list /many | grep -c ' /many/')" = "$many"
check "the table of list shows each pool once" \
	test "$("$softpmem" list /many | grep -o '/many/.*' | sort -u | wc -l)" = "$many"
check "a list takes less than 4 MiB of the daemon's memory" test $(($(memory) - before)) -lt 4096

# The pipe is full long before the list is at its end: from then on nobody reads the socket.
mkfifo "$work/stuck"
"$softpmem" list --json >"$work/stuck" &
stuck=$!
exec 8<"$work/stuck"
at_exit+=("kill $stuck")
read -r -u 8 first
check "a client that does not read begins a list" test "$first" = '['
check "status is answered while a client does not read" "$softpmem" status
check "list is answered while a client does not read" test "$(listed)" = "$many"
check "create and destroy are answered while a client does not read" \
	sh -c "'$softpmem' create --size 1M /many/new && '$softpmem' destroy /many/new"
check "the mount works while a client does not read" sh -c "echo x >'$mnt/many/file' && rm '$mnt/many/file'"
check "powerfail succeeds while a client does not read" "$softpmem" powerfail
check "the client that does not read is still connected" kill -0 "$stuck"
kill "$stuck"
exec 8<&-
check "check finds no damage" "$softpmem" check
check "destroy --recursive accepts many pools" "$softpmem" destroy --recursive /many
check "destroy --recursive removes many pools" test "$("$softpmem" list --json)" = '[]'
check "the daemon stops cleanly" daemon_stop
finish
