#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Run the fuzz target of the control socket on its corpus and on mutations of it.
exec "$abs_top_builddir/tests/fuzz/replay_control" "$abs_top_srcdir/tests/fuzz/corpus/control" 200000
