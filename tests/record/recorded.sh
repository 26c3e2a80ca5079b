#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Programs that softpmem record runs: each prints what it prints unrecorded, and the replay of its trace is
# what the pool holds, byte for byte.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse
# shellcheck source=tests/record/recorded.bash
. "$abs_top_srcdir/tests/record/recorded.bash"
subject=$here/subject

differs() {
	cp "$mnt/pool" "$work/copy" &&
		printf 'x' | dd of="$work/copy" bs=1 seek=4242 conv=notrunc status=none &&
		"$here/same_contents" "$trace" /pool "$work/copy"
}

source_lines() {
	"$softpmem" trace dump "$trace" | grep -q 'store.*# race subject.c:[0-9]'
}

daemon_start --region memfd:256M || bail "no daemon"

# Of each of two threads, with as many other stores.
rounds increments 20000 10000000
both "a program with two threads that race for lines" "$subject" threads "$mnt/pool" "$increments"
check "the values of locked increments ascend by one in the trace" replays 0
check "its stores have source lines" source_lines
check_fails "negative control: a copy with one other byte differs from the trace" \
	"byte 0x1092 is 0x78" differs
both "a program whose threads store in destructors" "$subject" ends "$mnt/pool"
both "a program with a SIGSEGV handler of its own" "$subject" protection "$mnt/pool"
both "a program under a storm of SIGALRM whose handler stores to the same line" "$subject" storm "$mnt/pool"
both "a program with handlers on a small stack that interrupt each other" "$subject" small-stack "$mnt/pool"
both "a program with each kind of signal and handler" \
	timeout -s KILL 60 "$here/signals_subject" "$mnt/pool"
both "a program that leaves a handler by siglongjmp" "$subject" leaves "$mnt/pool"
both "a libpmem program whose handler of SIGALRM persists too" "$here/persist_subject" "$mnt/pool"
both "a program that forks" "$subject" forks "$mnt/pool"
check "the values of locked increments of four processes ascend by one in the trace" replays 0
both "a program that starts others by posix_spawn and vfork" "$subject" spawns "$mnt/pool"
both "a program that reads from files and sockets into the pool" "$subject" kernel "$mnt/pool"
both "a program that maps, moves and unmaps" "$subject" mappings "$mnt/pool"

# touches MIB STEP TOUCHED PRESENT FAULTS: of the pages of a pool of so many MiB. FAULTS is a maximum.
touches() {
	local touched present faults
	new_pool && truncate -s "$1M" "$mnt/pool" || return 1
	recorded "$here/ahead_subject" "$mnt/pool" "$2" || return 1
	read -r touched present faults <"$work/out"
	echo "$touched pages are touched, $present have memory, $faults page faults"
	((touched == $3 && present == $4 && faults <= $5))
}
check "pages that are flushed one after the other are made present before they are touched" \
	touches 1 1 256 256 100
check "pages that are flushed here and there alone have memory" touches 16 256 16 16 100

both "a program that copies words while another thread reads them" "$here/words_subject" "$mnt/pool"
both "a program whose copies to protected pages fault" "$here/protected_subject" copies "$mnt/pool"
both "a program whose pop and scatter to protected pages fault" \
	"$here/protected_subject" instructions "$mnt/pool"
both "a program that repeats patterns by rep movs" "$here/overlap_subject" "$mnt/pool"
both "a program that copies and appends strings" "$subject" strings "$mnt/pool"
ranges() {
	"$softpmem" trace dump "$trace" | grep -Ec 'store [0-9]+\+0x[0-9a-f]+ range .*# strings '
}
check "each copy of a string is one range" test "$(ranges)" -eq 11

both "a program that makes code, and other code in its place" timeout 60 "$here/made_subject" "$mnt/pool"

# ---- Call stacks -----------------------------------------------------------------------------------
# stack_of PATTERN: the frames of the site that is defined with such a first frame, one a line, without files.
stack_of() {
	"$softpmem" trace dump "$trace" | sed -n "s/^site .* # \\($1 .*\\)/\\1/p" | sed 's/, /\n/g' |
		cut -d' ' -f1
}
# called PATTERN FUNCTION...: a site with that first frame has these callers, the innermost first.
called() {
	local first=$1
	shift
	[[ "$(stack_of "$first" | tr '\n' ' ')" == "$(printf '%s ' "$first" "$@")"* ]]
}
both "a program whose stores have chains of callers" "$here/stack_subject" "$mnt/pool"
check "a store has the functions that led to it" called innermost_store middle outermost main
check "a copy by memcpy() has them too" called copies_to_the_pool middle outermost main
check "a store in a signal handler has the function that was interrupted" \
	grep -qx raises <(stack_of handle)
check "the stack ends where a function has a wrong table, and the program goes on" \
	test "$(stack_of store_with_wrong_table | wc -l)" -eq 1
# explored PATTERN: a line of what explore prints of a check that fails once the first store is durable.
explored() {
	# shellcheck disable=SC2016 # for the shell that explore starts
	"$softpmem" explore --states 20 "$trace" -- \
		sh -c '[ "$(head -c 1 "$1" | od -An -tu1)" -ne 1 ]' check {} |
		grep -q -e "$1"
}
check "a finding has the line that stored it and the calls that led there, up to main()" explored \
	'at innermost_store stack_subject.c:[0-9]*, called by middle .*, outermost .*, main [^,]*$'
new_pool
check "a program is recorded with --stack 2" \
	"$softpmem" record -o "$trace" --stack 2 -- "$here/stack_subject" "$mnt/pool"
check "the stack of a store has one caller with --stack 2" \
	test "$(stack_of innermost_store | tr '\n' ' ')" = "innermost_store middle "
check_fails "a stack of no frames is refused" '--stack' \
	"$softpmem" record -o "$trace" --stack 0 -- "$here/stack_subject" "$mnt/pool"

# ---- Output ----------------------------------------------------------------------------------------
# The number that output_subject stores before each write, and the mark of the write: its source and number.
steps() {
	"$softpmem" trace dump "$trace" | sed -n -E \
		-e 's/.* store [0-9]+\+0x0 .*bytes=(..)0{14}( .*)?$/store 0x\1/p' \
		-e 's/.* mark source=([0-9]) .*"step ([0-9]+)\\n.*/mark \1 \2/p'
}
expected_steps() {
	local sources=(0 1 1 1 2 1 1 1 1 4 4 4 3 3 3 3 3 3 3 1 3 1 1) i
	for ((i = 1; i < ${#sources[@]}; i++)); do
		printf 'store 0x%02x\nmark %s %s\n' "$i" "${sources[i]}" "$i"
		# sendmmsg() of one text twice.
		[ "$i" -ne 18 ] || printf 'mark 3 18\n'
	done
}
marks_follow_stores() {
	diff <(expected_steps) <(steps)
}
dumps() {
	grep -Eq "$1" <("$softpmem" trace dump "$trace")
}
dumps_no() {
	! dumps "$1"
}
new_pool
"$softpmem" run -- "$here/output_subject" "$mnt/pool" >"$work/expected" 2>/dev/null
outputs_the_same() {
	recorded "$here/output_subject" "$mnt/pool" && diff "$work/expected" "$work/out"
}
check "output by every function of libc is what it is when the program is not recorded" outputs_the_same
check "what is written to standard output, standard error, pipes and sockets follows its store in the trace" \
	marks_follow_stores
check "a mark has 4096 bytes of a long text on standard output, and its length" \
	dumps ' mark source=1 fd=1 length=10000 "step 19\\nx{4088}"'
check "a mark has 256 bytes of a long text on a socket, and its length" \
	dumps ' mark source=3 fd=[0-9]+ length=10000 "step 20\\nx{248}"'
check "what is written to files and /dev/null, and what is not written, is no mark" \
	dumps_no 'mark .*no output'
if command -v python3 >/dev/null; then
	python_prints() {
		recorded python3 -c "print(str(6 * 7))" && dumps 'mark source=1 .*"42'
	}
	check "what a Python program prints is a mark" python_prints
fi
shell_writes() {
	recorded sh -c "echo from a shell | cat" && dumps 'mark source=4 fd=1 "from a shell' &&
		dumps 'mark source=1 fd=1 "from a shell'
}
check "what a shell writes to a pipe, and a program that maps no pool to its output, is a mark" shell_writes

if [ -e /lib/x86_64-linux-gnu/libz.so.1 ]; then
	both "a program that loads and unloads a library" "$subject" objects "$mnt/pool"
else
	skip "a program that loads and unloads a library" "no libz.so.1"
fi
if [ -x "$here/objects_subject" ]; then
	create=true
	both "a libpmemobj program" "$here/objects_subject" "$mnt/pool" 1 200
	both "a libpmemobj program with four threads" "$here/objects_subject" "$mnt/pool" 4 200
	create=new_pool
else
	skip "libpmemobj programs" "no libpmemobj"
fi
if command -v python3 >/dev/null; then
	both "a Python program" python3 "$abs_top_srcdir/tests/record/mapping.py" "$mnt/pool"
else
	skip "a Python program" "no python3"
fi
if command -v g++ >/dev/null &&
	g++ -O2 -pthread -o "$work/exceptions" "$abs_top_srcdir/tests/record/exceptions.cc"; then
	both "a C++ program that throws exceptions" "$work/exceptions" "$mnt/pool"
else
	skip "a C++ program that throws exceptions" "no C++ compiler"
fi

# ---- Checkers that are built in, on what real tools have made

# explored STATUS CHECKER OPTION...: a search of the trace with this exit status.
explored() {
	local wanted=$1 checker=$2
	shift 2
	"$softpmem" explore --checker "$checker" "$@" "$trace" >"$work/report"
	[ $? -eq "$wanted" ]
}
if [ -x "$here/objects_subject" ] && command -v pmempool >/dev/null; then
	rm -f "$mnt"/*
	"$softpmem" run -- pmempool create --layout softpmem-record --size 8M obj "$mnt/pool"
	pool_transactions() {
		recorded "$here/objects_subject" "$mnt/pool" 1 2 && explored 0 pmempool --states 12
	}
	check "--checker pmempool finds nothing in transactions on a pool of pmempool create" \
		pool_transactions
	overwritten_header() {
		recorded dd if=/dev/urandom of="$mnt/pool" bs=64 count=64 conv=notrunc,fsync &&
			explored 1 pmempool --states 6
	}
	check "--checker pmempool finds a pool whose header was overwritten" overwritten_header
	check "what pmempool says is in the report" grep -q 'the checker printed: .*pool' "$work/report"
else
	skip "--checker pmempool" "pmempool is not installed"
fi
if command -v mke2fs >/dev/null && command -v debugfs >/dev/null; then
	rm -f "$mnt"/*
	mkdir "$work/content"
	yes 'bytes of a file' | head -c 1024 >"$work/content/data"
	mke2fs -q -F -t ext4 -d "$work/content" "$mnt/image" 1M 2>"$work/err"
	# What is only in the kernel's cache would be written during the recording.
	sync "$mnt/image"
	at=$(grep -abo 'bytes of a file' "$mnt/image" | head -n 1 | cut -d : -f 1)
	overwritten_data() {
		recorded dd if=/dev/zero of="$mnt/image" bs=1024 seek=$((at / 1024)) count=1 \
			conv=notrunc,fsync && explored 0 e2fsck --states 12
	}
	check "--checker e2fsck finds nothing in an ext4 image of which a file's bytes are overwritten" \
		overwritten_data
	removed_file() {
		recorded debugfs -w -R 'rm data' "$mnt/image" && explored 1 e2fsck --states 8
	}
	check "--checker e2fsck finds an ext4 image from which debugfs removes a file without a journal" \
		removed_file
	check "what e2fsck says is in the report" grep -q 'the checker printed: .*Inode' "$work/report"
else
	skip "--checker e2fsck" "e2fsprogs are not installed"
fi
finish
