#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Run the fuzz target of the mount's requests on its corpus and on mutations of it.
mutations=500
[ "${SOFTPMEM_TEST_LONG:-0}" = 0 ] || mutations=5000
exec "$abs_top_builddir/tests/fuzz/replay_fuse" \
	"$abs_top_srcdir/tests/fuzz/corpus/fuse" "$mutations"
