#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A commit is the unlink of the journal. With synchronous=FULL it is not synced: sqlite-extra.sh has the rest.
journal=DELETE
metadata=durable
# shellcheck source=tests/engines/sqlite.bash
. "$abs_top_srcdir/tests/engines/sqlite.bash"
