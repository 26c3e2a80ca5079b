#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Trace files, texts and slots of recorded threads over their corpus and mutations of it.
mutations=1000
[ "${SOFTPMEM_TEST_LONG:-0}" = 0 ] || mutations=4000
exec "$abs_top_builddir/tests/fuzz/replay_trace" \
	"$abs_top_srcdir/tests/fuzz/corpus/trace" "$mutations"
