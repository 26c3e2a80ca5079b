#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The words of both programs: help, versions, and what wrong ones cost (exit status 2, before anything is
# touched).
. "$abs_top_srcdir/tests/lib.sh" || exit 1

# wrong PATTERN COMMAND...: exit status 2, and the pattern on stderr.
wrong() {
	local pattern=$1 status
	shift
	"$@" >"$work/out" 2>"$work/err"
	status=$?
	cat "$work/err"
	[ "$status" -eq 2 ] && [ ! -s "$work/out" ] && grep -Eq -- "$pattern" "$work/err"
}

fits_a_screen() {
	"$@" --help >"$work/help" && [ "$(wc -l <"$work/help")" -le 24 ] && ! grep -E '^.{81}' "$work/help"
}

check "softpmem --help fits a screen" fits_a_screen "$softpmem"
check "softpmemd --help fits a screen" fits_a_screen "$softpmemd"
for verb in run stat status list create destroy path powerfail mark format check regions; do
	check "softpmem $verb --help names its manual" grep -q "softpmem-$verb(1)" <("$softpmem" $verb --help)
	check "softpmem --help names $verb" grep -q "^  $verb " <("$softpmem" --help)
done
check "softpmem --version prints the version" grep -Eq '^softpmem [0-9.]+$' <("$softpmem" --version)
check "softpmemd --version prints the version" grep -Eq '^softpmemd [0-9.]+$' <("$softpmemd" --version)

check "softpmem without a verb is a usage error" wrong 'a verb is missing' "$softpmem"
check "an unknown verb is a usage error" wrong 'explode: there is no such verb' "$softpmem" explode
check "an unknown option is a usage error" wrong 'see softpmem --help' "$softpmem" status --loud
check "an option of another verb is a usage error" \
	wrong '--size: status does not take it' "$softpmem" status --size 1M
check "an option of a verb before the verb is a usage error" \
	wrong '--json: what comes before the verb' "$softpmem" --json list
check "a missing argument is a usage error" \
	wrong 'an argument is missing: usage: softpmem create' "$softpmem" create
check "an argument too many is a usage error" wrong 'too many arguments' "$softpmem" path /a /b
for size in "" -1 1.5G 64X " 1" 99999999999999999999; do
	check "create --size '$size' is a usage error" wrong '--size' "$softpmem" create --size "$size" /a
done
check "create --size with --directory is a usage error" \
	wrong 'a directory has none' "$softpmem" create --directory --size 1M /a
for perm in "" 8 644x 10000 -1 "+7"; do
	check "create --perm '$perm' is a usage error" wrong '--perm' "$softpmem" create --perm "$perm" /a
done
check "create with an unknown mode is a usage error" \
	wrong 'fsdax, sector or sector:512' "$softpmem" create --mode raw /a
check "powerfail with an unknown policy is a usage error" \
	wrong 'lose, keep or random' "$softpmem" powerfail --policy maybe
check "powerfail --seed without --policy random is a usage error" \
	wrong 'it is for --policy random' "$softpmem" powerfail --seed 1
for seed in "" -1 x 99999999999999999999 1x; do
	check "powerfail --seed '$seed' is a usage error" \
		wrong '--seed' "$softpmem" powerfail --policy random --seed "$seed"
done
for interval in "" 0 -1 x 1s 0.001 nan inf 1e9; do
	check "stat --interval '$interval' is a usage error" wrong '--interval' \
		"$softpmem" stat --follow --interval "$interval"
done
check "stat --interval without --follow is a usage error" \
	wrong 'it is for --follow' "$softpmem" stat --interval 1
check "stat --clean with an unknown word is a usage error" \
	wrong 'give on or off' "$softpmem" stat --clean maybe
check "mark with an empty text is a usage error" wrong '1 to 255 bytes' "$softpmem" mark ""
check "mark with 256 bytes is a usage error" wrong '1 to 255 bytes' "$softpmem" mark "$(printf '%256s' x)"
check "format of a memfd region is a usage error" \
	wrong 'gone when this command ends' "$softpmem" format memfd:64M
check "format with a label of 64 bytes is a usage error" wrong 'at most 63 bytes' \
	"$softpmem" format --label "$(printf '%64s' x)" file:/nowhere

check "softpmemd with an argument is a usage error" wrong 'no argument is expected' "$softpmemd" /mnt
check "softpmemd with an unknown domain is a usage error" \
	wrong 'memory_controller or cpu_cache' "$softpmemd" --domain disk
check "softpmemd with an unknown mode is a usage error" \
	wrong 'fsdax, sector or sector:512' "$softpmemd" --mode raw
check "softpmemd --threads 0 is a usage error" wrong 'from 1 to 1024' "$softpmemd" --threads 0
check "softpmemd --allow-other without a mount is a usage error" \
	wrong 'needs --mount' "$softpmemd" --allow-other
check "softpmemd --read-only with a mode is a usage error" \
	wrong 'no mode can be set' "$softpmemd" --read-only --mode sector
check "softpmemd with a label of 64 bytes is a usage error" \
	wrong 'at most 63 bytes' "$softpmemd" --label "$(printf '%64s' x)"
check "softpmemd with auto twice is a usage error" \
	wrong 'give it once' "$softpmemd" --region auto --region auto
check "softpmemd with a label twice is a usage error" wrong "another region's" \
	"$softpmemd" --region memfd:2M --label a --region memfd:2M --label a
many=()
for ((i = 0; i < 65; i++)); do
	many+=(--region memfd:2M)
done
check "softpmemd with 65 regions is a usage error" wrong 'at most 64' "$softpmemd" "${many[@]}"
check "list -R with a path is a usage error" wrong 'it lists all of them' "$softpmem" list -R /a
check "list -R with --region is a usage error" wrong 'it lists all of them' "$softpmem" list -R --region a
check "check with --region and a spec is a usage error" \
	wrong 'leave SPEC out' "$softpmem" check --region a file:/nowhere
check "-R with a verb that does not take it is a usage error" \
	wrong 'status does not take it' "$softpmem" status -R

# Without a daemon: 1, the socket, the way out.
for verb in stat status list "create /a" "destroy /a" "path /a" powerfail "mark x" check; do
	# shellcheck disable=SC2086 # words
	check_fails "softpmem $verb without a daemon fails and says how to start one" \
		"^softpmem: $socket: no daemon answers there: start softpmemd" "$softpmem" $verb
done
not_written() {
	"$softpmem" --help >/dev/full
}
check_fails "a standard output that cannot be written to is an error" 'cannot write' not_written
finish
