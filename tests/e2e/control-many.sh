#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# 100,000 pools in one directory: listing streams, takes the daemon no memory to speak of, and
# a client that stops reading in the middle holds nobody up.
. "$abs_top_srcdir/tests/lib.sh" || exit 1

many=100000
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
check "all are listed" test "$(listed)" = "$many"
check "in the table too" test "$("$softpmem" list /many | grep -c ' /many/')" = "$many"
check "each once" test "$("$softpmem" list /many | grep -o '/many/.*' | sort -u | wc -l)" = "$many"
check "and the daemon took less than 4 MiB for it" test $(($(memory) - before)) -lt 4096

# The pipe is full long before the list is at its end: from then on nobody reads the socket.
mkfifo "$work/stuck"
"$softpmem" list --json >"$work/stuck" &
stuck=$!
exec 8<"$work/stuck"
at_exit+=("kill $stuck")
read -r -u 8 first
check "a list has begun" test "$first" = '['
check "others are answered" "$softpmem" status
check "others list" test "$(listed)" = "$many"
check "others make and destroy" \
	sh -c "'$softpmem' create --size 1M /many/new && '$softpmem' destroy /many/new"
check "the mount works" sh -c "echo x >'$mnt/many/file' && rm '$mnt/many/file'"
check "the power fails" "$softpmem" powerfail
check "it is still stuck" kill -0 "$stuck"
kill "$stuck"
exec 8<&-
check "sound" "$softpmem" check
check "all are destroyed" "$softpmem" destroy --recursive /many
check "wholly" test "$("$softpmem" list --json)" = '[]'
check "the daemon stops cleanly" daemon_stop
finish
