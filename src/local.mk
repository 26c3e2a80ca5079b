# SPDX-License-Identifier: BSD-3-Clause
# Two programs, in the order of dependencies, and the library that programs under test are linked with.
include src/lib/local.mk
include src/command/local.mk
include src/wire/local.mk
include src/server/local.mk
include src/regions/local.mk
include src/attach/local.mk
include src/daemon/local.mk
include src/cli/local.mk
