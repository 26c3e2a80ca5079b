# SPDX-License-Identifier: BSD-3-Clause
# The Debian package. It is not in `make check`: it installs two systems and builds twice.
debian_files = \
	debian/changelog \
	debian/control \
	debian/copyright \
	debian/not-installed \
	debian/rules \
	debian/softpmem-dev.install \
	debian/softpmem-doc.install \
	debian/softpmem.install \
	debian/source/format \
	debian/tests/control \
	debian/tests/first-session \
	debian/tests/session.bash
EXTRA_DIST += $(debian_files) tests/debian/package.sh

.PHONY: check-debian
check-debian: all
	$(MAKE) $(AM_MAKEFLAGS) check TESTS=tests/debian/package.sh check_PROGRAMS=
