#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Run the fuzz target of the attach socket on its corpus and on mutations of it.
mutations=1000
[ "${SOFTPMEM_TEST_LONG:-0}" = 0 ] || mutations=2000
exec "$abs_top_builddir/tests/fuzz/replay_attach" \
	"$abs_top_srcdir/tests/fuzz/corpus/attach" "$mutations"
