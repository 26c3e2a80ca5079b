#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Files that any process cuts, punches or makes longer while a program maps them in any form.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse
forms=$abs_top_builddir/tests/pmdk/changed_forms

daemon_start --region memfd:128M || bail "no daemon"
mkdir "$mnt/files" "$mnt/control"
check "each change by each process shows in each form of a mapping, and so do later stores" \
	"$softpmem" run -- "$forms" run "$mnt/files"
"$softpmem" powerfail --policy lose >/dev/null
check "what was persisted after each change survives a power failure" "$forms" verify "$mnt/files"
SOFTPMEM_TEST_SKIP_FLUSH=1 "$softpmem" run -- "${faulty[@]}" "$forms" run "$mnt/control" >/dev/null
"$softpmem" powerfail --policy lose >/dev/null
check_fails "negative control: without its flush it is lost in all of them" \
	"^384 combinations, 288 failures" "$forms" verify "$mnt/control"
check "check finds no damage" "$softpmem" check
check "the daemon stops cleanly" daemon_stop
finish
