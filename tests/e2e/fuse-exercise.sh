#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Random operations (SOFTPMEM_TEST_LONG=1: 100,000) with power failures among them, against a model that
# knows what is durable. A failure prints the line that replays it.
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse

exercise=$abs_top_builddir/tests/e2e/exercise
seed=${EXERCISE_SEED:-1}

# run WHAT OPERATIONS [OPTION...]
run() {
	local what=$1 operations=$2
	shift 2
	check "$what: $operations operations" \
		"$exercise" --dir "$mnt" --ops "$operations" --seed "$seed" --powerfail "$softpmem" "$@"
	rm -f "$mnt"/exercise.*
}

rounds turns 12000 60000
rounds operations 3000 10000
daemon_start --region memfd:64M --metadata durable || bail "no daemon"
run "fsdax, policies in turn" "$turns" --every 300
run "policy lose" "$operations" --policy lose --every 100
run "policy random, one file" "$operations" --policy random --every 100 --files 1
check_fails "negative control: without the power failure the exerciser reports unsynced bytes" \
	"from before the power failure" \
	"$exercise" --dir "$mnt" --ops 5000 --seed "$seed" --powerfail true
rm -f "$mnt"/exercise.*
check_fails "negative control: in mode fsdax the exerciser reports a torn sector" "a torn sector" \
	"$exercise" --dir "$mnt" --ops 20000 --seed "$seed" --powerfail "$softpmem" --policy random \
	--every 50 --sector 4096
rm -f "$mnt"/exercise.*
check "no file of the exerciser is left" test "$("$softpmem" list | grep -c exercise)" -eq 0
check "check finds no damage afterwards" "$softpmem" check
daemon_stop

daemon_start --region memfd:64M --metadata durable --mode sector || bail "no daemon"
run "sector mode, policy random" "$operations" --policy random --every 100 --sector 4096
daemon_stop

daemon_start --region memfd:64M --metadata durable --domain cpu_cache || bail "no daemon"
run "the caches in the persistence domain" "$operations" --policy keep --every 100
check_fails "negative control: keeping bytes is told apart from losing them" \
	"not what the last sync left|a size that was not there" \
	"$exercise" --dir "$mnt" --ops 5000 --seed "$seed" --powerfail "$softpmem" --policy lose --every 50
daemon_stop
finish
