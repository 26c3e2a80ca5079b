# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What the tests that cut libpmemobj programs share.

objects=$abs_top_builddir/tests/pmdk/objects
# libpmemobj initialises 65,536 locks each time it opens a pool: with large pages these take a few page faults
# instead of hundreds.
export GLIBC_TUNABLES=glibc.malloc.hugetlb=1
# The judge's words, or its death of a damaged pool; not those of a program that fails for another reason.
# shellcheck disable=SC2034 # for those who source this
judge_says="committed|damaged|torn|published|publication|ever done|pmemobj_check says|^open:|the judge dies"

# cut_at_fences LEAST POLICY STRIDE POOL FILE...: at every STRIDE'th, and they are at least so many.
cut_at_fences() {
	local least=$1 policy=$2 stride=$3
	shift 3
	rm -f "${@:2}"
	"$softpmem" run -- "${faulty[@]}" "$objects" fences "$softpmem" "$policy" "$stride" "$@" \
		>"$work/cuts" || {
		cat "$work/cuts"
		return 1
	}
	[ "$(awk '{ print $1 }' "$work/cuts")" -ge "$least" ] && return
	echo "there are fewer fences than $least"
	return 1
}

# cut_at_moments CUTS POOL FILE...: while its threads work.
cut_at_moments() {
	local cuts=$1
	shift
	rm -f "${@:2}"
	"$softpmem" run -- "${faulty[@]}" "$objects" moments "$softpmem" "$cuts" "$@" >"$work/cuts" || {
		cat "$work/cuts"
		return 1
	}
}

# How often the last of these cut.
note_cuts() { note "$(cat "$work/cuts")"; }
