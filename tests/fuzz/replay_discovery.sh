#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Discovery over the maps of guests, over hostile ones, and over mutations of both.
exec "$abs_top_builddir/tests/fuzz/replay_discovery" "$abs_top_srcdir/tests/fuzz/corpus/discovery" 4000
