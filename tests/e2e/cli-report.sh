#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# softpmem report: HTML, JSON, JUnit XML and SARIF of what explore found, with texts that try to break them.
# shellcheck disable=SC2016 # the variables are of jq
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1

for tool in jq xmllint; do
	command -v "$tool" >/dev/null || { echo "1..0 # SKIP $tool is not installed"; exit 0; }
done
softpmem=$abs_top_builddir/softpmem
cd "$work" || exit 1

# A name, a mark and a checker's output that are markup, control characters, and no UTF-8.
hostile='</title><script>alert(1)</script>"'\''&]]>'
cat >late.txt <<END
softpmem-trace 1
file file=1 mode=040755 path="/"
create file=2 parent=1 name="<b onclick=x>&quot;'\\x1b\\xff" mode=0100600
fsync file=2
fsync file=1
t1 store 2+0x0 u64=1
t1 clwb 2+0x0
t1 sfence
t1 mark "$(printf '%s' "${hostile//\"/\\\"}")"
t1 store 2+0x40 u64=7
t1 write 2+0x40 u64=7
fsync file=2
END
cat >checker <<'END'
#!/bin/sh
image=$(ls -d "$SOFTPMEM_STATE"/*) || exit 0
[ -s "$image" ] || exit 0
[ "$(od -An -tu1 -j 64 -N1 "$image" | tr -d ' ')" = 7 ] && exit 0
printf '</pre><img src=x onerror=alert(1)>\033[31m\377 \342\200\256 reversed ]]>\n'
exit 3
END
chmod +x checker

explored() {
	"$softpmem" explore --metadata strict --output "$1" late.txt -- ./checker >out 2>&1
	[ $? -eq 1 ]
}
check "explore --output writes what it found" explored findings.json
makes() { "$softpmem" report --format "$1" --output "report.$1" findings.json; }
for format in html json junit sarif; do
	check "report makes $format" makes "$format"
done

# ---- JSON

check "the JSON is JSON with findings" jq -e '.version == 1 and (.findings | length) > 0' report.json
check "a finding has its state, verdict and command" jq -e '.findings | all(.state != "" and
	(.verdict | startswith("failed with status 3")) and
	(.replay | startswith("softpmem explore ")))' report.json
check "the timeline has the fate of a store" jq -e '[.findings[].timeline.events[].fate] |
	index("lost") != null or index("kept") != null' report.json
check "the coverage adds up" jq -e '.states_checked + .states_equal == .states_generated' report.json
check "a text that is no UTF-8 is replaced" \
	jq -e '[.findings[].output] | any(contains("\ufffd"))' report.json

# ---- HTML

check "the HTML is well-formed" xmllint --html --noout --nowarning report.html
has_not() { ! grep -qiE -- "$1" report.html; }
check "no markup of the trace or the checker is in the HTML" has_not '<(script|img|b )'
check "negative control: the texts are in it, escaped" \
	grep -q '&lt;script&gt;alert(1)&lt;/script&gt;' report.html
check "the HTML has no control characters" has_not "$(printf '\033')"
check "the HTML has no character that turns the direction of writing" has_not "$(printf '\342\200\256')"
check "the HTML refers to nothing outside itself" has_not '<[^>]* (src|href)=("[^#]|[^"])'
check "the HTML forbids scripts and loading" grep -q "Content-Security-Policy.*default-src 'none'" report.html
check "the HTML follows the colours of the system" grep -q 'prefers-color-scheme:dark' report.html
check "the HTML names its language for screen readers" grep -q '<html lang="en">' report.html
check "the timeline can be scrolled with the keyboard and has a label" \
	grep -q 'role="region" tabindex="0" aria-labelledby="timeline-1"' report.html
check "the rows and columns of the timeline have headers" grep -q '<th scope="row">' report.html
unique_ids() { [ -z "$(grep -o ' id="[^"]*"' report.html | sort | uniq -d)" ]; }
check "no id is there twice" unique_ids

# ---- JUnit and SARIF

check "the JUnit XML is well-formed" xmllint --noout report.junit
failures() { xmllint --xpath "string(/testsuites/@failures)" report.junit; }
found() { jq '.findings | length' report.json; }
check "JUnit counts the findings as failures" [ "$(failures)" = "$(found)" ]
check "each finding is a failed test case" \
	[ "$(xmllint --xpath 'count(//testcase/failure)' report.junit)" = "$(found)" ]
check "the SARIF has the required fields of version 2.1.0" jq -e '.version == "2.1.0" and
	(.runs | length == 1) and (.runs[0].tool.driver.name == "softpmem") and
	(.runs[0].results | all((.message.text != "") and .ruleId == "crash-state" and .level == "error" and
	(.locations[0].physicalLocation.artifactLocation.uri | length > 0)))' report.sarif
check "each finding is a SARIF result" [ "$(jq '.runs[0].results | length' report.sarif)" = "$(found)" ]
check "the URIs of the SARIF are URIs" jq -e '
	[.runs[0].results[].locations[].physicalLocation.artifactLocation.uri] |
	all(test("^[A-Za-z0-9/._~%:-]+$"))' report.sarif

# ---- What explore --checker none finds

cat >careless.txt <<'END'
softpmem-trace 1
file file=1 path="/" mode=040755
create file=2 parent=1 name="<b>log" mode=0100644
t1 write 2+0x0 bytes=0102
t1 store 2+0x40 u64=1
t1 clwb 2+0x40
t1 clwb 2+0x40
END
"$softpmem" explore --checker none --output careless.found careless.txt >out
check "explore --checker none --output writes what it found, and prints it, too" \
	grep -q ' 1 stores that were flushed and never fenced' out
for format in html json junit sarif; do
	"$softpmem" report --format "$format" careless.found >"careless.$format"
done
check "the JSON has the number of places where data may be lost, and of flushes in vain" \
	jq -e '.without_checker and .never_durable == 3 and .in_vain == 1 and (.findings | length == 4)' \
	careless.json
check "the HTML has a finding for each of them" [ "$(grep -c '<article' careless.html)" = 4 ]
check "the HTML has the path of a file that was never synced, escaped" \
	grep -q 'of a file that was never synced, at &lt;b&gt;log' careless.html
check "the HTML without a checker is well-formed" xmllint --html --noout --nowarning careless.html
junit() {
	xmllint --xpath "concat(/testsuites/@tests, ' ', /testsuites/@failures, ' ', count(//failure))" "$1"
}
check "in JUnit a loss is a failure, and a flush in vain is none" [ "$(junit careless.junit)" = "4 3 3" ]
check "in SARIF a loss is an error, and a flush in vain is a note" jq -e '.runs[0] as $run |
	[$run.results[] | $run.tool.driver.rules[.ruleIndex].id == .ruleId] | all and
	([$run.results[] | .ruleId + " " + .level] | group_by(.) | map("\(length) \(.[0])") ==
	["1 flush-in-vain note", "3 never-durable error"])' careless.sarif
check "the fingerprints of different findings differ" jq -e '[.runs[0].results[].partialFingerprints[]] |
	unique | length == 4' careless.sarif
grep -v -e clwb -e write -e create -e store careless.txt >careful.txt
"$softpmem" explore --checker none --output careful.found careful.txt >out
"$softpmem" report --format junit careful.found >careful.junit
check "negative control: where all was made durable JUnit has one test that passed" \
	[ "$(junit careful.junit)" = "1 0 0" ]
if [ -w /dev/fuse ]; then
	"$softpmem" explore --output forgotten.found --checker none --workload "truncate -s 4096 pool &&
		sync pool . && $abs_top_builddir/tests/explore/replaying_log forget pool" >out 2>&1
	"$softpmem" report --format sarif forgotten.found >forgotten.sarif
	check "a store that is never flushed has its line of source" jq -e '.runs[0].results[] |
		select(.properties.kind == "unflushed").locations[0].physicalLocation |
		(.artifactLocation.uri | endswith("replaying_log.c")) and .region.startLine > 0' \
		forgotten.sarif
else
	skip "a store that is never flushed has its line of source" "/dev/fuse is missing"
	mkdir relative
	cat >relative/stores.c <<-'END'
		#include <fcntl.h>
		#include <sys/mman.h>
		int main(int argc, char **argv)
		{
			int fd = open(argv[1], O_RDWR);
			char *pool = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
			pool[100] = 1;
			return argc != 2;
		}
	END
	if command -v cc >/dev/null; then
		cc -g -w -o stores relative/stores.c
		"$softpmem" explore --output stores.found --checker none \
			--workload "truncate -s 4096 pool && sync pool . && $work/stores pool" >out 2>&1
		check "a source that is relative to the compiler's directory has its excerpt" \
			jq -e --arg path "$work/relative/stores.c" '
			.findings[] | select(.kind == "unflushed") |
			.source == $path and (.excerpt | map(test("pool.100. = 1")) | any)' stores.found
	else
		skip "a source that is relative to the compiler's directory has its excerpt" "no compiler"
	fi
fi

# ---- A search without findings

"$softpmem" explore --output good.json late.txt -- true >out 2>&1
"$softpmem" report --format junit good.json >good.junit
check "without a finding JUnit has one test that passed" \
	[ "$(xmllint --xpath 'concat(/testsuites/@tests, /testsuites/@failures)' good.junit)" = 10 ]
says_none() { "$softpmem" report good.json | grep -q 'No finding'; }
check "without a finding the HTML says so" says_none

# ---- Hostile and wrong input

refused() {
	local status
	"$softpmem" report "$2" >out 2>&1
	status=$?
	cat out
	[ "$status" -eq 1 ] && grep -q "$1" out
}
echo '{"findings": 1}' >wrong.json
check "a file that is no result is refused" refused "not a result of explore" wrong.json
check "a file that does not exist is named" refused "nowhere: No such file" nowhere
jq '.version = 2' report.json >newer.json
check "a result of a newer version is refused" refused "newer softpmem" newer.json
cat >odd.json <<'END'
{"trace": "x", "findings": [1, null, {
"evidence": [1, {"excerpt": [{}, "<x>"], "line": -5, "source": 3}],
"timeline": {"rows": [7, {}], "events": [[], {"row": "a", "fate": "\"><x>"}, {"row": 18446744073709551615}]}
}]}
END
survives() {
	for format in html json junit sarif; do
		"$softpmem" report --format "$format" odd.json >"strange.$format" || return 1
	done
	xmllint --noout strange.junit && ! grep -q '<x>' strange.html strange.junit
}
check "members of other types count as empty" survives
finish
