#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# https://www.sqlite.org/pragma.html#pragma_synchronous: EXTRA is FULL, and syncs the directory after the
# unlink of the journal. Where an unlink can be lost, FULL may lose the last commit.
# The writer is killed: if it went on, it could open the directory after the power failure, and sync it with
# success, though its unlink is lost.
journal=DELETE
kill=yes
synchronous=EXTRA
metadata=ordered
# shellcheck source=tests/engines/sqlite.bash
. "$abs_top_srcdir/tests/engines/sqlite.bash"
