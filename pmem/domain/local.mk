# SPDX-License-Identifier: BSD-3-Clause
noinst_LIBRARIES += pmem/domain/libdomain.a
libdomain = pmem/domain/libdomain.a $(libabi) $(libmodel) $(libregion)
pmem_domain_libdomain_a_SOURCES = \
	pmem/domain/chunk.c pmem/domain/chunk.h \
	pmem/domain/domain.c pmem/domain/domain.h pmem/domain/domain_state.h \
	pmem/domain/drain.c pmem/domain/drain.h \
	pmem/domain/gather.c pmem/domain/gather.h \
	pmem/domain/combining.c pmem/domain/combining.h \
	pmem/domain/order.c pmem/domain/order.h \
	pmem/domain/persist.c pmem/domain/persist.h \
	pmem/domain/rights.c pmem/domain/rights.h \
	pmem/domain/view.c pmem/domain/view_memory.h pmem/domain/view_state.h \
	pmem/domain/view_attach.c \
	pmem/domain/view_outage.c \
	pmem/domain/wpq.c pmem/domain/wpq.h
