# SPDX-License-Identifier: BSD-3-Clause
dist_man_MANS += \
	docs/softpmem-check.1 \
	docs/softpmem-create.1 \
	docs/softpmem-destroy.1 \
	docs/softpmem-explore.1 \
	docs/softpmem-format.1 \
	docs/softpmem-list.1 \
	docs/softpmem-mark.1 \
	docs/softpmem-path.1 \
	docs/softpmem-powerfail.1 \
	docs/softpmem-record.1 \
	docs/softpmem-regions.1 \
	docs/softpmem-rename.1 \
	docs/softpmem-report.1 \
	docs/softpmem-resize.1 \
	docs/softpmem-restore.1 \
	docs/softpmem-run.1 \
	docs/softpmem-snapshot.1 \
	docs/softpmem-stat.1 \
	docs/softpmem-status.1 \
	docs/softpmem-stop.1 \
	docs/softpmem-sync.1 \
	docs/softpmem-torture.1 \
	docs/softpmem-trace.1 \
	docs/softpmem.1 \
	docs/softpmem_mark.3 \
	docs/softpmemd.8
dist_doc_DATA += docs/benchmarks.md docs/campaigns.md docs/finding-crash-bugs.md docs/format.md docs/hacking.md docs/reserving-memory.md docs/semantics.md docs/system-calls.md docs/trace-format.md
