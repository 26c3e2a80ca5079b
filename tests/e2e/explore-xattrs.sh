#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Extended attributes in traces: a crash loses them as other attributes, and the files of a state have them.
# shellcheck disable=SC2016 # the commands are for other shells
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse

cd "$work" || exit 1
export TMPDIR=$work

cat >run.txt <<'END'
softpmem-trace 1
file file=1 mode=040755 path="/"
file file=2 mode=0100600 path="/log"
xattr file=2 name="user.a" value=61
name file=2 parent=1 name="log"
mkdir file=3 parent=1 name="d" mode=040700
fsync file=3
setxattr file=2 name="user.b" value=62
fsync file=2
setxattr file=2 name="user.a" value=63
removexattr file=2 name="user.b"
setxattr file=3 name="user.empty"
END
lists() { # MODE: the states are the lines of standard input.
	"$softpmem" explore --metadata "$1" --list-states run.txt >listed && diff - listed
}
check "in ordered a crash loses the last changes of attributes" lists ordered <<'END'
d/ mode=0700 user.empty=""; log mode=0600 user.a="c" size=0
d/ mode=0700; log mode=0600 user.a="a" size=0
d/ mode=0700; log mode=0600 user.a="a" user.b="b" size=0
d/ mode=0700; log mode=0600 user.a="c" size=0
d/ mode=0700; log mode=0600 user.a="c" user.b="b" size=0
log mode=0600 user.a="a" size=0
END
ordered=$(wc -l <listed)
check "in strict those of different files are lost apart" \
	test "$("$softpmem" explore --metadata strict --list-states run.txt | wc -l)" -gt "$ordered"
# What the checker asks the kernel for is what the list of states says.
cat >ask.py <<'END'
import os, sys
def has(name):
    path = sys.argv[1] + "/" + name
    return {n: os.getxattr(path, n) for n in os.listxattr(path)} if os.path.exists(path) else {}
print("state", has("log"), has("d"), file=open(sys.argv[2], "a"))
END
asked() {
	"$softpmem" explore --jobs 1 --checker mount run.txt -- python3 ask.py '{}' "$work/asked" &&
		sed 's/user\.//g' asked | sort -u >had && diff - had
}
check "the files and directories of the states have them" asked <<'END'
state {'a': b'a', 'b': b'b'} {}
state {'a': b'a'} {}
state {'a': b'c', 'b': b'b'} {}
state {'a': b'c'} {'empty': b''}
state {'a': b'c'} {}
END

daemon_start --region memfd:64M || bail "no daemon"
# recorded SYNC: an engine that keeps its generation in an attribute.
recorded() {
	"$softpmem" record -o run.trace -- python3 -c '
import os, sys
fd = os.open(sys.argv[1], os.O_CREAT | os.O_RDWR)
os.setxattr(fd, "user.generation", b"1")
os.fsync(fd)
os.setxattr(fd, "user.generation", b"2")
exec(sys.argv[2])
print("done", flush=True)' "$mnt/engine" "$1"
}
explored() { # STATUS
	timeout 120 "$softpmem" explore --checker mount run.trace -- python3 -c '
import os, sys
acknowledged = os.path.getsize(os.environ["SOFTPMEM_STDOUT"]) > 0
sys.exit(acknowledged and os.getxattr(sys.argv[1] + "/engine", "user.generation") != b"2")' '{}' >out 2>&1
	[ $? -eq "$1" ] || { cat out; return 1; }
}
check "an engine that syncs its attribute is recorded" recorded 'os.fsync(fd)'
check "no crash loses an attribute that was synced" explored 0
check "one that does not sync it is recorded" recorded 'pass'
check "negative control: a crash loses an attribute that was not synced" explored 1
check "the finding names the change of the attributes" grep -q 'change of the attributes of engine' out
finish
