#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# When the kernel checks permissions on the mount, and what is refused when it does not.
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse

kernel_checks() { grep -q " $mnt fuse.*[ ,]default_permissions[ ,]" /proc/self/mounts; }
kernel_checks_nothing() { ! kernel_checks; }

daemon_start --region memfd:64M || bail "no daemon"
if [ "$(id -u)" -ne 0 ]; then
	check "the kernel checks permissions of a user who is not root" kernel_checks
	finish
fi

check "the kernel checks no permissions where root alone may enter" kernel_checks_nothing
printf '#!/bin/sh\nexit 0\n' >"$mnt/script"
chmod 0 "$mnt/script"
check "root reads a file that nobody may read" grep -q exit "$mnt/script"
check_fails "root does not execute a file that nobody may execute" 'Permission denied' "$mnt/script"
check "access(2) says so" test ! -x "$mnt/script"
chmod 010 "$mnt/script"
check "root executes a file that others may execute" "$mnt/script"
check "access(2) says that too" test -x "$mnt/script"
mkdir -m 0 "$mnt/closed"
# shellcheck disable=SC2016 # for the inner shell
check "root enters a directory that nobody may enter" sh -c 'cd "$1" && : >file' - "$mnt/closed"
chmod 755 "$work" # so that it is the mount that refuses
chmod 755 "$mnt"
check_fails "another user does not get into the mount" 'Permission denied' \
	setpriv --reuid 65534 --regid 65534 --clear-groups ls "$mnt"
check "the daemon stops" daemon_stop

daemon_start --region memfd:64M --allow-other || bail "no daemon with --allow-other"
check "the kernel checks permissions where others may enter" kernel_checks
check "the daemon of others stops" daemon_stop

weaken=(setpriv --bounding-set=-dac_override)
# shellcheck disable=SC2016 # for the script
printf '#!/bin/sh\nexec %s "$0.real" "$@"\n' "${weaken[*]}" >"$work/softpmemd"
ln -s "$softpmemd" "$work/softpmemd.real"
chmod +x "$work/softpmemd"
softpmemd=$work/softpmemd
daemon_start --region memfd:64M || bail "no daemon without a capability"
check "the kernel checks permissions of a root that may not do all" kernel_checks
install -m 0 /dev/null "$mnt/closed"
check_fails "such a root does not write to a file that nobody may write to" 'Permission denied' \
	"${weaken[@]}" cp /etc/passwd "$mnt/closed"
finish
