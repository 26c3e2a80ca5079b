#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The manual: every page is clean, every example works as it is written.
. "$abs_top_srcdir/tests/lib.sh" || exit 1
needs_fuse

docs=$abs_top_srcdir/docs

# Every block of a page's examples, with /tmp moved to a directory of ours.
example() {
	awk '
		/^\.Sh / { on = /EXAMPLES/ }
		on && /^\.Ed/ { print "" ; block = 0 }
		block { print }
		on && /^\.Bd/ { block = 1 }' "$1" | sed "s|/tmp/|$work/tmp/|g"
}
run_example() {
	mkdir -p "$work/tmp"
	# A person takes longer to go on than a daemon to end.
	# shellcheck disable=SC2016 # for the shell that runs it
	example "$1" | sed '/^fusermount3 -u/a\
		while [ -e "$SOFTPMEM_SOCKET" ] || [ -e "$SOFTPMEM_SOCKET.attach" ]; do sleep 0.05; done' \
		>"$work/example"
	sed 's/^/# /' "$work/example"
	[ -s "$work/example" ] && sh -eu "$work/example"
}
# Each example starts from an empty tree.
empty() {
	local name
	for name in "$mnt"/*; do
		[ ! -e "$name" ] || "$softpmem" destroy --recursive "${name##*/}" || return
	done
}
options_of() { # options_of COMMAND...: the long options that its help lists
	"$@" --help | sed -n 's/^  \(-[a-zA-Z], \)\{0,1\}--\([a-z-]*\).*/\2/p'
}
documented() { # documented PAGE OPTION...
	local page=$1 option
	shift
	for option; do
		grep -Eq "(Fl|[,|]) -$option( |\$)" "$page" || { echo "$option is not in $page"; return 1; }
	done
}

named_in() { # named_in FILE WORD...
	local file=$1 word
	shift
	for word; do
		grep -qw -- "$word" "$file" || { echo "$word is not in $file"; return 1; }
	done
}

# shellcheck source=tests/packages.bash
. "$abs_top_srcdir/tests/packages.bash"
required=()
for package in "${packages_to_build[@]}"; do
	# Only a test program is built with it.
	[ "$package" = libsqlite3-dev ] || required+=("$package")
done
check "the README names each package that the build requires" \
	named_in "$abs_top_srcdir/README.md" "${required[@]}"
sed "s/libdaxctl-dev//" "$abs_top_srcdir/README.md" >"$work/README.md"
check_fails "negative control: a package that the README does not name is reported" \
	"libdaxctl-dev is not in" named_in "$work/README.md" "${required[@]}"

if command -v mandoc >/dev/null; then
	for page in "$docs"/*.[138]; do
		check "$(basename "$page") is clean" test -z "$(mandoc -T lint -W warning "$page" 2>&1)"
	done
else
	skip "the pages are clean" "mandoc is not installed"
fi

daemon_start --region memfd:128M || bail "the daemon does not start"
verbs=(stat status list create destroy rename resize path powerfail mark record format check trace)
# Not everybody is told where memory is.
if "$softpmem" regions >/dev/null 2>&1; then
	verbs+=(regions)
else
	skip "the examples of softpmem-regions(1) work" "this process may not see the memory map"
fi
for verb in "${verbs[@]}"; do
	page=$docs/softpmem-$verb.1
	empty || bail "what the last example made cannot be destroyed"
	check "the examples of softpmem-$verb(1) work" run_example "$page"
	mapfile -t options < <(options_of "$softpmem" "$verb" | grep -Ev '^(socket|verbose|help)$')
	check "softpmem-$verb(1) documents every option" documented "$page" "${options[@]}"
done
mapfile -t options < <(options_of "$softpmem" torture | grep -Ev '^(socket|verbose|help)$')
check "softpmem-torture(1) documents every option" documented "$docs/softpmem-torture.1" "${options[@]}"
mapfile -t options < <(options_of "$softpmem" explore | grep -Ev '^(socket|verbose|help)$')
check "softpmem-explore(1) documents every option" documented "$docs/softpmem-explore.1" "${options[@]}"
empty || bail "what the last example made cannot be destroyed"
check "the examples of softpmem(1) work" run_example "$docs/softpmem.1"
empty || bail "what the last example made cannot be destroyed"
check "the examples of softpmem-sync(1) work" run_example "$docs/softpmem-sync.1"
check "the examples of softpmem-stop(1) work" run_example "$docs/softpmem-stop.1"
wait "$daemon_pid"
daemon_pid=
at_exit+=("umount -l $work/tmp/pmem")
check "the examples of softpmemd(8) work" run_example "$docs/softpmemd.8"
mapfile -t options < <(options_of "$softpmemd")
check "softpmemd(8) documents every option" documented "$docs/softpmemd.8" "${options[@]}"

printf '.Dd November 21, 2026\n.Dt X 1\n.Os\n.Sh EXAMPLES\n.Bd -literal\nsoftpmem no-such-verb\n.Ed\n' \
	>"$work/bad.1"
check_fails "negative control: an example that fails is reported" 'unknown command' run_example "$work/bad.1"
check_fails "negative control: an option that is missing in a page is reported" \
	'moon is not in' documented "$docs/softpmem.1" moon
finish
