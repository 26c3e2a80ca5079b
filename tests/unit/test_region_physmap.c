/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which ranges can be media, on maps captured from guests with 5 GiB (tests/data/region). Each capture is
 * the output of `grep -rH ''` on the files that it names; the range at 5 GiB is set aside in a different
 * way in each.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "physmaptest.h"
#include "region/physmap.h"
#include "region/region.h"

#define GIB ((uint64_t)1 << 30)

static struct message message, warning;

static int check_range(uint64_t start, uint64_t size)
{
	struct phys_range range = { .start = start, .last = start + size - 1 };

	struct message why = { "" };
	struct physmap *map;
	int error = physmap_read(tree_root, &map, &why);

	message.text[0] = warning.text[0] = '\0';
	if (error)
		return physmap_no_maps("devmem:X", error, why.text, &message);
	error = physmap_check(map, "devmem:X", &range, &warning, &message);
	physmap_free(&map);
	return error;
}

static void refused(uint64_t start, uint64_t size, int error, const char *words)
{
	assert_int_equal(check_range(start, size), error);
	message_says(&message, "region devmem:X: ");
	message_says(&message, words);
}

static void allowed_without_a_doubt(uint64_t start, uint64_t size)
{
	if (check_range(start, size) != 0)
		fail_msg("%s", message.text);
	assert_string_equal(warning.text, "");
}

static void ram_set_aside_with_memmap_is_accepted(void **state)
{
	tree_lay_out("reserved", NULL);
	allowed_without_a_doubt(5 * GIB, GIB);
	allowed_without_a_doubt(5 * GIB + 4096, 2u << 20);
}

static void legacy_and_soft_reserved_memory_is_accepted(void **state)
{
	tree_lay_out("legacy", NULL);
	allowed_without_a_doubt(5 * GIB, GIB);
	tree_teardown(state);
	tree_setup(state);
	tree_lay_out("soft-reserved", NULL);
	allowed_without_a_doubt(5 * GIB, GIB);
}

static void ram_that_the_kernel_uses_is_refused(void **state)
{
	tree_lay_out("reserved", NULL);
	refused(4 * GIB, GIB, -EBUSY, "0x100000000-0x13fffffff is System RAM");
	message_says(&message, "put memmap=1G$4G on the kernel command line");
	refused(5 * GIB - 4096, GIB, -EBUSY, "0x13ffff000-0x13fffffff is System RAM");
	message_says(&message, "memmap=1G$5242876K");
	refused(1 << 20, 16u << 20, -EBUSY, "System RAM");
}

static void a_range_that_is_not_all_ram_is_refused(void **state)
{
	tree_lay_out("reserved", NULL);
	refused(5 * GIB, GIB + 4096, -EINVAL, "0x180000000 is nothing");
	message_says(&message, "choose a range inside 0x100000-0xbffdffff, 0x100000000-0x17fffffff");
	refused(0xfd00000000, GIB, -EINVAL, "0xfd00000000 is Reserved");
	refused(0xc0000000, 2u << 20, -EINVAL, "0xc0000000 is nothing");
	refused((uint64_t)1 << 50, GIB, -EINVAL, "is nothing");
}

static void an_active_namespace_is_refused(void **state)
{
	tree_lay_out("namespace", NULL);
	refused(5 * GIB, GIB, -EBUSY, "ndctl disable-namespace namespace0.0");
	refused(5 * GIB + (512u << 20), 2u << 20, -EBUSY, "0x160000000-0x1601fffff is the active namespace");
}

static void an_active_device_dax_is_refused(void **state)
{
	tree_lay_out("devdax", NULL);
	refused(5 * GIB, GIB, -EBUSY, "daxctl disable-device dax0.0");
}

static void the_range_of_the_crash_log_is_refused(void **state)
{
	tree_lay_out("ramoops", NULL);
	refused(5 * GIB, GIB, -EBUSY, "crash log");
	allowed_without_a_doubt(5 * GIB, 256u << 20);
	allowed_without_a_doubt(0x150100000, 2u << 20);
}

/* Where the kernel has page structs for the range, ramoops does not appear in iomem. */
static void the_range_of_the_crash_log_is_refused_by_its_parameters_alone(void **state)
{
	tree_lay_out("ramoops", "ramoops:");
	refused(5 * GIB, GIB, -EBUSY, "0x150000000-0x1500fffff is where ramoops keeps");
	allowed_without_a_doubt(0x150100000, 2u << 20);
}

/* Parameters that are not a range must never make memory usable. */
static void malformed_parameters_of_the_crash_log_make_nothing_usable(void **state)
{
	tree_lay_out("reserved", NULL);
	tree_append("sys/module/ramoops/parameters/mem_address", "5637144576\n");
	tree_append("sys/module/ramoops/parameters/mem_size", "18446744073709551615\n");
	refused(5 * GIB, GIB, -EBUSY, "0x150000000-0x17fffffff is where ramoops keeps");
	allowed_without_a_doubt(5 * GIB, 256u << 20);
	tree_append("sys/module/ramoops/parameters/mem_size", "much\n");
	refused(5 * GIB, GIB, -EINVAL, "mem_size: the line 'much' is malformed");
}

static void the_refusal_names_another_user_of_the_range(void **state)
{
	tree_lay_out("reserved", NULL);
	tree_append("proc/iomem", "  150000000-1500fffff : Some Device\n");
	refused(5 * GIB, GIB, -EBUSY,
		"0x150000000-0x1500fffff is in use by the kernel or a device as 'Some Device'");
}

static void the_refusal_names_a_device_dax_that_the_kernel_uses_as_ram(void **state)
{
	tree_lay_out("devdax", NULL);
	tree_append("proc/iomem", "      140000000-17fffffff : System RAM (kmem)\n");
	refused(5 * GIB, GIB, -EBUSY,
		"0x140000000-0x17fffffff is a device-dax that the kernel uses as its own RAM");
	message_says(&message, "daxctl reconfigure-device --mode=devdax");
}

static void a_gap_and_an_unexplained_reserve_are_accepted_with_a_warning(void **state)
{
	tree_lay_out("gap", NULL);
	assert_int_equal(check_range(5 * GIB, GIB), 0);
	message_says(&warning, "no memory map of the kernel contains 0x140000000");
	message_says(&warning, "memmap=1G$5G");
	tree_teardown(state);
	tree_setup(state);
	tree_lay_out("reserved", "cmdline");
	tree_append("proc/cmdline", "quiet memmap=exactmap,1G@5G,64M$5G,32M#6G memmap=16M$5376M\n");
	assert_int_equal(check_range(5 * GIB, GIB), 0);
	message_says(&warning, "0x144000000 is Reserved, but not by a memmap=");
	allowed_without_a_doubt(5 * GIB, 64u << 20);
	allowed_without_a_doubt(5 * GIB + (256u << 20), 16u << 20);
}

static void an_iomem_that_hides_its_addresses_is_refused(void **state)
{
	tree_lay_out("unprivileged", NULL);
	refused(5 * GIB, GIB, -EACCES, "hides its addresses");
	message_says(&message, "needs root");
}

static void a_missing_or_malformed_map_is_refused(void **state)
{
	tree_lay_out("reserved", "firmware");
	refused(5 * GIB, GIB, -ENOENT, "CONFIG_FIRMWARE_MEMMAP");
	tree_lay_out("reserved", NULL);
	tree_append("proc/iomem", "no range at all\n");
	refused(5 * GIB, GIB, -EINVAL, "'no range at all' is malformed");
	tree_teardown(state);
	tree_setup(state);
	tree_lay_out("reserved", "iomem:");
	refused(5 * GIB, GIB, -ENOENT, "cannot make sure");
	tree_append("proc/iomem", "180000000-17fffffff : System RAM\n");
	refused(5 * GIB, GIB, -EINVAL, "malformed");
}

static void cache_types_are_read_from_debugfs(void **state)
{
	struct phys_ranges mapped;

	tree_lay_out("ramoops", NULL);
	assert_int_equal(physmap_read_pat(tree_root, &mapped, &message), 0);
	assert_int_equal(mapped.count, 14);
	assert_string_equal(mapped.items[0].name, "write-back");
	assert_int_equal(mapped.items[4].start, 0x150000000);
	assert_int_equal(mapped.items[4].last, 0x150024fff);
	assert_string_equal(mapped.items[4].name, "write-combining");
	phys_ranges_free(&mapped);
	tree_teardown(state);
	tree_setup(state);
	assert_int_equal(physmap_read_pat(tree_root, &mapped, &message), -ENOENT);
}

static void the_depth_of_iomem_entries_is_read(void **state)
{
	struct phys_ranges iomem;

	tree_lay_out("devdax", NULL);
	assert_int_equal(physmap_read_iomem(tree_root, &iomem, &message), 0);
	for (size_t i = 0; i < iomem.count; i++) {
		if (strcmp(iomem.items[i].name, "dax0.0") == 0)
			assert_int_equal(iomem.items[i].depth, 2);
		if (strcmp(iomem.items[i].name, "hmem.0") == 0)
			assert_int_equal(iomem.items[i].depth, 0);
	}
	phys_ranges_free(&iomem);
}

static void malformed_specs_are_refused(void **state)
{
	static const struct {
		const char *spec, *words;
		int error;
	} wrong[] = {
		{ "devmem:", "malformed", -EINVAL },
		{ "devmem:5G", "malformed", -EINVAL },
		{ "devmem:+1G", "malformed", -EINVAL },
		{ "devmem:5G+", "not a size", -EINVAL },
		{ "devmem:5G+1M", "too small", -EINVAL },
		{ "devmem:5G+2097153", "multiple of 4096", -EINVAL },
		{ "devmem:0x140000001+1G", "start 0x140000001 is not a multiple of 4096", -EINVAL },
		{ "devmem:4P+1G", "malformed", -EINVAL },
		{ "devmem:4096T+1G", "last physical address", -ERANGE },
		{ "devmem:5G+4096T", "last physical address", -ERANGE },
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct region *region = NULL;

		assert_int_equal(region_open(wrong[i].spec, 0, &region, &message), wrong[i].error);
		assert_null(region);
		message_says(&message, wrong[i].spec);
		message_says(&message, wrong[i].words);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, tree_setup, tree_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(ram_set_aside_with_memmap_is_accepted),
		TEST(legacy_and_soft_reserved_memory_is_accepted),
		TEST(ram_that_the_kernel_uses_is_refused),
		TEST(a_range_that_is_not_all_ram_is_refused),
		TEST(an_active_namespace_is_refused),
		TEST(an_active_device_dax_is_refused),
		TEST(the_range_of_the_crash_log_is_refused),
		TEST(the_range_of_the_crash_log_is_refused_by_its_parameters_alone),
		TEST(malformed_parameters_of_the_crash_log_make_nothing_usable),
		TEST(the_refusal_names_a_device_dax_that_the_kernel_uses_as_ram),
		TEST(the_refusal_names_another_user_of_the_range),
		TEST(a_gap_and_an_unexplained_reserve_are_accepted_with_a_warning),
		TEST(an_iomem_that_hides_its_addresses_is_refused),
		TEST(a_missing_or_malformed_map_is_refused),
		TEST(cache_types_are_read_from_debugfs),
		TEST(the_depth_of_iomem_entries_is_read),
		TEST(malformed_specs_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
