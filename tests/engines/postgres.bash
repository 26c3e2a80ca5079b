# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# PostgreSQL with its data directory on the mount, under pgbench; to be sourced after tests/lib.sh and
# cuts.bash. Each client of pgbench numbers its transactions. The log of pgbench, which is not on the mount,
# has those that were acknowledged.

pg_bin=
for directory in /usr/lib/postgresql/15/bin /usr/lib/postgresql/*/bin; do
	if [ -x "$directory/initdb" ]; then
		pg_bin=$directory
		break
	fi
done
pg_data=$mnt/data
pg_out=$work/postgres
pg_pid=
pg_job=
pg_shared_memory=
pg_clients=4

# as_postgres COMMAND...: run a command as a user other than root, as PostgreSQL demands. The command
# replaces the shell, so that signals reach it.
as_postgres() {
	if [ "$(id -u)" -eq 0 ]; then
		setpriv --reuid=postgres --regid=postgres --init-groups "$@"
	else
		"$@"
	fi
}

postgres_is_installed() {
	[ -n "$pg_bin" ] && { [ "$(id -u)" -ne 0 ] || id postgres >/dev/null 2>&1; }
}

# postgres_initdb: create an empty cluster in $pg_data.
postgres_initdb() {
	mkdir -p "$pg_data" "$pg_out" || return 1
	[ "$(id -u)" -ne 0 ] || chown postgres "$pg_data" "$pg_out" || return 1
	as_postgres "$pg_bin/initdb" -D "$pg_data" -A trust -U postgres --wal-segsize=1 --no-locale -E UTF8 ||
		return 1
	cat >>"$pg_data/postgresql.conf" <<-END
		listen_addresses = ''
		unix_socket_directories = '$pg_out'
		shared_buffers = 8MB
		max_connections = 20
		# Frequent checkpoints and recycled segments, so that power failures fall into them.
		min_wal_size = 2MB
		max_wal_size = 6MB
		checkpoint_timeout = 30s
		restart_after_crash = off
		# Use nothing in /dev/shm: a killed cluster would leave it there.
		dynamic_shared_memory_type = mmap
		log_checkpoints = off
	END
	sync "$pg_data/postgresql.conf"
}

# postgres_prepare DAEMON_OPTION...: start a daemon whose mount other users can use, and create an empty
# cluster.
postgres_prepare() {
	if ! postgres_is_installed; then
		skip "PostgreSQL" "postgresql-15 is not installed"
		finish
	fi
	[ "$(id -u)" -ne 0 ] || set -- --allow-other "$@"
	chmod 711 "$work"
	daemon_start --region memfd:768M "$@" || bail "the daemon does not start"
	check "initdb creates a cluster" postgres_initdb
}

# postgres_start [OPTION...]: start the cluster, and wait until recovery is complete.
postgres_start() {
	local lines
	as_postgres "$pg_bin/postgres" -D "$pg_data" "$@" >>"$work/postgres.log" 2>&1 &
	pg_job=$!
	for _ in $(seq 600); do
		if query "SELECT 1" >/dev/null 2>&1; then
			pg_pid=$(head -n 1 "$pg_data/postmaster.pid")
			pg_shared_memory=$(awk 'NR == 7 { print $2 }' "$pg_data/postmaster.pid")
			return 0
		fi
		kill -0 "$pg_job" 2>/dev/null || break
		sleep 0.1
	done
	kill "$pg_job" 2>/dev/null
	mapfile -t lines < <(tail -n 8 "$work/postgres.log")
	note "${lines[@]}"
	return 1
}

# postgres_kill: kill all processes of the cluster, as a reset of the machine does.
postgres_kill() {
	local children
	kill -STOP "$pg_pid" 2>/dev/null
	children=$(ps -o pid= --ppid "$pg_pid")
	# shellcheck disable=SC2086 # one word a process
	kill -KILL $children "$pg_pid" 2>/dev/null
	wait "$pg_job" 2>/dev/null
	pg_pid=
}
postgres_kill_at_exit() {
	[ -z "$pg_pid" ] || postgres_kill
	[ -z "$pg_shared_memory" ] || ipcrm -m "$pg_shared_memory" 2>/dev/null
	pg_shared_memory=
}
at_exit+=(postgres_kill_at_exit)

postgres_stop() {
	as_postgres "$pg_bin/pg_ctl" -D "$pg_data" -m fast -w stop >>"$work/postgres.log" 2>&1 || return 1
	wait "$pg_job"
	pg_pid=
}

query() {
	"$pg_bin/psql" -h "$pg_out" -U postgres -d postgres -X -At -v ON_ERROR_STOP=1 -c "$1"
}

# Create the tables of pgbench's TPC-B, and a table with one row for each transaction.
postgres_fill() {
	"$pg_bin/pgbench" -h "$pg_out" -U postgres -i -q -s 1 postgres >>"$work/pgbench.out" 2>&1 &&
		query "CREATE TABLE done(run int, client int, number int, delta int,
			PRIMARY KEY (run, client, number))" >/dev/null
	cat >"$work/script" <<-'END'
		\set number :number + 1
		\set aid random(1, 100000)
		\set tid random(1, 10)
		\set delta random(-5000, 5000)
		BEGIN;
		UPDATE pgbench_accounts SET abalance = abalance + :delta WHERE aid = :aid;
		UPDATE pgbench_tellers SET tbalance = tbalance + :delta WHERE tid = :tid;
		UPDATE pgbench_branches SET bbalance = bbalance + :delta WHERE bid = 1;
		INSERT INTO done VALUES (:run, :client_id, :number, :delta);
		COMMIT;
	END
}

# load_and_cut RUN POLICY: run pgbench until the power fails.
load_and_cut() {
	local load wanted=$((50 + RANDOM % 400)) turns=$((RANDOM % 3000)) status=0
	rm -f "$work"/log.*
	"$pg_bin/pgbench" -h "$pg_out" -U postgres -n -c "$pg_clients" -T 60 -D run="$1" -D number=0 \
		-f "$work/script" \
		--random-seed="$RANDOM" --log --log-prefix="$work/log" postgres >>"$work/pgbench.out" 2>&1 &
	load=$!
	until [ "$(query "SELECT count(*) FROM done WHERE run = $1" \
		2>/dev/null)" -ge "$wanted" ] 2>/dev/null ||
		! kill -0 "$load" 2>/dev/null; do
		:
	done
	spin "$turns"
	cut "$2" || status=1
	postgres_kill
	wait "$load" 2>/dev/null
	return "$status"
}

# none_missing RUN: each client must have all of its acknowledged transactions, at most one more, and no gap.
none_missing() {
	local client acked there
	for ((client = 0; client < pg_clients; client++)); do
		acked=$(cat "$work"/log.* |
			awk -v client="$client" '$1 == client { n++ } END { print n + 0 }')
		there=$(query "SELECT count(*), coalesce(max(number), 0) FROM done
			WHERE run = $1 AND client = $client") || return 1
		note "client $client: $acked acknowledged, there are $there"
		[ "${there#*|}" -eq "${there%|*}" ] && [ "${there%|*}" -ge "$acked" ] &&
			[ "${there%|*}" -le $((acked + 1)) ] || return 1
	done
}

# balanced: the sums of all four tables must be equal, and every page and index must be readable.
balanced() {
	local sums
	sums=$(query "SELECT
		(SELECT sum(abalance) FROM pgbench_accounts) = (SELECT coalesce(sum(delta), 0) FROM done)
		AND (SELECT sum(tbalance) FROM pgbench_tellers) = (SELECT coalesce(sum(delta), 0) FROM done)
		AND (SELECT sum(bbalance) FROM pgbench_branches) = (SELECT coalesce(sum(delta), 0) FROM done)
		") || return 1
	[ "$sums" = t ] || {
		note "the sums differ"
		return 1
	}
	"$pg_bin/pg_amcheck" -h "$pg_out" -U postgres --install-missing --heapallindexed \
		-d postgres >"$work/amcheck" 2>&1 || {
		sed 's/^/#   /' "$work/amcheck" | head -n 10
		return 1
	}
}

# survives RUN POLICY: one power failure, and the recovery from it.
survives() {
	load_and_cut "$1" "$2" && postgres_start && none_missing "$1" && balanced
}

# Negative control: without fsync the power failure must leave a cluster that does not start, or lacks
# transactions.
postgres_control() {
	postgres_stop && postgres_start -c fsync=off || return 1
	load_and_cut 99 lose || return 1
	rm -f "$pg_data/postmaster.pid"
	if ! postgres_start; then
		note "the cluster does not start"
		return 0
	fi
	! { none_missing 99 && balanced; }
}
