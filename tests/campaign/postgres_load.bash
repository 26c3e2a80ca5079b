#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A PostgreSQL cluster in the working directory, for a campaign.
#
#   postgres_load.bash setup [SETTING...]  makes the cluster, with these settings
#   postgres_load.bash write COUNT         commits COUNT transactions, and prints the number of each that is
#                                          acknowledged
#   postgres_load.bash verify              the transactions that were acknowledged are there, and the tables
#                                          and indexes are sound
#   postgres_load.bash statistics          its statistics are not damaged
set -u
data=$PWD/data
for bin in /usr/lib/postgresql/15/bin /usr/lib/postgresql/*/bin; do
	[ ! -x "$bin/initdb" ] || break
done

# PostgreSQL does not run as root, and others than root cannot use the mount: in a user namespace root has
# another name. In an IPC namespace nothing is left of a server that was killed.
if [ -z "${POSTGRES_LOAD_INSIDE:-}" ]; then
	user=$(id -u) group=$(id -g)
	if [ "$user" -eq 0 ]; then
		user=$(id -u postgres) group=$(id -g postgres) || exit 2
	fi
	POSTGRES_LOAD_INSIDE=1 exec unshare --ipc --user --map-user="$user" --map-group="$group" "$0" "$@"
fi

# shellcheck source=tests/campaign/server.bash
. "${0%/*}/server.bash" && log_open || exit 2
# A socket without a file.
socket=@softpmem-campaign-$$
server=
stop() { [ -z "$server" ] || { kill -INT "$server" && wait "$server"; } 2>/dev/null; }
trap stop EXIT

query() { "$bin/psql" -h "$socket" -U postgres -d postgres -X -q -At -v ON_ERROR_STOP=1 "$@"; }

start() {
	# The process of the cluster before is gone; another one may have its pid.
	rm -f "$data/postmaster.pid"
	"$bin/postgres" -D "$data" -k "$socket" >&3 2>&3 &
	server=$!
	until query -c 'SELECT 1' >/dev/null 2>&1; do
		kill -0 "$server" 2>/dev/null || {
			echo "PostgreSQL does not start: $(log_show 's/.*\(FATAL\|PANIC\): *//p')"
			return 1
		}
		sleep 0.02
	done
}

setup() {
	"$bin/initdb" -D "$data" -A trust -U postgres --wal-segsize=1 --no-locale -E UTF8 >&3 || return
	printf '%s\n' "listen_addresses = ''" 'shared_buffers = 128kB' 'max_connections = 10' \
		'min_wal_size = 2MB' 'max_wal_size = 2MB' 'autovacuum = off' 'restart_after_crash = off' \
		'dynamic_shared_memory_type = mmap' 'wal_writer_delay = 10s' 'jit = off' "$@" \
		>>"$data/postgresql.conf"
	start || return
	query <<-'END'
		CREATE TABLE transactions (number int PRIMARY KEY, delta int);
		CREATE TABLE accounts (id int PRIMARY KEY, balance int, filler text);
		INSERT INTO accounts SELECT n, 0, repeat('x', 100) FROM generate_series(1, 500) AS n;
		CHECKPOINT;
	END
}

# Two rows are changed and one is added; now and then there is a checkpoint, or a log is full.
write() {
	local n
	start || return
	for ((n = 1; n <= $1; n++)); do
		cat <<-END
			BEGIN;
			UPDATE accounts SET balance = balance + $n WHERE id = $((n * 37 % 500 + 1));
			UPDATE accounts SET balance = balance - $n WHERE id = $((n * 101 % 500 + 1));
			INSERT INTO transactions VALUES ($n, $n);
			COMMIT;
			\\echo $n
		END
		[ $((n % 6)) -ne 3 ] || echo 'CHECKPOINT;'
		[ $((n % 6)) -ne 5 ] || echo 'SELECT pg_switch_wal() \g /dev/null'
	done | query
}

verify() {
	local acknowledged there
	acknowledged=$(tail -n 1 "$SOFTPMEM_ACKNOWLEDGED")
	start || return
	there=$(query -c 'SELECT count(*), coalesce(max(number), 0), (SELECT sum(balance) FROM accounts)
		FROM transactions') || return
	case $there in
	"${there%%|*}|${there%%|*}|0") ;;
	*)
		echo "transactions, the newest, and the sum of the accounts: $there"
		return 1
		;;
	esac
	[ "${there%%|*}" -ge "${acknowledged:-0}" ] || {
		echo "transaction $acknowledged was acknowledged, there are ${there%%|*}"
		return 1
	}
	"$bin/pg_amcheck" -h "$socket" -U postgres -d postgres --install-missing --heapallindexed \
		-t transactions -t accounts
}

case ${1:-} in
setup) shift && setup "$@" ;;
write) write "$2" ;;
verify) verify ;;
statistics) start && ! grep -o 'corrupted statistics file.*' /dev/fd/3 ;;
*) exit 2 ;;
esac
