#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A daemon without a mount, of a user without rights: pools by the paths that `softpmem path` prints.
# shellcheck disable=SC2016 # what is quoted is for an inner shell
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
# shellcheck source=tests/pmdk/objects.bash
. "$abs_top_srcdir/tests/pmdk/objects.bash"
survivor=$abs_top_builddir/tests/pmdk/survivor

user=()
stranger=(setpriv --reuid 65534 --regid 65534 --clear-groups)
if [ "$(id -u)" = 0 ] && "${stranger[@]}" test -x "$softpmem" -a -x "$survivor"; then
	user=("${stranger[@]}")
fi
mkdir "$work/home" && chmod 711 "$work" && chmod 777 "$work/home"
unset SOFTPMEM_SOCKET
export XDG_RUNTIME_DIR=$work/home
ours() { "${user[@]}" "$@"; }
softpmem() { ours "$softpmem" "$@"; }
run() { softpmem run -- "$@"; }
cut_power() { softpmem powerfail "$@" >"$work/report"; }

daemon_up() {
	"${user[@]}" "$softpmemd" --region memfd:64M >>"$work/daemon.log" 2>&1 &
	daemon_pid=$!
	for _ in $(seq 300); do
		softpmem status >/dev/null 2>&1 && return 0
		kill -0 "$daemon_pid" 2>/dev/null || return 1
		sleep 0.05
	done
	return 1
}
daemon_up || bail "the daemon does not start"
note "as uid $(ours id -u)"

# ---- The path ---------------------------------------------------------------------

softpmem create --size 8M /pool
softpmem create --size 5000 --perm 0640 /odd
softpmem create --size 1M /small
softpmem create /empty
softpmem create --directory /dir
pool=$(softpmem path /pool)
odd=$(softpmem path odd)
check "a path in the daemon's /proc" grep -Ex "/proc/$daemon_pid/fd/[0-9]+" <<<"$pool"
check "another pool, another path" test "$pool" != "$odd"
check "asked again, the same" test "$(softpmem path //pool)" = "$pool"
check "it has the pool's size" test "$(ours stat -L -c %s "$pool")" = 8388608
check "to the byte, and the pool's permissions" test "$(ours stat -L -c %s,%a "$odd")" = 5000,640
check_fails "a directory has none" 'only pools have a path' softpmem path /dir
check_fails "nor has an empty pool" 'create it with --size' softpmem path /empty
check_fails "nor what is not there" 'No such file' softpmem path /nothing
check_fails "it cannot be made larger" 'not permitted' ours truncate -s 6000 "$odd"
check_fails "nor smaller" 'not permitted' ours truncate -s 4000 "$odd"
check_fails "nor written behind its end" 'not permitted' ours dd if=/dev/zero of="$odd" conv=notrunc \
	oflag=append count=1 status=none
check "as before" test "$(ours stat -L -c %s "$odd")" = 5000

# ---- As a file ----------------------------------------------------------------------

# put LETTER COMMAND...: 5000 of it, synced by whatever runs dd.
put() {
	local letter=$1
	shift
	head -c 5000 /dev/zero | tr '\0' "$letter" | "$@" dd of="$odd" conv=notrunc,fsync status=none
}
holds() { [ "$(ours cat "$odd" | tr -d "$1" | wc -c)" -eq 0 ]; }
put a run
cut_power
check "written and synced by a program under run: it is there" holds a
check "by the same path" test "$(softpmem path /odd)" = "$odd"
head -c 5000 /dev/zero | tr '\0' b | run dd of="$odd" conv=notrunc status=none
check "written: it is seen" holds b
cut_power
check "negative control: but not synced, it is lost" holds a
put c ours
cut_power
check "synced by a program that is not under run: that syncs nothing" holds a
put d ours
cut_power --policy keep
check "kept, it is there" holds d

# ---- As persistent memory -------------------------------------------------------------

small=$(softpmem path /small)
# there N: every number that can be expected after N, in its line, or a later one.
there() {
	ours od -A n -v -t u8 -w64 "$small" | awk -v last="$1" '
		{ line = NR - 1; expected = last - (last - line) % 16384
		  if (expected > last) expected -= 16384
		  if (expected > 0 && $1 < expected) {
			print "line " line ": " $1 " and not " expected
			exit 1
		  } }'
}
check "a program persists" run "$survivor" count "$small" 20000
cut_power
check "and it is there" there 20000
check "a program persists that is not under run" ours "$survivor" count "$small" 60000
cut_power
check_fails "negative control: its flushes are nobody's" 'and not' there 60000

mapper() {
	exec 4<>"$work/pipe"
	ours "$survivor" count "$small" 100000000 >&4 &
	client=$!
	read -r _ <&4
	# What it goes on to say is for nobody.
	cat <&4 >/dev/null &
	at_exit+=("kill $!")
	exec 4>&-
}
mkfifo "$work/pipe"
mapper
cut_power
wait "$client" 2>/dev/null
check "who maps it is killed when the power fails, under run or not" test $? -eq 137

# cut_ours: cut_at_fences, as this user.
cut_ours() {
	run "$objects" fences "$softpmem" lose 9 "$pool" "$pool" >"$work/cuts" ||
		{ cat "$work/cuts"; return 1; }
	[ "$(awk '{ print $1 }' "$work/cuts")" -ge 10 ]
}
if [ -x "$objects" ]; then
	check "libpmemobj: cut at fences, consistent, and all that was committed" cut_ours
	note_cuts
	softpmem destroy /pool && softpmem create --size 8M /pool
	pool=$(softpmem path /pool)
	export SOFTPMEM_TEST_SKIP_FLUSH=7
	check_fails "negative control: with one flush in seven left out the judge sees it" "$judge_says" \
		cut_ours
	unset SOFTPMEM_TEST_SKIP_FLUSH
else
	skip "libpmemobj" "it is not installed"
fi

# ---- Who means harm ---------------------------------------------------------------------

mkfifo "$work/answers" && chmod 666 "$work/answers"
exec 7<>"$work/answers"
SOFTPMEM_SOCKET=$work/home/softpmem/control.sock
export SOFTPMEM_SOCKET
numbers() {
	"$softpmem" stat --json "$1" |
		sed -n '/"clients"/q; s/^ *"\([a-z]*\)":\([0-9]*\),$/\1=\2/p' | sed 1,2d
}
numbers /small >"$work/numbers"
ours "$abs_top_builddir/tests/e2e/unmounted" "$odd" <&7 >"$work/harm" &
harm=$!
for _ in $(seq 600); do
	grep -q "^# lies told" "$work/harm" && break
	sleep 0.05
done
check "a client's lies about its ring are not believed" grep -Eq ' 100% +1 .*unmounted$' <("$softpmem" stat)
check "what it said of its records counts in its own pool" grep -Eqx 'bytes=[1-9][0-9]*' <(numbers /odd)
check "and in no other" diff "$work/numbers" <(numbers /small)
echo >&7
check "it comes to its end" wait "$harm"
relay cat "$work/harm"

# ---- Its end ----------------------------------------------------------------------------

# What was opened before a failure is dead, as on a mount.
check_fails "a descriptor of before a power failure cannot be mapped" 'Input/output error' ours sh -c '
	exec 5<>"$2" && "$1" powerfail >/dev/null && "$1" run -- "$3" count /proc/self/fd/5 10' \
	sh "$softpmem" "$small" "$survivor"
check "a new one can" run "$survivor" count "$small" 10
softpmem destroy /small
check_fails "a pool that was destroyed has no path" 'No such device' ours cat "$small"
softpmem create --size 1M /small
check "one of the same name has another" test "$(softpmem path /small)" != "$small"
check_fails "the old one stays dead" 'No such device' ours cat "$small"
cut_power
check_fails "after a power failure too" 'No such device' ours cat "$small"
check "the region is sound" softpmem check
if [ ${#user[@]} -gt 0 ]; then
	check_fails "another user cannot follow it" 'Permission denied' \
		setpriv --reuid 65533 --regid 65533 --clear-groups cat "$pool"
else
	skip "another user cannot follow it" "root can be one"
fi
check "the daemon stops cleanly" daemon_stop
finish
