/* SPDX-License-Identifier: BSD-3-Clause */
#include "trace/schema.h"

#include <string.h>

#include "common/align.h"

#define AT(member) offsetof(struct trace_event, member)
#define SITE                                                                                                 \
	{                                                                                                    \
		"site", TRACE_FIELD_U32, AT(site)                                                            \
	}
#define OP                                                                                                   \
	{                                                                                                    \
		"op", TRACE_FIELD_OP, AT(op)                                                                 \
	}
#define FLAGS                                                                                                \
	{                                                                                                    \
		NULL, TRACE_FIELD_FLAGS, AT(flags)                                                           \
	}
#define FILE_ID                                                                                              \
	{                                                                                                    \
		"file", TRACE_FIELD_U64, AT(file)                                                            \
	}
#define ATTRIBUTES(member)                                                                                   \
	{ "mode", TRACE_FIELD_MODE, AT(member.mode) }, { "uid", TRACE_FIELD_U32, AT(member.uid) },           \
		{ "gid", TRACE_FIELD_U32, AT(member.gid) }, { "atime", TRACE_FIELD_I64, AT(member.atime) },  \
	{                                                                                                    \
		"mtime", TRACE_FIELD_I64, AT(member.mtime)                                                   \
	}
#define NEW_NAME                                                                                             \
	FILE_ID, { "parent", TRACE_FIELD_U64, AT(name.parent) },                                             \
		{ "name", TRACE_FIELD_STRING, AT(name.name) }, ATTRIBUTES(name.attributes)
#define OLD_NAME                                                                                             \
	FILE_ID, { "parent", TRACE_FIELD_U64, AT(name.parent) },                                             \
	{                                                                                                    \
		"name", TRACE_FIELD_STRING, AT(name.name)                                                    \
	}

#define XATTR                                                                                                \
	FILE_ID, { "name", TRACE_FIELD_STRING, AT(xattr.name) },                                             \
	{                                                                                                    \
		"value", TRACE_FIELD_REST, AT(xattr.value)                                                   \
	}

static const char *const flush_names[] = { "clwb", "clflushopt", "clflush", NULL };
static const char *const fence_names[] = { "sfence", "mfence", "rmw", NULL };
static const char *const close_names[] = { "close", "close-last", NULL };
static const char *const store_flags[] = { "nt", "locked", "range", "continued", NULL };
#define STORE_FLAGS (TRACE_NONTEMPORAL | TRACE_LOCKED | TRACE_RANGE | TRACE_CONTINUED)
_Static_assert(STORE_FLAGS == (1u << (sizeof(store_flags) / sizeof(store_flags[0]) - 1)) - 1,
	       "each has a name");
static const char *const write_flags[] = { "", "", "", "continued", "sync", "dsync", "page", NULL };

static const struct trace_schema schemas[] = {
	[TRACE_STORE] = { "store",
			  NULL,
			  store_flags,
			  { { NULL, TRACE_FIELD_PLACE, AT(store.offset) },
			    FLAGS,
			    { "mask", TRACE_FIELD_HEX, AT(store.mask) },
			    SITE,
			    { "bytes", TRACE_FIELD_REST, AT(store.bytes) } } },
	[TRACE_FLUSH] = { "flush",
			  flush_names,
			  NULL,
			  { OP,
			    { NULL, TRACE_FIELD_PLACE, AT(flush.offset) },
			    { "length", TRACE_FIELD_U64, AT(flush.length) },
			    SITE } },
	[TRACE_FENCE] = { "fence", fence_names, NULL, { OP, SITE } },
	[TRACE_MSYNC] = { "msync",
			  NULL,
			  NULL,
			  { { NULL, TRACE_FIELD_PLACE, AT(range.offset) },
			    { "length", TRACE_FIELD_U64, AT(range.length) },
			    SITE } },
	[TRACE_PROCESS_START] = { "process",
				  NULL,
				  NULL,
				  { { "process", TRACE_FIELD_U32, AT(process.process) },
				    { "parent", TRACE_FIELD_U32, AT(process.parent) },
				    { "pid", TRACE_FIELD_I32, AT(process.pid) },
				    { "text", TRACE_FIELD_STRING, AT(process.text) } } },
	[TRACE_PROCESS_EXIT] = { "process-exit",
				 NULL,
				 NULL,
				 { { "process", TRACE_FIELD_U32, AT(process.process) },
				   { "status", TRACE_FIELD_I32, AT(process.status) } } },
	[TRACE_THREAD_START] = { "thread",
				 NULL,
				 NULL,
				 { { "process", TRACE_FIELD_U32, AT(process.process) },
				   { "tid", TRACE_FIELD_I32, AT(process.pid) },
				   { "text", TRACE_FIELD_STRING, AT(process.text) } } },
	[TRACE_THREAD_EXIT] = { "thread-exit", NULL, NULL, { { 0 } } },
	[TRACE_MAP] = { "map",
			NULL,
			NULL,
			{ { "address", TRACE_FIELD_HEX, AT(map.address) },
			  { NULL, TRACE_FIELD_PLACE, AT(map.offset) },
			  { "length", TRACE_FIELD_U64, AT(map.length) } } },
	[TRACE_UNMAP] = { "unmap",
			  NULL,
			  NULL,
			  { { "address", TRACE_FIELD_HEX, AT(map.address) },
			    { "length", TRACE_FIELD_U64, AT(map.length) } } },
	[TRACE_WRITE] = { "write",
			  NULL,
			  write_flags,
			  { { NULL, TRACE_FIELD_PLACE, AT(store.offset) },
			    FLAGS,
			    { "bytes", TRACE_FIELD_REST, AT(store.bytes) } } },
	[TRACE_TRUNCATE] = { "truncate",
			     NULL,
			     NULL,
			     { FILE_ID, { "size", TRACE_FIELD_U64, AT(range.length) } } },
	[TRACE_FALLOCATE] = { "fallocate",
			      NULL,
			      NULL,
			      { OP,
				{ NULL, TRACE_FIELD_PLACE, AT(range.offset) },
				{ "length", TRACE_FIELD_U64, AT(range.length) } } },
	[TRACE_CREATE] = { "create", NULL, NULL, { NEW_NAME } },
	[TRACE_MKDIR] = { "mkdir", NULL, NULL, { NEW_NAME } },
	[TRACE_MKFIFO] = { "mkfifo", NULL, NULL, { NEW_NAME } },
	[TRACE_SYMLINK] = { "symlink",
			    NULL,
			    NULL,
			    { NEW_NAME, { "target", TRACE_FIELD_STRING, AT(name.target) } } },
	[TRACE_LINK] = { "link", NULL, NULL, { OLD_NAME } },
	[TRACE_UNLINK] = { "unlink", NULL, NULL, { OLD_NAME } },
	[TRACE_RMDIR] = { "rmdir", NULL, NULL, { OLD_NAME } },
	[TRACE_RENAME] = { "rename",
			   NULL,
			   NULL,
			   { OP,
			     FILE_ID,
			     { "parent", TRACE_FIELD_U64, AT(rename.parent) },
			     { "name", TRACE_FIELD_STRING, AT(rename.name) },
			     { "new-parent", TRACE_FIELD_U64, AT(rename.new_parent) },
			     { "new-name", TRACE_FIELD_STRING, AT(rename.new_name) },
			     { "replaced", TRACE_FIELD_U64, AT(rename.replaced) } } },
	[TRACE_SETATTR] = { "setattr", NULL, NULL, { OP, FILE_ID, ATTRIBUTES(attributes) } },
	[TRACE_FSYNC] = { "fsync", NULL, NULL, { FILE_ID } },
	[TRACE_FDATASYNC] = { "fdatasync", NULL, NULL, { FILE_ID } },
	[TRACE_OPEN] = { "open", NULL, NULL, { OP, FILE_ID } },
	[TRACE_CLOSE] = { "close", close_names, NULL, { OP, FILE_ID } },
	[TRACE_SETXATTR] = { "setxattr", NULL, NULL, { XATTR } },
	[TRACE_REMOVEXATTR] = { "removexattr",
				NULL,
				NULL,
				{ FILE_ID, { "name", TRACE_FIELD_STRING, AT(xattr.name) } } },
	[TRACE_SYNC] = { "sync", NULL, NULL, { { 0 } } },
	[TRACE_MARK] = { "mark",
			 NULL,
			 NULL,
			 { { "source", TRACE_FIELD_U32, AT(mark.source) },
			   { "fd", TRACE_FIELD_I32, AT(mark.fd) },
			   { "length", TRACE_FIELD_U64, AT(mark.length) },
			   { NULL, TRACE_FIELD_STRING, AT(mark.text) } } },
	[TRACE_OUTAGE] = { "outage",
			   NULL,
			   NULL,
			   { { "generation", TRACE_FIELD_U64, AT(outage.generation) },
			     { "seed", TRACE_FIELD_U64, AT(outage.seed) },
			     { "policy", TRACE_FIELD_STRING, AT(outage.policy) } } },
	[TRACE_LOST] = { "lost",
			 NULL,
			 NULL,
			 { { "count", TRACE_FIELD_U64, AT(lost.count) },
			   { "reason", TRACE_FIELD_STRING, AT(lost.reason) } } },
	[TRACE_END] = { "end", NULL, NULL, { { "events", TRACE_FIELD_U64, AT(end.events) } } },
	[TRACE_INFO] = { "info",
			 NULL,
			 NULL,
			 { { "key", TRACE_FIELD_STRING, AT(info.key) },
			   { "value", TRACE_FIELD_STRING, AT(info.value) } } },
	[TRACE_FILE] = { "file",
			 NULL,
			 NULL,
			 { FILE_ID,
			   { "size", TRACE_FIELD_U64, AT(node.size) },
			   { "uuid", TRACE_FIELD_UUID, AT(node.uuid) },
			   ATTRIBUTES(node.attributes),
			   { "path", TRACE_FIELD_STRING, AT(node.path) },
			   { "target", TRACE_FIELD_STRING, AT(node.target) } } },
	[TRACE_NAME] = { "name", NULL, NULL, { OLD_NAME } },
	[TRACE_IMAGE] = { "image",
			  NULL,
			  NULL,
			  { { NULL, TRACE_FIELD_PLACE, AT(store.offset) },
			    { "bytes", TRACE_FIELD_REST, AT(store.bytes) } } },
	[TRACE_MODULE] = { "module",
			   NULL,
			   NULL,
			   { { "module", TRACE_FIELD_U32, AT(module.module) },
			     { "process", TRACE_FIELD_U32, AT(module.process) },
			     { "bias", TRACE_FIELD_HEX, AT(module.bias) },
			     { "path", TRACE_FIELD_STRING, AT(module.path) },
			     { "build-id", TRACE_FIELD_OCTETS, AT(module.build_id) },
			     { "segments", TRACE_FIELD_SEGMENTS, AT(module.segments) } } },
	[TRACE_SITE] = { "site", NULL, NULL, { SITE, { "stack", TRACE_FIELD_FRAMES, AT(stack.frames) } } },
	[TRACE_RULES] = { "rules",
			  NULL,
			  NULL,
			  { FILE_ID,
			    { "metadata", TRACE_FIELD_U32, AT(rules.metadata) },
			    { "sector", TRACE_FIELD_U32, AT(rules.sector) } } },
	[TRACE_XATTR] = { "xattr", NULL, NULL, { XATTR } },
};

const struct trace_schema *trace_schema_of(unsigned kind)
{
	if (kind >= sizeof(schemas) / sizeof(schemas[0]) || !schemas[kind].name)
		return NULL;
	return &schemas[kind];
}

static bool same(const char *name, const char *text, size_t length)
{
	return strlen(name) == length && memcmp(name, text, length) == 0;
}

static bool named(const struct trace_schema *schema, const char *name, size_t length, uint32_t *op)
{
	*op = 0;
	if (!schema->op_names)
		return same(schema->name, name, length);
	for (; schema->op_names[*op]; ++*op)
		if (same(schema->op_names[*op], name, length))
			return true;
	return false;
}

const struct trace_schema *trace_schema_named(const char *name, size_t length, enum trace_kind *kind,
					      uint32_t *op)
{
	for (unsigned i = 0; i < sizeof(schemas) / sizeof(schemas[0]); i++) {
		if (!schemas[i].name || !named(&schemas[i], name, length, op))
			continue;
		*kind = (enum trace_kind)i;
		return &schemas[i];
	}
	return NULL;
}

const char *trace_event_name(const struct trace_event *event)
{
	const struct trace_schema *schema = trace_schema_of(event->kind);

	if (!schema)
		return "unknown";
	if (!schema->op_names)
		return schema->name;
	for (uint32_t op = 0; schema->op_names[op]; op++)
		if (op == event->op)
			return schema->op_names[op];
	return schema->name;
}

/* ---- What is legal ---------------------------------------------------------- */

static bool op_legal(const struct trace_schema *schema, uint32_t op)
{
	if (!schema->op_names)
		return true;
	for (uint32_t i = 0; schema->op_names[i]; i++)
		if (i == op)
			return true;
	return false;
}

static bool flags_legal(const struct trace_schema *schema, uint32_t flags)
{
	uint32_t legal = 0;

	for (uint32_t bit = 0; schema->flag_names && schema->flag_names[bit]; bit++)
		if (*schema->flag_names[bit])
			legal |= 1u << bit;
	return !(flags & ~legal);
}

static bool range_legal(uint64_t offset, uint64_t length, uint64_t end)
{
	return length <= end && offset <= end - length;
}

static const char *name_wrong(const struct trace_bytes *name, bool may_be_empty)
{
	if (!name->length)
		return may_be_empty ? NULL : "the name is empty";
	if (name->length > TRACE_NAME_MAX)
		return "the name is longer than 255 bytes";
	if (memchr(name->at, '/', name->length) || memchr(name->at, 0, name->length))
		return "the name holds a slash or a NUL";
	if (name->at[0] == '.' && (name->length == 1 || (name->length == 2 && name->at[1] == '.')))
		return "the name is . or ..";
	return NULL;
}

static const char *store_wrong(const struct trace_event *event)
{
	const uint32_t length = event->store.bytes.length;
	const uint64_t end = event->kind == TRACE_STORE ? TRACE_STORE_END : INT64_MAX;

	if (!event->file)
		return "it names no file";
	if (!length || length > TRACE_BYTES_MAX)
		return "the number of bytes is 0 or exceeds 1 MiB";
	if (!range_legal(event->store.offset, length, end))
		return "the offset is too large";
	if (event->kind != TRACE_STORE || !event->store.mask)
		return NULL;
	if (length > 64 || (length < 64 && event->store.mask >> length))
		return "the mask has bits beyond the bytes";
	return NULL;
}

static const char *range_wrong(const struct trace_event *event, uint64_t offset, uint64_t length,
			       uint64_t end)
{
	if (!event->file)
		return "it names no file";
	if (!range_legal(offset, length, end))
		return "the offset or the length is too large";
	return NULL;
}

static const char *flush_wrong(const struct trace_event *event)
{
	if (!is_aligned(event->flush.offset, LINE_SIZE) || !is_aligned(event->flush.length, LINE_SIZE) ||
	    !event->flush.length)
		return "it is not of whole lines";
	return range_wrong(event, event->flush.offset, event->flush.length, TRACE_STORE_END);
}

static const char *text_wrong(const struct trace_bytes *text)
{
	return text->length > TRACE_PATH_MAX ? "a text is longer than 4096 bytes" : NULL;
}

static const char *entry_wrong(const struct trace_event *event)
{
	const bool nameless = event->kind == TRACE_CREATE;

	if (!event->file || !event->name.parent)
		return "it names no file or no directory";
	if (event->kind == TRACE_SYMLINK && text_wrong(&event->name.target))
		return text_wrong(&event->name.target);
	return name_wrong(&event->name.name, nameless);
}

static const char *rename_wrong(const struct trace_event *event)
{
	const char *wrong = name_wrong(&event->rename.name, false);

	if (!event->file || !event->rename.parent || !event->rename.new_parent)
		return "it names no file or no directory";
	return wrong ? wrong : name_wrong(&event->rename.new_name, false);
}

static const char *module_wrong(const struct trace_event *event)
{
	if (!event->module.module)
		return "the module's id is 0";
	if (event->module.count > TRACE_SEGMENTS_MAX)
		return "the module has more than 64 segments";
	if (event->module.build_id.length > TRACE_BUILD_ID_MAX)
		return "the build id is longer than 64 bytes";
	return text_wrong(&event->module.path);
}

static const char *node_wrong(const struct trace_event *event)
{
	if (!event->file)
		return "the file's id is 0";
	if (event->node.size > INT64_MAX)
		return "the size is too large";
	return text_wrong(&event->node.path) ? text_wrong(&event->node.path) :
					       text_wrong(&event->node.target);
}

static const char *rules_wrong(const struct trace_event *event)
{
	const uint32_t sector = event->rules.sector;

	if (!event->file)
		return "it names no file";
	if (event->rules.metadata > 3)
		return "the metadata mode is unknown";
	return sector && sector != 512 && sector != 4096 ? "a sector has 512 or 4096 bytes" : NULL;
}

static const char *xattr_wrong(const struct trace_event *event)
{
	const struct trace_bytes *name = &event->xattr.name;

	if (!event->file)
		return "it names no file";
	if (!name->length || name->length > TRACE_NAME_MAX || memchr(name->at, 0, name->length))
		return "the attribute's name is empty, longer than 255 bytes, or holds a NUL";
	return event->kind != TRACE_REMOVEXATTR && event->xattr.value.length > TRACE_XATTR_MAX ?
		       "the attribute's value is longer than 64 KiB" :
		       NULL;
}

static const char *values_wrong(const struct trace_event *event)
{
	switch (event->kind) {
	case TRACE_STORE:
	case TRACE_WRITE:
	case TRACE_IMAGE:
		return store_wrong(event);
	case TRACE_FLUSH:
		return flush_wrong(event);
	case TRACE_MSYNC:
	case TRACE_FALLOCATE:
		return range_wrong(event, event->range.offset, event->range.length, INT64_MAX);
	case TRACE_TRUNCATE:
		return range_wrong(event, 0, event->range.length, INT64_MAX);
	case TRACE_MAP:
		return range_wrong(event, event->map.offset, event->map.length, INT64_MAX);
	case TRACE_CREATE:
	case TRACE_MKDIR:
	case TRACE_MKFIFO:
	case TRACE_SYMLINK:
	case TRACE_LINK:
	case TRACE_UNLINK:
	case TRACE_RMDIR:
	case TRACE_NAME:
		return entry_wrong(event);
	case TRACE_RENAME:
		return rename_wrong(event);
	case TRACE_SETATTR:
	case TRACE_FSYNC:
	case TRACE_FDATASYNC:
	case TRACE_OPEN:
	case TRACE_CLOSE:
		return event->file ? NULL : "it names no file";
	case TRACE_SETXATTR:
	case TRACE_REMOVEXATTR:
	case TRACE_XATTR:
		return xattr_wrong(event);
	case TRACE_RULES:
		return rules_wrong(event);
	case TRACE_PROCESS_START:
	case TRACE_PROCESS_EXIT:
		return event->process.process ? text_wrong(&event->process.text) : "the process's id is 0";
	case TRACE_THREAD_START:
		return event->thread ? text_wrong(&event->process.text) : "the thread's id is 0";
	case TRACE_MARK:
		return event->mark.source > TRACE_MARK_PIPE ? "the source is unknown" :
							      text_wrong(&event->mark.text);
	case TRACE_OUTAGE:
		return text_wrong(&event->outage.policy);
	case TRACE_LOST:
		return text_wrong(&event->lost.reason);
	case TRACE_INFO:
		return text_wrong(&event->info.key) ? "a text is too long" : text_wrong(&event->info.value);
	case TRACE_FILE:
		return node_wrong(event);
	case TRACE_MODULE:
		return module_wrong(event);
	case TRACE_SITE:
		if (!event->site)
			return "the site's id is 0";
		return !event->stack.count || event->stack.count > TRACE_FRAMES_MAX ?
			       "the call stack has no frame or more than 64" :
			       NULL;
	case TRACE_FENCE:
	case TRACE_THREAD_EXIT:
	case TRACE_UNMAP:
	case TRACE_SYNC:
	case TRACE_END:
		return NULL;
	}
	return "the kind is unknown";
}

const char *trace_event_wrong(const struct trace_event *event)
{
	const struct trace_schema *schema;

	/* Most of a trace: what the table says, sooner. */
	if (event->kind == TRACE_STORE)
		return event->flags & ~STORE_FLAGS ? "a flag is unknown" : store_wrong(event);
	schema = trace_schema_of(event->kind);
	if (!schema)
		return "the kind is unknown";
	if (!op_legal(schema, event->op))
		return "the operation is unknown";
	if (!flags_legal(schema, event->flags))
		return "a flag is unknown";
	return values_wrong(event);
}
