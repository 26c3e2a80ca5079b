/* SPDX-License-Identifier: BSD-3-Clause */

#include "client/record/elf_functions.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "abi/rawcall.h"

/* DWARF's pointer encodings (LSB, Core, 10.5). */
enum {
	PE_ABSPTR = 0x00,
	PE_UDATA2 = 0x02,
	PE_UDATA4 = 0x03,
	PE_UDATA8 = 0x04,
	PE_SDATA2 = 0x0a,
	PE_SDATA4 = 0x0b,
	PE_SDATA8 = 0x0c,
	PE_FORMAT = 0x0f,
	PE_PCREL = 0x10,
	PE_DATAREL = 0x30,
	PE_RELATION = 0x70,
	PE_OMIT = 0xff
};

/* ---- Bytes that are checked ---------------------------------------------------------------- */

/* Readable memory: of the object's segments, or a mapped file. */
struct span {
	const unsigned char *at;
	uint64_t length;
};

struct object {
	const struct dl_phdr_info *info;
	struct record_text texts[RECORD_TEXTS_MAX];
	unsigned text_count;
	struct record_functions *out;
};

/* The segment that `address` is in, from there to its end. */
static struct span span_at(const struct dl_phdr_info *info, uint64_t address)
{
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
		uint64_t start = info->dlpi_addr + segment->p_vaddr;

		if (segment->p_type == PT_LOAD && (segment->p_flags & PF_R) &&
		    address - start < segment->p_filesz)
			return (struct span){ (const unsigned char *)address,
					      segment->p_filesz - (address - start) };
	}
	return (struct span){ NULL, 0 };
}

static bool take(struct span *span, void *out, uint64_t bytes)
{
	if (span->length < bytes)
		return false;
	memcpy(out, span->at, bytes);
	span->at += bytes;
	span->length -= bytes;
	return true;
}

/* LEB128, signed or unsigned: the callers need only the bits that are the same in both. */
static bool take_leb128(struct span *span, uint64_t *out)
{
	unsigned char byte;

	*out = 0;
	for (unsigned shift = 0; shift < 64; shift += 7) {
		if (!take(span, &byte, 1))
			return false;
		*out |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return true;
	}
	return false;
}

/* A pointer in this encoding; `data` is what PE_DATAREL is relative to. */
static bool take_pointer(struct span *span, unsigned encoding, uint64_t data, uint64_t *out)
{
	uint64_t here = (uint64_t)span->at;
	int16_t two = 0;
	int32_t four = 0;
	bool taken;

	switch (encoding & PE_FORMAT) {
	case PE_UDATA2:
	case PE_SDATA2:
		taken = take(span, &two, 2);
		*out = (encoding & PE_FORMAT) == PE_SDATA2 ? (uint64_t)(int64_t)two : (uint16_t)two;
		break;
	case PE_UDATA4:
	case PE_SDATA4:
		taken = take(span, &four, 4);
		*out = (encoding & PE_FORMAT) == PE_SDATA4 ? (uint64_t)(int64_t)four : (uint32_t)four;
		break;
	case PE_ABSPTR:
	case PE_UDATA8:
	case PE_SDATA8:
		taken = take(span, out, 8);
		break;
	default:
		return false;
	}
	if (!taken)
		return false;
	if ((encoding & PE_RELATION) == PE_PCREL)
		*out += here;
	else if ((encoding & PE_RELATION) == PE_DATAREL)
		*out += data;
	else if (encoding & PE_RELATION)
		return false;
	return true;
}

/* ---- The list -------------------------------------------------------------------------------- */

static bool in_texts(const struct object *object, uint64_t start, uint64_t length)
{
	for (unsigned i = 0; i < object->text_count; i++)
		if (start >= object->texts[i].start && start < object->texts[i].end)
			return length && length <= object->texts[i].end - start;
	return false;
}

static int add(struct object *object, uint64_t start, uint64_t length)
{
	struct record_functions *list = object->out;

	if (!in_texts(object, start, length))
		return 0;
	if (list->count == list->room) {
		size_t room = list->room ? 2 * list->room : 512;
		struct record_function *items = realloc(list->items, room * sizeof(*items));

		if (!items)
			return -ENOMEM;
		list->items = items;
		list->room = room;
	}
	list->items[list->count++] = (struct record_function){ start, start + length };
	return 0;
}

static int by_start(const void *a, const void *b)
{
	const struct record_function *first = a, *second = b;

	if (first->start != second->start)
		return first->start < second->start ? -1 : 1;
	return first->end > second->end ? -1 : first->end < second->end;
}

/* Ascending; of those with one start, the longest. */
static void tidy(struct record_functions *list)
{
	size_t kept = 0;

	if (!list->count)
		return;
	qsort(list->items, list->count, sizeof(list->items[0]), by_start);
	for (size_t i = 1; i < list->count; i++)
		if (list->items[i].start != list->items[kept].start)
			list->items[++kept] = list->items[i];
	list->count = kept + 1;
}

/* ---- .eh_frame ----------------------------------------------------------------------------------- */

/* How a common information entry's functions encode their pointers; PE_OMIT: not understood. */
static unsigned pointer_encoding(const struct object *object, uint64_t address)
{
	struct span span = span_at(object->info, address);
	unsigned char version, byte, encoding = PE_ABSPTR;
	char letters[8] = { 0 };
	uint32_t length, id;
	uint64_t number;
	unsigned count = 0;

	if (!take(&span, &length, 4) || length == 0xffffffff || !take(&span, &id, 4) || id != 0 ||
	    !take(&span, &version, 1) || (version != 1 && version != 3))
		return PE_OMIT;
	do {
		if (count == sizeof(letters) || !take(&span, &letters[count], 1))
			return PE_OMIT;
	} while (letters[count++]);
	if (!take_leb128(&span, &number) || !take_leb128(&span, &number))
		return PE_OMIT;
	if (version == 1 ? !take(&span, &byte, 1) : !take_leb128(&span, &number))
		return PE_OMIT;
	if (letters[0] != 'z')
		return letters[0] ? PE_OMIT : PE_ABSPTR;
	if (!take_leb128(&span, &number))
		return PE_OMIT;
	for (const char *letter = letters + 1; *letter; letter++) {
		if (*letter == 'S' || *letter == 'B')
			continue;
		if (!take(&span, &byte, 1))
			return PE_OMIT;
		if (*letter == 'R')
			encoding = byte;
		else if (*letter == 'P' && !take_pointer(&span, byte & PE_FORMAT, 0, &number))
			return PE_OMIT;
		else if (*letter != 'L' && *letter != 'P')
			return PE_OMIT;
	}
	return encoding;
}

static int add_frame(struct object *object, uint64_t address)
{
	struct span span = span_at(object->info, address);
	uint64_t start, length;
	uint32_t bytes, back;
	unsigned encoding;

	if (!take(&span, &bytes, 4) || bytes == 0xffffffff || bytes < 8 || !take(&span, &back, 4) || !back)
		return 0;
	encoding = pointer_encoding(object, address + 4 - back);
	if (encoding == PE_OMIT || !take_pointer(&span, encoding, 0, &start) ||
	    !take_pointer(&span, encoding & PE_FORMAT, 0, &length))
		return 0;
	return add(object, start, length);
}

/* The table that unwinders search, of all functions with call frame information. */
static int add_frames(struct object *object, uint64_t table)
{
	struct span span = span_at(object->info, table);
	unsigned char head[4]; /* version, and encodings: of the pointer, of the count, of the table */
	uint64_t frames, count, start, frame;
	int error = 0;

	if (!take(&span, head, 4) || head[0] != 1 || head[2] == PE_OMIT || head[3] == PE_OMIT ||
	    !take_pointer(&span, head[1], table, &frames) || !take_pointer(&span, head[2], table, &count))
		return 0;
	for (uint64_t i = 0; i < count && !error; i++) {
		if (!take_pointer(&span, head[3], table, &start) ||
		    !take_pointer(&span, head[3], table, &frame))
			return 0;
		error = add_frame(object, frame);
	}
	return error;
}

/* ---- Symbols ---------------------------------------------------------------------------------------- */

static int add_symbols(struct object *object, struct span symbols, uint64_t size)
{
	int error = 0;
	ElfW(Sym) symbol;

	if (size != sizeof(symbol))
		return 0;
	while (!error && take(&symbols, &symbol, sizeof(symbol)))
		if (ELF64_ST_TYPE(symbol.st_info) == STT_FUNC && symbol.st_shndx != SHN_UNDEF)
			error = add(object, object->info->dlpi_addr + symbol.st_value, symbol.st_size);
	return error;
}

/* Both tables of symbols, in the object's file, which is mapped. */
static int add_sections(struct object *object, struct span file)
{
	struct span span = file;
	ElfW(Ehdr) header;
	int error = 0;

	if (!take(&span, &header, sizeof(header)) || memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
	    header.e_shentsize != sizeof(ElfW(Shdr)) || header.e_shoff > file.length)
		return 0;
	span = (struct span){ file.at + header.e_shoff, file.length - header.e_shoff };
	for (unsigned i = 0; i < header.e_shnum && !error; i++) {
		ElfW(Shdr) section;

		if (!take(&span, &section, sizeof(section)))
			return 0;
		if ((section.sh_type != SHT_SYMTAB && section.sh_type != SHT_DYNSYM) ||
		    section.sh_offset > file.length || section.sh_size > file.length - section.sh_offset)
			continue;
		error = add_symbols(object, (struct span){ file.at + section.sh_offset, section.sh_size },
				    section.sh_entsize);
	}
	return error;
}

static int add_file(struct object *object)
{
	const char *path = object->info->dlpi_name[0] ? object->info->dlpi_name : "/proc/self/exe";
	int fd = (int)RAW4(openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0), error = 0;
	struct stat status;
	long at;

	if (fd < 0)
		return 0;
	if (RAW2(fstat, fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0) {
		at = RAW6(mmap, NULL, status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (!raw_failed(at)) {
			error = add_sections(object, (struct span){ (const unsigned char *)at,
								    (uint64_t)status.st_size });
			RAW2(munmap, at, status.st_size);
		}
	}
	RAW1(close, fd);
	return error;
}

/* ---- Objects ----------------------------------------------------------------------------------------- */

unsigned record_object_texts(const struct dl_phdr_info *object, struct record_text texts[RECORD_TEXTS_MAX])
{
	unsigned count = 0;

	for (unsigned i = 0; i < object->dlpi_phnum && count < RECORD_TEXTS_MAX; i++) {
		const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
		uint64_t start = object->dlpi_addr + segment->p_vaddr;

		if (segment->p_type == PT_LOAD && (segment->p_flags & (PF_X | PF_W | PF_R)) == (PF_X | PF_R))
			texts[count++] = (struct record_text){ start, start + segment->p_filesz };
	}
	return count;
}

int record_object_functions(const struct dl_phdr_info *info, struct record_functions *out)
{
	struct object object = { .info = info, .out = out };
	int error = 0;

	*out = (struct record_functions){ NULL, 0, 0 };
	object.text_count = record_object_texts(info, object.texts);
	for (unsigned i = 0; i < info->dlpi_phnum && !error; i++)
		if (info->dlpi_phdr[i].p_type == PT_GNU_EH_FRAME)
			error = add_frames(&object, info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
	if (!error)
		error = add_file(&object);
	if (error) {
		free(out->items);
		*out = (struct record_functions){ NULL, 0, 0 };
		return error;
	}
	tidy(out);
	return 0;
}
