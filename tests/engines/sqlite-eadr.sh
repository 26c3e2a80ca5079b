#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# SQLite on a DIMM with caches in the persistence domain: every store is durable, so that even
# synchronous=OFF loses no acknowledged commit.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse
# shellcheck source=tests/engines/cuts.bash
. "$abs_top_srcdir/tests/engines/cuts.bash"

load=$abs_top_builddir/tests/engines/sqlite_load

replay_note
daemon_start --region memfd:128M --metadata durable --domain cpu_cache || bail "the daemon does not start"
for journal in WAL DELETE; do
	acknowledged=0
	mkdir "$mnt/$journal"
	what="SQLite, $journal, synchronous=OFF, eADR: 10 cuts with policy lose"
	verdict_of "$what, every acknowledged commit is there" \
		cuts lose 10 "$load" write "$mnt/$journal/db" "$journal" OFF -- \
			"$load" verify "$mnt/$journal/db"
done
check "the daemon stops cleanly" daemon_stop

# Negative control: the same on a DIMM that needs flushes.
acknowledged=0
daemon_start --region memfd:128M --metadata durable || bail "the daemon does not start"
writer_start "$load" write "$mnt/db" WAL OFF
read_acks 20 || bail "the writer of the control does not write"
check "the power fails" cut lose
writer_end
loses "SQLite, WAL, synchronous=OFF, ADR: the power failure loses acknowledged commits" \
	"$load" verify "$mnt/db"
check "the daemon stops cleanly" daemon_stop
finish
