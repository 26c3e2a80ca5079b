#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Run the fuzz target of discovery on maps of guests, on hostile ones, and on mutations of both.
mutations=1000
[ "${SOFTPMEM_TEST_LONG:-0}" = 0 ] || mutations=4000
exec "$abs_top_builddir/tests/fuzz/replay_discovery" \
	"$abs_top_srcdir/tests/fuzz/corpus/discovery" "$mutations"
