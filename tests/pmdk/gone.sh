#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The daemon stopped, the daemon dead, no daemon, the client killed.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse
survivor=$abs_top_builddir/tests/pmdk/survivor

library=$abs_top_builddir/pmem/client/libpmem.so.1
export SOFTPMEM_ATTACH=$socket.attach
# start COUNT: without `softpmem run` between us and the pid that is to be killed.
mode=count
start() {
	: >"$work/out"
	LD_PRELOAD=$library "$survivor" "$mode" "$mnt/pool" "$1" >"$work/out" 2>"$work/err" &
	client=$!
}
last_said() { tail -n 1 "$work/out"; }
has_said_enough() { [ "$(last_said)" -ge 20000 ] 2>/dev/null; }

# holds N: the pool of 1 MiB holds every number that can be expected after N, in its line, or a later one.
holds() {
	od -A n -v -t u8 -w64 "$mnt/pool" | awk -v last="$1" '
		{ line = NR - 1; expected = last - (last - line) % 16384
		  if (expected > last) expected -= 16384
		  if (expected > 0 && $1 < expected) {
			print "line " line ": " $1 " and not " expected
			exit 1
		  } }'
}

daemon_start --region memfd:64M || bail "no daemon"
"$softpmem" create --size 1M pool

for round in 1 2 3; do
	start 100000000
	check "a client persists numbers ($round)" await has_said_enough
	kill -KILL "$client"
	wait "$client" 2>/dev/null
	"$softpmem" powerfail --policy lose >/dev/null
	check "everything that a killed client had fenced survives ($round)" holds "$(last_said)"
done
check_fails "negative control: a number that was never acknowledged is reported as missing" \
	"and not" holds $(($(last_said) + 10000000))

# As a program does that becomes a daemon: our connection goes too, and with it the WPQ at the daemon's end.
mode=shut
for moment in 1 2 3; do
	start 100000000
	check "a client that closes foreign descriptors persists numbers ($moment)" await has_said_enough
	kill -KILL "$client"
	wait "$client" 2>/dev/null
	"$softpmem" powerfail --policy lose >/dev/null
	check "everything that it fenced survives ($moment)" holds "$(last_said)"
done
start 200000
check "a client that closes foreign descriptors ends normally" wait "$client"
check "a client that closes foreign descriptors prints no message" test ! -s "$work/err"
mode=count

# Far more than a ring holds: it must wait for the daemon, and lose nothing.
start 3000000
check "a client persists while its daemon is about to be stopped" await test -s "$work/out"
kill -STOP "$daemon_pid"
said_waiting() { grep -q "does not answer; waiting" "$work/err"; }
if await said_waiting; then
	ok "the client says what it waits for"
	check "the client waits while the daemon is stopped" kill -0 "$client"
	kill -CONT "$daemon_pid"
	check "the client goes on once the daemon continues" wait "$client"
	check "the client acknowledges its last number" test "$(last_said)" -eq 3000000
else
	kill -CONT "$daemon_pid"
	not_ok "the client says what it waits for"
fi
"$softpmem" powerfail --policy lose >/dev/null
check "everything that it acknowledged survives" holds "$(last_said)"

start 100000000
check "a client persists while its daemon is about to be killed" await has_said_enough
daemon_kill
wait "$client" 2>/dev/null
status=$?
check "the client of a killed daemon ends by a signal" test "$status" -gt 128
check "the client says that the daemon is gone" grep -q "softpmem: the daemon is gone" "$work/err"
fusermount3 -u -z "$mnt" 2>/dev/null

# Of a region that outlives the daemon: what was not drained is lost, from the end. ordered FILE: all entries
# up to what the head says, at most one after it, and no older ones.
ordered() {
	od -A n -v -t u8 -w64 "$1" | awk '
		NR == 1 { head = $1 }
		NR > 64 && $1 > most { most = $1 }
		NR > 64 { seen[NR - 65] = $1 }
		END { lines = NR - 64
		      if (head == 0 || most < head || most > head + 1) {
			      print "head " head ", newest entry " most
			      exit 1
		      }
		      for (i = head > lines ? head - lines + 2 : 1; i <= head; i++)
			      if (seen[i % lines] < i) { print "entry " i ": " seen[i % lines]; exit 1 } }'
}
mode=journal
for round in 1 2 3 4 5; do
	daemon_start --region "file:$work/region,64M" || bail "no daemon"
	# A new pool for each round: a round that ends early would leave newer entries of the round before.
	rm -f "$mnt/pool"
	"$softpmem" create --size 1M pool
	start 100000000
	check "a client writes a journal while its daemon is about to be killed ($round)" \
		await has_said_enough
	daemon_kill
	wait "$client" 2>/dev/null
	fusermount3 -u -z "$mnt" 2>/dev/null
	daemon_start --region "file:$work/region" || bail "no daemon"
	cp "$mnt/pool" "$work/found"
	check "the journal is as it was at one moment ($round)" ordered "$work/found"
	daemon_stop
done
mode=count
printf '\1' | dd of="$work/found" bs=1 seek=7 conv=notrunc status=none
check_fails "negative control: a journal whose head is ahead of its entries is reported" \
	"newest entry" ordered "$work/found"

# With caches that are persistent a flush has nothing to do, and would not notice.
for end in daemon_kill daemon_stop; do
	daemon_start --region memfd:64M --domain cpu_cache || bail "no daemon"
	"$softpmem" create --size 1M pool
	start 100000000000
	check "a client stores to persistent caches while its daemon is about to end ($end)" \
		await has_said_enough
	"$end"
	wait "$client" 2>/dev/null
	status=$?
	check "the client ends by a signal ($end)" test "$status" -gt 128
	check "the client says that the daemon is gone ($end)" \
		grep -q "softpmem: the daemon is gone" "$work/err"
	fusermount3 -u -z "$mnt" 2>/dev/null
done

LD_PRELOAD=$library "$survivor" ask >"$work/out" 2>"$work/err"
check "a program without a daemon runs with an ordinary libpmem" test "$(cat "$work/out")" = 0
check "a program without a daemon is told so" grep -q "softpmem: the daemon cannot be reached" "$work/err"
finish
