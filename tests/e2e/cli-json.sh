#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What --json prints is JSON, and each of its members is in the manual page of the verb.
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse

cd "$work" || bail "no working directory"
docs=$abs_top_srcdir/docs

# members: the names of members in the JSON on standard input.
members() { grep -oE '"[a-z_0-9-]+":' | tr -d '":' | sort -u; }

# in_page PAGE NAME...: each member is a word of the page.
in_page() {
	local page=$1 name status=0
	shift
	for name; do
		grep -qE "(^|[^a-z_])$name([^a-z_]|\$)" "$page" || { echo "$name is not in $page"; status=1; }
	done
	return "$status"
}
# documented STATUS VERB WORD...: softpmem VERB WORD... ends with the status, and its members are in the page.
documented() {
	local want=$1 verb=$2 status
	shift 2
	"$softpmem" "$verb" "$@" >out
	status=$?
	[ "$status" -eq "$want" ] || { echo "status $status"; return 1; }
	# A second member, of a text that is not UTF-8, is explained for all verbs.
	mapfile -t names < <(members <out | sed 's/_escaped$//; s/_per_second$//' | sort -u)
	[ ${#names[@]} -gt 1 ] || { echo "no JSON"; return 1; }
	[ -z "${skip_members:-}" ] ||
		mapfile -t names < <(printf '%s\n' "${names[@]}" | grep -vxE "$skip_members")
	in_page "$docs/softpmem-$verb.1" "${names[@]}"
}

# silent VERB WORD...: softpmem VERB WORD... fails with status 1, a message, and nothing on standard output.
silent() {
	local status
	"$softpmem" "$@" >out 2>err
	status=$?
	cat out
	[ "$status" -eq 1 ] && [ ! -s out ] && [ -s err ]
}
echo junk >junk
for line in status list "list -R" snapshot stat "stat --follow" check powerfail; do
	# shellcheck disable=SC2086 # words
	check "without a daemon $line --json prints no JSON" silent $line --json
	# shellcheck disable=SC2086 # words
	check "without a daemon $line prints no table" silent $line
done
for line in "check --json file:nowhere" "check --json file:junk" "regions --json --test file:nowhere" \
	"trace info --json nowhere" "trace info --json junk" "trace stat --json nowhere" \
	"trace stat --json junk" "trace stat --ndjson junk" "explore --json nowhere -- true" \
	"explore --json junk -- true" "explore --json --checker none junk" \
	"explore --json --replay 1n junk -- true" "report --format json junk"; do
	# shellcheck disable=SC2086 # words
	check "$line prints no JSON" silent $line
done

daemon_start --region memfd:64M --label $'strange\xff"' || bail "the daemon does not start"
mkdir "$mnt/d" && echo old >"$mnt/d/f" && sync "$mnt/d/f" "$mnt/d" && echo new >"$mnt/d/f" &&
	: >"$mnt/"$'odd\xff"\n'
"$softpmem" create --directory --metadata strict /own
"$softpmem" create --size 1M --mode sector:512 /sector
"$softpmem" snapshot / one
"$softpmem" mark $'\xff'
check "status --json has members that its page explains" documented 0 status --json
check "list --json has members that its page explains" documented 0 list --json
check "snapshot --json has members that its page explains" documented 0 snapshot --json
check "stat --json has members that its page explains" documented 0 stat --json --dirty
check "check --json has members that its page explains" documented 0 check --json
for line in "list --json /nowhere" "list --json --region nowhere" "stat --json /nowhere" \
	"stat --json --region nowhere" "check --json --region nowhere" "list /nowhere" "stat /nowhere"; do
	# shellcheck disable=SC2086 # words
	check "$line fails and prints no JSON and no table" silent $line
done
"$softpmem" snapshot --drop one
empty_array() { [ "$("$softpmem" snapshot --json)" = "[]" ]; }
check "negative control: snapshot --json of no snapshot is an empty array" empty_array
# What is not durable is lost.
echo newer >"$mnt/d/f"
mv "$mnt/d/f" "$mnt/d/g"
(
	await "$softpmem" status --json >/dev/null
	for _ in $(seq 100); do
		"$softpmem" mark now
		sleep 0.05
	done
) >/dev/null 2>&1 &
marking=$!
check "powerfail --json has members that its page explains" \
	documented 0 powerfail --json --policy random --seed 1 --at-mark now --kill
kill "$marking"

cat >late.txt <<'END'
softpmem-trace 1
file file=1 size=4096 path="log"
t1 store 1+0x0 u64=1
t1 clwb 1+0x0
t1 sfence
t1 store 1+0x40 u64=7
t1 clwb 1+0x40
t1 sfence
mark "done"
t1 store 1+0x80 u64=7
END
# Names of kinds of events and of properties are members, too.
skip_members='file|store|clwb|sfence|mark|end' \
	check "trace info --json has members that its page explains" documented 0 trace info --json late.txt
check "trace stat --json has members that its page explains" documented 0 trace stat --json late.txt
# shellcheck disable=SC2016 # for the shell that checks
check "explore --json has members that its page explains" documented 1 explore --json late.txt -- \
	sh -c 'test $(od -An -td8 -j64 -N8 "$1") -eq 0' sh {}
check "explore --json --checker none has members that its page explains" \
	documented 1 explore --json --checker none late.txt
check "explore --json --replay has members that its page explains" \
	documented 1 explore --json --replay 3n late.txt -- false
# shellcheck disable=SC2016 # for the shell that checks
check "torture --json has members that its page explains" \
	documented 1 torture --json --workload 'echo >a; echo done' \
	--check 'test -e a || test ! -s "$SOFTPMEM_ACKNOWLEDGED"'
if "$softpmem" regions >/dev/null 2>&1; then
	"$softpmem" regions --json >regions.out
	mapfile -t names < <(members <regions.out)
	check "regions --json has members that its page explains" \
		in_page "$docs/softpmem-regions.1" "${names[@]}"
fi
check_fails "negative control: a member that a page lacks is reported" 'moon is not in' \
	in_page "$docs/softpmem-list.1" path moon
finish
