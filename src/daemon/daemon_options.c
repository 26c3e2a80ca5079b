/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command/command_options.h"
#include "command/standard_files.h"
#include "common/cleanup.h"
#include "daemon/daemon.h"
#include "wire/socketpath.h"

enum { STATUS_OK = 0, STATUS_FAILED = 1, STATUS_USAGE = 2, GO_ON = -1 };

/* Options that are not stored in daemon_options. */
struct parsed {
	struct daemon_options *options;
	const char *socket, *mode, *domain, *metadata;
	bool version, help;
};

static int set_threads(void *values, const char *text, const char **reason)
{
	struct parsed *parsed = values;
	char *end;
	unsigned long count = strtoul(text, &end, 10);

	*reason = "give a number from 1 to 1024";
	if (*text < '1' || *text > '9' || *end || count > 1024)
		return -1;
	parsed->options->threads = (unsigned)count;
	return 0;
}

static int add_region(void *values, const char *spec, const char **reason)
{
	struct daemon_options *options = ((struct parsed *)values)->options;

	*reason = "a daemon serves at most 64 regions";
	if (options->region_count == REGIONS_MAX)
		return -1;
	*reason = "give it once, and name the others";
	for (unsigned i = 0; i < options->region_count && strcmp(spec, REGION_AUTO) == 0; i++)
		if (strcmp(options->regions[i].spec, REGION_AUTO) == 0)
			return -1;
	options->regions[options->region_count++].spec = spec;
	return 0;
}

/* The label belongs to the region before it on the command line; before any region, to the first one. */
static int set_label(void *values, const char *label, const char **reason)
{
	struct daemon_options *options = ((struct parsed *)values)->options;
	const unsigned last = options->region_count ? options->region_count - 1 : 0;

	*reason = "give at most 63 bytes";
	if (strlen(label) > POOL_LABEL_MAX)
		return -1;
	*reason = "it is another region's: give each its own";
	for (unsigned i = 0; i < options->region_count; i++)
		if (i != last && options->regions[i].label && strcmp(options->regions[i].label, label) == 0)
			return -1;
	options->regions[last].label = label;
	return 0;
}

static const struct command_option own[] = {
	{ .name = "region", .value = "SPEC", .set = add_region,
	  .help = "memfd:SIZE, file:PATH[,SIZE], devmem:START+SIZE,\n"
		  "\t\t\tdax:DEVICE, ndctl:NAME, auto; repeatable; else memfd:1G" },
	COMMAND_VALUE(struct parsed, socket, "socket", "PATH", "where softpmem finds this daemon"),
	COMMAND_CHOICE(struct parsed, domain, "domain", "DOMAIN", "memory_controller cpu_cache",
		       "memory_controller or cpu_cache: where stores are safe"),
	COMMAND_CHOICE(struct parsed, mode, "mode", "MODE", COMMAND_MODE_CHOICES,
		       "fsdax, sector or sector:512: how file writes tear"),
	COMMAND_CHOICE(struct parsed, metadata, "metadata", "MODE", "durable ordered strict",
		       "ordered, durable or strict: which names may be lost"),
	{ .name = "label", .value = "TEXT", .may_be_empty = true, .set = set_label,
	  .help = "names the region before it, if that is formatted now" },
	{ .name = "threads", .value = "N", .set = set_threads,
	  .help = "how many threads serve the mount" },
	{ .name = "version", .letter = 'V', .offset = offsetof(struct parsed, version),
	  .help = "print the version" },
	{ .name = "help", .letter = 'h', .offset = offsetof(struct parsed, help), .help = "print this help" },
	{ .name = NULL },
};

static const struct command_option direct[] = {
	COMMAND_SWITCH(struct daemon_options, auto_da_alloc, "auto-da-alloc",
		       "as ext4: a rename over a file keeps the new bytes"),
	COMMAND_VALUE(struct daemon_options, mount, "mount", "DIR", "show the pools as files here"),
	COMMAND_VALUE(struct daemon_options, group, "group", "GROUP", "its members may use this daemon too"),
	COMMAND_SWITCH(struct daemon_options, allow_other, "allow-other", "let other users into the mount"),
	COMMAND_SWITCH(struct daemon_options, nonempty, "nonempty", "mount on a directory that has files"),
	COMMAND_SWITCH(struct daemon_options, read_only, "read-only", "change nothing in the regions"),
	COMMAND_SWITCH(struct daemon_options, background, "daemon", "go to the background when ready"),
	{ .name = "verbose", .letter = 'v', .offset = offsetof(struct daemon_options, verbose),
	  .help = "log more" },
	{ .name = NULL },
};

static void print_help(void)
{
	puts("Usage: softpmemd [OPTION]...\n"
	     "Serve an emulated NVDIMM: pools in regions of memory, as files on a mount.\n");
	command_print_options(own);
	command_print_options(direct);
	puts("\nA blank region is formatted; foreign bytes are never overwritten. SIGTERM and\n"
	     "SIGINT stop the daemon. See 'softpmem regions' for memory, and softpmemd(8).");
}

static int finish_output(void)
{
	if (standard_output_finish() == 0)
		return STATUS_OK;
	fputs("softpmemd: standard output: cannot write all of it\n", stderr);
	return STATUS_FAILED;
}

static int check_together(const struct daemon_options *options)
{
	if (options->allow_other && !options->mount) {
		fputs("softpmemd: --allow-other requires --mount\n", stderr);
		return STATUS_USAGE;
	}
	if (options->nonempty && !options->mount) {
		fputs("softpmemd: --nonempty requires --mount\n", stderr);
		return STATUS_USAGE;
	}
	if (options->auto_da_alloc && options->metadata == METADATA_STRICT) {
		fputs("softpmemd: --auto-da-alloc: POSIX promises nothing of it: give --metadata ordered\n",
		      stderr);
		return STATUS_USAGE;
	}
	if (options->read_only && options->mode != POOL_MODE_INHERIT) {
		fputs("softpmemd: --mode: with --read-only no mode can be set\n", stderr);
		return STATUS_USAGE;
	}
	return GO_ON;
}

/* Make the path absolute if the daemon goes to the background, where its working directory is another one. */
static int settle_socket(struct daemon_options *options, const char *given)
{
	struct message message = { "out of memory" };
	CLEANUP_FREE char *path = given ? strdup(given) : NULL;

	if (!given && socketpath_default(&path, &message) < 0)
		path = NULL;
	if (path && *path != '/' && options->background) {
		CLEANUP_FREE char *here = getcwd(NULL, 0);
		char *absolute;

		if (!here || asprintf(&absolute, "%s/%s", here, path) < 0)
			absolute = NULL;
		free(path);
		path = absolute;
	}
	if (!path)
		fprintf(stderr, "softpmemd: %s\n", message.text);
	options->socket = steal_pointer(&path);
	return options->socket ? GO_ON : STATUS_FAILED;
}

int daemon_parse_options(int argc, char **argv, struct daemon_options *options)
{
	struct parsed parsed = { .options = options };
	const struct command_line line = {
		.command = "softpmemd", .options = { own, direct }, .values = { &parsed, options }
	};
	int first, status;

	*options = (struct daemon_options){ .mount = NULL };
	first = command_parse(&line, argc, argv);
	if (first < 0)
		return STATUS_USAGE;
	if (parsed.version)
		puts("softpmemd " PACKAGE_VERSION);
	else if (parsed.help)
		print_help();
	if (parsed.version || parsed.help)
		return finish_output();
	if (first < argc) {
		fprintf(stderr, "softpmemd: unexpected argument '%s': see 'softpmemd --help'\n", argv[first]);
		return STATUS_USAGE;
	}
	/* The option parser has checked both values. */
	if (parsed.mode)
		pool_mode_parse(parsed.mode, &options->mode);
	options->metadata = METADATA_ORDERED;
	if (parsed.metadata)
		metadata_mode_parse(parsed.metadata, &options->metadata);
	options->has_domain = parsed.domain;
	if (parsed.domain)
		persistence_domain_parse(parsed.domain, &options->domain);
	if (options->region_count == 0)
		options->regions[options->region_count++].spec = "memfd:1G";
	status = check_together(options);
	return status == GO_ON ? settle_socket(options, parsed.socket) : status;
}
