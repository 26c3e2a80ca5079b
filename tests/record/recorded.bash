# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What the tests of recorded programs share.

here=$abs_top_builddir/tests/record
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
