#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Run the fuzz target of the control socket on its corpus and on mutations of it.
mutations=50000
[ "${SOFTPMEM_TEST_LONG:-0}" = 0 ] || mutations=200000
exec "$abs_top_builddir/tests/fuzz/replay_control" \
	"$abs_top_srcdir/tests/fuzz/corpus/control" "$mutations"
