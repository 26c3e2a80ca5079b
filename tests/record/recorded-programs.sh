#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Programs of Debian, as they are, on files of the mount: each prints the same when it is recorded, its trace
# is complete, and the tree that the trace leaves is that of the mount, byte for byte. Those that are not
# installed are skipped. Long, because they are many.
# shellcheck disable=SC2016 # the commands are for another shell
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse
# shellcheck source=tests/record/recorded.bash
. "$abs_top_srcdir/tests/record/recorded.bash"

daemon_start --region memfd:128M || bail "no daemon"
command -v jq >/dev/null || { echo "1..0 # SKIP jq is not installed"; exit 0; }
directory=$mnt/files
export HOME=$directory LC_ALL=C

in_directory() { # COMMAND...
	rm -rf "$directory" && mkdir "$directory" && cd "$directory" && "$@" </dev/null
}
prints_the_same() { # SHELL-COMMANDS
	(in_directory timeout 60 "$softpmem" run -- bash -c "$1") >"$work/expected" 2>"$work/err" || return 1
	[ -s "$work/expected" ] || return 1
	if ! (in_directory timeout 120 "$softpmem" record -o "$trace" -- bash -c "$1") >"$work/out" \
		2>"$work/err"; then
		cat "$work/err"
		return 1
	fi
	diff "$work/expected" "$work/out"
}
complete() {
	"$softpmem" trace info --json "$trace" | jq -e '.complete and .lost == 0' >/dev/null
}
leaves_the_tree() {
	rm -rf "$work/tree"
	"$abs_top_builddir/tests/e2e/trace_tree" "$trace" "$work/tree" &&
		diff -r --no-dereference "$work/tree" "$mnt"
}
# program NAME "TOOL..." SHELL-COMMANDS
program() {
	local tool
	for tool in $2; do
		if ! command -v "$tool" >/dev/null; then
			skip "$1" "no $tool"
			return
		fi
	done
	check "$1 prints the same when it is recorded" prints_the_same "$3"
	check "$1: the trace is complete" complete
	check "$1: the tree that the trace leaves is that of the mount" leaves_the_tree
}

program "sqlite3, with its files mapped," sqlite3 '
	sqlite3 x.db "pragma mmap_size=1000000; create table t(a, b);
		with recursive c(i) as (select 1 union all select i + 1 from c where i < 500)
			insert into t select i, hex(i) from c;
		select count(*), sum(a) from t; pragma journal_mode=wal;
		update t set b = 1 where a < 10; select count(*) from t where b = 1; pragma integrity_check"'
program "LMDB's tools" "mdb_load mdb_dump mdb_stat" '
	mkdir l
	(printf "VERSION=3\nformat=print\ntype=btree\nmapsize=1048576\nHEADER=END\n"
		for ((i = 0; i < 50; i++)); do printf " k$i\n v$i\n"; done
		echo DATA=END) | mdb_load l
	mdb_dump -p l | grep -c "^ "; mdb_stat l | tail -n 5'
program "git" git '
	export GIT_AUTHOR_DATE=@1 GIT_COMMITTER_DATE=@1
	git init -q r; cd r; git config user.email a@b; git config user.name n
	for i in 1 2 3; do echo $i >f$i; git add f$i; git commit -qm c$i; done
	git gc -q; git log --oneline; git fsck; echo 4 >f1; git diff --stat; git stash -q; git status --short'
program "tar and its compressors" "tar gzip xz bzip2" '
	mkdir a b; for i in 1 2 3 4 5; do tail -c +$i /usr/share/common-licenses/GPL-3 >a/$i; done
	tar -cf a.tar --mtime=@1 --sort=name a; tar -xf a.tar -C b; diff -r a b/a && echo same
	gzip -n a.tar; xz -k a.tar.gz; bzip2 -k a.tar.gz; ls'
program "perl" perl '
	perl -e "open F, \"+>\", \"p\" or die; print F \"line \$_\n\" for 1 .. 1000; seek F, 0, 0;
		my \$n = 0; \$n += length while <F>; print \$n, \"\n\";
		use Fcntl; sysopen G, \"q\", O_RDWR|O_CREAT; syswrite G, \"x\" x 5000; sysseek G, 100, 0;
		sysread G, \$b, 10; print \$b, \"\n\"; rename \"q\", \"r\"; print -s \"r\", \"\n\""'
program "ruby" ruby '
	ruby -e "File.open(%q(f), %q(w+)) { |f| 1000.times { |i| f.puts i }; f.fsync; f.rewind
			puts f.readlines.map(&:to_i).sum }
		require %q(pstore); s = PStore.new(%q(ps)); s.transaction { s[:a] = [1, 2, 3] }
		s.transaction(true) { p s[:a] }; Thread.new { File.write(%q(t), %q(x) * 100) }.join
		puts File.size(%q(t)); fork { exit!(3) }; Process.wait; puts \$?.exitstatus"'
program "gawk" gawk '
	gawk "BEGIN { for (i = 0; i < 1000; i++) print i, i * i >\"sq\"; close(\"sq\")
		while ((getline l <\"sq\") > 0) { split(l, a); s += a[2] }
		print s; \"date -u -d @0\" | getline d; print d; print 1 | \"sort\" }"'
program "php" php '
	php -r "file_put_contents(\"f\", str_repeat(\"abc\", 1000)); echo filesize(\"f\"), \"\n\";
		\$f = fopen(\"f\", \"c+\"); flock(\$f, LOCK_EX); fseek(\$f, 100); fwrite(\$f, \"zzz\");
		fflush(\$f); echo md5_file(\"f\"), \"\n\"; rename(\"f\", \"g\"); print_r(scandir(\".\"));"'
program "node" node '
	node -e "const fs = require(\"fs\");
		for (let i = 0; i < 200; i++) fs.appendFileSync(\"log\", i + \"\n\");
		const fd = fs.openSync(\"b\", \"w+\"), b = Buffer.alloc(10);
		fs.writeSync(fd, Buffer.alloc(10000, 7), 0, 10000, 0); fs.fsyncSync(fd);
		fs.readSync(fd, b, 0, 10, 50); console.log(b);
		fs.promises.writeFile(\"p\", \"async\").then(() => fs.promises.readFile(\"p\", \"utf8\"))
			.then(s => console.log(s, fs.readdirSync(\".\")))"'
program "redis" "redis-server redis-cli" '
	redis-server --port 0 --unixsocket $HOME/s --appendonly yes --save "" >/dev/null 2>&1 & server=$!
	until [ "$(redis-cli -s s ping 2>/dev/null)" = PONG ]; do sleep 0.05; done
	for ((i = 0; i < 30; i++)); do redis-cli -s s set k$i v$i; done | sort | uniq -c
	redis-cli -s s save; redis-cli -s s get k7; redis-cli -s s shutdown; wait $server; echo $?; rm -f s'
program "RocksDB's ldb" ldb '
	ldb --db=$HOME/r --create_if_missing put a b; ldb --db=$HOME/r put c d; ldb --db=$HOME/r get a
	ldb --db=$HOME/r scan; ldb --db=$HOME/r compact; ldb --db=$HOME/r checkconsistency'
program "Tokyo Cabinet's trees and hashes, which map their files," "tcbmgr tcbtest tchmgr tchtest tchmttest" '
	tcbmgr create b; for ((i = 0; i < 40; i++)); do tcbmgr put b k$i v$i; done; tcbmgr list b | wc -l
	tcbtest write w 2000 | grep -c ok; tcbtest wicked x 1000 | grep -c ok
	tchmgr create h; for ((i = 0; i < 40; i++)); do tchmgr put h k$i v$i; done; tchmgr out h k3
	tchmgr list h | sort | wc -l; tchmgr optimize h; tchtest rcat -rnd c 1000 | grep -c ok
	tchmttest write t 4 500 | grep -c ok; tchmttest race r 4 200 | grep -c ok'
program "Kyoto Cabinet's trees and hashes, which map their files," "kchashmgr kctreemgr kchashtest" '
	kchashmgr create h.kch; for ((i = 0; i < 20; i++)); do kchashmgr set h.kch k$i v$i; done
	kchashmgr get h.kch k7; kchashmgr list h.kch | sort | wc -l; kchashmgr check h.kch
	kctreemgr create t.kct; kctreemgr set t.kct a b; kctreemgr list -pv t.kct
	kchashtest order x.kch 1000 | grep -c ok; kchashtest order -th 4 y.kch 500 | grep -c ok'
program "gdbmtool, which maps its file," gdbmtool '
	printf "store a b\nstore c d\nfetch a\ncount\nlist\nreorganize\nquit\n" | gdbmtool -q g.db'
program "Berkeley DB's tools" "db5.3_load db5.3_dump db5.3_verify db5.3_stat" '
	for ((i = 0; i < 100; i++)); do printf "k$i\nv$i\n"; done | db5.3_load -T -t btree x.db
	db5.3_dump -p x.db | wc -l; db5.3_verify x.db && echo fine; mkdir e
	for ((i = 0; i < 30; i++)); do printf "k$i\nv$i\n"; done | db5.3_load -h e -T -t hash y.db
	db5.3_stat -h e -d y.db | head -n 3'
program "rsync" rsync '
	mkdir a; for i in 1 2 3; do head -c ${i}0000 /usr/share/common-licenses/GPL-3 >a/$i; done
	rsync -a --checksum a/ b/; echo changed >>a/2; rsync -a --inplace a/ b/; diff -r a b && echo same'
program "Python with threads, processes and archives" python3 '
	python3 -c "
import multiprocessing, os, shelve, sqlite3, threading, zipfile
c = sqlite3.connect(\"s\"); c.execute(\"create table t(a)\")
c.executemany(\"insert into t values(?)\", [(i,) for i in range(100)]); c.commit()
print(c.execute(\"select sum(a) from t\").fetchone())
with zipfile.ZipFile(\"z\", \"w\") as z: z.writestr(\"a\", \"b\" * 1000)
ts = [threading.Thread(target=lambda i=i: open(str(i), \"w\").write(\"x\" * i)) for i in range(5)]
[t.start() for t in ts]; [t.join() for t in ts]
with multiprocessing.Pool(2) as p: print(p.map(abs, [-1, -2]))
print(sorted(os.listdir(\".\")))"'
program "GNU's file utilities" "dd cp mv ln truncate fallocate split sort sed zip unzip" '
	head -c 40000 /usr/share/common-licenses/GPL-3 | dd of=a bs=4k 2>/dev/null; cp a b; mv b c; ln c e
	ln -s c f; stat -c %h c; truncate -s 100 a; fallocate -l 10000 g; sync g; md5sum <g
	split -b 10k c part; cat part* | cmp - c && echo whole; seq 1000 | sort -R --random-source=c -o s
	sed -i s/1000/x/ s; chmod 600 s; touch -d @5 s; stat -c "%a %Y" s; zip -q z.zip s
	unzip -p z.zip | cmp - s && echo zip'

# What is linked statically does not load the library, and is named.
if command -v busybox >/dev/null && ! ldd "$(command -v busybox)" >/dev/null 2>&1; then
	static_is_named() {
		(in_directory "$softpmem" record -o "$trace" -- busybox sh -c "echo text >f; cat f") \
			>"$work/out" 2>"$work/err" && [ "$(<"$work/out")" = text ] &&
			grep 'busybox: it is linked statically' "$work/err" && leaves_the_tree
	}
	check "a program that is linked statically is named, and its writes are recorded" static_is_named
else
	skip "a program that is linked statically" "no busybox-static"
fi
finish
