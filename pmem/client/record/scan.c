/* SPDX-License-Identifier: BSD-3-Clause */

/* Flushes, fences and system calls of all loaded objects are patched. */

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "client/record/code.h"
#include "client/record/engine.h"
#include "client/record/elf_functions.h"
#include "client/record/patch.h"
#include "client/record/sites.h"
#include "client/signals.h"

#define OBJECTS_MAX 1024u
#define ENDING_THREAD_MS 20u

struct candidate {
	uint64_t address;
	struct record_insn insn;
	const char *refused; /* why it is not patched; or NULL */
	bool may_trap;
	bool untold; /* that it is not */
};

struct scan {
	record_refuse_fn *refuse;
	const char *object;
	uint64_t bias;		      /* addresses as the object's symbols have them */
	const char *refused;	      /* why nothing of the object is patched; or NULL */
	struct candidate *candidates; /* of one object */
	size_t count, room;
	bool has_flushes; /* the object has */
	bool alone;	  /* the process has no other thread */
	bool in_place;	  /* nobody else can run the code that is patched */
	int error;
};

/* The objects that are loaded: by where their code is. */
static struct known {
	struct record_text text;
	uint32_t first_round, round; /* the scans that saw it first and last */
	bool has_any;		     /* flushes or fences */
	bool patched;		     /* those of `kinds` are */
	enum record_kinds kinds;
} known[OBJECTS_MAX];
static unsigned known_count;
static uint32_t scan_round;
static struct record_counts counts;
/*
 * Locked instructions are patched once an object has flushes that wait for a fence. Programs that flush by
 * functions of libpmem fence by them as well, and their libraries have hundreds of locked instructions.
 */
static enum record_kinds wanted = RECORD_FLUSHES_AND_FENCES;

static void refuse(struct scan *scan, const struct candidate *candidate, const char *why)
{
	if (candidate->untold)
		return;
	counts.refused++;
	if (scan->refuse)
		scan->refuse(scan->object, candidate->address - scan->bias, &candidate->insn, why,
			     scan->has_flushes);
}

static bool is_own(uint64_t address)
{
	return address >= record_engine.setup.own_start && address < record_engine.setup.own_end;
}

static void found(void *context, uint64_t address, const struct record_insn *insn, const char *refused)
{
	struct scan *scan = context;

	const bool is_call = insn->class == RECORD_SYSTEM_CALL;
	enum record_call_patch patch = RECORD_CALL_ANY;

	if (is_own(address))
		return;
	if (is_call)
		patch = record_engine.setup.sees_system_call(scan->object, address);
	if (patch == RECORD_CALL_UNSEEN)
		return;
	if (insn->class == RECORD_FLUSH)
		counts.flushes++;
	else if (is_call)
		counts.calls++;
	else
		counts.fences++;
	scan->has_flushes |= insn->class == RECORD_FLUSH;
	if (scan->count == scan->room) {
		size_t room = scan->room ? 2 * scan->room : 256;
		struct candidate *grown = realloc(scan->candidates, room * sizeof(*grown));

		if (!grown) {
			scan->error = -ENOMEM;
			return;
		}
		scan->candidates = grown;
		scan->room = room;
	}
	scan->candidates[scan->count++] = (struct candidate){
		address, *insn, refused ? refused : scan->refused,
		record_engine.setup.traps && insn->class != RECORD_STORE && patch == RECORD_CALL_ANY,
		patch == RECORD_CALL_MAY_JUMP
	};
}

/* Descending: a punned jump is made of what follows, as it will be. */
static int descending(const void *a, const void *b)
{
	const struct candidate *first = a, *second = b;

	return first->address > second->address ? -1 : first->address < second->address;
}

bool record_has_one_thread(void)
{
	const unsigned own = record_engine.setup.own_threads ? record_engine.setup.own_threads() : 0;
	struct stat status;

	/* A directory a thread, and two more links. */
	return RAW4(newfstatat, AT_FDCWD, "/proc/self/task", &status, 0) == 0 && status.st_nlink == 3 + own;
}

/* Does only this thread run code of the program? One that ends may be there for a moment. */
static bool is_alone(void)
{
	static const struct timespec moment = { .tv_nsec = 1000000 };
	unsigned tries = 0;

	while (!record_has_one_thread() && ++tries < ENDING_THREAD_MS)
		RAW2(nanosleep, &moment, NULL);
	return tries < ENDING_THREAD_MS;
}

static void patch_candidate(struct scan *scan, const struct candidate *candidate)
{
	bool store = candidate->insn.class == RECORD_STORE;
	/* A locked store that is recorded has one stub for both. */
	enum record_purpose purpose = store && (!record_engine.setup.stores ||
						record_insn_way(&candidate->insn) == RECORD_UNCOVERED)
					      ? RECORD_FOR_FENCE
					      : RECORD_FOR_STORES;
	struct record_site *site;

	if (candidate->refused) {
		refuse(scan, candidate, candidate->refused);
		return;
	}
	site = record_site_make(candidate->address, candidate->insn.bytes, candidate->insn.length, purpose,
				true);
	if (!site) {
		refuse(scan, candidate, "no stub can be made for it");
		return;
	}
	if (site->patched != RECORD_NOT_PATCHED)
		return;
	site->may_trap = candidate->may_trap;
	if (!(scan->in_place ? record_site_patch_alone(site) : record_site_patch(site)))
		refuse(scan, candidate, "no jump can be put there");
}

static void patch_candidates(struct scan *scan)
{
	qsort(scan->candidates, scan->count, sizeof(scan->candidates[0]), descending);
	for (size_t i = 0; i < scan->count; i++)
		if (!i || scan->candidates[i].address != scan->candidates[i - 1].address)
			patch_candidate(scan, &scan->candidates[i]);
	scan->count = 0;
	scan->has_flushes = false;
}

static struct known *find_known(const struct record_text *text)
{
	for (unsigned i = 0; i < known_count; i++)
		if (known[i].text.start == text->start && known[i].text.end == text->end)
			return &known[i];
	return NULL;
}

/* The loader may still write such an object's code. */
static bool is_relocated(const struct dl_phdr_info *object)
{
	const ElfW(Dyn) *entry = NULL;

	for (unsigned i = 0; i < object->dlpi_phnum; i++)
		if (object->dlpi_phdr[i].p_type == PT_DYNAMIC)
			entry = (const void *)(object->dlpi_addr + object->dlpi_phdr[i].p_vaddr);
	for (; entry && entry->d_tag != DT_NULL; entry++)
		if (entry->d_tag == DT_TEXTREL ||
		    (entry->d_tag == DT_FLAGS && (entry->d_un.d_val & DF_TEXTREL)))
			return true;
	return false;
}

/* NULL with an error: there are too many. */
static struct known *note_object(struct scan *scan, const struct record_text *texts, unsigned count)
{
	struct known *seen = find_known(&texts[0]);

	if (!seen && known_count == OBJECTS_MAX) {
		scan->error = -ENOSPC;
		return NULL;
	}
	if (!seen) {
		for (unsigned i = 0; i < count; i++)
			record_sites_forget(texts[i].start, texts[i].end - texts[i].start);
		seen = &known[known_count++];
		*seen = (struct known){ .text = texts[0], .first_round = scan_round };
	}
	seen->round = scan_round;
	return seen;
}

/* clflush needs no fence. */
static void look(void *unused, uint64_t address, const struct record_insn *insn, const char *refused)
{
	if (!is_own(address) && insn->class == RECORD_FLUSH && insn->flush != RECORD_CLFLUSH)
		wanted = RECORD_LOCKED_TOO;
}

/* No code; the vDSO, which has no file and is the kernel's; or nothing but our own code. */
static bool is_left_alone(const struct dl_phdr_info *object, const struct record_text *texts, unsigned count)
{
	return count == 0 || strncmp(object->dlpi_name, "linux-vdso", 10) == 0 ||
	       (count == 1 && is_own(texts[0].start) && is_own(texts[0].end - 1));
}

/* Which kinds of instructions do the objects have that are new? */
static int look_at_object(struct dl_phdr_info *object, size_t size, void *context)
{
	struct scan *scan = context;
	struct record_text texts[RECORD_TEXTS_MAX];
	unsigned count = record_object_texts(object, texts);
	struct record_traces traces;
	struct known *seen;

	if (is_left_alone(object, texts, count))
		return 0;
	seen = find_known(&texts[0]);
	if (seen) {
		seen->round = scan_round;
		return 0;
	}
	seen = note_object(scan, texts, count);
	if (!seen)
		return scan->error;
	traces = record_look_for_sites(object);
	seen->has_any = traces.any;
	if (traces.needs_fence && wanted < RECORD_LOCKED_TOO)
		scan->error = record_find_sites(object, RECORD_FLUSHES_AND_FENCES, look, NULL);
	return scan->error;
}

static bool is_to_be_patched(const struct scan *scan, const struct known *object)
{
	if (object->patched && object->kinds == wanted)
		return false;
	if (!object->has_any && wanted == RECORD_FLUSHES_AND_FENCES)
		return false;
	/* Other threads may run the code of an object that was there before. */
	return object->first_round == scan_round || scan->alone || record_engine.setup.traps;
}

static int patch_object(struct dl_phdr_info *object, size_t size, void *context)
{
	struct scan *scan = context;
	struct record_text texts[RECORD_TEXTS_MAX];
	unsigned count = record_object_texts(object, texts);
	struct known *seen;

	if (is_left_alone(object, texts, count))
		return 0;
	seen = find_known(&texts[0]);
	if (!seen || !is_to_be_patched(scan, seen))
		return 0;
	scan->bias = object->dlpi_addr;
	scan->object = object->dlpi_name[0] ? object->dlpi_name : "the program";
	scan->refused = is_relocated(object) ? "the object's code has relocations" : NULL;
	/* The loader tells of a new object before code of it runs. */
	scan->in_place = scan->alone || !record_engine.setup.traps;
	seen->patched = true;
	seen->kinds = wanted;
	scan->error = record_find_sites(object, wanted, found, scan);
	if (!scan->error)
		patch_candidates(scan);
	return scan->error;
}

/* Objects that are no longer there take their sites with them. */
static void forget_unloaded(void)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < known_count; i++) {
		if (known[i].round == scan_round)
			known[kept++] = known[i];
		else
			record_sites_forget(known[i].text.start, known[i].text.end - known[i].text.start);
	}
	known_count = kept;
}

int record_scan(record_refuse_fn *refuse_fn)
{
	struct scan scan = { .refuse = refuse_fn };
	uint64_t signals;

	if (!record_engine.started)
		return -EINVAL;
	scan.alone = scan_round ? record_has_one_thread() : is_alone();
	if (!scan_round && !scan.alone && !record_engine.setup.traps)
		return -EBUSY;
	/* Which fences have nothing to wait for is for the reader of the trace to say. */
	if (record_engine.setup.stores)
		wanted = record_engine.setup.on_system_call ? RECORD_CALLS_TOO : RECORD_LOCKED_TOO;
	signals = signals_block();
	record_patch_take();
	record_code_refresh();
	scan_round++;
	dl_iterate_phdr(look_at_object, &scan);
	if (!scan.error)
		forget_unloaded();
	if (!scan.error)
		dl_iterate_phdr(patch_object, &scan);
	record_patch_give();
	signals_restore(signals);
	free(scan.candidates);
	return scan.error;
}

struct record_counts record_stat(void)
{
	struct record_counts now = counts;

	for (uint32_t id = 1; id <= record_site_count(); id++) {
		const struct record_site *site = record_site_by_id(id);

		if (site->gone)
			continue;
		now.direct += site->patched == RECORD_PATCHED_DIRECT;
		now.punned += site->patched == RECORD_PATCHED_PUNNED;
		now.trapped += site->patched == RECORD_PATCHED_TRAP;
		now.unpatched += site->patched == RECORD_NOT_PATCHED;
		now.stores += site->faulted;
		now.stores_patched += site->faulted && site->patched != RECORD_NOT_PATCHED;
	}
	return now;
}
