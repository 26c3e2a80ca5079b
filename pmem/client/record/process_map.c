/* SPDX-License-Identifier: BSD-3-Clause */

#include "client/record/process_map.h"

#include <fcntl.h>
#include <sys/ioctl.h>

#include "abi/rawcall.h"
#include "client/record/engine.h"

/* linux/fs.h has them since 6.11. */
struct procmap_query {
	uint64_t size, query_flags, query_addr;
	uint64_t vma_start, vma_end, vma_flags, vma_page_size, vma_offset, inode;
	uint32_t dev_major, dev_minor;
	uint32_t vma_name_size, build_id_size;
	uint64_t vma_name_addr, build_id_addr;
};
_Static_assert(sizeof(struct procmap_query) == 104, "the kernel's");
#define PROCMAP_QUERY_CALL _IOWR('f', 17, struct procmap_query)
enum { VMA_READABLE = 1, VMA_WRITABLE = 2, VMA_EXECUTABLE = 4, VMA_SHARED = 8 };

struct mapping {
	uint64_t start, end;
	unsigned flags;
	bool is_file;
};

/* A line of /proc/self/maps, character by character: start-end flags offset device inode path. */
struct parser {
	struct mapping mapping;
	unsigned field;
	uint64_t number;
};

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void parse_flag(struct mapping *mapping, char c)
{
	mapping->flags |= c == 'r'   ? VMA_READABLE
			  : c == 'w' ? VMA_WRITABLE
			  : c == 'x' ? VMA_EXECUTABLE
			  : c == 's' ? VMA_SHARED
				     : 0u;
}

/* True at the end of a line. */
static bool parse(struct parser *parser, char c)
{
	enum { START, END, FLAGS, OFFSET, DEVICE, INODE, PATH };

	if (c == '\n')
		return true;
	if (parser->field == PATH)
		return false;
	if (c == ' ' || (c == '-' && parser->field == START)) {
		if (parser->field == START)
			parser->mapping.start = parser->number;
		else if (parser->field == END)
			parser->mapping.end = parser->number;
		else if (parser->field == INODE)
			parser->mapping.is_file = parser->number != 0;
		parser->field++;
		parser->number = 0;
		return false;
	}
	if (parser->field == FLAGS)
		parse_flag(&parser->mapping, c);
	else if (hex_digit(c) >= 0)
		parser->number = parser->number << 4 | (unsigned)hex_digit(c);
	return false;
}

static bool find_by_reading(int fd, uint64_t address, struct mapping *out)
{
	struct parser parser = { .field = 0 };
	char buffer[1024];
	long length;

	while ((length = RAW3(read, fd, buffer, sizeof(buffer))) > 0) {
		for (long i = 0; i < length; i++) {
			if (!parse(&parser, buffer[i]))
				continue;
			if (address >= parser.mapping.start && address < parser.mapping.end) {
				*out = parser.mapping;
				return true;
			}
			parser = (struct parser){ .field = 0 };
		}
	}
	return false;
}

static bool find_by_query(int fd, uint64_t address, struct mapping *out)
{
	struct procmap_query query = { .size = sizeof(query), .query_addr = address };

	if (RAW3(ioctl, fd, PROCMAP_QUERY_CALL, &query) != 0)
		return false;
	*out = (struct mapping){ .start = query.vma_start,
				 .end = query.vma_end,
				 .flags = (unsigned)query.vma_flags,
				 .is_file = query.inode != 0 };
	return true;
}

static bool is_own(uint64_t address)
{
	return address >= record_engine.setup.own_start && address < record_engine.setup.own_end;
}

bool record_mapping_is_patchable(uint64_t address)
{
	struct mapping mapping = { .start = 0 };
	int fd = (int)RAW4(openat, AT_FDCWD, "/proc/self/maps", O_RDONLY | O_CLOEXEC, 0);
	bool found;

	if (fd < 0)
		return false;
	found = find_by_query(fd, address, &mapping) || find_by_reading(fd, address, &mapping);
	RAW1(close, fd);
	return found && mapping.is_file && !is_own(address) &&
	       (mapping.flags & (VMA_WRITABLE | VMA_EXECUTABLE | VMA_SHARED)) == VMA_EXECUTABLE;
}

void record_mapping_each(bool (*each)(void *context, uint64_t start, uint64_t end), void *context)
{
	int fd = (int)RAW4(openat, AT_FDCWD, "/proc/self/maps", O_RDONLY | O_CLOEXEC, 0);
	struct parser parser = { .field = 0 };
	bool more = fd >= 0;
	char buffer[4096];
	long length;

	while (more && (length = RAW3(read, fd, buffer, sizeof(buffer))) > 0) {
		for (long i = 0; i < length && more; i++) {
			if (!parse(&parser, buffer[i]))
				continue;
			more = each(context, parser.mapping.start, parser.mapping.end);
			parser = (struct parser){ .field = 0 };
		}
	}
	if (fd >= 0)
		RAW1(close, fd);
}
