#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Recorded programs whose threads are cancelled or end anywhere, and that have few descriptors, little stack
# or few system calls.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
# shellcheck source=tests/record/recorded.bash
. "$abs_top_srcdir/tests/record/recorded.bash"
cancelled=$here/cancel_subject subject=$here/adverse_subject

daemon_start --region memfd:64M || bail "no daemon"

both "a program whose threads are cancelled while they store" timeout 60 "$cancelled" stores "$mnt/pool"
both "a program whose threads are cancelled in system calls" timeout 60 "$cancelled" calls "$mnt/pool"
both "a program that closes all descriptors" timeout 60 "$subject" closed "$mnt/pool"
both "a program whose threads have the least stack" timeout 60 "$subject" little-stack "$mnt/pool"
both "a program whose handlers have little stack" timeout 60 "$subject" signal-stack "$mnt/pool"
both "a program whose threads end in handlers" timeout 60 "$subject" ended "$mnt/pool"
both "a program whose threads end by exit(2) alone" timeout 60 "$subject" exits "$mnt/pool"
both "a program whose threads spawn others" timeout 60 "$subject" spawned "$mnt/pool"
both "a program that forbids itself most system calls" timeout 60 "$subject" known "$mnt/pool"

forks() {
	new_pool && recorded timeout 60 "$subject" forked "$mnt/pool" &&
		[ "$(<"$work/out")" = "50 processes have stored" ]
}
check "a program that makes processes by clone3(2) prints the same when it is recorded" forks
check "a program that makes processes by clone3(2): the trace replays to what the pool holds" replays

new_pool
check_fails "a program that forbids itself what a new store takes ends with the store's place" \
	"no stub can be made: mov at 0x[0-9a-f]*, bytes" \
	"$softpmem" record -o "$trace" -- timeout 60 "$subject" new "$mnt/pool"
check "negative control: it goes on when it is not recorded" "$softpmem" run -- "$subject" new "$mnt/pool"
check_fails "a program whose two threads have the same thread-local variables ends with clone's flags" \
	"clone.. with CLONE_VM, but without CLONE_SETTLS or CLONE_VFORK" \
	"$softpmem" record -o "$trace" -- timeout 60 "$subject" shared "$mnt/pool"
finish
