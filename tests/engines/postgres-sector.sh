#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# PostgreSQL expects that a sector of its control file is written as a whole. With mode sector it must
# survive a power failure of each policy.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse
# shellcheck source=tests/engines/cuts.bash
. "$abs_top_srcdir/tests/engines/cuts.bash"
# shellcheck source=tests/engines/postgres.bash
. "$abs_top_srcdir/tests/engines/postgres.bash"

replay_note
postgres_prepare --mode sector
check "the PostgreSQL cluster starts" postgres_start
check "pgbench fills its tables" postgres_fill
run=0
rounds turns 1 2
for ((turn = 0; turn < turns; turn++)); do
	for policy in random lose keep; do
		run=$((run + 1))
		what="PostgreSQL, sector, $policy, failure $run"
		verdict_of "$what: no acknowledged transaction is missing" \
			survives "$run" "$policy"
	done
done
check "the PostgreSQL cluster stops cleanly" postgres_stop
check "the daemon stops cleanly" daemon_stop
finish
