#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# unit_test.sh PROGRAM: run a unit test. Of a test that is skipped cmocka says "not ok N # SKIP NAME", which
# automake takes for a failure; why it was skipped is in a comment before (skip_because()).
set -o pipefail
"$1" | awk '
	/^# skipped: / { why = substr($0, 12) }
	/^not ok [0-9]+ # SKIP / { $0 = "ok " $3 " - " $6 " # SKIP " why }
	{ print; fflush() }'
