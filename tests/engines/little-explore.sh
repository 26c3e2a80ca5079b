#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# softpmem explore finds the mistake of each of ten little engines in a recorded run, and nothing in the same
# engine without it.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse

engine=$abs_top_builddir/tests/engines/little_engines
rounds states 40 120
# A search that finds nothing takes long. little-engines.sh tortures the first engines without their mistakes.
rounds uncontrolled 4 0

# explored STATUS ENGINE buggy|fixed OPTION...: a search with this status. Its report is $work/report.
explored() {
	local wanted=$1 name=$2 which=$3 status
	shift 3
	(cd "$work" && "$softpmem" explore "$@" --states "$states" \
		--workload "$engine $name setup && $engine $name $which" -- "$engine" "$name" explored) \
		>"$work/report" 2>&1
	status=$?
	cat "$work/report"
	[ "$status" -eq "$wanted" ]
}
fails_in() { grep -q "it fails in the metadata mode $1 " "$work/report"; }

# mistake ENGINE SENTENCE MODE WEAKEST: the engine with the mistake and the one without it.
mistake() {
	local name=$1 what=$2 mode=$3 weakest=$4
	check "explore finds $what" explored 1 "$name" buggy --metadata "$mode"
	check "the weakest metadata mode that shows $what is $weakest" fails_in "$weakest"
	[ $((uncontrolled--)) -le 0 ] || return 0
	check "negative control: it finds nothing without $what" explored 0 "$name" fixed --metadata "$mode"
}

mistake create "a file whose directory is not synced" strict strict
mistake rename "a rename before the data is synced" ordered durable
mistake logs "a log that is removed before the name of the new one is synced" strict strict
mistake journal "a journal that is not synced before the files change" ordered durable
mistake descriptor "an fsync of the wrong descriptor" ordered durable
mistake commit "a commit record in the same write as its data" ordered durable
mistake truncate "a file that is truncated and then written in place" ordered durable
mistake reopen "an O_DSYNC that was forgotten when a file was opened again" ordered durable
mistake two-files "a commit of two files without an order between them" ordered durable
mistake swap "a name that is swapped by unlink and link" ordered durable

check "ordered does not show what only the letter of POSIX allows" explored 0 create buggy
explored 1 create buggy --metadata strict >/dev/null
replay=$(sed -n 's/^  replay: softpmem explore //p' "$work/report" | head -n 1)
check "the report names the operation that was lost" grep -q '^  lost: create of table\.[123], by event' \
	"$work/report"
replayed() { (cd "$work" && eval "$softpmem explore $replay") | grep -q 'failed with status 1'; }
check "the command of a finding restores its names and fails again" replayed
saves() {
	local state=${replay%% softpmem.trace*}
	(cd "$work" && eval "$softpmem explore $state --save saved softpmem.trace") &&
		[ "$(find "$work/saved" -name 'table.*' | wc -l)" -lt 3 ]
}
check "the saved state lacks a file" saves
finish
