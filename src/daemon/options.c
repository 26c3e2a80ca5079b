/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/daemon.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "wire/socketpath.h"

static const char help_text[] =
	"Usage: softpmemd [OPTION]...\n"
	"Serve an emulated NVDIMM: pools in a region of memory, as files on a mount.\n"
	"\n"
	"  --region SPEC    memfd:SIZE, file:PATH[,SIZE], devmem:START+SIZE[,uncached],\n"
	"                   dax:/dev/daxX.Y, ndctl:namespaceX.Y or auto (memfd:1G);\n"
	"                   may be given several times\n"
	"  --mount DIR      show the pools as files here (default: no mount)\n"
	"  --socket PATH    where softpmem finds this daemon\n"
	"  --domain KIND    memory_controller or cpu_cache: where stores are safe\n"
	"  --mode MODE      fsdax (default), sector or sector:512: how file writes tear\n"
	"  --label TEXT     name the region before it, if it is formatted now\n"
	"  --allow-other    let other users into the mount\n"
	"  --read-only      change nothing in the region\n"
	"  --threads N      how many threads serve the mount (default: chosen)\n"
	"  --group GROUP    let this group talk to the daemon too\n"
	"  --daemon         go to the background when ready\n"
	"  --verbose        say more\n"
	"  --version, --help\n"
	"\n"
	"A blank region is formatted, foreign bytes never are; 'softpmem regions' shows\n"
	"what memory there is. SIGTERM and SIGINT stop it cleanly. See softpmemd(8).\n";

enum option_id {
	OPTION_REGION = 256,
	OPTION_MOUNT,
	OPTION_SOCKET,
	OPTION_DOMAIN,
	OPTION_MODE,
	OPTION_LABEL,
	OPTION_ALLOW_OTHER,
	OPTION_READ_ONLY,
	OPTION_THREADS,
	OPTION_GROUP,
	OPTION_DAEMON
};

static const struct option long_options[] = {
	{ "region", required_argument, NULL, OPTION_REGION },
	{ "mount", required_argument, NULL, OPTION_MOUNT },
	{ "socket", required_argument, NULL, OPTION_SOCKET },
	{ "domain", required_argument, NULL, OPTION_DOMAIN },
	{ "mode", required_argument, NULL, OPTION_MODE },
	{ "label", required_argument, NULL, OPTION_LABEL },
	{ "allow-other", no_argument, NULL, OPTION_ALLOW_OTHER },
	{ "read-only", no_argument, NULL, OPTION_READ_ONLY },
	{ "threads", required_argument, NULL, OPTION_THREADS },
	{ "group", required_argument, NULL, OPTION_GROUP },
	{ "daemon", no_argument, NULL, OPTION_DAEMON },
	{ "verbose", no_argument, NULL, 'v' },
	{ "version", no_argument, NULL, 'V' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static int wrong(const char *option, const char *value, const char *way_out)
{
	fprintf(stderr, "softpmemd: --%s: '%s' will not do: %s\n", option, value, way_out);
	return 2;
}

static int set_threads(struct daemon_options *options, const char *text)
{
	char *end;
	unsigned long count = strtoul(text, &end, 10);

	if (*text < '1' || *text > '9' || *end || count > 1024)
		return wrong("threads", text, "give a number from 1 to 1024");
	options->threads = (unsigned)count;
	return -1;
}

static int add_region(struct daemon_options *options, const char *spec)
{
	if (options->region_count == REGIONS_MAX)
		return wrong("region", spec, "a daemon serves at most 64");
	options->regions[options->region_count++].spec = spec;
	return -1;
}

/* Of the region that it follows; before any, of the first. */
static int set_label(struct daemon_options *options, const char *label)
{
	const unsigned last = options->region_count ? options->region_count - 1 : 0;

	if (strlen(label) > POOL_LABEL_MAX)
		return wrong("label", label, "give at most 63 bytes");
	for (unsigned i = 0; i < options->region_count; i++)
		if (i != last && options->regions[i].label && strcmp(options->regions[i].label, label) == 0)
			return wrong("label", label, "it is another region's: give each its own");
	options->regions[last].label = label;
	return -1;
}

static int set_option(struct daemon_options *options, int id)
{
	switch (id) {
	case OPTION_REGION:
		return add_region(options, optarg);
	case OPTION_MOUNT:
		options->mount = optarg;
		return -1;
	case OPTION_SOCKET:
		free(options->socket);
		options->socket = strdup(optarg);
		return -1;
	case OPTION_DOMAIN:
		if (persistence_domain_parse(optarg, &options->domain) < 0)
			return wrong("domain", optarg, "give memory_controller or cpu_cache");
		options->has_domain = true;
		return -1;
	case OPTION_MODE:
		if (pool_mode_parse(optarg, &options->mode) < 0)
			return wrong("mode", optarg, "give fsdax, sector or sector:512");
		return -1;
	case OPTION_LABEL:
		return set_label(options, optarg);
	case OPTION_ALLOW_OTHER:
		options->allow_other = true;
		return -1;
	case OPTION_READ_ONLY:
		options->read_only = true;
		return -1;
	case OPTION_THREADS:
		return set_threads(options, optarg);
	case OPTION_GROUP:
		options->group = optarg;
		return -1;
	case OPTION_DAEMON:
		options->background = true;
		return -1;
	case 'v':
		options->verbose = true;
		return -1;
	case 'V':
		puts("softpmemd " PACKAGE_VERSION);
		return 0;
	case 'h':
		fputs(help_text, stdout);
		return 0;
	default: /* getopt has said what */
		fputs("softpmemd: see softpmemd --help\n", stderr);
		return 2;
	}
}

static int check_regions(const struct daemon_options *options)
{
	bool automatic = false;

	for (unsigned i = 0; i < options->region_count; i++) {
		if (strcmp(options->regions[i].spec, REGION_AUTO) != 0)
			continue;
		if (automatic)
			return wrong("region", REGION_AUTO, "give it once, and name the others");
		automatic = true;
	}
	return -1;
}

static int check_together(const struct daemon_options *options)
{
	if (options->allow_other && !options->mount)
		return wrong("allow-other", "", "it needs --mount");
	if (options->read_only && options->mode != POOL_MODE_INHERIT)
		return wrong("mode", "", "with --read-only no mode can be set");
	return -1;
}

/* The background's directory is another: a relative path would be lost there. */
static int settle_socket(struct daemon_options *options)
{
	struct message message = { "out of memory" };
	char *path = options->socket;

	if (!path && socketpath_default(&path, &message) < 0)
		path = NULL;
	if (path && *path != '/' && options->background) {
		char *here = getcwd(NULL, 0), *absolute;

		if (!here || asprintf(&absolute, "%s/%s", here, path) < 0)
			absolute = NULL;
		free(here);
		free(path);
		path = absolute;
	}
	options->socket = path;
	if (!path)
		fprintf(stderr, "softpmemd: %s\n", message.text);
	return path ? -1 : 1;
}

int daemon_parse_options(int argc, char **argv, struct daemon_options *options)
{
	int status = -1, id;

	*options = (struct daemon_options){ .mount = NULL };
	while (status < 0 && (id = getopt_long(argc, argv, "vVh", long_options, NULL)) != -1)
		status = set_option(options, id);
	if (status < 0 && optind < argc) {
		fprintf(stderr, "softpmemd: %s: no argument is expected here: see softpmemd --help\n",
			argv[optind]);
		status = 2;
	}
	if (status < 0 && options->region_count == 0)
		status = add_region(options, "memfd:1G");
	if (status < 0)
		status = check_regions(options);
	if (status < 0)
		status = check_together(options);
	if (status < 0)
		status = settle_socket(options);
	return status;
}
