/* SPDX-License-Identifier: BSD-3-Clause */
/* docs/trace-format.md states the layout that the programs have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "trace/file_format.h"
#include "trace/schema.h"

static char *document;

static int read_document(void **state)
{
	char path[4096];
	size_t length;
	FILE *in;

	snprintf(path, sizeof(path), "%s/docs/trace-format.md", getenv("abs_top_srcdir"));
	in = fopen(path, "re");
	document = in ? calloc(1, 1 << 20) : NULL;
	if (!document)
		return -1;
	length = fread(document, 1, (1 << 20) - 1, in);
	fclose(in);
	return length ? 0 : -1;
}

static int free_document(void **state)
{
	free(document);
	return 0;
}

static bool has(const char *text)
{
	return strstr(document, text);
}

/* A structure's fields are the rows between the row that is the table's head and the next empty line. */
static void check_field(const char *head, const char *name, size_t offset, size_t size)
{
	const char *table = strstr(document, head), *end, *row;
	char start[80];

	assert_non_null(table);
	end = strstr(table, "\n\n");
	snprintf(start, sizeof(start), "\n| %zu | %zu | %s", offset, size, name);
	row = strstr(table, start);
	if (!row || row > end || !strchr(": ;", row[strlen(start)]))
		fail_msg("the document has no row '%s' under '%s'", start + 1, head);
}

static unsigned rows_of(const char *head)
{
	const char *at = strstr(document, head), *end = strstr(at, "\n\n");
	unsigned rows = 0;

	for (; at && at < end; at = strstr(at + 1, "\n| "))
		rows++;
	/* The head is followed by a line of dashes. */
	return rows - 2;
}

#define FIELD(head, type, member)                                                                            \
	check_field(head, #member, offsetof(struct type, member), sizeof(((struct type *)NULL)->member))

static void document_has_the_file_header(void **state)
{
	static const char head[] = "| offset | size | field of the file header |";

	FIELD(head, trace_file_header, magic);
	FIELD(head, trace_file_header, version);
	FIELD(head, trace_file_header, header_bytes);
	FIELD(head, trace_file_header, features);
	FIELD(head, trace_file_header, uuid);
	FIELD(head, trace_file_header, created);
	FIELD(head, trace_file_header, reserved);
	FIELD(head, trace_file_header, crc);
	assert_int_equal(rows_of(head), 8);
	assert_true(has("magic: `" TRACE_MAGIC "`"));
}

static void document_has_the_block_header(void **state)
{
	static const char head[] = "| offset | size | field of a block header |";
	const uint32_t magic = TRACE_BLOCK_MAGIC;

	FIELD(head, trace_block_header, magic);
	FIELD(head, trace_block_header, codec);
	FIELD(head, trace_block_header, stored);
	FIELD(head, trace_block_header, raw);
	FIELD(head, trace_block_header, number);
	FIELD(head, trace_block_header, stamp);
	FIELD(head, trace_block_header, events);
	FIELD(head, trace_block_header, payload_crc);
	FIELD(head, trace_block_header, reserved);
	FIELD(head, trace_block_header, crc);
	assert_int_equal(rows_of(head), 10);
	assert_memory_equal(&magic, "TBLK", 4);
}

/* ---- Events ---- */

static const char *type_of(enum trace_field_type type)
{
	switch (type) {
	case TRACE_FIELD_I32:
	case TRACE_FIELD_I64:
		return "s";
	case TRACE_FIELD_STRING:
	case TRACE_FIELD_OCTETS:
		return "string";
	case TRACE_FIELD_REST:
		return "rest";
	case TRACE_FIELD_UUID:
		return "16";
	case TRACE_FIELD_SEGMENTS:
	case TRACE_FIELD_FRAMES:
		return "list";
	default:
		return "u";
	}
}

static const char *name_of(const struct trace_field *field)
{
	if (field->name)
		return field->name;
	if (field->type == TRACE_FIELD_FLAGS)
		return "flags";
	return field->type == TRACE_FIELD_PLACE ? "file u, offset" : "text";
}

static void put_row(FILE *out, unsigned kind, const struct trace_schema *schema)
{
	fprintf(out, "\n| %u | `%s`", kind, schema->op_names ? schema->op_names[0] : schema->name);
	for (unsigned i = 1; schema->op_names && schema->op_names[i]; i++)
		fprintf(out, ", `%s`", schema->op_names[i]);
	fputs(" | ", out);
	for (const struct trace_field *field = schema->fields; field->type != TRACE_FIELD_END; field++)
		fprintf(out, "%s%s %s", field == schema->fields ? "" : ", ", name_of(field),
			type_of(field->type));
	fputs(schema->fields[0].type == TRACE_FIELD_END ? "|\n" : " |\n", out);
}

static void document_has_each_kind_of_event(void **state)
{
	unsigned kinds = 0;

	for (unsigned kind = 0; kind < 256; kind++) {
		const struct trace_schema *schema = trace_schema_of(kind);
		char row[512] = "";
		FILE *out;

		if (!schema)
			continue;
		kinds++;
		out = fmemopen(row, sizeof(row), "w");
		put_row(out, kind, schema);
		fclose(out);
		if (!has(row))
			fail_msg("the document has no row '%s'", row);
	}
	assert_int_equal(rows_of("| kind | name | fields |"), kinds);
}

static void document_names_each_flag(void **state)
{
	for (unsigned kind = 0; kind < 256; kind++) {
		const struct trace_schema *schema = trace_schema_of(kind);

		for (unsigned i = 0; schema && schema->flag_names && schema->flag_names[i]; i++) {
			char word[32];

			snprintf(word, sizeof(word), "`%s`", schema->flag_names[i]);
			if (*schema->flag_names[i] && !has(word))
				fail_msg("the document does not name the flag %s", word);
		}
	}
	assert_false(has("`no-such-flag`"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(document_has_the_file_header),
		cmocka_unit_test(document_has_the_block_header),
		cmocka_unit_test(document_has_each_kind_of_event),
		cmocka_unit_test(document_names_each_flag),
	};

	return cmocka_run_group_tests(tests, read_document, free_document);
}
