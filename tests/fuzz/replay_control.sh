#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The control parser over its corpus and mutations of it.
exec "$abs_top_builddir/tests/fuzz/replay_control" "$abs_top_srcdir/tests/fuzz/corpus/control" 200000
