#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The loader of regions, and what runs on them, over its corpus and mutations of it.
exec "$abs_top_builddir/tests/fuzz/replay_region" "$abs_top_srcdir/tests/fuzz/corpus/region" 2000
