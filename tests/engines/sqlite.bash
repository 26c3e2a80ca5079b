# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# SQLite in the journal mode $journal, with power failures while it writes; and a
# negative control with synchronous=OFF. $metadata is the daemon's mode; $kill: the writer is killed.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse
# shellcheck source=tests/engines/cuts.bash
. "$abs_top_srcdir/tests/engines/cuts.bash"

load=$abs_top_builddir/tests/engines/sqlite_load

[ -z "${kill:-}" ] || cut_options=(--kill)
: "${synchronous:=FULL}" "${metadata:=ordered}"
replay_note
rounds count 6 20
daemon_start --region memfd:128M --metadata "$metadata" || bail "the daemon does not start"
mkdir "$mnt/full" "$mnt/off"

for policy in lose keep random; do
	what="SQLite, $journal, synchronous=$synchronous, names $metadata: $count cuts with policy $policy"
	verdict_of "$what, every acknowledged commit is there" \
		cuts "$policy" "$count" "$load" write "$mnt/full/db" "$journal" "$synchronous" -- \
			"$load" verify "$mnt/full/db"
done

# Negative controls: a killed writer loses nothing, even without a sync; a power failure does.
acknowledged=0
writer_start "$load" write "$mnt/off/db" "$journal" OFF
read_acks 50 || bail "the writer of the control does not write"
kill -KILL "$writer_pid"
writer_end
verdict_of "SQLite, $journal, synchronous=OFF: killing the writer loses nothing" \
	verify_cut "killed" "$load" verify "$mnt/off/db"
writer_start "$load" write "$mnt/off/db" "$journal" OFF
read_acks 50 || bail "the writer of the control does not write"
check "the power fails under synchronous=OFF" cut lose
writer_end
loses "SQLite, $journal, synchronous=OFF: the power failure loses acknowledged commits" \
	"$load" verify "$mnt/off/db"

check "the daemon stops cleanly" daemon_stop
finish
