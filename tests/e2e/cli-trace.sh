#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# softpmem trace: every command, on good, cut and damaged traces.
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1

softpmem=$abs_top_builddir/softpmem
cat >"$work/run.txt" <<-'END'
	softpmem-trace 1 uuid=000102030405060708090a0b0c0d0e0f created=1700000000
	info key="domain" value="memory_controller"
	file file=1 size=4096 path="log"
	process process=1 pid=42 text="prog\x00-x"
	t1 thread process=1 tid=42 text="main"
	t1 store 1+0x0 bytes=0100000000000000
	t1 clwb 1+0x0
	t1 clwb 1+0x0
	t1 sfence
	t1 mark "committed"
	t1 clwb 1+0x0
	t1 sfence
	t1 sfence
	t1 store 1+0x40 bytes=0700000000000000
	t1 store 1+0x40 bytes=08000000
	t1 store 1+0x80 bytes=09
	t1 clwb 1+0x80
	write 1+0x100 bytes=6162
END

trace() {
	"$softpmem" trace "$@" >"$work/out" 2>"$work/err"
}
status_of() {
	trace "$@"
	echo $?
}
# wrong STATUS PATTERN ARGUMENT...: this exit status, and the pattern on stderr.
wrong() {
	local status=$1 pattern=$2
	shift 2
	[ "$(status_of "$@")" = "$status" ] && grep -q -e "$pattern" "$work/err"
}
row() { # row COUNT WHAT
	grep -Eq "^ *$1 $2\$" "$work/out"
}

check "a text is imported as a trace file" trace import -o "$work/run.trace" "$work/run.txt"
check "the file begins as a trace" [ "$(head -c 8 "$work/run.trace")" = SPMTRACE ]
check "the dump of the file is the text, with an end" \
	trace dump --no-source -o "$work/dump.txt" "$work/run.trace"
check "the dump differs from the text in the end alone" \
	[ "$(diff "$work/run.txt" "$work/dump.txt")" = "$(printf '18a19\n> end events=18')" ]
check "the dump is imported as the same file" trace import -o "$work/again.trace" "$work/dump.txt"
check "both files have the same bytes" cmp -s "$work/run.trace" "$work/again.trace"

for form in run.trace run.txt; do
	check "stat reads $form" trace stat "$work/$form"
	check "stat of $form counts the stores" row 4 stores
	check "stat of $form counts the bytes stored" row 21 "bytes stored"
	check "stat of $form counts the flushes" row 4 "lines flushed"
	check "stat of $form counts flushes of clean lines" row 1 "lines flushed that were clean"
	check "stat of $form counts repeated flushes" row 1 "lines flushed again before the fence"
	check "stat of $form counts the idle fences" row 1 "fences with nothing to do"
	check "stat of $form counts stores that were never flushed" row 2 "stores that were never flushed"
	check "stat of $form counts stores that were never fenced" \
		row 1 "stores that were flushed and never fenced"
	check "stat of $form counts stores over bytes that were not durable" \
		row 1 "stores over bytes that were not durable yet"
	check "stat of $form names the file that was not synced" grep -Eq '^ +1 +0 log$' "$work/out"
done
trace stat --json "$work/run.trace"
check "stat --json has the totals" grep -q '"unflushed": *2' "$work/out"
trace stat --ndjson "$work/run.trace"
check "stat --ndjson has a line for each row" \
	[ "$(sed -n 's/.*"type":"\([a-z]*\)".*/\1/p' "$work/out" | tr '\n' ' ')" = "total site file " ]
trace stat --sites 0 "$work/run.trace"
check "stat --sites 0 has no table of sites" [ "$(grep -c SITE "$work/out")" = 0 ]

trace info "$work/run.trace"
check "info says that the trace is complete" grep -q '18 events\|19 events, complete, binary form' "$work/out"
check "info shows the command line" grep -q 'prog -x' "$work/out"
check "info shows the pool and its size" grep -Eq '1 +4K log' "$work/out"
trace info --json "$work/run.trace"
check "info --json has the trace's id" grep -q '"id": *"000102030405060708090a0b0c0d0e0f"' "$work/out"

check "export writes the log of pmemcheck" trace export --pmemcheck --images "$work/images" "$work/run.trace"
check "the log registers the image of the pool" \
	grep -q "^START|REGISTER_FILE;$work/images/1-log;0x[0-9a-f]*;0x1000;0x0|STORE;" "$work/out"
check "the image has the size of the pool" [ "$(stat -c %s "$work/images/1-log")" = 4096 ]
check "export says how many operations the log cannot hold" grep -q '1 operation of' "$work/err"
cp "$work/out" "$work/log"
check "the log is imported" trace import --pmemcheck -o "$work/log.trace" "$work/log"
trace stat "$work/log.trace"
check "the imported log has the stores" row 4 stores
check "images are not overwritten" \
	wrong 1 "1-log: File exists" export --pmemcheck --images "$work/images" "$work/run.trace"

# ---- Bad traces
size=$(stat -c %s "$work/run.trace")
head -c $((size - 1)) "$work/run.trace" >"$work/cut.trace"
check "a cut trace is reported" wrong 1 'the trace is cut within a block' dump "$work/cut.trace"
check "info of a cut trace says that it is not complete" \
	[ "$(status_of info "$work/cut.trace"; grep -c 'not complete' "$work/out")" = "$(printf '1\n1')" ]
cp "$work/run.trace" "$work/bad.trace"
# Any byte may stand there.
byte=$(od -An -tu1 -j $((size - 3)) -N 1 "$work/bad.trace")
printf '%b' "\\0$(printf %o $((byte ^ 64)))" |
	dd of="$work/bad.trace" bs=1 seek=$((size - 3)) conv=notrunc status=none
check "a damaged trace is reported" wrong 1 'a block is damaged' stat "$work/bad.trace"
cp "$work/run.trace" "$work/later.trace"
printf '\002' | dd of="$work/later.trace" bs=1 seek=8 conv=notrunc status=none
check "a damaged header is reported" wrong 1 'the header is damaged' info "$work/later.trace"
head -n 7 "$work/run.txt" >"$work/wrong.txt"
echo 't1 frob 1+0x0' >>"$work/wrong.txt"
check "a wrong line is reported with its number" wrong 1 "wrong.txt:8: 'frob'" dump "$work/wrong.txt"
check "what comes before a wrong line is printed" grep -q '^t1 clwb 1+0x0$' "$work/out"
check "import of a wrong text fails" wrong 1 'wrong.txt:8' import -o "$work/x.trace" "$work/wrong.txt"
check "a failed import makes no file" test ! -e "$work/x.trace"
printf 'START|STORE;zzz' >"$work/bad.log"
check "a malformed log is refused" wrong 1 'bad.log' import --pmemcheck -o "$work/x.trace" "$work/bad.log"
check "a file that is no trace is refused" wrong 1 'the first line of a trace is' info "$softpmem"
check "a trace that does not exist is named" wrong 1 'nowhere: No such file' dump "$work/nowhere"
check "a full disk is reported" wrong 1 '/dev/full: No space left' dump -o /dev/full "$work/run.trace"
check "import does not write over the file that it reads" \
	wrong 1 'it is a file that is read' import -o "$work/run.txt" "$work/run.txt"
check "the file that was read is unchanged" grep -q '^write 1+0x100' "$work/run.txt"

check "a mistyped command is refused with a suggestion" \
	wrong 2 "unknown command 'inf': did you mean 'info'" inf "$work/run.trace"
check "an option of another command is refused" wrong 2 'info does not take --sites' info --sites 3 x
check "import without an output is refused" wrong 2 'import requires --output' import "$work/run.txt"
check "export without a format is refused" wrong 2 'export requires --pmemcheck' export "$work/run.trace"
check "--sites refuses a word" wrong 2 '--sites takes a whole number' stat --sites many "$work/run.trace"
check "--json and --ndjson together are refused" wrong 2 'give one' stat --json --ndjson "$work/run.trace"
finish
