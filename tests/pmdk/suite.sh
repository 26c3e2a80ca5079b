#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# PMDK's own test suite, first natively on tmpfs, then with softpmem's library on a mount. Each test that
# passes natively has to pass, but those of suite.expected, which has the reason for each. Tests that need a
# Valgrind tool are left out. It takes about an hour.
#
#   PMDK_SOURCE=DIR          the source of PMDK, unpacked; else that of Debian's package, by apt-get source
#   PMDK_SUITE=DIR           where it is built and leaves its results (pmdk-suite of the build directory);
#                            what is there, the native results too, is used again
#   PMDK_TESTS="NAME..."     only these directories of its src/test
#   PMDK_BUILD=debug         PMDK's libraries with debug code (nondebug); with softpmem its libpmem is ours
#                            in both
# shellcheck source=tests/lib.sh
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse

suite=${PMDK_SUITE:-$abs_top_builddir/pmdk-suite}
build=${PMDK_BUILD:-nondebug}
read -ra only <<<"${PMDK_TESTS:-}"
# Variables of the make that runs this are not for PMDK's, which has a TESTS of its own.
unset MAKEFLAGS MFLAGS MAKEOVERRIDES MAKELEVEL TESTS
mkdir -p "$suite" || bail "cannot make $suite"
tree=$suite/pmdk
native=$suite/native-$build
ours=$suite/softpmem-$build

# fetch: copy or get the source, whole or not at all.
fetch() {
	[ ! -d "$tree" ] || return 0
	rm -rf "$suite/unpacked" && mkdir "$suite/unpacked" || return 1
	if [ -n "${PMDK_SOURCE:-}" ]; then
		cp -a "$PMDK_SOURCE" "$suite/unpacked/pmdk-source" || return 1
	else
		(cd "$suite/unpacked" && apt-get -q source pmdk) || return 1
	fi
	mv "$suite"/unpacked/pmdk-*/ "$tree" && rm -r "$suite/unpacked"
}

# Some of the suite's tools are static. The tests with static libraries have no libpmem.so, and are not run.
make_suite() {
	local options=(EXTRA_CFLAGS=-Wno-error NDCTL_ENABLE=n BUILD_STATIC_DEBUG=n BUILD_BENCHMARKS=n
		DOC=n CHECK_OS=true "-j${PMDK_JOBS:-2}")
	[ ! -e "$tree/built" ] || return 0
	# Its Python runner gives tools an environment without LD_PRELOAD.
	sed -i 's/env=self\.env,/env={**os.environ, **self.env},/' "$tree/src/test/unittest/tools.py" &&
		make -C "$tree/src" "${options[@]}" all &&
		make -C "$tree/src/test" "${options[@]}" test &&
		touch "$tree/built"
}

# configure DIRECTORY FORCE: the tests use the directory. FORCE is 1 to have it called persistent memory.
configure() {
	local force=False types=release
	[ -z "$2" ] || force=True
	[ "$build" = nondebug ] || types=debug
	cat >"$tree/src/test/testconfig.sh" <<-EOT
		PMEM_FS_DIR=$1
		${2:+PMEM_FS_DIR_FORCE_PMEM=$2}
		KEEP_GOING=y
		CLEAN_FAILED=y
		TM=1
	EOT
	cat >"$tree/src/test/testconfig.py" <<-EOT
		config = {
		    'unittest_log_level': 1, 'tm': True, 'test_type': 'check', 'build': ['$types'],
		    'cacheline_fs_dir': '$1', 'force_cacheline': $force, 'force_page': False,
		    'force_byte': False, 'granularity': 'all', 'keep_going': True, 'fail_on_skip': False,
		    'timeout': '3m', 'dump_lines': 30, 'force_enable': None, 'device_dax_path': [],
		    'enable_admin_tests': False
		}
	EOT
}

# Both of PMDK's runners ask which(1) for Valgrind.
mkdir "$work/bin"
cat >"$work/bin/which" <<'EOT'
#!/bin/sh
[ "$1" != valgrind ] && command -v "$1"
EOT
chmod +x "$work/bin/which"

# directories FILE: those that are asked for and have the file, in one line.
directories() {
	local path name
	for path in */"$1"; do
		name=${path%/*}
		[[ ${#only[@]} -gt 0 && " ${only[*]} " != *" $name "* ]] || printf '%s ' "$name"
	done
	echo
}

# run_suite RESULTS COMMAND...: run the tests by the command, and leave a sorted line for each: its name, and
# PASS, FAIL or SKIP. A test that is run several times passes if it passes once and never fails.
run_suite() {
	local results=$1
	shift
	(
		cd "$tree/src/test" && PATH=$work/bin:$PATH || exit 1
		read -ra shell < <(directories TEST0)
		read -ra python < <(directories TESTS.py)
		[ ${#shell[@]} -eq 0 ] || "$@" ./RUNTESTS -b "$build" -t check "${shell[@]}"
		[ ${#python[@]} -eq 0 ] || "$@" python3 ./RUNTESTS.py "${python[@]}"
	) </dev/null >"$results.log" 2>&1
	sed 's/\x1b\[[0-9;]*m//g' "$results.log" | awk '
		function is(name, state) {
			if (!(name in was) || state == "FAIL" || (state == "PASS" && was[name] == "SKIP"))
				was[name] = state
		}
		$1 ~ /^[a-z0-9_]+\/TEST[0-9]+:$/ {
			name = substr($1, 1, length($1) - 1)
			if ($2 ~ /^(PASS|SKIP)/) is(name, substr($2, 1, 4))
			if ($2 ~ /^FAILED/) is(name, "FAIL")
		}
		/^RUNTESTS: stopping: / { is($3, "FAIL") }
		END { for (name in was) print name, was[name] }' | LC_ALL=C sort >"$results.new"
	[ -s "$results.new" ] && mv "$results.new" "$results"
}

# these STATE RESULTS: the names of the tests that ended so.
these() { awk -v state="$1" '$2 == state { print $1 }' "$2"; }

fetch >"$suite/fetch.log" 2>&1 || bail "no source of PMDK: see $suite/fetch.log, or set PMDK_SOURCE"
check "PMDK and its tests build" make_suite
[ -e "$tree/built" ] || finish
# It looks for a log of libpmem itself, which ours does not write; without one the runner ends for all tests.
[ "$build" = nondebug ] || rm -f "$tree/src/test/pmem_eADR_functions/TESTS.py"
native_run() {
	local directory status
	[ ! -s "$native" ] || [ ${#only[@]} -gt 0 ] || return 0
	directory=$(mktemp -d /dev/shm/softpmem-test.XXXXXX) || return 1
	at_exit+=("rm -rf $directory")
	configure "$directory" 1 && run_suite "$native" env
	status=$?
	rm -rf "$directory"
	return "$status"
}
check "the suite runs natively" native_run
daemon_start --region memfd:20G || bail "no daemon"
softpmem_run() { configure "$mnt" '' && run_suite "$ours" "$softpmem" run --; }
check "the suite runs with softpmem" softpmem_run
check "the daemon still answers" "$softpmem" status
check "the region is sound" "$softpmem" check
daemon_stop
check "the daemon ends with status 0" test $? -eq 0

note "natively: $(these PASS "$native" | wc -l) passed, $(these FAIL "$native" | wc -l) failed" \
	"with softpmem: $(these PASS "$ours" | wc -l) passed, $(these FAIL "$ours" | wc -l) failed"
expected=$abs_top_srcdir/tests/pmdk/suite.expected
while read -r name; do
	reason=$(awk -v name="$name" '$1 == name { $1 = ""; print substr($0, 2) }' "$expected")
	if grep -qx "$name PASS" "$ours"; then
		ok "$name passes as it does natively"
		[ -z "$reason" ] || note "suite.expected has it"
	elif [ -n "$reason" ]; then
		skip "$name" "$reason"
	else
		not_ok "$name passes as it does natively"
	fi
done < <(these PASS "$native")
finish
