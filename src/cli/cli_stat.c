/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/cli_stat.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/size.h"
#include "wire/frame.h"
#include "wire/text.h"

#define PATHS_MAX 1024

/* Counters that both pools and clients have. */
static const char *const counters[] = { "persists", "flushes", "fences", "bytes", "clean_lines" };
#define COUNTERS (sizeof(counters) / sizeof(counters[0]))

/* ---- Samples ---------------------------------------------------------------------- */

static void add(struct json_object *array, struct json_object *item)
{
	if (json_object_array_add(array, json_object_get(item)) != 0)
		json_object_put(item);
}

static void take_item(void *context, struct json_object *item)
{
	struct sample *sample = context;
	bool is_pool = strcmp(output_string(item, "kind"), "pool") == 0;

	json_object_object_del(item, "kind");
	/* Fences that published nothing are counted too. */
	if (!is_pool)
		control_put_u64(item, "fences", output_u64(item, "fences") + output_u64(item, "idle_fences"));
	add(is_pool ? sample->pools : sample->clients, item);
}

static void take_pool(void *context, struct json_object *item)
{
	if (strcmp(output_string(item, "kind"), "pool") == 0)
		take_item(context, item);
}

void sample_clear(struct sample *sample)
{
	json_object_put(sample->result);
	json_object_put(sample->pools);
	json_object_put(sample->clients);
	*sample = (struct sample){ 0 };
}

static struct json_object *stat_request(const struct stat_options *options, const char *path)
{
	struct json_object *request = cli_request("stat");

	cli_put(request, "path", path);
	cli_put(request, "region", options->region);
	cli_put_true(request, "dirty", options->dirty);
	return request;
}

int sample_take(struct stat_context *context, struct sample *sample)
{
	const struct stat_options *options = context->options;
	struct cli *cli = context->cli;
	CLEANUP_JSON struct json_object *request = stat_request(options, cli->argument);
	int status;

	if (!context->clean_sent)
		cli_put(request, "clean", options->clean);
	*sample = (struct sample){ .pools = json_object_new_array(), .clients = json_object_new_array() };
	if (!sample->pools || !sample->clients)
		return cli_fail(cli, "out of memory");
	status = cli_ask(cli, request, take_item, sample, &sample->result);
	for (char **name = cli->arguments; status == CLI_OK && *name && *++name;) {
		CLEANUP_JSON struct json_object *more = stat_request(options, *name);
		CLEANUP_JSON struct json_object *result = NULL;

		status = cli_ask(cli, more, take_pool, sample, &result);
	}
	context->clean_sent = status == CLI_OK;
	return status;
}

/* ---- Rates -------------------------------------------------------------------------- */

static bool is_same(struct json_object *a, struct json_object *b)
{
	return output_u64(a, "pid") == output_u64(b, "pid") &&
	       strcmp(output_string(a, "path"), output_string(b, "path")) == 0;
}

/* Find the same pool or client in the previous answer, usually at the same position. */
static struct json_object *find_same(struct json_object *array, struct json_object *item, size_t near)
{
	size_t count = json_object_array_length(array);

	for (size_t i = 0; i < count; i++) {
		struct json_object *candidate = json_object_array_get_idx(array, (near + i) % count);

		if (is_same(candidate, item))
			return candidate;
	}
	return NULL;
}

static void put_rates(struct json_object *now, struct json_object *before, uint64_t milliseconds)
{
	for (size_t i = 0; i < COUNTERS; i++) {
		uint64_t value = output_u64(now, counters[i]),
			 old = before ? output_u64(before, counters[i]) : 0;
		char key[40];

		/*
		 * Lower than before: the pid belongs to another process now, or the pool was created
		 * again.
		 */
		if (old > value)
			old = 0;
		snprintf(key, sizeof(key), "%s_per_second", counters[i]);
		control_put_u64(now, key, (uint64_t)((double)(value - old) * 1000 / (double)milliseconds));
	}
}

static int compare(const void *a, const void *b)
{
	static const char *const keys[] = { "bytes_per_second", "fences_per_second", "bytes", "fences" };
	struct json_object *left = *(struct json_object *const *)a, *right = *(struct json_object *const *)b;

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		uint64_t mine = output_u64(left, keys[i]), other = output_u64(right, keys[i]);

		if (mine != other)
			return mine < other ? 1 : -1;
	}
	return strcmp(output_string(left, "path"), output_string(right, "path"));
}

static void compare_arrays(struct json_object *now, struct json_object *before, uint64_t milliseconds)
{
	for (size_t i = 0; i < json_object_array_length(now); i++) {
		struct json_object *item = json_object_array_get_idx(now, i);

		put_rates(item, find_same(before, item, i), milliseconds);
	}
	json_object_array_sort(now, compare);
}

void sample_compare(struct sample *now, const struct sample *before)
{
	uint64_t from = output_u64(before->result, "time_ms"), to = output_u64(now->result, "time_ms");

	compare_arrays(now->pools, before->pools, to > from ? to - from : 1);
	compare_arrays(now->clients, before->clients, to > from ? to - from : 1);
}

struct json_object *sample_total(const struct sample *sample)
{
	struct json_object *total = json_object_new_object();
	uint64_t lines = 0;

	if (!total)
		return NULL;
	for (size_t i = 0; i < 2 * COUNTERS; i++) {
		uint64_t sum = 0;
		char key[40];

		snprintf(key, sizeof(key), "%s%s", counters[i % COUNTERS], i < COUNTERS ? "" : "_per_second");
		for (size_t j = 0; j < json_object_array_length(sample->pools); j++)
			sum += output_u64(json_object_array_get_idx(sample->pools, j), key);
		control_put_u64(total, key, sum);
	}
	for (size_t j = 0; j < json_object_array_length(sample->pools); j++)
		lines += output_u64(json_object_array_get_idx(sample->pools, j), "volatile_lines");
	control_put_u64(total, "volatile_lines", lines);
	return total;
}

/* ---- Rows ------------------------------------------------------------------------------ */

static uint64_t value_of(const struct stat_options *options, struct json_object *object, const char *counter)
{
	char key[40];

	snprintf(key, sizeof(key), "%s%s", counter, options->follow ? "_per_second" : "");
	return output_u64(object, key);
}

/* Persists, flushes, fences, bytes, clean lines; a head without an object. */
static int put_columns(char *row, const struct stat_options *options, const struct sample *sample,
		       struct json_object *object)
{
	bool counts_clean = false;
	char clean[24] = "-", bytes[24];
	uint64_t lines;

	if (!object && options->follow)
		return snprintf(row, ROW_BYTES, "PERSISTS/S FLUSHES/S FENCES/S  BYTES/S  CLEAN/S ");
	if (!object)
		return snprintf(row, ROW_BYTES, "  PERSISTS   FLUSHES   FENCES    BYTES    CLEAN ");
	lines = value_of(options, object, "clean_lines");
	control_get_bool(sample->result, "counts_clean", &counts_clean);
	if (counts_clean || lines)
		snprintf(clean, sizeof(clean), "%llu", (unsigned long long)lines);
	size_format(value_of(options, object, "bytes"), bytes, sizeof(bytes));
	return snprintf(row, ROW_BYTES, "%10llu %9llu %8llu %8s %8s ",
			(unsigned long long)value_of(options, object, "persists"),
			(unsigned long long)value_of(options, object, "flushes"),
			(unsigned long long)value_of(options, object, "fences"), bytes, clean);
}

static void put_name(char *row, int at, const char *name)
{
	CLEANUP_FREE char *escaped = text_escape(name);

	snprintf(row + at, ROW_BYTES - (size_t)at, "%s", escaped ? escaped : "?");
}

void row_of_pool(char row[ROW_BYTES], const struct stat_options *options, const struct sample *sample,
		 struct json_object *pool)
{
	int at = put_columns(row, options, sample, pool);
	const char *path = pool ? output_string(pool, "path") : "POOL";

	if (options->dirty && !pool)
		at += snprintf(row + at, ROW_BYTES - (size_t)at, "%8s ", "DIRTY");
	else if (options->dirty)
		at += snprintf(row + at, ROW_BYTES - (size_t)at, "%8llu ",
			       (unsigned long long)output_u64(pool, "volatile_lines"));
	put_name(row, at, *path ? path : "(no name)");
}

void row_of_client(char row[ROW_BYTES], const struct stat_options *options, const struct sample *sample,
		   struct json_object *client)
{
	int at = put_columns(row, options, sample, client);

	if (!client) {
		snprintf(row + at, ROW_BYTES - (size_t)at, "%4s %6s %6s %7s %s", "RING", "QUEUES", "UID",
			 "PID", "COMMAND");
		return;
	}
	at += snprintf(row + at, ROW_BYTES - (size_t)at, "%3llu%% %6llu %6llu %7llu ",
		       (unsigned long long)output_u64(client, "ring_percent"),
		       (unsigned long long)output_u64(client, "queues"),
		       (unsigned long long)output_u64(client, "uid"),
		       (unsigned long long)output_u64(client, "pid"));
	put_name(row, at, output_string(client, "comm"));
}

/* ---- Once ------------------------------------------------------------------------------- */

static void print_table(const struct stat_options *options, const struct sample *sample,
			struct json_object *array,
			void (*row_of)(char *row, const struct stat_options *, const struct sample *,
				       struct json_object *))
{
	char row[ROW_BYTES];

	row_of(row, options, sample, NULL);
	puts(row);
	json_object_array_sort(array, compare);
	for (size_t i = 0; i < json_object_array_length(array); i++) {
		row_of(row, options, sample, json_object_array_get_idx(array, i));
		puts(row);
	}
}

/* The answer with both arrays in it. */
static struct json_object *whole(struct sample *sample)
{
	json_object_object_add(sample->result, "pools", json_object_get(sample->pools));
	json_object_object_add(sample->result, "clients", json_object_get(sample->clients));
	return sample->result;
}

static int print_once(struct stat_context *context)
{
	const struct stat_options *options = context->options;
	struct sample sample;
	int status = sample_take(context, &sample);

	if (status == CLI_OK && options->json) {
		output_object(whole(&sample));
	} else if (status == CLI_OK) {
		print_table(options, &sample, sample.pools, row_of_pool);
		putchar('\n');
		print_table(options, &sample, sample.clients, row_of_client);
	}
	sample_clear(&sample);
	return status;
}

/* ---- A line each interval ------------------------------------------------------------------ */

static uint64_t fullest_ring(const struct sample *sample)
{
	uint64_t most = 0;

	for (size_t i = 0; i < json_object_array_length(sample->clients); i++) {
		uint64_t percent = output_u64(json_object_array_get_idx(sample->clients, i), "ring_percent");

		most = percent > most ? percent : most;
	}
	return most;
}

static void print_line(const struct stat_options *options, const struct sample *sample, bool with_head)
{
	CLEANUP_JSON struct json_object *total = sample_total(sample);
	time_t now = time(NULL);
	char row[ROW_BYTES], clock[16] = "";
	struct tm tm;

	if (localtime_r(&now, &tm))
		strftime(clock, sizeof(clock), "%T", &tm);
	if (with_head) {
		put_columns(row, options, sample, NULL);
		printf("%-8s %s%s%4s %s\n", "TIME", row, options->dirty ? "   DIRTY " : "", "RING",
		       "CLIENTS");
	}
	put_columns(row, options, sample, total);
	printf("%-8s %s", clock, row);
	if (options->dirty)
		printf("%8llu ", (unsigned long long)output_u64(total, "volatile_lines"));
	printf("%3llu%% %zu\n", (unsigned long long)fullest_ring(sample),
	       json_object_array_length(sample->clients));
}

static int print_lines(struct stat_context *context, unsigned interval_ms)
{
	const unsigned head_every = 20;
	struct sample now, before;
	int status = sample_take(context, &before);

	for (unsigned line = 0; status == CLI_OK; line++) {
		poll(NULL, 0, (int)interval_ms);
		status = sample_take(context, &now);
		if (status == CLI_OK) {
			sample_compare(&now, &before);
			if (context->options->json)
				output_line(whole(&now));
			else
				print_line(context->options, &now, line % head_every == 0);
		}
		sample_clear(&before);
		before = now;
		if (fflush(stdout) != 0)
			break;
	}
	sample_clear(&before);
	return status;
}

/* ---- The verb ---------------------------------------------------------------------------------- */

static int parse_interval(const char *text, unsigned *milliseconds)
{
	char *end;
	double seconds;

	*milliseconds = 1000;
	if (!text)
		return 0;
	errno = 0;
	seconds = strtod(text, &end);
	if (!isdigit((unsigned char)*text) || *end || errno || !(seconds >= 0.05 && seconds <= 86400))
		return -EINVAL;
	*milliseconds = (unsigned)(seconds * 1000);
	return 0;
}

static int run(struct cli *cli, const void *values)
{
	const struct stat_options *options = values;
	struct stat_context context = { .cli = cli, .options = options };
	unsigned interval;
	int status = -1;

	if (parse_interval(options->interval, &interval) < 0)
		return cli_usage(cli, "--interval '%s': write seconds, from 0.05 to 86400",
				 options->interval);
	if (options->interval && !options->follow)
		return cli_usage(cli, "--interval requires --follow");
	if (!options->follow)
		return print_once(&context);
	if (!options->json && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO))
		status = live_view(&context, interval);
	return status >= 0 ? status : print_lines(&context, interval);
}

static const struct command_option options_table[] = {
	COMMAND_SWITCH(struct stat_options, follow, "follow",
		       "repeat: as a view on a terminal, else line by line"),
	COMMAND_VALUE(struct stat_options, interval, "interval", "SECONDS", "of --follow; 1 without it"),
	COMMAND_SWITCH(struct stat_options, json, "json", "print JSON"),
	COMMAND_SWITCH(struct stat_options, dirty, "dirty", "count the lines that are not durable now"),
	COMMAND_CHOICE(struct stat_options, clean, "clean", "SWITCH", "on off",
		       "count flushed lines that the media had: slows drains"),
	COMMAND_VALUE(struct stat_options, region, "region", "NAME",
		      "of this region only; PATHs are then in it"),
	{ .name = NULL },
};

const struct cli_verb cli_stat = {
	.name = "stat",
	.summary = "Count what programs persist, by pool and by process",
	.arguments = "[PATH]...",
	.most = PATHS_MAX,
	.options = options_table,
	.options_bytes = sizeof(struct stat_options),
	.run = run,
};
