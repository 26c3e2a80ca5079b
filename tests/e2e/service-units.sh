#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The units of systemd: what they leave open to a daemon that was taken over.
. "$abs_top_srcdir/tests/lib.sh" || exit 1

command -v systemd-analyze >/dev/null || { skip "the units" "systemd-analyze is not installed"; finish; }
units=$abs_top_builddir/src/daemon
# exposure_is_below TENTHS UNIT
exposure_is_below() { systemd-analyze security --offline=true --no-pager --threshold="$1" "$2"; }
starts() { # starts UNIT WORDS: with the program that is installed, and these words
	grep -Eqx "ExecStart=/[^ ]*/softpmemd $2" "$units/$1"
}
# shellcheck disable=SC2016 # systemd expands them
check "softpmemd.service starts the daemon" starts softpmemd.service '\$SOFTPMEMD_OPTIONS'
# shellcheck disable=SC2016
check "softpmemd-mount.service starts the daemon with a mount" \
	starts softpmemd-mount.service '--mount \$\{SOFTPMEMD_MOUNT\} \$SOFTPMEMD_OPTIONS'
check "the exposure of softpmemd.service is at most 3.0" exposure_is_below 30 "$units/softpmemd.service"
check "the exposure of softpmemd-mount.service, which can have no namespace of mounts, is at most 4.0" \
	exposure_is_below 40 "$units/softpmemd-mount.service"
grep -v '^Protect' "$units/softpmemd.service" >"$work/open.service"
check_fails "negative control: without its protections a unit is more exposed than that" 'exposure level' \
	exposure_is_below 30 "$work/open.service"
no_namespace() {
	! grep -E '^(ProtectSystem|ProtectHome|PrivateTmp|PrivateDevices|ProtectKernel|ProtectC.*Groups)' "$1"
}
check "no option of softpmemd-mount.service hides the mount from the machine" \
	no_namespace "$units/softpmemd-mount.service"
check_fails "negative control: such an option is found" ProtectSystem no_namespace "$units/softpmemd.service"
finish
