#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# A check of softpmem torture as a checker of softpmem explore --checker mount:
#
#   in_state.sh DIRECTORY COMMAND [WORD]...
#
# runs the command in the tree of the state, with what the load had printed in SOFTPMEM_ACKNOWLEDGED.
cd "$1" || exit 2
shift
SOFTPMEM_ACKNOWLEDGED=$SOFTPMEM_STDOUT
export SOFTPMEM_ACKNOWLEDGED
exec "$@"
