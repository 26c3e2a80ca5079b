# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What the loads of servers have in common.

# log_open: descriptor 3 is a log without a name, so that nothing is left of a load that is killed.
log_open() {
	local name
	name=$(mktemp "${TMPDIR:-/tmp}/softpmem-campaign.XXXXXX") && exec 3>>"$name" && rm "$name"
}

# log_show SED-SCRIPT: the last line of the log that the script prints.
log_show() { sed -n "$1" /dev/fd/3 | tail -n 1; }
