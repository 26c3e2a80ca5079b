/* SPDX-License-Identifier: BSD-3-Clause */
#include "trace/symbols.h"

#include <dwarf.h>
#include <elfutils/libdwfl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "trace/catalog.h"
#include "trace/idmap.h"
#include "trace/text_form.h"

/* A module's file, as libdw has it. */
struct module {
	Dwfl_Module *dwfl; /* NULL: its file is not there, or another one */
	Dwarf_Addr bias;   /* libdw's address less the one in the trace */
};

struct trace_symbols {
	const struct trace_catalog *catalog;
	Dwfl *dwfl; /* NULL: libdw failed */
	struct idmap modules;
	struct idmap frames; /* strings, by site << 32 | frame */
	struct idmap sources; /* paths that were made of two, by the same */
};

static const Dwfl_Callbacks callbacks = {
	.find_elf = dwfl_build_id_find_elf,
	.find_debuginfo = dwfl_standard_find_debuginfo,
	.section_address = dwfl_offline_section_address,
};

struct trace_symbols *trace_symbols_create(const struct trace_catalog *catalog)
{
	struct trace_symbols *symbols = calloc(1, sizeof(*symbols));

	if (!symbols)
		return NULL;
	symbols->catalog = catalog;
	symbols->dwfl = dwfl_begin(&callbacks);
	return symbols;
}

void trace_symbols_destroy(struct trace_symbols *symbols)
{
	if (!symbols)
		return;
	idmap_clear(&symbols->modules, free);
	idmap_clear(&symbols->frames, free);
	idmap_clear(&symbols->sources, free);
	if (symbols->dwfl)
		dwfl_end(symbols->dwfl);
	free(symbols);
}

/* ---- Modules ---------------------------------------------------------------------- */

/* The path comes from the trace: only a plain file is opened. */
static bool is_plain_file(const char *path)
{
	struct stat status;

	return *path == '/' && stat(path, &status) == 0 && S_ISREG(status.st_mode);
}

static bool same_build_id(Dwfl_Module *module, const struct trace_bytes *wanted)
{
	const unsigned char *bits;
	GElf_Addr address;
	int length = dwfl_module_build_id(module, &bits, &address);

	return !wanted->length || (length > 0 && (uint32_t)length == wanted->length &&
				   memcmp(bits, wanted->at, wanted->length) == 0);
}

static void load(struct trace_symbols *symbols, const struct trace_event *event, struct module *module)
{
	const char *path = (const char *)event->module.path.at;
	GElf_Addr bias;

	if (!symbols->dwfl || strlen(path) != event->module.path.length || !is_plain_file(path))
		return;
	dwfl_report_begin_add(symbols->dwfl);
	module->dwfl = dwfl_report_offline(symbols->dwfl, path, path, -1);
	dwfl_report_end(symbols->dwfl, NULL, NULL);
	if (!module->dwfl || !dwfl_module_getelf(module->dwfl, &bias) ||
	    !same_build_id(module->dwfl, &event->module.build_id)) {
		module->dwfl = NULL;
		return;
	}
	module->bias = bias;
}

static struct module *module_of(struct trace_symbols *symbols, uint32_t id)
{
	const struct trace_event *event = trace_catalog_module(symbols->catalog, id);
	struct module *module = idmap_get(&symbols->modules, id);

	if (module || !event)
		return module;
	module = calloc(1, sizeof(*module));
	if (!module || idmap_set(&symbols->modules, id, module) < 0) {
		free(module);
		return NULL;
	}
	load(symbols, event, module);
	return module;
}

/* ---- Places ------------------------------------------------------------------------ */

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* "prog+0x1234", or the bare address outside every module. */
static void write_place(struct trace_symbols *symbols, const struct trace_frame *frame, char *text,
			size_t size)
{
	const struct trace_event *module = trace_catalog_module(symbols->catalog, frame->module);

	if (module)
		snprintf(text, size, "%s+0x%" PRIx64, last_part((const char *)module->module.path.at),
			 frame->offset);
	else
		snprintf(text, size, "0x%" PRIx64, frame->offset);
}

/* The compilation unit that has the address; *bias as in dwfl_module_addrdie(). NULL: none has. */
static Dwarf_Die *unit_of(Dwfl_Module *module, Dwarf_Addr address, Dwarf_Addr *bias)
{
	Dwarf_Die *unit = dwfl_module_addrdie(module, address, bias);

	if (unit)
		return unit;
	/* libdw looks into .debug_aranges, which clang does not write. */
	while ((unit = dwfl_module_nextcu(module, unit, bias)) && dwarf_haspc(unit, address - *bias) != 1)
		;
	return unit;
}

/* The directory that the compiler ran in; NULL: not known, or not absolute. */
static const char *compilation_directory(Dwarf_Die *unit)
{
	Dwarf_Attribute attribute;
	const char *directory = dwarf_formstring(dwarf_attr(unit, DW_AT_comp_dir, &attribute));

	return directory && *directory == '/' ? directory : NULL;
}

/* The source file of an address, and the line; NULL: not known. It may be relative to *directory. */
static const char *find_line(struct module *module, Dwarf_Addr address, int *number, const char **directory)
{
	Dwarf_Addr bias;
	Dwarf_Die *unit = unit_of(module->dwfl, address, &bias);
	Dwarf_Line *line = unit ? dwarf_getsrc_die(unit, address - bias) : NULL;
	const char *file = line ? dwarf_linesrc(line, NULL, NULL) : NULL;

	if (!file || dwarf_lineno(line, number) != 0)
		return NULL;
	*directory = *file == '/' ? NULL : compilation_directory(unit);
	return file;
}

static void write_line(struct module *module, Dwarf_Addr address, char *text, size_t size)
{
	int number;
	const char *directory, *file = find_line(module, address, &number, &directory);

	if (file)
		snprintf(text, size, "%s:%d", last_part(file), number);
}

static char *describe(struct trace_symbols *symbols, const struct trace_frame *frame, bool is_return)
{
	struct module *module = module_of(symbols, frame->module);
	char place[512], whole[1024], shown[1024];
	const char *function = NULL;

	write_place(symbols, frame, place, sizeof(place));
	if (module && module->dwfl) {
		const Dwarf_Addr address = frame->offset - is_return + module->bias;

		function = dwfl_module_addrname(module->dwfl, address);
		write_line(module, address, place, sizeof(place));
	}
	snprintf(whole, sizeof(whole), "%s%s%s", function ? function : "", function ? " " : "", place);
	return strdup(trace_text_shown(whole, strlen(whole), shown, sizeof(shown)));
}

const char *trace_symbols_frame(struct trace_symbols *symbols, uint32_t site, uint32_t frame)
{
	const struct trace_event *event = trace_catalog_site(symbols->catalog, site);
	const uint64_t key = (uint64_t)site << 32 | frame;
	char *text = idmap_get(&symbols->frames, key);

	if (text)
		return text;
	if (!event || frame >= event->stack.count)
		return "";
	text = describe(symbols, &event->stack.frames[frame], frame > 0);
	if (text && idmap_set(&symbols->frames, key, text) < 0) {
		free(text);
		return NULL;
	}
	return text;
}

bool trace_symbols_fit_line(const char *text, size_t frame)
{
	static const char *const starts[] = { "__libc_start_call_main ", "start_thread " };

	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++)
		if (strncmp(text, starts[i], strlen(starts[i])) == 0)
			return false;
	return *text && frame <= 3;
}

/* One path, which the struct keeps. NULL: no memory. */
static const char *join(struct trace_symbols *symbols, uint64_t key, const char *directory, const char *file)
{
	char *path = idmap_get(&symbols->sources, key);

	if (path)
		return path;
	if (asprintf(&path, "%s/%s", directory, file) < 0)
		return NULL;
	if (idmap_set(&symbols->sources, key, path) < 0) {
		free(path);
		return NULL;
	}
	return path;
}

const char *trace_symbols_source(struct trace_symbols *symbols, uint32_t site, uint32_t frame, int *line)
{
	const struct trace_event *event = trace_catalog_site(symbols->catalog, site);
	const char *directory, *file;
	struct module *module;

	if (!event || frame >= event->stack.count)
		return NULL;
	module = module_of(symbols, event->stack.frames[frame].module);
	if (!module || !module->dwfl)
		return NULL;
	file = find_line(module, event->stack.frames[frame].offset - (frame > 0) + module->bias, line,
			 &directory);
	return file && directory ? join(symbols, (uint64_t)site << 32 | frame, directory, file) : file;
}
