#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Memcheck reports nothing of what softpmem's libpmem does with a program's bytes.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse
padding=$abs_top_builddir/tests/pmdk/padding

type -P valgrind >/dev/null || { skip "memcheck" "Valgrind is not installed"; finish; }
daemon_start --region memfd:64M || bail "no daemon"
memcheck() { "$softpmem" run -- valgrind -q --error-exitcode=9 "$padding" "$mnt/pool" "$@"; }
check "memcheck does not report the padding of a struct that is persisted" memcheck
"$softpmem" powerfail --policy lose >/dev/null
check "what a program under memcheck persisted survives" \
	test "$(dd if="$mnt/pool" bs=64 skip=1 count=1 status=none | od -A n -t d8 -j 8 -N 8 | tr -d ' ')" = 2
check_fails "negative control: memcheck reports a branch on an uninitialised byte" 'uninitialised' \
	memcheck branch
finish
