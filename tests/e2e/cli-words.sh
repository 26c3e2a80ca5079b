#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The command lines of both programs: help, versions, and wrong command lines, which end with exit status 2
# before anything is touched.
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

verbs=(run stat status list create destroy rename resize path powerfail mark format check regions
	explore report torture trace record sync snapshot restore stop)
check "softpmem --help fits on a screen" fits_a_screen "$softpmem"
check "softpmemd --help fits on a screen" fits_a_screen "$softpmemd"
check "softpmem --help lists every verb that these tests know, and no other" \
	test "$("$softpmem" --help | sed -n 's/^  \([a-z-]*\) .*/\1/p' | sort)" = \
	"$(printf '%s\n' "${verbs[@]}" | sort)"
for verb in "${verbs[@]}"; do
	check "softpmem $verb --help fits on a screen" fits_a_screen "$softpmem" "$verb"
	check "softpmem $verb --help names the manual page" \
		grep -q "softpmem-$verb(1)" <("$softpmem" "$verb" --help)
done
check "softpmem --version prints the version" grep -Eq '^softpmem [0-9.]+$' <("$softpmem" --version)
check "softpmemd --version prints the version" grep -Eq '^softpmemd [0-9.]+$' <("$softpmemd" --version)

check "softpmem without a command is refused" wrong '^softpmem: a command is missing' "$softpmem"
check "an unknown command is refused" \
	wrong "^softpmem: unknown command 'frobnicate': see 'softpmem --help'" "$softpmem" frobnicate
check "a mistyped command is refused with a suggestion" \
	wrong "^softpmem: unknown command 'crate': did you mean 'create'\?" "$softpmem" crate /a
check "an unknown option is refused" wrong '^softpmem status: unknown option --loud' \
	"$softpmem" status --loud
check "a mistyped option is refused with a suggestion" \
	wrong '^softpmem list: unknown option --jsn: did you mean --json\?' "$softpmem" list --jsn
check "an unknown letter is refused" wrong '^softpmem status: unknown option -x' "$softpmem" status -x
check "an unknown option before the command is refused" wrong '^softpmem: unknown option --json' \
	"$softpmem" --json list
check "an option of another verb is refused" wrong '^softpmem status: unknown option --size' \
	"$softpmem" status --size 1M
check "an option without its value is refused" wrong '^softpmem create: --size needs a value: SIZE' \
	"$softpmem" create /a --size
check "a switch with a value is refused" wrong '^softpmem list: --json takes no value' \
	"$softpmem" list --json=yes
check "too few arguments are refused" \
	wrong '^softpmem create: an argument is missing: usage: softpmem create' "$softpmem" create
check "too many arguments are refused" wrong '^softpmem path: too many arguments' "$softpmem" path /a /b
for size in "" -1 1.5G 64X " 1" 99999999999999999999; do
	check "create --size '$size' is refused" wrong '--size' "$softpmem" create --size "$size" /a
done
check "create --directory with a size is refused" wrong 'a directory has none' \
	"$softpmem" create --directory --size 1M /a
for perm in "" 8 644x 10000 -1 "+7"; do
	check "create --perm '$perm' is refused" wrong '--perm' "$softpmem" create --perm "$perm" /a
done
check "create --mode raw is refused" wrong 'give fsdax, sector or sector:512' \
	"$softpmem" create --mode raw /a
check "record without a trace is refused" wrong 'name the trace' "$softpmem" record
check "record --stop with a trace is refused" wrong 'takes neither' "$softpmem" record --stop -o "$work/trace"
check "record --stop with a program is refused" wrong 'takes neither' "$softpmem" record --stop -- true
check "record --through without a program is refused" wrong 'are for a program' \
	"$softpmem" record -o "$work/trace" --through
check "a wrong command line of record leaves no file" test ! -e "$work/trace"
check "powerfail --policy maybe is refused" wrong 'give lose, keep or random' \
	"$softpmem" powerfail --policy maybe
check "powerfail --seed without --policy random is refused" wrong '--seed requires --policy random' \
	"$softpmem" powerfail --seed 1
for seed in "" -1 x 99999999999999999999 1x; do
	check "powerfail --seed '$seed' is refused" wrong '--seed' \
		"$softpmem" powerfail --policy random --seed "$seed"
done
for interval in "" 0 -1 x 1s 0.001 nan inf 1e9; do
	check "stat --interval '$interval' is refused" wrong '--interval' \
		"$softpmem" stat --follow --interval "$interval"
done
check "stat --interval without --follow is refused" wrong '--interval requires --follow' \
	"$softpmem" stat --interval 1
check "stat --clean maybe is refused" wrong 'give on or off' "$softpmem" stat --clean maybe
check "an empty mark is refused" wrong 'an argument is empty' "$softpmem" mark ""
check "a mark of 256 bytes is refused" wrong '1 to 255 bytes' "$softpmem" mark "$(printf '%256s' x)"
check "format memfd: is refused" wrong 'gone when this command ends' "$softpmem" format memfd:64M
truncate -s 4M "$work/blank"
for options in "" --force; do
	# shellcheck disable=SC2086 # no word, or one
	check "format $options copy: is refused" wrong "gone when this command ends: name file:$work/blank" \
		"$softpmem" format $options "copy:$work/blank"
done
check "format copy: is refused whether there is a file or not" wrong 'gone when this command ends' \
	"$softpmem" format copy:/nowhere
formats() {
	"$softpmem" format "file:$work/blank" && "$softpmem" check "copy:$work/blank"
}
check "negative control: format file: formats, and check copy: finds it" formats
for spec in memfd:64M "copy:$work/blank"; do
	check "regions --test ${spec%%:*}: is refused" \
		wrong "^softpmem regions: --test '${spec%%:*}:.*START" \
		"$softpmem" regions --test "$spec" --force
done
check "format auto is refused" wrong 'auto: it never formats' "$softpmem" format auto
check "format --label with 64 bytes is refused" wrong 'at most 63 bytes' \
	"$softpmem" format --label "$(printf '%64s' x)" file:/nowhere
check "regions --force without --test is refused" wrong '--force requires --test' \
	"$softpmem" regions --force
check "list -R with a path is refused" wrong '--regions lists all regions' "$softpmem" list -R /a
check "list -R with --region is refused" wrong '--regions lists all regions' \
	"$softpmem" list -R --region a
check "check --region with a SPEC is refused" wrong "leave 'file:/nowhere' out" \
	"$softpmem" check --region a file:/nowhere
check "-R is refused by a verb that does not have it" wrong '^softpmem status: unknown option -R' \
	"$softpmem" status -R

# An empty variable of a script must not mean the root of the tree, or the default.
check "an unknown command of trace is refused without a file, too" \
	wrong "^softpmem trace: unknown command 'foo': info, dump" "$softpmem" trace foo
check "a mistyped command of trace is refused with a suggestion" \
	wrong "^softpmem trace: unknown command 'inf': did you mean 'info'\?" "$softpmem" trace inf
for command in "trace" "trace info" "trace dump" "trace stat" "trace export" "trace import"; do
	# shellcheck disable=SC2086 # words
	check "$command without a file is refused" \
		wrong '^softpmem trace: an argument is missing: usage: softpmem trace' "$softpmem" $command
done
for line in "list" "create" "destroy" "path" "check" "format" "resize /a" "rename /a" "snapshot /a" \
	"restore" "stat" "report" "trace dump" "run" "explore"; do
	# shellcheck disable=SC2086 # words
	check "$line with an empty argument is refused" wrong 'an argument is empty' "$softpmem" $line ""
done
for line in "status --socket" "create /a --region" "trace dump x --output" "powerfail --at-mark" \
	"torture --check true --workload" "powerfail --before-op 1 --path"; do
	# shellcheck disable=SC2086 # words
	check "$line with an empty value is refused" wrong "^softpmem [a-z]*: ${line##* } needs a value" \
		"$softpmem" $line ""
done
check "softpmemd --mount with an empty value is refused" wrong '^softpmemd: --mount needs a value: DIR' \
	"$softpmemd" --mount ""

# What a terminal would obey is escaped, and what would fill it is cut.
strange=$'x\e[31m\n\a'
shown='x\\033\[31m\\012\\007'
check "a strange command is escaped" wrong "unknown command '$shown'" "$softpmem" "$strange"
check "a strange option is escaped" wrong "unknown option --$shown" "$softpmem" list "--$strange"
check "a strange letter is escaped" wrong 'unknown option -\\033: see' "$softpmem" list $'-\e'
check "a strange value of an option is escaped" \
	wrong "--mode '$shown'" "$softpmem" create --mode "$strange" /a
long=$(printf '%0100000d' 0 | tr 0 x)
cut_short() { # cut_short WORD...: with a last word of 100,000 bytes
	wrong 'x{60}' "$softpmem" "${@:1:$#-1}" "${*: -1}$long" >/dev/null &&
		[ "$(wc -c <"$work/err")" -lt 300 ]
}
check "a long command is cut in the message" cut_short ""
check "a long option is cut in the message" cut_short list --
check "a long value of an option is cut in the message" cut_short create /a --mode=
check "powerfail --path with a fence is refused" wrong '--path requires operations or syncs' \
	"$softpmem" powerfail --before-fence 1 --path x
check "powerfail --at-mark with 256 bytes is refused" wrong 'at most 255 bytes' \
	"$softpmem" powerfail --at-mark "$(printf '%256s' x)"
check "snapshot --json with a name is refused" wrong 'for the list' "$softpmem" snapshot --json / a
check "snapshot --region without a path is refused" wrong 'the list has all regions' \
	"$softpmem" snapshot --region a
check "torture --only with another word is refused" wrong "--only 'x': write the number" \
	"$softpmem" torture --workload true --check true --only x
check "torture --size 1K is refused" wrong "at least 2M" \
	"$softpmem" torture --workload true --check true --size 1K

check "softpmemd with an argument is refused" wrong 'unexpected argument' "$softpmemd" /mnt
check "softpmemd with an unknown option is refused" \
	wrong '^softpmemd: unknown option --loud: see' "$softpmemd" --loud
check "softpmemd with a mistyped option is refused with a suggestion" \
	wrong '^softpmemd: unknown option --regoin: did you mean --region\?' "$softpmemd" --regoin memfd:64M
check "softpmemd with an option without its value is refused" \
	wrong '^softpmemd: --region needs a value: SPEC' "$softpmemd" --region
check "softpmemd --domain disk is refused" wrong 'memory_controller or cpu_cache' "$softpmemd" --domain disk
check "softpmemd --mode raw is refused" wrong 'fsdax, sector or sector:512' "$softpmemd" --mode raw
check "softpmemd --threads 0 is refused" wrong 'from 1 to 1024' "$softpmemd" --threads 0
check "softpmemd --allow-other without a mount is refused" wrong 'requires --mount' \
	"$softpmemd" --allow-other
check "softpmemd --nonempty without a mount is refused" wrong '--nonempty requires --mount' \
	"$softpmemd" --nonempty
check "softpmemd --read-only with a mode is refused" wrong 'no mode can be set' \
	"$softpmemd" --read-only --mode sector
check "softpmemd --label with 64 bytes is refused" wrong 'at most 63 bytes' \
	"$softpmemd" --label "$(printf '%64s' x)"
check "softpmemd with auto twice is refused" wrong 'give it once' \
	"$softpmemd" --region auto --region auto
check "softpmemd with the same label twice is refused" wrong "another region's" \
	"$softpmemd" --region memfd:2M --label a --region memfd:2M --label a
many=()
for ((i = 0; i < 65; i++)); do
	many+=(--region memfd:2M)
done
check "softpmemd with 65 regions is refused" wrong 'at most 64' "$softpmemd" "${many[@]}"

for verb in stat status list "create /a" "destroy /a" "path /a" powerfail "mark x" check; do
	# shellcheck disable=SC2086 # words
	check_fails "without a daemon softpmem $verb names the socket and says what to do" \
		"^softpmem: $socket: no daemon answers there: start softpmemd" "$softpmem" $verb
done
not_written() {
	"$softpmem" --help >/dev/full
}
check_fails "a full standard output is a failure" 'cannot write' not_written
# unprinted COMMAND...: it fails with status 1 and says so, on a full device and without standard output.
unprinted() {
	local full closed
	"$@" >/dev/full 2>"$work/err"
	full=$?
	"$@" >&- 2>>"$work/err"
	closed=$?
	[ "$full" -eq 1 ] && [ "$closed" -eq 1 ] &&
		[ "$(grep -c "^${1##*/}: standard output: cannot write" "$work/err")" -eq 2 ]
}
for program in "$softpmem" "$softpmemd"; do
	for option in --help --version; do
		check "${program##*/} $option fails if its output cannot be written" \
			unprinted "$program" $option
	done
done
finish
