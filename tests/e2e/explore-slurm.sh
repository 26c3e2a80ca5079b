#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The shards of a search as a job array of Slurm: a whole Slurm of its own, with one node. A task that was
# killed is found missing, and is run again.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1

what="a search as a job array of Slurm"
for program in slurmctld slurmd munged sbatch; do
	if ! command -v "$program" >/dev/null; then
		skip "$what" "$program is not installed"
		finish
	fi
done
if [ "$(id -u)" -ne 0 ]; then
	skip "$what" "slurmd needs root"
	finish
fi

# ---- A cluster of this machine ---------------------------------------------------------------------
cluster=$work/cluster
mkdir "$cluster" "$cluster/state" "$cluster/spool"
dd if=/dev/urandom of="$cluster/key" bs=128 count=1 status=none
chmod 600 "$cluster/key"
# The numbers of processes that run at one time differ, and so do these ports.
port=$((20000 + $$ % 20000))
cat >"$cluster/slurm.conf" <<EOT
ClusterName=softpmem
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmctldPort=$port
SlurmdPort=$((port + 20000))
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$cluster/munge.socket
CredType=cred/munge
StateSaveLocation=$cluster/state
SlurmdSpoolDir=$cluster/spool
SlurmctldPidFile=$cluster/slurmctld.pid
SlurmdPidFile=$cluster/slurmd.pid
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1,batch_sched_delay=0
ReturnToService=2
NodeName=$(hostname -s) NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES State=UP
EOT
export SLURM_CONF=$cluster/slurm.conf
cluster_pids=()
stop_cluster() {
	[ ! -e "$SLURM_CONF" ] || scancel --quiet --signal=KILL --user=root 2>/dev/null
	kill "${cluster_pids[@]}" && wait "${cluster_pids[@]}"
} 2>/dev/null
at_exit+=(stop_cluster)
# --force: the directory of a test is below /tmp, where others may write.
munged --foreground --force --socket="$cluster/munge.socket" --key-file="$cluster/key" \
	--pid-file="$cluster/munged.pid" --log-file="$cluster/munged.log" --seed-file="$cluster/seed" \
	>"$cluster/munged.out" 2>&1 &
cluster_pids+=($!)
await test -S "$cluster/munge.socket" || bail "munged does not start: $(cat "$cluster"/munged.*)"
slurmctld -D >"$cluster/slurmctld.log" 2>&1 &
cluster_pids+=($!)
slurmd -D >"$cluster/slurmd.log" 2>&1 &
cluster_pids+=($!)
node_is_idle() { [ "$(sinfo --noheader --format=%T 2>/dev/null)" = idle ]; }
await node_is_idle || bail "the node does not come up: $(tail -n 3 "$cluster"/slurm*.log)"

# ---- A search of four shards -----------------------------------------------------------------------
{
	printf 'softpmem-trace 1\nfile file=1 size=4096 path="log"\n'
	for i in 0 1 2 3 4 5 6 7; do printf 't1 store 1+%d u64=%d\n' $((64 * i)) $((i + 1)); done
} >"$work/run.txt"
# A record and its flag, without a flush of either.
cat >"$work/checker" <<'END_OF_CHECKER'
#!/bin/sh
byte() { od -An -tu1 -j "$2" -N1 "$1" | tr -d ' '; }
[ "$(byte "$1" 0)" = 0 ] || [ "$(byte "$1" 64)" = 2 ]
END_OF_CHECKER
# What docs/finding-crash-bugs.md shows, but for a first task that is killed with half of its file written.
cat >"$work/search" <<'END_OF_SEARCH'
#!/bin/sh
cd "$1" || exit
if [ "$SLURM_ARRAY_TASK_ID" = 3 ] && mkdir killed 2>/dev/null; then
	printf '{ "summary": {' >part.3
	kill -KILL $$
fi
exec softpmem explore --shard "$SLURM_ARRAY_TASK_ID/4" --output "part.$SLURM_ARRAY_TASK_ID" run.txt -- \
	"$1/checker" {}
END_OF_SEARCH
chmod +x "$work/checker" "$work/search"
cd "$work" || bail "no directory"
"$softpmem" explore --output whole run.txt -- "$work/checker" {} >/dev/null
check "negative control: the search has findings" test $? -eq 1

run_array() { sbatch --quiet --wait --array="$1" --output="$work/task.%a" "$work/search" "$work"; }
run_array 1-4 >"$work/sbatch.out" 2>&1
check "sbatch --wait fails where shards have findings" test $? -ne 0
check "each task of the array has run" ls task.1 task.2 task.3 task.4
check_fails "a shard whose task was killed is no result" 'part\.3' "$softpmem" report --format json part.*
rm part.3
check_fails "a report without one shard says that it is missing" '1 shards are missing' \
	"$softpmem" report --format json part.*
run_array 3 >"$work/sbatch.out" 2>&1
check "the shard alone is run again" test -s part.3
check "the report of the parts is complete" "$softpmem" report --format json -o merged part.*
figures() { grep -E '"states_(checked|failed|legal)"' "$1" | tr -d ' '; }
check "the parts have checked and found what one search does" diff <(figures whole) <(figures merged)

finish
