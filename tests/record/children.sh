#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Recorded programs whose children of vfork(2) have their memory, but signal handlers of their own.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse
# shellcheck source=tests/record/recorded.bash
. "$abs_top_srcdir/tests/record/recorded.bash"

daemon_start --region memfd:64M || bail "no daemon"

both "a program whose children of vfork() set signal handlers" \
	timeout 60 "$here/children_subject" "$mnt/pool"
finish
