# SPDX-License-Identifier: BSD-3-Clause
# Through the real daemon and a real mount.
e2e_tests =
TESTS += $(e2e_tests)
EXTRA_DIST += $(e2e_tests)
