#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Programs that softpmem record runs: each prints what it prints unrecorded, and the replay of its trace is
# what the pool holds, byte for byte.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
here=$abs_top_builddir/tests/record
subject=$here/subject
trace=$work/trace

# The pool's file is read from the mount.
replays() { # [OFFSET]
	"$here/same_contents" "$trace" /pool "$mnt/pool" "$@"
}

new_pool() {
	rm -f "$mnt/pool" && truncate -s 1M "$mnt/pool"
}

# recorded COMMAND...: what it prints in $work/out, and what softpmem and it say in $work/err. Its status.
recorded() {
	"$softpmem" record -o "$trace" -- "$@" >"$work/out" 2>"$work/err"
}

# prints_the_same COMMAND...: run and recorded, each on a new pool that $create creates.
create=new_pool
prints_the_same() {
	rm -f "$mnt/pool" && $create && "$softpmem" run -- "$@" >"$work/expected" || return 1
	rm -f "$mnt/pool" && $create || return 1
	if ! recorded "$@"; then
		cat "$work/err"
		return 1
	fi
	diff "$work/expected" "$work/out"
}

# both NAME COMMAND...: two tests.
both() {
	local name=$1
	shift
	check "$name prints the same when it is recorded" prints_the_same "$@"
	check "$name: the trace replays to what the pool holds" replays
}

differs() {
	cp "$mnt/pool" "$work/copy" &&
		printf 'x' | dd of="$work/copy" bs=1 seek=4242 conv=notrunc status=none &&
		"$here/same_contents" "$trace" /pool "$work/copy"
}

source_lines() {
	"$softpmem" trace dump "$trace" | grep -q 'store.*# race subject.c:[0-9]'
}

daemon_start --region memfd:256M || bail "no daemon"

both "a program with two threads that race for lines" "$subject" threads "$mnt/pool"
check "the values of locked increments ascend by one in the trace" replays 0
check "its stores have source lines" source_lines
check_fails "negative control: a copy with one other byte differs from the trace" \
	"byte 0x1092 is 0x78" differs
both "a program whose threads store in destructors" "$subject" ends "$mnt/pool"
both "a program with a SIGSEGV handler of its own" "$subject" protection "$mnt/pool"
both "a program under a storm of SIGALRM whose handler stores to the same line" "$subject" storm "$mnt/pool"
both "a program with handlers on a small stack that interrupt each other" "$subject" small-stack "$mnt/pool"
both "a program that leaves a handler by siglongjmp" "$subject" leaves "$mnt/pool"
both "a libpmem program whose handler of SIGALRM persists too" "$here/persist_subject" "$mnt/pool"
both "a program that forks" "$subject" forks "$mnt/pool"
check "the values of locked increments of four processes ascend by one in the trace" replays 0
both "a program that starts others by posix_spawn and vfork" "$subject" spawns "$mnt/pool"
both "a program that reads from files and sockets into the pool" "$subject" kernel "$mnt/pool"
both "a program that maps, moves and unmaps" "$subject" mappings "$mnt/pool"

new_pool
check_fails "a program whose result the kernel cannot store ends with the function's name" \
	"the kernel cannot store to a pool while it is recorded: getcwd" \
	"$softpmem" record -o "$trace" -- "$subject" refused "$mnt/pool"
check "negative control: it gets its result when it is not recorded" \
	"$softpmem" run -- "$subject" refused "$mnt/pool"

if [ -e /lib/x86_64-linux-gnu/libz.so.1 ]; then
	both "a program that loads and unloads a library" "$subject" objects "$mnt/pool"
else
	skip "a program that loads and unloads a library" "no libz.so.1"
fi
if [ -x "$here/objects_subject" ]; then
	create=true
	both "a libpmemobj program" "$here/objects_subject" "$mnt/pool" 1 200
	both "a libpmemobj program with four threads" "$here/objects_subject" "$mnt/pool" 4 200
	create=new_pool
else
	skip "libpmemobj programs" "no libpmemobj"
fi
if command -v python3 >/dev/null; then
	both "a Python program" python3 "$abs_top_srcdir/tests/record/mapping.py" "$mnt/pool"
else
	skip "a Python program" "no python3"
fi
if command -v g++ >/dev/null &&
	g++ -O2 -pthread -o "$work/exceptions" "$abs_top_srcdir/tests/record/exceptions.cc"; then
	both "a C++ program that throws exceptions" "$work/exceptions" "$mnt/pool"
else
	skip "a C++ program that throws exceptions" "no C++ compiler"
fi
finish
