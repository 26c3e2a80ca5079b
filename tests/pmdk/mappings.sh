#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Mappings of pools follow mremap(2) and its relatives, and are users of their files.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse
mappings=$abs_top_builddir/tests/pmdk/mappings

daemon_start --region memfd:64M || bail "no daemon"
"$softpmem" create --size 256K pool
check "a program moves mappings and persists through them" "$softpmem" run -- "$mappings" move "$mnt/pool"
sed 's/^/# /' "$work/check.out"
"$softpmem" powerfail --policy lose >/dev/null
relay "$mappings" moved "$mnt/pool"
truncate -s 0 "$mnt/pool" && truncate -s 256K "$mnt/pool" && sync "$mnt/pool"
"$mappings" move "$mnt/pool" >"$work/out"
"$softpmem" powerfail --policy lose >/dev/null
check_fails "negative control: stores of a program that is not under run are lost" '^not ok' \
	"$mappings" moved "$mnt/pool"

cd "$mnt" || bail "no mount"
relay "$softpmem" run --no-inline -- "$mappings" rules pool
# The child flushed its own memory at the address of a mapping that it did not inherit.
page_of_parent() { dd if=pool bs=4096 skip=50 count=1 status=none | tr -d '\0'; }
check "the pool has what the parent stored" test "$(page_of_parent)" = p
"$softpmem" powerfail --policy lose >/dev/null
check "what the parent had persisted survives" test "$(page_of_parent)" = p
check "no unlinked file is left" test "$(ls "$mnt")" = pool
cd / || bail "no root"
check "check finds no damage" "$softpmem" check
finish
