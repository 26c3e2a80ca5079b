/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/cli.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "wire/frame.h"
#include "wire/socketpath.h"
#include "wire/text.h"

int cli_fail(struct cli *cli, const char *text)
{
	CLEANUP_FREE char *printable = text_printable(text);

	if (cli->holds) {
		free(cli->held);
		cli->held = strdup(text);
		return CLI_FAILED;
	}
	output_progress_end(&cli->progress);
	fflush(stdout);
	fprintf(stderr, "softpmem: %s\n", printable ? printable : "out of memory");
	return CLI_FAILED;
}

int cli_usage(const struct cli *cli, const char *format, ...)
{
	CLEANUP_FREE char *text = NULL;
	CLEANUP_FREE char *printable = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	printable = text ? text_printable(text) : NULL;
	fprintf(stderr, "softpmem %s: %s\n", cli->verb->name, printable ? printable : "out of memory");
	return CLI_USAGE;
}

int cli_whole_number(const struct cli *cli, const char *option, const char *text, uint64_t least,
		     uint64_t most, uint64_t *value)
{
	uint64_t number;
	char *end;

	if (!text)
		return CLI_OK;
	errno = 0;
	number = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || number < least || number > most)
		return cli_usage(cli, "--%s takes a whole number from %" PRIu64 " to %" PRIu64 ", not '%s'",
				 option, least, most, text);
	*value = number;
	return CLI_OK;
}

/* ---- Requests ---------------------------------------------------------------------- */

struct json_object *cli_request(const char *verb)
{
	struct json_object *request = json_object_new_object();

	if (request)
		control_put_string(request, "verb", verb);
	return request;
}

void cli_put(struct json_object *request, const char *key, const char *value)
{
	if (request && value)
		control_put_string(request, key, value);
}

void cli_put_true(struct json_object *request, const char *key, bool value)
{
	if (request && value)
		control_put_bool(request, key, true);
}

struct asking {
	struct cli *cli;
	void (*item)(void *context, struct json_object *item);
	void *item_context;
};

static void hand_item(void *context, struct json_object *item)
{
	struct asking *asking = context;

	if (asking->item)
		asking->item(asking->item_context, item);
}

static void hand_progress(void *context, const char *what, uint64_t done, uint64_t total)
{
	struct asking *asking = context;

	output_progress(&asking->cli->progress, what, done, total);
}

int cli_ask(struct cli *cli, struct json_object *request, void (*item)(void *, struct json_object *),
	    void *item_context, struct json_object **result)
{
	struct asking asking = { .cli = cli, .item = item, .item_context = item_context };
	struct client_answer answer = { .item = hand_item, .progress = hand_progress, .context = &asking };
	struct message message = { "" };
	struct client *client;
	int error = cli->socket ? 0 : socketpath_default(&cli->socket, &message);

	*result = NULL;
	if (!request)
		return cli_fail(cli, "out of memory");
	if (!error)
		error = client_connect(cli->socket, &client, &message);
	if (error)
		return cli_fail(cli, message.text);
	if (!cli->holds)
		output_progress_start(&cli->progress, cli->verbose);
	error = client_ask(client, request, &answer, result, &message);
	output_progress_end(&cli->progress);
	client_close(client);
	if (error)
		return cli_fail(cli, message.text);
	if (!*result)
		*result = json_object_new_object();
	return *result ? CLI_OK : cli_fail(cli, "out of memory");
}

int cli_ask_only(struct cli *cli, struct json_object *request)
{
	CLEANUP_JSON struct json_object *result = NULL;

	return cli_ask(cli, request, NULL, NULL, &result);
}

int cli_ask_status(struct cli *cli, struct json_object **result)
{
	CLEANUP_JSON struct json_object *request = cli_request("status");

	return cli_ask(cli, request, NULL, NULL, result);
}

size_t cli_regions_of(struct json_object *status, struct json_object **regions)
{
	if (!json_object_object_get_ex(status, "regions", regions) ||
	    !json_object_is_type(*regions, json_type_array))
		return 0;
	return json_object_array_length(*regions);
}
