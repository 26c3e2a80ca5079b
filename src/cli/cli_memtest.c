/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/cli_memtest.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/cleanup.h"
#include "common/size.h"
#include "wire/frame.h"
#include "region/memtest.h"
#include "regions/candidates.h"

struct test {
	struct cli *cli;
	bool json;
	struct region *region;
	bool is_physical;
	uint64_t start; /* physical address of the range; 0 if it has none */
	struct timespec started;
	double watched; /* time of the last call of region_watch(), in seconds since the start */
	struct message message;
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
	interrupted = 1;
}

/*
 * The first signal stops the test. The second one has its default effect, so that a test that hangs can
 * be ended.
 */
static void catch_interrupts(void)
{
	struct sigaction action = { .sa_handler = on_interrupt, .sa_flags = SA_RESETHAND };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

static double seconds_since(const struct timespec *started)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - started->tv_sec) + (double)(now.tv_nsec - started->tv_nsec) / 1e9;
}

static unsigned long long mib_per_second(uint64_t bytes, double seconds)
{
	return seconds > 0 ? (unsigned long long)((double)bytes / (1u << 20) / seconds) : 0;
}

static int on_progress(void *context, const char *name, uint64_t done, uint64_t total)
{
	struct test *test = context;
	double seconds = seconds_since(&test->started);
	char what[64];

	snprintf(what, sizeof(what), "%s at %llu MiB/s, MiB", name, mib_per_second(done, seconds));
	output_progress(&test->cli->progress, what, done >> 20, total >> 20);
	if (seconds - test->watched > 0.25) {
		test->watched = seconds;
		region_watch(test->region, &test->message);
	}
	if (region_failure(test->region, &test->message) < 0)
		return -EIO;
	return interrupted ? -EINTR : 0;
}

/* ---- What was found ------------------------------------------------------------------ */

/* Format bits as "bit 5 stuck at 1, bits 8-11 stuck at 0", with consecutive bits as a range. */
static void put_bits(char *text, size_t size, uint64_t mask, const char *how)
{
	size_t used = strlen(text);

	for (unsigned bit = 0; bit < 64; bit++) {
		unsigned last = bit;

		if (!(mask >> bit & 1))
			continue;
		while (last < 63 && mask >> (last + 1) & 1)
			last++;
		used += (size_t)snprintf(text + used, size - used, "%sbit%s %u", used ? ", " : "",
					 last > bit ? "s" : "", bit);
		if (last > bit)
			used += (size_t)snprintf(text + used, size - used, "-%u", last);
		used += (size_t)snprintf(text + used, size - used, " %s", how);
		bit = last;
	}
}

static const char *bits_text(uint64_t reads_0, uint64_t reads_1)
{
	/* room for 64 of the longest items */
	static char text[2048];

	text[0] = '\0';
	if (reads_0 & reads_1 && __builtin_popcountll(reads_0 | reads_1) > 8)
		return "what is written to it is not what is read";
	put_bits(text, sizeof(text), reads_0 & ~reads_1, "stuck at 0");
	put_bits(text, sizeof(text), reads_1 & ~reads_0, "stuck at 1");
	put_bits(text, sizeof(text), reads_0 & reads_1, "unstable");
	return text;
}

static void print_range(const struct test *test, uint64_t offset, uint64_t size)
{
	unsigned long long first = test->start + offset;

	printf("%#llx", first);
	if (size > 8)
		printf("-%#llx", first + size - 1);
}

static void print_finding(const struct test *test, const struct memtest_finding *finding)
{
	fputs(test->is_physical ? "" : "offset ", stdout);
	print_range(test, finding->offset, finding->size);
	if (finding->kind == MEMTEST_ALIAS) {
		uint64_t differ = finding->offset ^ finding->alias;

		fputs(": aliases with ", stdout);
		print_range(test, finding->alias, finding->size);
		if (differ && !(differ & (differ - 1)))
			printf(": bit %d of the address makes no difference", __builtin_ctzll(differ));
		putchar('\n');
		return;
	}
	printf(": %s (wrote %#018llx, read %#018llx)\n", bits_text(finding->reads_0, finding->reads_1),
	       (unsigned long long)finding->expected, (unsigned long long)finding->read);
}

static void print_report(const struct test *test, const struct memtest_report *report, double seconds)
{
	char size[32];

	for (size_t i = 0; i < report->count; i++)
		print_finding(test, &report->findings[i]);
	if (report->left_off)
		printf("and %llu more; of all, %s\n", (unsigned long long)report->left_off,
		       bits_text(report->reads_0, report->reads_1));
	size_format(region_size(test->region), size, sizeof(size));
	printf("region %s: %s %s in %.1f s (%llu MiB/s): ", region_spec(test->region), size,
	       report->complete ? "tested" : "tested in part", seconds,
	       mib_per_second(report->written + report->read, seconds));
	if (report->wrong)
		printf("faulty, %llu wrong words read\n", (unsigned long long)report->wrong);
	else
		puts(report->complete ? "no fault; it is blank now" : "no fault in what was tested");
}

static void put_hex(struct json_object *object, const char *name, uint64_t value)
{
	char text[32];

	snprintf(text, sizeof(text), "%#018llx", (unsigned long long)value);
	control_put_string(object, name, text);
}

static struct json_object *finding_json(const struct test *test, const struct memtest_finding *finding)
{
	struct json_object *object = json_object_new_object();

	if (!object)
		return NULL;
	control_put_string(object, "kind", finding->kind == MEMTEST_ALIAS ? "alias" : "bits");
	control_put_u64(object, "offset", finding->offset);
	if (test->is_physical)
		control_put_u64(object, "resource", test->start + finding->offset);
	control_put_u64(object, "length", finding->size);
	put_hex(object, "expected", finding->expected);
	put_hex(object, "read", finding->read);
	if (finding->kind == MEMTEST_ALIAS) {
		control_put_u64(object, "aliases_with", test->start + finding->alias);
	} else {
		put_hex(object, "reads_as_0", finding->reads_0);
		put_hex(object, "reads_as_1", finding->reads_1);
	}
	return object;
}

static void print_json(const struct test *test, const struct memtest_report *report, double seconds)
{
	CLEANUP_JSON struct json_object *object = json_object_new_object();
	struct json_object *faults = json_object_new_array();

	if (!object || !faults) {
		json_object_put(faults);
		return;
	}
	control_put_string(object, "region", region_spec(test->region));
	control_put_u64(object, "size", region_size(test->region));
	if (test->is_physical)
		control_put_u64(object, "resource", test->start);
	json_object_object_add(object, "complete", json_object_new_boolean(report->complete));
	control_put_u64(object, "bytes_written", report->written);
	control_put_u64(object, "bytes_read", report->read);
	json_object_object_add(object, "seconds", json_object_new_double(seconds));
	control_put_u64(object, "wrong_words", report->wrong);
	control_put_u64(object, "faults_left_off", report->left_off);
	for (size_t i = 0; i < report->count; i++) {
		struct json_object *finding = finding_json(test, &report->findings[i]);

		if (finding && json_object_array_add(faults, finding) != 0)
			json_object_put(finding);
	}
	json_object_object_add(object, "faults", faults);
	output_object(object);
}

/* ---- The test ---------------------------------------------------------------------------- */

static int run(struct test *test, struct memtest_report *report)
{
	struct memtest_options options = { .progress = on_progress, .context = test };
	struct memtest_memory memory;
	double seconds;
	int error;

	clock_gettime(CLOCK_MONOTONIC, &test->started);
	options.seed = (uint64_t)test->started.tv_nsec;
	memtest_region(test->region, &memory);
	catch_interrupts();
	output_progress_start(&test->cli->progress, test->cli->verbose);
	error = memtest_run(&memory, &options, report);
	seconds = seconds_since(&test->started);
	output_progress_end(&test->cli->progress);
	/* If the memory was taken away during the test, wrong words are not faults. */
	if (region_failure(test->region, &test->message) < 0)
		return cli_fail(test->cli, test->message.text);
	if (test->json)
		print_json(test, report, seconds);
	else
		print_report(test, report, seconds);
	if (error == -EINTR) {
		message_fail(&test->message, error,
			     "region %s: the test was stopped: the region holds its patterns now: softpmem "
			     "format --force makes it usable",
			     region_spec(test->region));
		return cli_fail(test->cli, test->message.text);
	}
	return report->wrong ? CLI_FAILED : CLI_OK;
}

int memtest_verb(struct cli *cli, const char *range, bool force, bool json)
{
	CLEANUP_FREE struct memtest_report *report = malloc(sizeof(*report));
	CLEANUP_FREE char *spec = NULL;
	struct test test = { .cli = cli, .json = json };
	int status;

	if (asprintf(&spec, "%s%s", strchr(range, ':') ? "" : "devmem:", range) < 0)
		spec = NULL;
	if (!report || !spec)
		return cli_fail(cli, "out of memory");
	if (!region_spec_outlives_process(spec))
		return cli_usage(cli,
				 "--test '%s': give START+SIZE, or a region that 'softpmem regions' shows",
				 range);
	if (regions_open_for_test(spec, force, &test.region, &test.message) < 0)
		return cli_fail(cli, test.message.text);
	test.is_physical = region_is_physical(test.region, &test.start);
	status = run(&test, report);
	region_close(test.region);
	return status;
}
