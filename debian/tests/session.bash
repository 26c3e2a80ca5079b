# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# The README's first session as a test: its commands are taken from the README, and what it says is checked.

# session README DIRECTORY: run the session with its mount on the empty directory. 0 if all of it holds.
session() {
	local script output
	script=$(awk '/^## /{ on = /A first session/ } on && /^    /{ print substr($0, 5) }' "$1" |
		sed "/^mkdir /d; s|/tmp/nvdimm|$2|g")
	[ -n "$script" ] || { echo "$1 has no first session"; return 1; }
	output=$(bash -eu -x -c "$script" 2>&1) || { printf '%s\n' "$output" "the session failed"; return 1; }
	printf '%s\n' "$output"
	# Before the power failure both rows are there, and after it the synced one, in a sound database.
	[ "$(grep -cx -e synced -e 'not synced' <<<"$output")" -eq 3 ] || { echo "wrong rows"; return 1; }
	grep -qx ok <<<"$output" || { echo "the integrity check did not pass"; return 1; }
}
