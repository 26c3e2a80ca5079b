/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The order of the phases of an outage (src/daemon/outage.c). The participants are replaced by functions
 * that record their calls.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/outage.h"
#include "recorder/recorder.h"

/* ---- Participants ------------------------------------------------------------- */

struct pools {
	char name;
	bool lost;
	enum persistence_domain domain;
	int decide_error;
	struct chooser chooser; /* that it was given */
	bool mappers_are_gone;	/* that it was told */
};

static unsigned lost_renames; /* of each region */
static char log_text[512];
static bool clients_end;

static void say(const char *what, char which)
{
	size_t at = strlen(log_text);

	if (which)
		snprintf(log_text + at, sizeof(log_text) - at, "%s %c; ", what, which);
	else
		snprintf(log_text + at, sizeof(log_text) - at, "%s; ", what);
}

bool attach_power_fails(struct attach_server *server)
{
	say("stop clients", 0);
	return clients_end;
}

void attach_power_returns(struct attach_server *server)
{
	say("resume clients", 0);
}

void attach_region_lost(struct attach_server *server, unsigned region)
{
	say("clients lose", (char)('0' + region));
}

static bool mount_is_stopped;

bool fusefs_moment_is_stopped(struct fusefs *fusefs)
{
	return mount_is_stopped;
}

void fusefs_park(struct fusefs *fusefs)
{
	say("park", 0);
}

void fusefs_write_back(struct fusefs *fusefs)
{
	say("write back", 0);
}

void fusefs_discard(struct fusefs *fusefs)
{
	say("discard", 0);
}

void fusefs_discard_caches(struct fusefs *fusefs)
{
	say("discard caches", 0);
}

void fusefs_resume(struct fusefs *fusefs)
{
	say("resume mount", 0);
}

void fusefs_entry_changed(struct fusefs *fusefs, struct pool *directory, const char *name)
{
	say("look up", *name);
}

static bool kernel_knows_all;

bool fusefs_all_entries_changed(struct fusefs *fusefs)
{
	say("look up all", 0);
	return kernel_knows_all;
}

static int references;

void pool_ref(struct pool *pool, uint64_t count)
{
	references += (int)count;
}

void pool_unref(struct pool *pool, uint64_t count)
{
	references -= (int)count;
}

/* The root of a tree is its pools. */
struct pool *pool_root(struct pools *pools)
{
	references++;
	return (struct pool *)pools;
}

/* Each tree has one name. */
int pool_readdir(struct pool *directory, uint64_t cookie,
		 int (*entry)(void *context, const char *name, struct pool *pool, uint64_t next),
		 void *context)
{
	references++;
	return entry(context, "name", directory, 1);
}

static int restore_error;

int pools_restore(struct pools *pools, struct region_snapshot *snapshot)
{
	say("restore", pools->name);
	return restore_error;
}

void fusefs_tree_replaced(struct fusefs *fusefs, unsigned region)
{
	say("new tree", (char)('0' + region));
}

void attach_paths_prune(struct attach_server *server)
{
	say("prune paths", 0);
}

void fusefs_region_lost(struct fusefs *fusefs, unsigned region)
{
	say("mount loses", (char)('0' + region));
}

bool pools_media_lost(const struct pools *pools)
{
	return pools->lost;
}

enum persistence_domain pools_persistence(const struct pools *pools)
{
	return pools->domain;
}

void pools_info(struct pools *pools, struct pools_info *info)
{
	*info = (struct pools_info){ .pools = 2 };
}

void pools_stop(struct pools *pools)
{
	say("stop", pools->name);
}

int pools_decide(struct pools *pools, const struct chooser *chooser, const struct pools_outage *outage)
{
	struct pool_outage_report report = {
		.mode = POOL_MODE_FSDAX,
		.lines = { .guaranteed = 1, .undetermined = 5, .kept = 2, .lost = 3 },
		.size_before = 7,
		.size_after = 6,
	};

	say("decide", pools->name);
	pools->chooser = *chooser;
	pools->mappers_are_gone = outage->mappers_are_gone;
	snprintf(report.path, sizeof(report.path), "/%c", pools->name);
	outage->report(outage->context, &report);
	for (unsigned i = 0; i < lost_renames; i++) {
		static struct pool_lost_operation lost = {
			.operation = "rename", .path = "/x", .to_path = "/y", .name = "x", .to_name = "y",
		};

		lost.directory = lost.to_directory = (struct pool *)pools;
		outage->lost(outage->context, &lost);
	}
	return pools->decide_error;
}

void pools_resume(struct pools *pools)
{
	say("resume", pools->name);
}

/* Most tests have no recorder. */
void recorder_outage(struct recorder *recorder, const struct recorder_outage *outage)
{
	if (recorder)
		say("record the outage", 0);
}

void recorder_changed_by_outage(struct recorder *recorder, struct pools *changed, const char *path)
{
	if (recorder)
		say("record the contents of", path[1]);
}

/* ---- Tests -------------------------------------------------------------------- */

#define MOUNT ((struct fusefs *)&daemon_under_test)
#define PHASES_OF_BOTH                                                                          \
	"discard; stop a; stop b; discard caches; decide a; decide b; discard caches; "                     \
	"resume a; resume b; resume mount; resume clients; "

static struct daemon daemon_under_test;
static struct pools pools[2];
static struct outage_report report;

static int setup(void **state)
{
	daemon_under_test = (struct daemon){
		.outage_lock = PTHREAD_MUTEX_INITIALIZER,
		.fusefs = MOUNT,
		.region_count = 2,
		.regions = { { .number = 0, .name = "first", .pools = &pools[0] },
			     { .number = 1, .name = "second", .pools = &pools[1] } },
	};
	for (int i = 0; i < 2; i++)
		pools[i] = (struct pools){ .name = (char)('a' + i), .domain = PERSISTENCE_MEMORY_CONTROLLER };
	log_text[0] = '\0';
	clients_end = true;
	lost_renames = 0;
	kernel_knows_all = true;
	references = 0;
	return 0;
}

static int teardown(void **state)
{
	outage_report_free(&report);
	return 0;
}

static int run(enum chooser_policy policy)
{
	const struct outage_options options = { .chooser = { .policy = policy, .seed = 42 } };

	return outage_run(&daemon_under_test, &options, &report);
}

static void policy_keep_writes_dirty_pages_back_first(void **state)
{
	assert_int_equal(run(CHOOSER_KEEP), 0);
	assert_string_equal(log_text, "stop clients; park; write back; " PHASES_OF_BOTH);
}

static void what_an_outage_left_is_recorded_before_the_mount_serves(void **state)
{
	daemon_under_test.recorder = (struct recorder *)&daemon_under_test;
	assert_int_equal(run(CHOOSER_LOSE), 0);
	assert_non_null(strstr(log_text, "resume b; record the outage; record the contents of a; "
					 "record the contents of b; resume mount; "));
}

static void policy_lose_writes_nothing_back(void **state)
{
	assert_int_equal(run(CHOOSER_LOSE), 0);
	assert_string_equal(log_text, "stop clients; park; " PHASES_OF_BOTH);
}

static void policy_lose_writes_back_where_caches_are_in_the_persistence_domain(void **state)
{
	pools[1].domain = PERSISTENCE_CPU_CACHE;
	assert_int_equal(run(CHOOSER_LOSE), 0);
	assert_string_equal(log_text, "stop clients; park; write back; " PHASES_OF_BOTH);
}

static void without_a_mount_only_clients_and_pools_take_part(void **state)
{
	daemon_under_test.fusefs = NULL;
	assert_int_equal(run(CHOOSER_RANDOM), 0);
	assert_string_equal(log_text, "stop clients; stop a; stop b; decide a; decide b; resume a; resume b; "
				      "resume clients; ");
}

static void an_error_of_one_region_does_not_stop_the_outage(void **state)
{
	pools[0].decide_error = -ENOSPC;
	assert_int_equal(run(CHOOSER_LOSE), -ENOSPC);
	assert_string_equal(log_text, "stop clients; park; " PHASES_OF_BOTH);
}

/* A process that waits for the mount may hold the lock of a directory that the kernel needs for it. */
static void the_kernel_is_told_of_lost_names_while_the_mount_answers(void **state)
{
	lost_renames = 1;
	assert_int_equal(run(CHOOSER_LOSE), 0);
	assert_string_equal(log_text, "stop clients; park; " PHASES_OF_BOTH
				      "look up x; look up y; look up x; look up y; ");
	assert_int_equal(references, 0);
}

static void the_kernel_is_told_once_of_many_lost_names(void **state)
{
	lost_renames = 100;
	assert_int_equal(run(CHOOSER_LOSE), 0);
	assert_string_equal(log_text, "stop clients; park; " PHASES_OF_BOTH "look up all; ");
	assert_int_equal(references, 0);
}

static void a_kernel_that_cannot_be_told_once_is_told_of_each_name(void **state)
{
	lost_renames = 100;
	kernel_knows_all = false;
	assert_int_equal(run(CHOOSER_LOSE), 0);
	assert_non_null(strstr(log_text, "look up all; look up x; look up y; look up x; "));
	assert_int_equal(references, 0);
}

static void lost_operations_are_in_the_report(void **state)
{
	lost_renames = 1;
	assert_int_equal(run(CHOOSER_LOSE), 0);
	assert_int_equal(report.lost.count, 2);
	assert_string_equal(report.lost.items[0].operation, "rename");
	assert_string_equal(report.lost.items[0].path, "/x");
	assert_string_equal(report.lost.items[0].to_path, "/y");
}

static void a_lost_region_is_not_decided(void **state)
{
	pools[0].lost = true;
	assert_int_equal(run(CHOOSER_LOSE), 0);
	assert_null(strstr(log_text, "decide a"));
	assert_non_null(strstr(log_text, "decide b"));
}

static void without_any_media_no_phase_begins(void **state)
{
	pools[0].lost = pools[1].lost = true;
	assert_int_equal(run(CHOOSER_LOSE), -EIO);
	assert_string_equal(log_text, "");
}

static int run_at_moment(void)
{
	const struct outage_options options = { .at_moment = true };

	return outage_run(&daemon_under_test, &options, &report);
}

static void an_outage_at_a_moment_runs_if_the_mount_is_still_stopped(void **state)
{
	mount_is_stopped = true;
	assert_int_equal(run_at_moment(), 0);
	assert_string_equal(log_text, "stop clients; park; " PHASES_OF_BOTH);
}

static void an_outage_at_a_moment_that_another_outage_has_ended_is_cancelled(void **state)
{
	mount_is_stopped = false;
	assert_int_equal(run_at_moment(), -ECANCELED);
	assert_string_equal(log_text, "");
}

static void without_any_media_a_mount_that_is_stopped_for_a_moment_serves_again(void **state)
{
	mount_is_stopped = true;
	pools[0].lost = pools[1].lost = true;
	assert_int_equal(run_at_moment(), -EIO);
	assert_string_equal(log_text, "park; resume mount; ");
}

static void a_client_that_does_not_end_is_told_to_the_pools(void **state)
{
	assert_int_equal(run(CHOOSER_LOSE), 0);
	assert_true(pools[0].mappers_are_gone && pools[1].mappers_are_gone);
	clients_end = false;
	assert_int_equal(run(CHOOSER_LOSE), 0);
	assert_false(pools[0].mappers_are_gone || pools[1].mappers_are_gone);
}

static void one_region_has_the_seed_itself(void **state)
{
	daemon_under_test.region_count = 1;
	assert_int_equal(run(CHOOSER_RANDOM), 0);
	assert_int_equal(pools[0].chooser.policy, CHOOSER_RANDOM);
	assert_int_equal(pools[0].chooser.seed, 42);
}

static void seeds_of_several_regions_depend_on_their_names_only(void **state)
{
	uint64_t first, second;

	assert_int_equal(run(CHOOSER_RANDOM), 0);
	first = pools[0].chooser.seed;
	second = pools[1].chooser.seed;
	assert_int_not_equal(first, second);
	strcpy(daemon_under_test.regions[0].name, "second");
	strcpy(daemon_under_test.regions[1].name, "first");
	assert_int_equal(run(CHOOSER_RANDOM), 0);
	assert_int_equal(pools[0].chooser.seed, second);
	assert_int_equal(pools[1].chooser.seed, first);
}

static void the_report_has_each_file_and_the_sum(void **state)
{
	assert_int_equal(run(CHOOSER_LOSE), 0);
	assert_int_equal(report.files.count, 2);
	assert_string_equal(report.files.items[0].path, "/a");
	assert_ptr_equal(report.files.items[1].region, &daemon_under_test.regions[1]);
	assert_int_equal(report.files.items[1].size_after, 6);
	assert_int_equal(report.total.lost, 6);
	assert_int_equal(report.total.guaranteed, 2);
	assert_int_equal(report.unreported, 0);
}

static uint64_t last_done, last_total;

static void note_progress(void *context, uint64_t done, uint64_t total)
{
	last_done = done;
	last_total = total;
}

static void progress_counts_files_of_all_regions(void **state)
{
	const struct outage_options options = { .progress = note_progress };

	assert_int_equal(outage_run(&daemon_under_test, &options, &report), 0);
	assert_int_equal(last_done, 2);
	assert_int_equal(last_total, 4);
}

static void a_lost_region_ends_its_clients_before_its_mount(void **state)
{
	outage_region_lost(&daemon_under_test, &daemon_under_test.regions[1]);
	assert_string_equal(log_text, "clients lose 1; mount loses 1; ");
}

#define outage_test(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

static int restore(void)
{
	return outage_restore(&daemon_under_test, &daemon_under_test.regions[0], NULL);
}

static void a_snapshot_is_restored_while_nothing_is_served(void **state)
{
	restore_error = 0;
	assert_int_equal(restore(), 0);
	assert_string_equal(log_text, "stop clients; park; write back; discard; stop a; discard caches; "
				      "restore a; discard caches; resume a; new tree 0; resume mount; "
				      "resume clients; prune paths; look up n; look up n; ");
	assert_int_equal(references, 0);
}

static void after_a_restore_that_failed_the_mount_keeps_its_tree(void **state)
{
	restore_error = -ENOMEM;
	assert_int_equal(restore(), -ENOMEM);
	assert_null(strstr(log_text, "new tree"));
	assert_non_null(strstr(log_text, "resume a; resume mount; resume clients; "));
	assert_int_equal(references, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		outage_test(policy_keep_writes_dirty_pages_back_first),
		outage_test(what_an_outage_left_is_recorded_before_the_mount_serves),
		outage_test(policy_lose_writes_nothing_back),
		outage_test(policy_lose_writes_back_where_caches_are_in_the_persistence_domain),
		outage_test(without_a_mount_only_clients_and_pools_take_part),
		outage_test(an_error_of_one_region_does_not_stop_the_outage),
		outage_test(the_kernel_is_told_of_lost_names_while_the_mount_answers),
		outage_test(the_kernel_is_told_once_of_many_lost_names),
		outage_test(a_kernel_that_cannot_be_told_once_is_told_of_each_name),
		outage_test(lost_operations_are_in_the_report),
		outage_test(a_lost_region_is_not_decided),
		outage_test(without_any_media_no_phase_begins),
		outage_test(an_outage_at_a_moment_runs_if_the_mount_is_still_stopped),
		outage_test(an_outage_at_a_moment_that_another_outage_has_ended_is_cancelled),
		outage_test(without_any_media_a_mount_that_is_stopped_for_a_moment_serves_again),
		outage_test(a_client_that_does_not_end_is_told_to_the_pools),
		outage_test(one_region_has_the_seed_itself),
		outage_test(seeds_of_several_regions_depend_on_their_names_only),
		outage_test(the_report_has_each_file_and_the_sum),
		outage_test(progress_counts_files_of_all_regions),
		outage_test(a_lost_region_ends_its_clients_before_its_mount),
		outage_test(a_snapshot_is_restored_while_nothing_is_served),
		outage_test(after_a_restore_that_failed_the_mount_keeps_its_tree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
