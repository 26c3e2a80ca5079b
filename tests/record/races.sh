#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Recorded programs in which threads store while others fork, map, protect and load.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse
# shellcheck source=tests/record/recorded.bash
. "$abs_top_srcdir/tests/record/recorded.bash"

daemon_start --region memfd:64M || bail "no daemon"

modes=(twice protects maps)
[ ! -e /lib/x86_64-linux-gnu/libz.so.1 ] || modes+=(loads)
for what in "${modes[@]}"; do
	both "a program with threads that store while another one does this: $what" \
		timeout 60 "$here/races_subject" "$what" "$mnt/pool"
	check "$what: the values of locked increments ascend by one in the trace" replays 0
done
both "a program that forks while its threads store" timeout 60 "$here/races_subject" forks "$mnt/pool"
for round in 1 2 3; do
	both "a program that forks while stores are found, round $round" \
		timeout 60 "$here/races_subject" sites "$mnt/pool"
done
finish
