/* SPDX-License-Identifier: BSD-3-Clause */

/* Read at the first use, which other libraries' constructors make earlier than ours. */

#include "client/settings.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "client/valgrind.h"
#include "trace/event.h"

/* From this many bytes on libpmem's copies go past the caches, if it is left the choice. */
#define NONTEMPORAL_THRESHOLD 256u

static bool is_set_to(const char *name, const char *value)
{
	const char *text = getenv(name);

	return text && strcmp(text, value) == 0;
}

struct client_settings client_settings_read;
atomic_bool client_settings_known;
atomic_bool client_fast_path_allowed_flag, client_fast_path_recorded_flag;
static atomic_bool fast_path_forbidden;

static void update_fast_path(void)
{
	const struct client_settings *set = &client_settings_read;
	const bool suits = atomic_load(&client_settings_known) && !set->through && !set->flush_never &&
			   !set->valgrind;
	const bool forbidden = atomic_load(&fast_path_forbidden);

	atomic_store_explicit(&client_fast_path_allowed_flag, suits && !forbidden, memory_order_relaxed);
	atomic_store_explicit(&client_fast_path_recorded_flag, suits && forbidden, memory_order_relaxed);
}

void client_fast_path_forbid(bool forbid)
{
	atomic_store(&fast_path_forbidden, forbid);
	update_fast_path();
}

static unsigned read_stack_depth(void)
{
	const char *text = getenv("SOFTPMEM_STACK");
	const unsigned long depth = text ? strtoul(text, NULL, 10) : 0;

	return depth >= 1 && depth <= TRACE_FRAMES_MAX ? (unsigned)depth : TRACE_FRAMES_USUAL;
}

static void read_outputs(struct client_settings *settings)
{
	const char *text = getenv("SOFTPMEM_OUTPUTS");
	char *end = NULL;

	for (unsigned i = 0; text && i < 2; i++, text = end) {
		settings->outputs[i].device = strtoull(text, &end, 16);
		if (*end != ':')
			return;
		settings->outputs[i].inode = strtoull(end + 1, &end, 16);
	}
}

const struct client_settings *client_settings_learn(void)
{
	struct client_settings found = { 0 };
	const char *hint, *threshold, *key;
	char *end;

	found.attach_path = getenv("SOFTPMEM_ATTACH");
	if (found.attach_path && !*found.attach_path)
		found.attach_path = NULL;
	found.must_attach = is_set_to("SOFTPMEM_MUST_ATTACH", "1");
	found.through = is_set_to("SOFTPMEM_THROUGH", "1");
	found.valgrind = valgrind_is_running();
	found.flush_never = is_set_to("PMEM_NO_FLUSH", "1");
	found.flush_always = is_set_to("PMEM_NO_FLUSH", "0");
	key = getenv("SOFTPMEM_RECORD");
	found.record_key = key ? strtoull(key, NULL, 10) : 0;
	found.record = found.attach_path && found.record_key;
	read_outputs(&found);
	found.stack_depth = read_stack_depth();
	found.inline_never = is_set_to("SOFTPMEM_INLINE", "0");
	found.inline_verbose = is_set_to("SOFTPMEM_INLINE", "verbose");
	found.nontemporal_from = is_set_to("PMEM_NO_MOVNT", "1") ? SIZE_MAX : NONTEMPORAL_THRESHOLD;
	threshold = getenv("PMEM_MOVNT_THRESHOLD");
	if (threshold && found.nontemporal_from != SIZE_MAX) {
		size_t from = strtoull(threshold, &end, 10);

		if (end != threshold && *end == '\0')
			found.nontemporal_from = from;
	}
	hint = getenv("PMEM_MMAP_HINT");
	if (hint && *hint) {
		found.hint = strtoull(hint, &end, 16);
		found.has_hint = *end == '\0';
	}
	/* Two threads that come here first write the same bytes. */
	client_settings_read = found;
	atomic_store_explicit(&client_settings_known, true, memory_order_release);
	update_fast_path();
	return &client_settings_read;
}
