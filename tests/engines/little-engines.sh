#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# softpmem torture finds the mistake of each of ten little engines, and nothing in the same engine without it.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse

export TMPDIR=$work
engine=$abs_top_builddir/tests/engines/little_engines

# tortured STATUS ENGINE buggy|fixed OPTION...: a campaign that ends with this status.
tortured() {
	local wanted=$1 name=$2 which=$3 status
	shift 3
	"$softpmem" torture "$@" --setup "$engine $name setup" --workload "$engine $name $which" \
		--check "$engine $name check" >"$work/report" 2>&1
	status=$?
	cat "$work/report"
	[ "$status" -eq "$wanted" ]
}

# A campaign that finds nothing takes long: this many of them. The explorer sees the others in
# little-explore.sh.
rounds controls 4 10

# mistake ENGINE SENTENCE OPTION...: the engine with the mistake and the one without it.
mistake() {
	local name=$1 what=$2
	shift 2
	check "torture finds $what" tortured 1 "$name" buggy "$@"
	[ $((controls--)) -gt 0 ] || return 0
	check "negative control: it finds nothing without $what" tortured 0 "$name" fixed "$@"
}

bytes=(--metadata ordered)
names=(--metadata strict)
mistake create "a file whose directory is not synced" --policy lose "${names[@]}"
mistake rename "a rename before the data is synced" --policy lose "${bytes[@]}"
mistake logs "a log that is removed before the name of the new one is synced" --policy random \
	"${names[@]}"
mistake journal "a journal that is not synced before the files change" --policy lose "${bytes[@]}"
mistake descriptor "an fsync of the wrong descriptor" --policy lose "${bytes[@]}"
mistake commit "a commit record in the same write as its data" --policy random "${bytes[@]}"
mistake truncate "a file that is truncated and then written in place" --policy keep
mistake reopen "an O_DSYNC that was forgotten when a file was opened again" --policy lose "${bytes[@]}"
mistake two-files "a commit of two files without an order between them" --policy lose "${bytes[@]}"
mistake swap "a name that is swapped by unlink and link" --policy keep
finish
