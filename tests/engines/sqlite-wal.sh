#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
journal=WAL
# shellcheck source=tests/engines/sqlite.bash
. "$abs_top_srcdir/tests/engines/sqlite.bash"
