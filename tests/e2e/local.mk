# SPDX-License-Identifier: BSD-3-Clause
# Through the real daemon and a real mount.
e2e_tests = \
	tests/e2e/disk-full.sh \
	tests/e2e/regions.sh
TESTS += $(e2e_tests)
EXTRA_DIST += $(e2e_tests)
