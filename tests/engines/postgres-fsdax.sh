#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse
# shellcheck source=tests/engines/cuts.bash
. "$abs_top_srcdir/tests/engines/cuts.bash"
# shellcheck source=tests/engines/postgres.bash
. "$abs_top_srcdir/tests/engines/postgres.bash"

replay_note
postgres_prepare
check "the PostgreSQL cluster starts" postgres_start
check "pgbench fills its tables" postgres_fill
rounds failures 2 5
for ((run = 1; run <= failures; run++)); do
	verdict_of "PostgreSQL, fsdax, lose, failure $run: no acknowledged transaction is missing" \
		survives "$run" lose
done
verdict_of "PostgreSQL, fsync=off: the power failure loses acknowledged transactions" postgres_control
postgres_kill_at_exit
check "the daemon stops cleanly" daemon_stop
finish
