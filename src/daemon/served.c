/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/served.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/outage.h"
#include "daemon/process.h"
#include "regions/candidates.h"

/* ---- Their memory ------------------------------------------------------------ */

/*
 * A region that overlaps one that is written was refused when it was opened. Two read-only regions with
 * the same memory get here.
 */
static int check_same(const struct daemon *daemon, const struct served_region *served,
		      struct message *message)
{
	for (unsigned i = 0; i < daemon->region_count; i++) {
		const struct served_region *other = &daemon->regions[i];

		if (other != served && other->region && region_overlaps(other->region, served->region))
			return message_fail(message, -EBUSY,
					    "region %s: its memory is in use already, as region %s: name it "
					    "once",
					    served->spec, other->spec);
	}
	return 0;
}

static int open_region(struct daemon *daemon, struct served_region *served, struct message *message)
{
	const struct daemon_options *options = &daemon->options;
	const unsigned flags = options->read_only ? REGION_READ_ONLY : REGION_CREATE;
	const char *platform;
	int error = region_open(served->spec, flags, &served->region, message);

	if (!error)
		error = check_same(daemon, served, message);
	if (error)
		return error;
	if (region_warning(served->region))
		log_line(&daemon->log, LOG_WARNING, "%s", region_warning(served->region));
	platform = region_persistence_domain(served->region);
	served->domain = options->domain;
	/* The platform reports one of the names that are parsed here. */
	if (platform && !options->has_domain)
		persistence_domain_parse(platform, &served->domain);
	return 0;
}

/* Search after the named regions are open, so that another one is found. */
static int open_chosen(struct daemon *daemon, struct served_region *served, struct message *message)
{
	int error = regions_choose(&served->chosen, message);

	if (error)
		return error;
	served->spec = served->chosen;
	return open_region(daemon, served, message);
}

int served_open_regions(struct daemon *daemon, struct message *message)
{
	const struct daemon_options *options = &daemon->options;
	struct served_region *chosen = NULL;
	int error = 0;

	for (unsigned i = 0; i < options->region_count; i++)
		daemon->regions[i] = (struct served_region){ .number = i, .spec = options->regions[i].spec };
	daemon->region_count = options->region_count;
	for (unsigned i = 0; i < daemon->region_count && !error; i++) {
		struct served_region *served = &daemon->regions[i];

		if (strcmp(served->spec, REGION_AUTO) == 0)
			chosen = served;
		else
			error = open_region(daemon, served, message);
	}
	return error || !chosen ? error : open_chosen(daemon, chosen, message);
}

/* ---- Their pools ------------------------------------------------------------- */

static void report_progress(void *context, const char *what, uint64_t done, uint64_t total)
{
	struct daemon *daemon = context;

	log_line(&daemon->log, LOG_DEBUG, "%s: %llu of %llu", what, (unsigned long long)done,
		 (unsigned long long)total);
	/* systemd stops a service that takes long to start, unless the service reports that it is alive. */
	process_notify("STATUS=%s: %llu of %llu\nEXTEND_TIMEOUT_USEC=30000000", what,
		       (unsigned long long)done, (unsigned long long)total);
}

static int format_blank(struct daemon *daemon, const struct served_region *served, struct message *message)
{
	const struct daemon_options *options = &daemon->options;
	struct pools_format_options format = { .label = options->regions[served->number].label,
					       .mode = options->mode,
					       .uid = geteuid(),
					       .gid = getegid() };

	if (options->read_only)
		return message_fail(message, -EUCLEAN,
				    "region %s: it is blank: format it first (softpmem format), or "
				    "start without --read-only",
				    served->spec);
	return pools_format(served->region, &format, message);
}

static int set_root_mode(struct daemon *daemon, const struct served_region *served, struct message *message)
{
	struct pool_attributes attributes = { .pool_mode = daemon->options.mode };
	struct pool *root;
	int error;

	if (daemon->options.mode == POOL_MODE_INHERIT)
		return 0;
	root = pool_root(served->pools);
	error = pool_set_attributes(root, POOL_SET_POOL_MODE, &attributes);
	pool_unref(root, 1);
	if (error)
		return message_fail(message, error,
				    "region %s: cannot set the mode of its root directory: %s", served->spec,
				    strerror(-error));
	return 0;
}

static int open_pools(struct daemon *daemon, struct served_region *served, struct message *message)
{
	const char *label = daemon->options.regions[served->number].label;
	struct pools_options options = {
		.domain = served->domain,
		.read_only = daemon->options.read_only,
		.metadata = daemon->options.metadata,
		.auto_da_alloc = daemon->options.auto_da_alloc,
		.regions = daemon->region_count,
		.progress = report_progress,
		.progress_context = daemon,
		.log = { log_callback, &daemon->log },
	};
	struct pools_info info;
	int error = 0;

	switch (pools_probe(served->region)) {
	case POOLS_PROBE_BLANK:
		error = format_blank(daemon, served, message);
		break;
	case POOLS_PROBE_FOREIGN:
		error = message_fail(message, -EEXIST,
				     "region %s: it contains other bytes than softpmem's: 'softpmem "
				     "format --force' overwrites them",
				     served->spec);
		break;
	case POOLS_PROBE_FORMATTED:
	case POOLS_PROBE_CUT: /* pools_open() refuses it */
		break;
	}
	if (!error)
		error = pools_open(served->region, &options, &served->pools, message);
	if (!error)
		error = set_root_mode(daemon, served, message);
	if (error)
		return error;
	pools_info(served->pools, &info);
	strcpy(served->label, info.label);
	if (label && strcmp(label, info.label) != 0)
		log_line(&daemon->log, LOG_WARNING,
			 "region %s: it keeps its label '%s': --label is for formatting", served->spec,
			 info.label);
	return 0;
}

/* ---- What they are called ---------------------------------------------------- */

/* The names regionN are not allowed as labels: the daemon may give one to another region. */
static bool reads_as_given(const char *label)
{
	const char *number = label + strlen("region");

	return strncmp(label, "region", strlen("region")) == 0 && *number &&
	       number[strspn(number, "0123456789")] == '\0';
}

/* The reason why the label cannot be the name; NULL: it can. */
static const char *not_a_name(const struct daemon *daemon, const struct served_region *served)
{
	const char *label = served->label;

	if (strchr(label, '/') || strcmp(label, ".") == 0 || strcmp(label, "..") == 0)
		return "a directory cannot have it";
	for (const char *at = label; *at; at++)
		if (iscntrl((unsigned char)*at))
			return "it has control characters";
	if (reads_as_given(label))
		return "it reads as a name that the daemon gives";
	for (unsigned i = 0; i < daemon->region_count; i++)
		if (i != served->number && strcmp(daemon->regions[i].label, label) == 0)
			return "another region has it too";
	return NULL;
}

static void name_region(struct daemon *daemon, struct served_region *served)
{
	const char *why = not_a_name(daemon, served);

	if (served->label[0] && !why)
		strcpy(served->name, served->label);
	else
		snprintf(served->name, sizeof(served->name), "region%u", served->number);
	if (served->label[0] && why && daemon->region_count > 1)
		log_line(&daemon->log, LOG_WARNING,
			 "region %s: its name is %s, not its label '%s': %s", served->spec,
			 served->name, served->label, why);
}

int served_open_pools(struct daemon *daemon, struct message *message)
{
	int error = 0;

	for (unsigned i = 0; i < daemon->region_count && !error; i++)
		error = open_pools(daemon, &daemon->regions[i], message);
	for (unsigned i = 0; i < daemon->region_count && !error; i++)
		name_region(daemon, &daemon->regions[i]);
	return error;
}

struct served_region *served_find(struct daemon *daemon, const char *name)
{
	for (unsigned i = 0; i < daemon->region_count; i++)
		if (strcmp(daemon->regions[i].name, name) == 0)
			return &daemon->regions[i];
	return NULL;
}

/* ---- What becomes of them ---------------------------------------------------- */

/* The daemon keeps running, so that users of its files and its socket get an error. */
static void tell_lost(struct daemon *daemon, struct served_region *served, const char *why)
{
	log_line(&daemon->log, LOG_ERR, "%s", why);
	process_notify("STATUS=Failed: %s", why);
	outage_region_lost(daemon, served);
}

static void log_bad_places(struct daemon *daemon, struct served_region *served)
{
	struct region_bad bad;

	for (; region_bad_place(served->region, served->bad_told, &bad); served->bad_told++)
		log_line(&daemon->log, LOG_ERR,
			 "region %s: media error: %llu bytes at offset %llu cannot be read: accesses to them "
			 "fail with EIO",
			 served->spec, (unsigned long long)bad.length, (unsigned long long)bad.offset);
}

void served_watch(struct daemon *daemon)
{
	for (unsigned i = 0; i < daemon->region_count; i++) {
		struct served_region *served = &daemon->regions[i];
		struct message message;

		log_bad_places(daemon, served);
		if (region_watch(served->region, &message) == 0 || served->lost_told)
			continue;
		served->lost_told = true;
		tell_lost(daemon, served, message.text);
	}
}

void served_trim(struct daemon *daemon)
{
	for (unsigned i = 0; i < daemon->region_count; i++)
		pools_trim(daemon->regions[i].pools);
}

int served_close(struct daemon *daemon)
{
	int result = 0;

	for (unsigned i = 0; i < daemon->region_count; i++) {
		struct served_region *served = &daemon->regions[i];
		struct message message;
		int error = served->pools ? pools_close(served->pools, &message) : 0;

		if (error)
			log_line(&daemon->log, LOG_ERR, "%s", message.text);
		result = result ? result : error;
		region_close(served->region);
		free(served->chosen);
	}
	return result;
}
