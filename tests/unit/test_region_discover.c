/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Discovery of regions on machines: maps that were captured from guests, with what libndctl reported
 * there about their namespaces.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "physmaptest.h"
#include "region/cmdline.h"
#include "region/finder.h"
#include "region/mappers.h"
#include "region/platform.h"

#define GIB ((uint64_t)1 << 30)
#define MIB ((uint64_t)1 << 20)

static struct message message;

static void find(struct nd_device *devices, size_t count, struct region_candidates *out)
{
	struct nd_devices all = { .items = devices, .count = count };

	if (discover_tree(tree_root, &all, out, &message) != 0)
		fail_msg("%s", message.text);
}

static const struct region_candidate *candidate_at(const struct region_candidates *found, uint64_t start)
{
	for (size_t i = 0; i < found->count; i++) {
		if (found->items[i].start == start)
			return &found->items[i];
	}
	fail_msg("nothing is found at %#llx", (unsigned long long)start);
	return NULL;
}

/* Assert that the capture has one candidate, with this spec and verdict. */
static void one(const char *capture, const char *spec, enum region_verdict verdict, const char *by,
		const char *why)
{
	struct region_candidates found;

	tree_lay_out(capture, NULL);
	find(NULL, 0, &found);
	assert_int_equal(found.count, 1);
	assert_string_equal(found.items[0].spec, spec);
	assert_string_equal(found.items[0].set_aside_by, by);
	if (found.items[0].verdict != verdict)
		fail_msg("%s: %s", region_verdict_name(found.items[0].verdict), found.items[0].why.text);
	message_says(&found.items[0].why, why);
	region_candidates_free(&found);
	tree_teardown(NULL);
	tree_setup(NULL);
}

static void each_way_to_reserve_is_found(void **state)
{
	one("reserved", "devmem:5G+1G", REGION_USABLE, "memmap=1G$5G on the kernel command line", "");
	one("legacy", "devmem:5G+1G", REGION_USABLE, "memmap=1G!5G on the kernel command line", "");
	one("soft-reserved", "devmem:5G+1G", REGION_USABLE, "memmap=1G%5G on the kernel command line", "");
	one("uefi", "devmem:5G+1G", REGION_USABLE, "memmap=1G$5G on the kernel command line", "");
	one("gap", "devmem:4G+2G", REGION_DOUBTFUL, "mem= on the kernel command line",
	    "memmap=2G$4G instead of mem=");
}

static void two_reservations_are_two_candidates(void **state)
{
	struct region_candidates found;

	tree_lay_out("two", NULL);
	find(NULL, 0, &found);
	assert_int_equal(found.count, 2);
	assert_string_equal(found.items[0].spec, "devmem:5G+512M");
	assert_string_equal(found.items[1].spec, "devmem:5632M+256M");
	region_candidates_free(&found);
}

static void memory_around_the_crash_log_is_found(void **state)
{
	struct region_candidates found;

	tree_lay_out("ramoops", NULL);
	find(NULL, 0, &found);
	assert_int_equal(found.count, 2);
	assert_int_equal(candidate_at(&found, 5 * GIB)->size, 256 * MIB);
	assert_int_equal(candidate_at(&found, 0x150100000)->size, 767 * MIB);
	region_candidates_free(&found);
}

static void without_a_reservation_a_memmap_is_advised(void **state)
{
	struct region_candidates found;

	tree_lay_out("namespace-devdax", "Persistent");
	find(NULL, 0, &found);
	assert_string_equal(found.advice, "memmap=512M$4608M");
	region_candidates_free(&found);
}

static void reserved_memory_without_a_known_reason_is_refused(void **state)
{
	struct region_candidates found;

	tree_lay_out("reserved", "cmdline");
	tree_append("proc/cmdline", "quiet -- memmap=1G$5G\n");
	find(NULL, 0, &found);
	assert_int_equal(candidate_at(&found, 5 * GIB)->verdict, REGION_REFUSED);
	message_says(&found.items[0].why, "not known why");
	region_candidates_free(&found);
}

static void a_gap_that_the_kernel_may_give_to_devices_is_refused(void **state)
{
	struct region_candidates found;

	tree_lay_out("gap", "cmdline");
	tree_append("proc/cmdline", "mem=4G pci=noaer,nocrs\n");
	find(NULL, 0, &found);
	assert_int_equal(candidate_at(&found, 4 * GIB)->verdict, REGION_REFUSED);
	message_says(&found.items[0].why, "pci=nocrs");
	region_candidates_free(&found);
}

static void lockdown_refuses_dev_mem_and_allows_device_dax(void **state)
{
	struct nd_device dax = { .kind = ND_DAX,
				 .name = "dax0.0",
				 .mode = "devdax",
				 .start = 5 * GIB,
				 .size = GIB,
				 .active = true,
				 .numa_node = -1,
				 .dirty_shutdowns = -1 };
	struct region_candidates found;

	tree_lay_out("reserved", "lockdown");
	tree_append("sys/kernel/security/lockdown", "none [integrity] confidentiality\n");
	find(NULL, 0, &found);
	assert_int_equal(found.items[0].verdict, REGION_REFUSED);
	message_says(&found.items[0].why, "locked down (integrity)");
	region_candidates_free(&found);
	tree_teardown(state);
	tree_setup(state);
	tree_lay_out("devdax", "lockdown");
	tree_append("sys/kernel/security/lockdown", "none [integrity] confidentiality\n");
	find(&dax, 1, &found);
	assert_int_equal(found.items[0].verdict, REGION_USABLE);
	region_candidates_free(&found);
}

static void memory_mapped_with_another_cache_type_is_refused(void **state)
{
	struct region_candidates found;

	tree_lay_out("reserved", NULL);
	tree_append("sys/kernel/debug/x86/pat_memtype_list",
		    "PAT: [mem 0x0000000150000000-0x0000000150001000] uncached-minus\n");
	find(NULL, 0, &found);
	assert_int_equal(found.items[0].verdict, REGION_REFUSED);
	assert_string_equal(found.items[0].memory_type, "uncached-minus");
	region_candidates_free(&found);
}

static void a_device_dax_comes_first(void **state)
{
	struct nd_device devices[] = {
		{ .kind = ND_NAMESPACE,
		  .name = "namespace0.0",
		  .mode = "devdax",
		  .shown_as = "dax0.0",
		  .start = 5 * GIB,
		  .size = GIB,
		  .active = true,
		  .numa_node = -1,
		  .dirty_shutdowns = -1 },
		{ .kind = ND_DAX,
		  .name = "dax0.0",
		  .mode = "devdax",
		  .start = 0x141200000,
		  .size = 1006 * MIB,
		  .active = true,
		  .numa_node = 0,
		  .dirty_shutdowns = 3,
		  .persistence_domain = "cpu_cache" },
	};
	struct region_candidates found;

	tree_lay_out("namespace-devdax", NULL);
	find(devices, 2, &found);
	assert_int_equal(found.count, 1);
	assert_string_equal(found.items[0].spec, "dax:/dev/dax0.0");
	assert_string_equal(found.items[0].persistence_domain, "cpu_cache");
	assert_int_equal(found.items[0].dirty_shutdowns, 3);
	assert_int_equal(found.items[0].verdict, REGION_USABLE);
	region_candidates_free(&found);
}

static void device(struct nd_device about, const char *capture, enum region_verdict verdict, const char *why)
{
	struct region_candidates found;

	tree_lay_out(capture, NULL);
	about.numa_node = -1;
	about.dirty_shutdowns = -1;
	find(&about, 1, &found);
	assert_int_equal(found.count, 1);
	if (found.items[0].verdict != verdict)
		fail_msg("%s: %s", region_verdict_name(found.items[0].verdict), found.items[0].why.text);
	message_says(&found.items[0].why, why);
	region_candidates_free(&found);
	tree_teardown(NULL);
	tree_setup(NULL);
}

static void only_inactive_raw_namespaces_are_usable(void **state)
{
	struct nd_device it = { .kind = ND_NAMESPACE, .name = "namespace0.0", .mode = "raw", .start = 5 * GIB,
				.size = GIB };

	device(it, "namespace-disabled", REGION_USABLE, "");
	it.badblocks = 8;
	device(it, "namespace-disabled", REGION_DOUBTFUL, "8 of its 512-byte blocks");
	strcpy(it.mode, "sector");
	device(it, "namespace-disabled", REGION_REFUSED, "made for mode sector");
	it.active = true;
	strcpy(it.shown_as, "pmem0s");
	device(it, "namespace-sector", REGION_REFUSED, "active as /dev/pmem0s");
	/* The kernel's map corrects what libndctl reports wrongly. */
	it = (struct nd_device){
		.kind = ND_NAMESPACE, .name = "namespace0.0", .mode = "raw", .start = 5 * GIB, .size = GIB
	};
	device(it, "namespace-sector", REGION_REFUSED, "ndctl disable-namespace namespace0.0");
	it.start = 6 * GIB;
	it.size = 768 * MIB;
	device(it, "nvdimm", REGION_REFUSED, "ndctl disable-namespace namespace0.0");
}

static void a_disabled_device_dax_and_one_used_as_ram_are_refused(void **state)
{
	struct nd_device it = {
		.kind = ND_DAX, .name = "dax0.0", .mode = "devdax", .start = 5 * GIB, .size = GIB
	};

	device(it, "devdax-disabled", REGION_REFUSED, "daxctl enable-device dax0.0");
	strcpy(it.mode, "system-ram");
	it.active = true;
	device(it, "devdax", REGION_REFUSED, "daxctl reconfigure-device");
}

/* Where libndctl reports nothing, the kernel's map alone keeps active devices out. */
static void active_devices_are_no_candidates_without_libndctl(void **state)
{
	static const char *const captures[] = { "namespace", "namespace-sector", "nvdimm", "nvdimm-labels",
						"devdax" };

	for (size_t i = 0; i < sizeof(captures) / sizeof(captures[0]); i++) {
		struct region_candidates found;

		tree_lay_out(captures[i], NULL);
		find(NULL, 0, &found);
		assert_int_equal(found.count, 0);
		region_candidates_free(&found);
		tree_teardown(state);
		tree_setup(state);
	}
}

static void discovery_without_privilege_fails_with_eacces(void **state)
{
	struct nd_devices none = { 0 };
	struct region_candidates found;

	tree_lay_out("unprivileged", NULL);
	assert_int_equal(discover_tree(tree_root, &none, &found, &message), -EACCES);
	assert_int_equal(found.count, 0);
}

static void the_command_line_is_parsed_as_the_kernel_does(void **state)
{
	struct kernel_options options;

	tree_append(
		"proc/cmdline",
		"BOOT_IMAGE=/vmlinuz mem=48G mem=nopentium memmap=16G$48G,1G!70G foo=\"a memmap=1G$9G\" "
		"memmap=0x1000%0x140000000-1+0xefffffff iomem=relaxed crashkernel=512M-2G:64M,2G-:128M@16M "
		"pci=nocrs ramoops.mem-address=0x150000000 ramoops.mem_size=0x100000 -- memmap=1G$8G\n");
	assert_int_equal(kernel_options_read(tree_root, &options, &message), 0);
	assert_int_equal(options.mem_limit, 48 * GIB);
	assert_int_equal(options.memmaps.count, 3);
	assert_int_equal(options.memmaps.items[0].start, 48 * GIB);
	assert_int_equal(options.memmaps.items[0].last, 64 * GIB - 1);
	assert_string_equal(options.memmaps.items[1].name, "!");
	assert_string_equal(options.memmaps.items[2].name, "%");
	assert_int_equal(options.memmaps.items[2].start, 5 * GIB);
	assert_true(options.iomem_relaxed && options.pci_nocrs && !options.exact_map);
	assert_string_equal(options.crashkernel, "512M-2G:64M,2G-:128M@16M");
	assert_int_equal(options.ramoops.start, 0x150000000);
	assert_int_equal(options.ramoops.last, 0x1500fffff);
	kernel_options_free(&options);
}

static void ramoops_on_the_command_line_counts_before_the_module_is_loaded(void **state)
{
	struct region_candidates found;

	tree_lay_out("reserved", "cmdline");
	tree_append("proc/cmdline",
		    "memmap=1G$5G ramoops.mem_address=0x150000000 ramoops.mem_size=0x100000\n");
	find(NULL, 0, &found);
	assert_int_equal(candidate_at(&found, 5 * GIB)->size, 256 * MIB);
	assert_int_equal(candidate_at(&found, 0x150100000)->size, 767 * MIB);
	region_candidates_free(&found);
}

static void append_bytes(const char *path, const unsigned char *bytes, size_t size)
{
	char full[256];
	FILE *file;

	tree_append(path, "");
	snprintf(full, sizeof(full), "%s/%s", tree_root, path);
	file = fopen(full, "a");
	assert_int_equal(fwrite(bytes, 1, size, file), size);
	fclose(file);
}

static void a_device_tree_node_with_a_compatible_is_left_out(void **state)
{
	static const unsigned char two[] = { 0, 0, 0, 2 };
	static const unsigned char reg[] = { 0, 0, 0, 1, 0x50, 0, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0 };
	static const char base[] = "sys/firmware/devicetree/base/reserved-memory";
	struct region_candidates found;
	struct phys_ranges tree;
	char path[128];

	tree_lay_out("reserved", NULL);
	snprintf(path, sizeof(path), "%s/#address-cells", base);
	append_bytes(path, two, sizeof(two));
	snprintf(path, sizeof(path), "%s/#size-cells", base);
	append_bytes(path, two, sizeof(two));
	snprintf(path, sizeof(path), "%s/log@150000000/reg", base);
	append_bytes(path, reg, sizeof(reg));
	assert_int_equal(platform_read_device_tree(tree_root, &tree, &message), 0);
	assert_int_equal(tree.count, 1);
	assert_int_equal(tree.items[0].start, 0x150000000);
	assert_int_equal(tree.items[0].last, 0x1500fffff);
	assert_false(platform_node_is_claimed(&tree.items[0]));
	phys_ranges_free(&tree);
	snprintf(path, sizeof(path), "%s/log@150000000/compatible", base);
	append_bytes(path, (const unsigned char *)"ramoops", 8);
	find(NULL, 0, &found);
	assert_int_equal(candidate_at(&found, 5 * GIB)->size, 256 * MIB);
	region_candidates_free(&found);
}

static void memory_of_the_crash_kernel_is_refused(void **state)
{
	const struct region_candidate *candidate;
	struct region_candidates found;

	tree_lay_out("crashkernel", NULL);
	find(NULL, 0, &found);
	assert_int_equal(found.count, 2);
	candidate = candidate_at(&found, 0xbb000000);
	assert_int_equal(candidate->verdict, REGION_REFUSED);
	assert_string_equal(candidate->spec, "devmem:2992M+64M");
	assert_string_equal(candidate->set_aside_by, "crashkernel=64M");
	message_says(&candidate->why,
		     "0xbb000000-0xbeffffff is reserved for the kernel that starts after a crash");
	assert_int_equal(candidate_at(&found, 5 * GIB)->verdict, REGION_USABLE);
	region_candidates_free(&found);
}

/* memmap=% makes memory Reserved or persistent, or removes it from all maps. */
static void memory_retyped_with_memmap_is_found_by_its_new_type(void **state)
{
	struct region_candidates found;

	tree_lay_out("variants", NULL);
	find(NULL, 0, &found);
	assert_int_equal(found.count, 2);
	assert_string_equal(candidate_at(&found, 5 * GIB)->spec, "devmem:5G+256M");
	assert_int_equal(candidate_at(&found, 5 * GIB)->verdict, REGION_USABLE);
	assert_string_equal(candidate_at(&found, 5 * GIB)->set_aside_by,
			    "memmap=256M%5G on the kernel command line");
	assert_int_equal(candidate_at(&found, 5 * GIB + 512 * MIB)->verdict, REGION_REFUSED);
	region_candidates_free(&found);
}

static void append_little(const char *path, uint64_t value, size_t size)
{
	unsigned char bytes[8];

	for (size_t i = 0; i < size; i++)
		bytes[i] = (unsigned char)(value >> 8 * i);
	append_bytes(path, bytes, size);
}

/* Make an entry of the affinity table: memory from `start` on is in `domain`. */
static void append_affinity(unsigned domain, uint64_t start, uint64_t size, unsigned flags)
{
	static const char table[] = "sys/firmware/acpi/tables/SRAT";

	append_little(table, 1 | 40 << 8, 2);
	append_little(table, domain, 4);
	append_little(table, 0, 2);
	append_little(table, start, 8);
	append_little(table, size, 8);
	append_little(table, 0, 4);
	append_little(table, flags, 4);
	append_little(table, 0, 8);
}

static int node_at(uint64_t start)
{
	struct region_candidates found;
	int node;

	find(NULL, 0, &found);
	node = candidate_at(&found, start)->numa_node;
	region_candidates_free(&found);
	return node;
}

static void the_numa_node_is_that_of_other_memory_in_the_same_domain(void **state)
{
	static const unsigned char header[48] = "SRAT";

	tree_lay_out("two", NULL);
	assert_int_equal(node_at(5 * GIB), -1);
	append_bytes("sys/firmware/acpi/tables/SRAT", header, sizeof(header));
	append_affinity(0, 0, 5 * GIB, 1);
	append_affinity(7, 5 * GIB, GIB, 1);
	assert_int_equal(node_at(5 * GIB), -1);
	tree_append("sys/devices/system/memory/block_size_bytes", "8000000\n");
	tree_append("sys/devices/system/node/node0/memory8", "");
	assert_int_equal(node_at(5 * GIB), -1);
	tree_append("sys/devices/system/node/node1/memory46", "");
	assert_int_equal(node_at(5 * GIB), 1);
	assert_int_equal(node_at(5 * GIB + 512 * MIB), 1);
	/* An entry that is not enabled is ignored, and so is a table that contradicts itself. */
	append_affinity(0, 5 * GIB, 256 * MIB, 0);
	assert_int_equal(node_at(5 * GIB), 1);
	append_affinity(0, 5 * GIB, 256 * MIB, 1);
	assert_int_equal(node_at(5 * GIB), -1);
}

static void a_process_that_maps_a_device_is_found(void **state)
{
	struct message who;

	tree_append("proc/4000000/comm", "careless\n");
	tree_append("proc/4000000/maps",
		    "55d0c0000000-55d0c0001000 r--p 00000000 fe:01 123 /bin/careless\n"
		    "7f0000000000-7f0000001000 rw-s 150000000 00:05 9 /dev/mem\n");
	assert_true(mappers_find(tree_root, "/dev/mem", 5 * GIB, GIB, true, &who));
	assert_string_equal(who.text, "careless (pid 4000000)");
	assert_false(mappers_find(tree_root, "/dev/mem", 5 * GIB, 256 * MIB, true, &who));
	assert_false(mappers_find(tree_root, "/dev/mem", 0x150001000, GIB, true, &who));
	assert_false(mappers_find(tree_root, "/dev/me", 5 * GIB, GIB, true, &who));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, tree_setup, tree_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_way_to_reserve_is_found),
		TEST(two_reservations_are_two_candidates),
		TEST(memory_around_the_crash_log_is_found),
		TEST(without_a_reservation_a_memmap_is_advised),
		TEST(reserved_memory_without_a_known_reason_is_refused),
		TEST(a_gap_that_the_kernel_may_give_to_devices_is_refused),
		TEST(lockdown_refuses_dev_mem_and_allows_device_dax),
		TEST(memory_mapped_with_another_cache_type_is_refused),
		TEST(a_device_dax_comes_first),
		TEST(only_inactive_raw_namespaces_are_usable),
		TEST(a_disabled_device_dax_and_one_used_as_ram_are_refused),
		TEST(active_devices_are_no_candidates_without_libndctl),
		TEST(discovery_without_privilege_fails_with_eacces),
		TEST(the_command_line_is_parsed_as_the_kernel_does),
		TEST(ramoops_on_the_command_line_counts_before_the_module_is_loaded),
		TEST(a_device_tree_node_with_a_compatible_is_left_out),
		TEST(memory_of_the_crash_kernel_is_refused),
		TEST(memory_retyped_with_memmap_is_found_by_its_new_type),
		TEST(the_numa_node_is_that_of_other_memory_in_the_same_domain),
		TEST(a_process_that_maps_a_device_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
