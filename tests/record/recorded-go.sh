#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A program in Go is recorded. Long, because Go's compiler is.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse
# shellcheck source=tests/record/recorded.bash
. "$abs_top_srcdir/tests/record/recorded.bash"

command -v go >/dev/null || { echo "1..0 # SKIP go is not installed"; exit 0; }
# Go takes a compiler of more than one word for one that makes other programs.
unset CC
export GOCACHE=$work/cache GO111MODULE=off CGO_ENABLED=1
timeout 600 go build -o "$work/go_subject" "$abs_top_srcdir/tests/record/go_subject.go" ||
	bail "the program does not compile"
daemon_start --region memfd:64M || bail "no daemon"

both "a program in Go" timeout 60 "$work/go_subject" "$mnt/pool"
marked() {
	"$softpmem" trace dump "$trace" >"$work/dump" && grep -q 'mark.*stored by Go' "$work/dump"
}
check "what Go's runtime writes becomes a mark" marked
check "the stores of goroutines are in the trace" \
	test "$(grep -c ' store ' "$work/dump")" -gt 16000
finish
