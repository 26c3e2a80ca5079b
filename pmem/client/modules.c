/* SPDX-License-Identifier: BSD-3-Clause */

#include "client/modules.h"

#include <elf.h>
#include <limits.h>
#include <link.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "abi/rawcall.h"
#include "client/call_stack.h"
#include "client/compiler.h"
#include "client/record/record.h"
#include "client/settings.h"
#include "client/signals.h"
#include "common/align.h"
#include "trace/event.h"
#include "trace/slot.h"

#define MODULES_MAX 1024u
#define SEGMENTS_MOST 16u
/* Sites of callers: a hash table, whose numbers follow those of instructions. */
#define CALLERS_SHIFT 16
#define CALLERS_MAX (1u << CALLERS_SHIFT)
_Static_assert(CLIENT_CALLERS_FIRST + CALLERS_MAX <= TRACE_SLOT_SITE_MAX, "a slot has room for it");

struct module {
	uintptr_t bias, start, end;
	char *path;
	unsigned char build_id[TRACE_BUILD_ID_MAX];
	uint32_t build_id_bytes;
	struct trace_segment segments[SEGMENTS_MOST];
	uint32_t segment_count;
	bool defined, loaded;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* Guarded by the lock. A module's number in the trace is its index and one. */
static struct module modules[MODULES_MAX];
static unsigned module_count;
/* Entries are set once, under the lock, and read without it. */
static _Atomic uintptr_t callers[CALLERS_MAX];
_Atomic uint64_t client_callers_recent[1u << CLIENT_CALLERS_RECENT];
_Static_assert(CALLERS_SHIFT <= CLIENT_CALLERS_PLACE, "a place has room; an address has 47 bits");

/* ---- Objects ------------------------------------------------------------------------- */

/* The build id in a segment of notes. */
static void find_build_id(struct module *module, const unsigned char *notes, size_t length)
{
	while (length >= sizeof(ElfW(Nhdr))) {
		const ElfW(Nhdr) *note = (const void *)notes;
		const size_t name = align_up(note->n_namesz, 4), content = align_up(note->n_descsz, 4);
		const unsigned char *at = notes + sizeof(*note);

		if (name > length - sizeof(*note) || content > length - sizeof(*note) - name)
			return;
		if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 && memcmp(at, "GNU", 4) == 0 &&
		    note->n_descsz <= TRACE_BUILD_ID_MAX) {
			memcpy(module->build_id, at + name, note->n_descsz);
			module->build_id_bytes = note->n_descsz;
			return;
		}
		notes = at + name + content;
		length -= sizeof(*note) + name + content;
	}
}

static void add_segment(struct module *module, const ElfW(Phdr) *part)
{
	const uintptr_t start = module->bias + part->p_vaddr;

	if (!part->p_memsz || module->segment_count == SEGMENTS_MOST)
		return;
	if (!module->segment_count || start < module->start)
		module->start = start;
	module->end = max_u64(module->end, start + part->p_memsz);
	module->segments[module->segment_count++] = (struct trace_segment){
		.address = start, .length = part->p_memsz, .offset = part->p_offset
	};
}

static char *path_of(const char *name)
{
	char program[PATH_MAX] = "";

	if (*name)
		return strdup(name);
	/* The program itself has no name. */
	if (RAW3(readlink, "/proc/self/exe", program, sizeof(program) - 1) < 0)
		return NULL;
	return strdup(program);
}

static struct module *find_loaded(const struct module *like)
{
	for (unsigned i = 0; i < module_count; i++)
		if (modules[i].start == like->start && modules[i].end == like->end &&
		    modules[i].bias == like->bias && strcmp(modules[i].path, like->path) == 0)
			return &modules[i];
	return NULL;
}

struct found {
	struct module *items;
	size_t count;
};

static int note_object(struct dl_phdr_info *object, size_t size, void *context)
{
	struct module module = { .bias = object->dlpi_addr, .loaded = true };
	struct found *found = context;

	for (unsigned i = 0; i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *part = &object->dlpi_phdr[i];

		if (part->p_type == PT_LOAD)
			add_segment(&module, part);
		else if (part->p_type == PT_NOTE && !module.build_id_bytes)
			find_build_id(&module, (const unsigned char *)(module.bias + part->p_vaddr),
				      part->p_memsz);
	}
	module.path = path_of(object->dlpi_name);
	if (!module.path || !module.segment_count || found->count == MODULES_MAX)
		free(module.path);
	else
		found->items[found->count++] = module;
	return 0;
}

void client_modules_refresh(void)
{
	struct found found = { calloc(MODULES_MAX, sizeof(struct module)), 0 };
	uint64_t signals;

	if (!found.items)
		return;
	/* Not under the lock: the loader has one of its own, and may call us with it. */
	dl_iterate_phdr(note_object, &found);
	signals = signals_lock(&lock);
	for (unsigned i = 0; i < module_count; i++)
		modules[i].loaded = false;
	for (size_t i = 0; i < found.count; i++) {
		struct module *known = find_loaded(&found.items[i]);

		if (!known && module_count < MODULES_MAX) {
			modules[module_count++] = found.items[i];
			continue;
		}
		if (known)
			known->loaded = true;
		free(found.items[i].path);
	}
	signals_unlock(&lock, signals);
	free(found.items);
}

/* ---- Definitions --------------------------------------------------------------------- */

static struct trace_bytes text(const void *bytes, size_t length)
{
	return (struct trace_bytes){ .at = bytes, .length = (uint32_t)length };
}

static void define_module(struct module *module)
{
	struct trace_event event;

	trace_event_start(&event, TRACE_MODULE, 0);
	event.module.module = (uint32_t)(module - modules) + 1;
	event.module.process = 0;
	event.module.bias = module->bias;
	event.module.path = text(module->path, min_u64(strlen(module->path), TRACE_PATH_MAX));
	event.module.build_id = text(module->build_id, module->build_id_bytes);
	event.module.segments = module->segments;
	event.module.count = module->segment_count;
	record_event(&event);
	module->defined = true;
}

/* The lock is held. */
static struct trace_frame frame_of(uintptr_t address)
{
	for (unsigned i = 0; i < module_count; i++) {
		struct module *module = &modules[i];

		if (!module->loaded || address < module->start || address >= module->end)
			continue;
		if (!module->defined)
			define_module(module);
		return (struct trace_frame){ .module = i + 1, .offset = address - module->bias };
	}
	return (struct trace_frame){ .module = 0, .offset = address };
}

/* Of the instruction at `address`, with the calls that led there, the innermost first. */
static void define_site(uint32_t site, uintptr_t address, const uintptr_t *calls, unsigned count)
{
	struct trace_frame frames[TRACE_FRAMES_MAX];
	struct trace_event event;

	frames[0] = frame_of(address);
	for (unsigned i = 0; i < count; i++)
		frames[1 + i] = frame_of(calls[i]);
	trace_event_start(&event, TRACE_SITE, 0);
	event.site = site;
	event.stack.frames = frames;
	event.stack.count = 1 + count;
	record_event(&event);
}

/* Before the lock is taken: tables of the program's code are read. */
static unsigned find_calls(uintptr_t address, uintptr_t *calls)
{
	return client_call_stack ? client_call_stack(address, calls, client_settings()->stack_depth - 1) : 0;
}

void client_modules_define_site(uint32_t site, uintptr_t address, bool stores)
{
	uintptr_t calls[TRACE_FRAMES_MAX];
	const unsigned count = stores ? find_calls(address, calls) : 0;
	uint64_t signals = signals_lock(&lock);

	define_site(site, address, calls, count);
	signals_unlock(&lock, signals);
}

/* The entry of `address`, or the free one where it belongs; CALLERS_MAX: there is none. */
static uint32_t caller_entry(uintptr_t address)
{
	const uint32_t start = (uint32_t)(client_callers_hash(address) >> (64 - CALLERS_SHIFT));

	for (uint32_t i = 0; i < CALLERS_MAX; i++) {
		const uint32_t at = (start + i) % CALLERS_MAX;
		const uintptr_t there = atomic_load_explicit(&callers[at], memory_order_acquire);

		if (!there || there == address)
			return at;
	}
	return CALLERS_MAX;
}

static __attribute__((noinline)) uint32_t define_caller(uintptr_t address)
{
	uintptr_t calls[TRACE_FRAMES_MAX];
	const unsigned count = find_calls(address, calls);
	const uint64_t signals = signals_lock(&lock);
	const uint32_t at = caller_entry(address);

	if (at < CALLERS_MAX && !atomic_load(&callers[at])) {
		/* Of the call itself, whose line is wanted. Published when its definition is in the trace. */
		define_site(CLIENT_CALLERS_FIRST + at, address - 1, calls, count);
		atomic_store_explicit(&callers[at], address, memory_order_release);
	}
	signals_unlock(&lock, signals);
	return at < CALLERS_MAX ? CLIENT_CALLERS_FIRST + at : 0;
}

uint32_t client_modules_find_caller(uintptr_t address)
{
	const uint32_t at = caller_entry(address);

	if (!address || at == CALLERS_MAX)
		return 0;
	if (unlikely(atomic_load_explicit(&callers[at], memory_order_acquire) != address))
		return define_caller(address);
	atomic_store_explicit(
		&client_callers_recent[client_callers_hash(address) >> (64 - CLIENT_CALLERS_RECENT)],
		(uint64_t)address << CLIENT_CALLERS_PLACE | at, memory_order_release);
	return CLIENT_CALLERS_FIRST + at;
}

void client_modules_fork_prepare(void)
{
	pthread_mutex_lock(&lock);
}

void client_modules_fork_parent(void)
{
	pthread_mutex_unlock(&lock);
}

void client_modules_fork_child(void)
{
	pthread_mutex_init(&lock, NULL);
}
