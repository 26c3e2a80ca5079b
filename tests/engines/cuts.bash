# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Power failures while a writer runs; to be sourced after tests/lib.sh. A writer prints N to a pipe once its
# transaction N is committed. A verifier gets the last N that was acknowledged in this way.

seed=${SOFTPMEM_TEST_SEED:-1}
RANDOM=$seed

replay_note() {
	note "seed $seed; to replay: SOFTPMEM_TEST_SEED=$seed make check TESTS=tests/engines/$(basename "$0")"
}

# needs WHAT PROGRAM...: skip the test if one of the programs is not installed.
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

# writer_start COMMAND...: start a writer, whose acknowledgements read_acks reads.
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

# writer_end: read the last acknowledgements. The writer must exit by itself, because its files are dead.
writer_end() {
	local number status=0 deadline=$((SECONDS + 20))
	while [ "$status" -eq 0 ] && [ "$SECONDS" -lt "$deadline" ]; do
		if read -r -t 20 -u "$writer_acks" number; then
			acknowledged=$number
		else
			status=$?
		fi
	done
	kill -KILL "$writer_pid" 2>/dev/null
	wait "$writer_pid" 2>/dev/null
	exec {writer_acks}<&-
	# A status of 1 is the end of the pipe.
	[ "$status" -eq 1 ] || {
		note "the writer went on for 20 seconds without power"
		return 1
	}
}

# cut POLICY: let the power fail, with the options $cut_options. The report goes to $work/report.
cut_options=()
cut() {
	local policy=$1
	shift
	set -- "${cut_options[@]}" "$@"
	[ "$policy" != random ] || set -- "$@" --seed "$RANDOM"
	"$softpmem" powerfail --policy "$policy" "$@" >"$work/report" 2>&1 || {
		note "powerfail --policy $policy $*: failed"
		sed 's/^/#   /' "$work/report"
		return 1
	}
}

# cut_under_writer POLICY COMMAND...: run the writer, cut after a seeded number of acknowledgements, or after
# $acks_before_cut, and a short spin. Before the first one the writer might have nothing open yet: then it
# would go on after the power failure.
cut_under_writer() {
	local policy=$1 acks=${acks_before_cut:-$((1 + RANDOM % 40))} turns=$((RANDOM % 3000))
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

# verify_cut WHAT VERIFIER...: the verifier prints how many transactions survived, or what is wrong.
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

# cuts POLICY COUNT WRITER -- VERIFIER: so many power failures, each verified; fails if one does.
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
	# If a writer made no progress, the power failures proved nothing.
	[ "$acknowledged" -gt "$before" ]
}

# verdict_of NAME COMMAND...: like check, but runs the command in this shell.
verdict_of() {
	if "${@:2}"; then ok "$1"; else not_ok "$1"; fi
}

# loses NAME VERIFIER...: the negative control of verify_cut: the verifier must find losses.
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
