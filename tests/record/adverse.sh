#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Recorded programs whose threads are cancelled or end anywhere, and that have few descriptors, little stack
# or few system calls.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse
# shellcheck source=tests/record/recorded.bash
. "$abs_top_srcdir/tests/record/recorded.bash"
cancelled=$here/cancel_subject subject=$here/adverse_subject

daemon_start --region memfd:64M || bail "no daemon"

both "a program whose threads are cancelled while they store" timeout 60 "$cancelled" stores "$mnt/pool"
both "a program whose threads are cancelled in system calls" timeout 60 "$cancelled" calls "$mnt/pool"
both "a program that closes all descriptors" timeout 60 "$subject" closed "$mnt/pool"
both "a program whose threads have the least stack" timeout 60 "$subject" little-stack "$mnt/pool"
both "a program with a context" timeout 60 "$subject" context "$mnt/pool"
both "a program whose handlers have little stack" timeout 60 "$subject" signal-stack "$mnt/pool"
both "a program whose threads end in handlers" timeout 60 "$subject" ended "$mnt/pool"
both "a program whose threads end by exit(2) alone" timeout 60 "$subject" exits "$mnt/pool"
both "a program whose threads spawn others" timeout 60 "$subject" spawned "$mnt/pool"
both "a program that has libc store while all signals are blocked" \
	timeout 60 "$subject" all-blocked "$mnt/pool"
both "a program that forbids itself most system calls" timeout 60 "$subject" known "$mnt/pool"

both "a program that makes processes by _Fork() and clone()" timeout 60 "$subject" functions "$mnt/pool"
forks() {
	new_pool && recorded timeout 60 "$subject" forked "$mnt/pool" &&
		[ "$(<"$work/out")" = "50 processes have stored" ]
}
check "a program that makes processes by clone3(2) prints the same when it is recorded" forks
check "a program that makes processes by clone3(2): the trace replays to what the pool holds" replays

kills() {
	new_pool && recorded timeout 60 "$subject" killed "$mnt/pool" &&
		[ "$(<"$work/out")" = "40 are killed" ]
}
# A thread that is killed between its store and its event leaves it open what it has stored.
replays_or_tells() {
	"$here/same_contents" "$trace" /pool "$mnt/pool" ||
		"$softpmem" trace info "$trace" | grep 'events were lost, '
}
check "a program that stores where its children are killed while they store goes on" kills
check "its trace replays to what the pool holds, or says that events are lost" replays_or_tells
says_as_trace() {
	diff <("$softpmem" trace info "$trace" | grep -o 'events were lost, [0-9]* time') \
		<(grep -o 'events were lost, [0-9]* time' "$work/err")
}
check "record says how often events were lost, as the trace does" says_as_trace

new_pool
check_fails "a program that forbids itself what a new store takes ends with the store's place" \
	"no stub can be made: mov at 0x[0-9a-f]*, bytes" \
	"$softpmem" record -o "$trace" -- timeout 60 "$subject" new "$mnt/pool"
check "negative control: it goes on when it is not recorded" "$softpmem" run -- "$subject" new "$mnt/pool"
check_fails "a program with an instruction that is not covered ends with its name, place and bytes" \
	"does not cover stores to a pool: movsb at 0x[0-9a-f]*, bytes 67 a4" \
	"$softpmem" record -o "$trace" -- timeout 60 "$subject" uncovered "$mnt/pool"
check "negative control: it goes on when it is not recorded" \
	"$softpmem" run -- "$subject" uncovered "$mnt/pool"
# refused_stack WHAT FUNCTION
refused_stack() {
	check_fails "a program that gives $2() a stack in its pool ends with that name" \
		"a stack cannot be in a pool while it is recorded: $2" \
		"$softpmem" record -o "$trace" -- timeout 60 "$subject" "$1" "$mnt/pool"
	check "negative control: $2() takes it when it is not recorded" \
		"$softpmem" run -- "$subject" "$1" "$mnt/pool"
}
refused_stack thread-in-pool pthread_create
refused_stack context-in-pool makecontext
refused_stack process-in-pool clone
check_fails "a program whose two threads have the same thread-local variables ends with clone's flags" \
	"clone.. with CLONE_VM, but without CLONE_SETTLS or CLONE_VFORK" \
	"$softpmem" record -o "$trace" -- timeout 60 "$subject" shared "$mnt/pool"
finish
