#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Recorded programs of libpmem's kin, linked in each way, and the rows of the persistency model, of which
# softpmem explore builds the states that the model allows from a recording of a real program, and no others.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse
# shellcheck source=tests/record/recorded.bash
. "$abs_top_srcdir/tests/record/recorded.bash"
sources=$abs_top_srcdir/tests/record
litmus=$abs_top_builddir/tests/pmdk/litmus

daemon_start --region memfd:128M || bail "no daemon"

compile() { # OUTPUT SOURCE OPTION...
	local output=$1 source=$2
	shift 2
	${CC:-cc} -O2 -D_GNU_SOURCE -I"$sources" -o "$work/$output" "$sources/$source" "$@" \
		2>"$work/compile.log"
}

# ---- Ways of linking

if compile fixed subject.c -no-pie -fno-pie -lpthread -ldl; then
	both "a program that is not position-independent" "$work/fixed" threads "$mnt/pool" 2000
	both "a program that is not position-independent, with a handler of SIGSEGV" \
		"$work/fixed" protection "$mnt/pool"
else
	skip "a program that is not position-independent" "$(head -n 1 "$work/compile.log")"
fi
if compile static persist_subject.c -Wl,-Bstatic -lpmem -Wl,-Bdynamic -lndctl -ldaxctl -ldl -lpthread ||
	compile static persist_subject.c -Wl,-Bstatic -lpmem -Wl,-Bdynamic -ldl -lpthread; then
	both "a program with libpmem linked into it" "$work/static" "$mnt/pool"
	stored_by_itself() {
		"$softpmem" trace dump "$trace" | grep -q 'clwb\|clflush' &&
			! ldd "$work/static" | grep -q 'libpmem[.]so'
	}
	check "its own flushes are in the trace" stored_by_itself
else
	skip "a program with libpmem linked into it" "$(head -n 1 "$work/compile.log")"
fi

# ---- libpmemblk, libpmemlog, fio

# shellcheck disable=SC2034 # for recorded.bash
create=true
if compile blocks blocks_subject.c -lpmemblk -lpmemlog -lpthread; then
	for kind in blk log; do
		for threads in 1 4; do
			both "a libpmem$kind program, threads: $threads" \
				timeout 60 "$work/blocks" "$kind" "$mnt/pool" "$threads"
		done
	done
else
	skip "libpmemblk and libpmemlog" "$(head -n 1 "$work/compile.log")"
fi
create=new_pool
if command -v fio >/dev/null && fio --enghelp | grep -qw libpmem; then
	fio_verifies() {
		new_pool || return 1
		(cd "$work" && recorded fio --name=f --filename="$mnt/pool" --ioengine=libpmem --direct=1 \
			--size=1M --rw=randwrite --bs=4k --verify=crc32c --verify_fatal=1 --randseed=1 \
			--thread --output="$work/fio")
	}
	check "fio with libpmem verifies what it has written while it is recorded" fio_verifies
	check "fio with libpmem: the trace replays to what the pool holds" replays
else
	skip "fio with libpmem" "not installed"
fi

# ---- The model

# It waits for a power failure, and is killed once it has done all rows.
all_rows() {
	# shellcheck disable=SC2016 # for another shell
	new_pool && recorded bash -c '
		exec 3< <(exec "$0" run "$1"); read -r -u 3 line; kill -KILL $!; echo "$line"' \
		"$litmus" "$mnt/pool" && [ "$(<"$work/out")" = "done" ]
}
check "a program that does all rows of the model is recorded" all_rows
check "the rows: the trace replays to what the pool holds" replays
# What is found in each row, a digit a row: 0 is what must survive, 1 is more. Only at the end all have begun.
cat >"$work/judge" <<-END
	#!/bin/sh
	[ "\$(tail -n 1 "\$SOFTPMEM_MARKS")" = done ] || exit 0
	"$litmus" judge "\$1" \${POLICY:-random} >"$work/judged.\$\$" || { cat "$work/judged.\$\$"; exit 1; }
	cat "$work/judged.\$\$" >>"$work/found"
END
chmod +x "$work/judge"
rounds states 300 3000
legal() {
	: >"$work/found"
	"$softpmem" explore --jobs 1 --states "$states" "$trace" -- "$work/judge" {}
}
check "each state of the end that explore builds is one that the model allows" legal
check_fails "negative control: not each of them is one that a power failure with --policy lose may leave" \
	"finding 1" env POLICY=lose \
	"$softpmem" explore --jobs 1 --states "$states" "$trace" -- "$work/judge" {}
# both_found ROW: of the row, from 1.
both_found() {
	[ "$(cut -c "$1" "$work/found" | sort -u | tr -d '\n')" = 01 ]
}
# always DIGIT ROW
always() {
	[ "$(cut -c "$2" "$work/found" | sort -u)" = "$1" ]
}
for row in 1 4 5 6 9; do
	check "row $row: both what survives for certain and more are built" both_found "$row"
done
for row in 2 3 7 8 10; do
	check "row $row: what survives for certain survives in each state" always 0 "$row"
done
# In a live outage libpmem's fences alone count; puts(3), pthread_create(3) and atomics have locked
# instructions.
for row in 11 12 13 14 15 16; do
	check "row $row: a locked instruction of its thread is the fence that its flush lacks" always 1 "$row"
done
finish
