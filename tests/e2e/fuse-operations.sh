#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What POSIX and Linux say of files, on the mount.
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse

fileops=$abs_top_builddir/tests/e2e/fileops

# Without --allow-other the mount is one user's, and there is nobody to be kept out.
allow=()
[ "$(id -u)" -ne 0 ] || allow=(--allow-other)

daemon_start --region memfd:64M "${allow[@]}" || bail "no daemon"
relay "$fileops" "$mnt"
check "check finds no damage after all operations" "$softpmem" check
check "the daemon stops cleanly" daemon_stop

daemon_start --region memfd:64M "${allow[@]}" --threads 1 || bail "no daemon"
note "with one thread"
relay "$fileops" "$mnt"
check "the read-only daemon stops cleanly" daemon_stop
finish
