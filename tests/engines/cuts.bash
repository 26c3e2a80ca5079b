# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Cutting the power under a writer. After the library: a writer prints N once its
# transaction N is committed, to a pipe that no power failure reaches; a verifier
# is told the last N that was acknowledged.

seed=${SOFTPMEM_TEST_SEED:-1}
RANDOM=$seed

replay_note() {
	note "seed $seed; to replay: SOFTPMEM_TEST_SEED=$seed make check TESTS=tests/engines/$(basename "$0")"
}

# needs WHAT PROGRAM...: skips the script where one is not installed.
needs() {
	local what=$1 program
	shift
	for program in "$@"; do
		if ! command -v "$program" >/dev/null; then
			skip "$what" "$program is not installed"
			finish
		fi
	done
}

writer_pid=
writer_acks=
acknowledged=0

# writer_start COMMAND...: its acknowledgements arrive in read_acks.
writer_start() {
	exec {writer_acks}< <(exec "$@" 2>>"$work/writer.err")
	writer_pid=$!
}

# read_acks N: wait for N acknowledgements.
read_acks() {
	local i number
	for ((i = 0; i < $1; i++)); do
		read -r -t 60 -u "$writer_acks" number || return 1
		acknowledged=$number
	done
}

spin() {
	local i
	for ((i = 0; i < $1; i++)); do :; done
}

# writer_end: take its last acknowledgements; it has to end by itself, as its files are gone.
writer_end() {
	local number status=0
	while :; do
		read -r -t 20 -u "$writer_acks" number || {
			status=$?
			break
		}
		acknowledged=$number
	done
	kill -KILL "$writer_pid" 2>/dev/null
	wait "$writer_pid" 2>/dev/null
	exec {writer_acks}<&-
	# Beyond 128 nothing came for that long.
	[ "$status" -le 128 ] || {
		note "the writer went on for 20 seconds without power"
		return 1
	}
}

# cut POLICY: the power fails, now. The report goes to $work/report.
cut() {
	local policy=$1
	shift
	[ "$policy" != random ] || set -- --seed "$RANDOM"
	"$softpmem" powerfail --policy "$policy" "$@" >"$work/report" 2>&1 || {
		note "powerfail --policy $policy $*: failed"
		sed 's/^/#   /' "$work/report"
		return 1
	}
}

# cut_under_writer POLICY COMMAND...: run the writer, cut after a seeded number of acknowledgements and a
# short spin.
cut_under_writer() {
	local policy=$1 acks=$((RANDOM % 40)) turns=$((RANDOM % 3000))
	shift
	writer_start "$@"
	if ! read_acks "$acks"; then
		note "the writer ended before the cut"
		tail -n 3 "$work/writer.err" | sed 's/^/#   /'
		writer_end
		return 1
	fi
	spin "$turns"
	cut "$policy" || return 1
	writer_end
}

# verify_cut WHAT VERIFIER...: says how far the data got, or what is wrong with it, on its standard output.
verify_cut() {
	local what=$1
	shift
	if ! "$@" "$acknowledged" >"$work/verdict" 2>&1; then
		note "$what, $acknowledged acknowledged:"
		sed 's/^/#   /' "$work/verdict"
		return 1
	fi
	acknowledged=$(cat "$work/verdict")
}

# cuts POLICY COUNT WRITER -- VERIFIER: all of them, one verdict.
cuts() {
	local policy=$1 count=$2 writer=() i before=$acknowledged
	shift 2
	while [ "$1" != -- ]; do
		writer+=("$1")
		shift
	done
	shift
	for ((i = 1; i <= count; i++)); do
		cut_under_writer "$policy" "${writer[@]}" || return 1
		verify_cut "policy $policy, cut $i" "$@" || return 1
	done
	note "policy $policy: $count cuts, $((acknowledged - before)) transactions"
	# A writer that got nowhere was not cut in the middle of anything.
	[ "$acknowledged" -gt "$before" ]
}

# verdict_of WHAT COMMAND...: as check, but in this shell.
verdict_of() {
	if "${@:2}"; then ok "$1"; else not_ok "$1"; fi
}

# loses WHAT VERIFIER...: the negative control of verify_cut.
loses() {
	local what=$1 status=0
	shift
	"$@" "$acknowledged" >"$work/verdict" 2>&1 || status=$?
	note "$acknowledged acknowledged, found: $(head -n 1 "$work/verdict")"
	if [ "$status" -ne 0 ]; then
		ok "$what"
	else
		not_ok "$what"
	fi
}
