/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/cli.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/size.h"
#include "wire/frame.h"

/* ---- list -------------------------------------------------------------------------- */

/* "user:group", asked of the system once as long as the numbers stay the same: most lists have one owner. */
struct owner {
	bool known;
	uint64_t uid, gid;
	char text[80];
};

static const char *owner_text(struct owner *owner, struct json_object *item)
{
	uint64_t uid = output_u64(item, "uid"), gid = output_u64(item, "gid");
	char numbers[2][24];
	struct passwd *user;
	struct group *group;

	if (owner->known && owner->uid == uid && owner->gid == gid)
		return owner->text;
	user = getpwuid((uid_t)uid);
	group = getgrgid((gid_t)gid);
	snprintf(numbers[0], sizeof(numbers[0]), "%llu", (unsigned long long)uid);
	snprintf(numbers[1], sizeof(numbers[1]), "%llu", (unsigned long long)gid);
	snprintf(owner->text, sizeof(owner->text), "%s:%s", user ? user->pw_name : numbers[0],
		 group ? group->gr_name : numbers[1]);
	owner->known = true;
	owner->uid = uid;
	owner->gid = gid;
	return owner->text;
}

static char type_letter(const char *type)
{
	static const struct {
		const char *type;
		char letter;
	} letters[] = { { "directory", 'd' }, { "symlink", 'l' }, { "fifo", 'p' }, { "socket", 's' } };

	for (size_t i = 0; i < sizeof(letters) / sizeof(letters[0]); i++)
		if (strcmp(letters[i].type, type) == 0)
			return letters[i].letter;
	return '-';
}

struct listing {
	struct cli *cli;
	struct owner owner;
};

static void print_pool(void *context, struct json_object *item)
{
	struct listing *listing = context;

	output_progress_end(&listing->cli->progress);
	printf("%8s %9s %-10s %c%-4s %5llu %-15s %-36s ", output_size(item, "size"),
	       output_size(item, "allocated"), output_mode(item), type_letter(output_string(item, "type")),
	       output_string(item, "perm"), (unsigned long long)output_u64(item, "links"),
	       owner_text(&listing->owner, item), output_string(item, "uuid"));
	output_name(output_string(item, "path"), "\n");
}

static int print_header(struct cli *cli)
{
	int status = cli_list_head(cli);

	if (status == CLI_OK)
		printf("%8s %9s %-10s %-5s %5s %-15s %-36s %s\n", "SIZE", "ALLOCATED", "MODE", "PERM",
		       "LINKS", "OWNER", "UUID", "PATH");
	return status;
}

static void add_pool(void *context, struct json_object *item)
{
	output_array_item(context, item);
}

int cli_list(struct cli *cli)
{
	struct request request = { .verb = REQUEST_LIST,
				   .path = (char *)cli->argument,
				   .region = (char *)cli->region };
	CLEANUP_JSON struct json_object *result = NULL;
	struct listing listing = { .cli = cli };
	struct output_array array = { 0 };
	int status;

	if (cli->regions && (cli->argument || cli->region))
		return cli_wrong("regions", cli->argument ? cli->argument : cli->region,
				 "it lists all of them");
	if (cli->regions)
		return cli_list_regions(cli);
	status = cli->json ? CLI_OK : print_header(cli);
	if (status != CLI_OK)
		return status;
	if (!cli->json)
		return cli_ask(cli, &request, print_pool, &listing, &result);
	status = cli_ask(cli, &request, add_pool, &array, &result);
	if (status == CLI_OK || array.begun)
		output_array_end(&array);
	return status;
}

/* ---- create, destroy, path, mark ---------------------------------------------------- */

static int ask_only(struct cli *cli, const struct request *request)
{
	CLEANUP_JSON struct json_object *result = NULL;

	return cli_ask(cli, request, NULL, NULL, &result);
}

static mode_t current_umask(void)
{
	mode_t mask = umask(0);

	umask(mask);
	return mask;
}

int cli_create(struct cli *cli)
{
	struct request request = {
		.verb = REQUEST_CREATE,
		.path = (char *)cli->argument,
		.region = (char *)cli->region,
		.directory = cli->directory,
		.parents = cli->parents,
		.perm = (cli->directory ? 0777 : 0666) & ~current_umask(),
	};
	char *end;

	if (cli->directory && cli->size)
		return cli_wrong("size", cli->size, "a directory has none");
	if (cli->size && size_parse(cli->size, &request.size) < 0)
		return cli_wrong("size", cli->size, "write bytes, or 64M, 16G");
	if (cli->perm) {
		request.perm = strtoul(cli->perm, &end, 8);
		if (*cli->perm < '0' || *cli->perm > '7' || *end || request.perm > 07777)
			return cli_wrong("perm", cli->perm, "write octal digits, such as 0640");
	}
	if (cli_parse_mode(cli, &request.mode) < 0)
		return CLI_WRONG_WORDS;
	return ask_only(cli, &request);
}

int cli_destroy(struct cli *cli)
{
	struct request request = { .verb = REQUEST_DESTROY,
				   .path = (char *)cli->argument,
				   .region = (char *)cli->region,
				   .recursive = cli->recursive };

	return ask_only(cli, &request);
}

int cli_path(struct cli *cli)
{
	struct request request = { .verb = REQUEST_PATH,
				   .path = (char *)cli->argument,
				   .region = (char *)cli->region };
	CLEANUP_JSON struct json_object *result = NULL;
	int status = cli_ask(cli, &request, NULL, NULL, &result);

	/* The bytes as they are: this is for $(...), not for reading. */
	if (status == CLI_OK)
		puts(output_string(result, "path"));
	return status;
}

int cli_mark(struct cli *cli)
{
	struct request request = { .verb = REQUEST_MARK, .text = (char *)cli->argument };
	size_t length = strlen(cli->argument);

	if (length == 0 || length > REQUEST_MARK_MAX) {
		fprintf(stderr, "softpmem: mark: the text must have 1 to %d bytes\n", REQUEST_MARK_MAX);
		return CLI_WRONG_WORDS;
	}
	return ask_only(cli, &request);
}
