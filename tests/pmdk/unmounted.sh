#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A daemon without a mount, of a user without rights: pools by the paths that `softpmem path` prints.
# shellcheck disable=SC2016 # what is quoted is for an inner shell
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
# shellcheck source=tests/pmdk/objects.bash
. "$abs_top_srcdir/tests/pmdk/objects.bash"

# Root's default socket is the machine's. The default socket of another user is where XDG_RUNTIME_DIR says.
user=()
[ "$(id -u)" != 0 ] || user=(setpriv --reuid 65534 --regid 65534 --clear-groups)
programs=(softpmem softpmemd pmem/client/libpmem.so.1 tests/pmdk/survivor tests/e2e/unmounted)
[ ! -x "$objects" ] || programs+=(tests/pmdk/objects tests/pmdk/flush_faults.so)
share "${programs[@]}" || bail "the programs cannot be copied"
softpmem=$shared/softpmem
softpmemd=$shared/softpmemd
survivor=$shared/tests/pmdk/survivor
objects=$shared/tests/pmdk/objects
faulty=(env "LD_PRELOAD=$shared/tests/pmdk/flush_faults.so:$shared/pmem/client/libpmem.so.1")
mkdir "$work/home" && chmod 777 "$work/home"
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
check "path prints a path in the daemon's /proc" grep -Ex "/proc/$daemon_pid/fd/[0-9]+" <<<"$pool"
check "two pools have different paths" test "$pool" != "$odd"
check "path prints the same path again" test "$(softpmem path //pool)" = "$pool"
check "the file at the path has the pool's size" test "$(ours stat -L -c %s "$pool")" = 8388608
check "the file at the path has the pool's size to the byte and its permissions" \
	test "$(ours stat -L -c %s,%a "$odd")" = 5000,640
check_fails "path refuses a directory" 'only pools can be opened' softpmem path /dir
check_fails "path refuses an empty pool" 'create it with --size' softpmem path /empty
check_fails "path refuses a name that does not exist" 'No such file' softpmem path /nothing
check_fails "the file at the path cannot be extended" 'not permitted' ours truncate -s 6000 "$odd"
check_fails "the file at the path cannot be truncated" 'not permitted' ours truncate -s 4000 "$odd"
check_fails "the file at the path cannot be written past its end" \
	'not permitted' ours dd if=/dev/zero of="$odd" conv=notrunc \
	oflag=append count=1 status=none
check "the size of the pool is unchanged" test "$(ours stat -L -c %s "$odd")" = 5000

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
check "bytes that a program under run wrote and synced survive" holds a
check "the path is the same after a power failure" test "$(softpmem path /odd)" = "$odd"
head -c 5000 /dev/zero | tr '\0' b | run dd of="$odd" conv=notrunc status=none
check "written bytes are visible" holds b
cut_power
check "negative control: bytes that were not synced are lost" holds a
put c ours
cut_power
check "an fsync by a program that is not under run makes nothing durable" holds a
put d ours
cut_power --policy keep
check "bytes that were not synced survive keep" holds d

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
check "a libpmem program under run persists to the path" run "$survivor" count "$small" 20000
cut_power
check "what it persisted survives" there 20000
check "a libpmem program that is not under run stores to the path" ours "$survivor" count "$small" 60000
cut_power
check_fails "negative control: flushes of a program that is not under run make nothing durable" \
	'and not' there 60000

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
check "a power failure kills each process that maps the pool, under run or not" test $? -eq 137

# cut_ours: cut_at_fences, as this user.
cut_ours() {
	run "${faulty[@]}" "$objects" fences "$softpmem" lose 9 "$pool" "$pool" >"$work/cuts" ||
		{ cat "$work/cuts"; return 1; }
	[ "$(awk '{ print $1 }' "$work/cuts")" -ge 10 ]
}
if [ -x "$objects" ]; then
	check "a libpmemobj pool that is cut at fences is consistent and has all committed objects" cut_ours
	note_cuts
	softpmem destroy /pool && softpmem create --size 8M /pool
	pool=$(softpmem path /pool)
	export SOFTPMEM_TEST_SKIP_FLUSH=7
	check_fails "negative control: with one flush in seven left out the checker fails" "$judge_says" \
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
ours "$shared/tests/e2e/unmounted" "$odd" <&7 >"$work/harm" &
harm=$!
for _ in $(seq 600); do
	grep -q "^# lies told" "$work/harm" && break
	sleep 0.05
done
check "false positions of a hostile client's ring are bounded" \
	grep -Eq ' 100% +1 .*unmounted$' <("$softpmem" stat)
check "false counts of a hostile client are counted for its own pool" \
	grep -Eqx 'bytes=[1-9][0-9]*' <(numbers /odd)
check "false counts of a hostile client change no other pool" diff "$work/numbers" <(numbers /small)
echo >&7
check "the hostile client ends" wait "$harm"
relay cat "$work/harm"

# ---- Its end ----------------------------------------------------------------------------

# What was opened before a failure is dead, as on a mount.
check_fails "a descriptor from before a power failure cannot be mapped" 'Input/output error' ours sh -c '
	exec 5<>"$2" && "$1" powerfail >/dev/null && "$1" run -- "$3" count /proc/self/fd/5 10' \
	sh "$softpmem" "$small" "$survivor"
check "a new descriptor can be mapped after a power failure" run "$survivor" count "$small" 10
softpmem destroy /small
check_fails "the path of a destroyed pool cannot be opened" 'No such device' ours cat "$small"
softpmem create --size 1M /small
check "a new pool of the same name has another path" test "$(softpmem path /small)" != "$small"
check_fails "the old path stays dead" 'No such device' ours cat "$small"
cut_power
check_fails "the old path stays dead after a power failure" 'No such device' ours cat "$small"
check "check finds no damage" softpmem check
if [ ${#user[@]} -gt 0 ]; then
	check_fails "another user cannot open the path" 'Permission denied' \
		setpriv --reuid 65533 --regid 65533 --clear-groups cat "$pool"
else
	skip "another user cannot follow it" "root can be one"
fi
check "the daemon stops cleanly" daemon_stop
finish
