# SPDX-License-Identifier: BSD-3-Clause
noinst_LIBRARIES += pmem/model/libmodel.a
libmodel = pmem/model/libmodel.a $(libcommon)
pmem_model_libmodel_a_SOURCES = \
	pmem/model/chooser.c pmem/model/chooser.h \
	pmem/model/lines.c pmem/model/lines.h \
	pmem/model/lines_table.c pmem/model/lines_table.h \
	pmem/model/lines_versions.c \
	pmem/model/keys.h \
	pmem/model/names.c pmem/model/names.h \
	pmem/model/names_choice.c \
	pmem/model/names_groups.c \
	pmem/model/names_table.c pmem/model/names_table.h \
	pmem/model/names_tree.c pmem/model/names_tree.h \
	pmem/model/settle.c pmem/model/settle.h \
	pmem/model/slab.h
