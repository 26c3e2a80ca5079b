#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Programs that flush and fence by instructions of their own. See inline_program.c.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse

programs=$abs_top_builddir/tests/pmdk
export INLINE_LIBRARY=$programs/inline_library.so
flags=$(grep -m 1 '^flags' /proc/cpuinfo)
daemon_start --region memfd:64M || bail "the daemon does not start"
"$softpmem" create --size 1M pool

# runs OPTIONS WAY WORD: the program says that it has persisted; then the power fails and it is killed.
runs() {
	local options=$1 program=$programs/inline_program pid
	shift
	# Else the power could fail because the program before this one has said so.
	: >"$work/out"
	# shellcheck disable=SC2086 # options are words
	"$softpmem" run $options -- "$program" "$1" "$mnt/pool" "$2" >"$work/out" 2>"$work/err" &
	pid=$!
	await grep -qs '^persisted$' "$work/out" || { cat "$work/err"; kill "$pid"; return 1; }
	"$softpmem" powerfail --policy lose >/dev/null || return
	wait "$pid"
	[ $? -eq 137 ]
}
word() {
	od -An -tx8 -j $(($1 * 4096)) -N 8 "$mnt/pool" | tr -d ' '
}
# survives OPTIONS WAY WORD, is_lost OPTIONS WAY WORD: the word after the power failure.
survives() { runs "$@" && [ "$(word "$3")" = 0123456789abcdef ]; }
is_lost() { runs "$@" && [ "$(word "$3")" = 0000000000000000 ]; }
at=0
next() { at=$((at + 1)); }

ways=(clflush lock xchg failed alone late watched thread)
case $flags in *clflushopt*) ways+=(clflushopt) ;; esac
case $flags in
*clwb*) ways+=(clwb) ;;
*) ways=(clflush alone) ;;
esac
for way in "${ways[@]}"; do
	next
	check "what a program persists by instructions survives: $way" survives "" "$way" "$at"
done
case $flags in
*clwb*)
	next
	check "negative control: what was flushed by an instruction and not fenced is lost" \
		is_lost "" nothing "$at"
	next
	check "run --no-inline loses what a program persists by instructions" is_lost --no-inline clwb "$at"
	;;
esac
check "MAP_SYNC is granted where flushes are seen" \
	grep -qx granted <("$softpmem" run -- "$programs/inline_program" sync "$mnt/pool")
check "MAP_SYNC is refused where flushes are not seen" \
	grep -qx 'refused: EOPNOTSUPP' \
	<("$softpmem" run --no-inline -- "$programs/inline_program" sync "$mnt/pool")
finish
