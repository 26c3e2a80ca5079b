/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "region/region.h"
#include "mediatest.h"
#include "skipping.h"

static char directory[] = "/tmp/softpmem-unit.XXXXXX";
static struct message message;

static int setup(void **state)
{
	memset(&message, 0, sizeof(message));
	strcpy(strrchr(directory, '.'), ".XXXXXX");
	return mkdtemp(directory) ? 0 : -1;
}

static int teardown(void **state)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf --one-file-system %s", directory);
	return system(command);
}

/* The spec of a file in the test's directory. */
static const char *spec(const char *name)
{
	static char text[256];

	snprintf(text, sizeof(text), "file:%s/%s", directory, name);
	return text;
}

static const char *path(const char *name)
{
	return spec(name) + strlen("file:");
}

static void make_file(const char *name, off_t size)
{
	int fd = open(path(name), O_RDWR | O_CREAT, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
	close(fd);
}

static struct region *open_region(const char *name, unsigned flags)
{
	struct region *region = NULL;
	int error = region_open(spec(name), flags, &region, &message);

	if (error)
		fail_msg("%s: %d: %s", name, error, message.text);
	return region;
}

static void refused(const char *name, unsigned flags, int error, const char *words)
{
	struct region *region = NULL;

	message.text[0] = '\0';
	assert_int_equal(region_open(spec(name), flags, &region, &message), error);
	assert_null(region);
	if (!strstr(message.text, words) || !strstr(message.text, spec(name)))
		fail_msg("'%s' does not name %s and say '%s'", message.text, spec(name), words);
}

static void a_created_file_is_allocated_and_keeps_its_bytes(void **state)
{
	struct region *region = open_region("a,4M", REGION_CREATE);
	const void *borrowed;
	struct stat st;

	assert_int_equal(region_size(region), 4u << 20);
	assert_true(region_is_new(region));
	assert_int_equal(media_borrow(region, 0, 4096, &borrowed), 0);
	assert_int_equal(stat(path("a"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_true(st.st_blocks * 512 >= 4 << 20);
	mediatest_write(region, (4u << 20) - 8, "durable", 8);
	region_close(region);

	region = open_region("a", 0);
	assert_false(region_is_new(region));
	assert_int_equal(media_compare(region, (4u << 20) - 8, "durable", 8), 0);
	region_close(region);
	region_close(open_region("a,4096K", REGION_CREATE));
}

static void zeroing_keeps_the_blocks_and_the_bytes_around(void **state)
{
	struct region *region = open_region("a,16M", REGION_CREATE);
	static unsigned char ones[12u << 20];
	struct stat st;

	memset(ones, 1, sizeof(ones));
	assert_int_equal(media_write(region, 0, ones, sizeof(ones)), 0);
	assert_int_equal(media_zero(region, 1u << 20, 8u << 20), 0);
	assert_int_equal(media_zero(region, 10u << 20, 64u << 10), 0);
	media_fence(region);
	mediatest_read(region, 0, ones, sizeof(ones));
	for (uint64_t offset = 0; offset < sizeof(ones); offset++) {
		bool zero = (offset >= 1u << 20 && offset < 9u << 20) ||
			    (offset >= 10u << 20 && offset < (10u << 20) + (64u << 10));

		if (ones[offset] != !zero)
			fail_msg("byte %llu is %d", (unsigned long long)offset, ones[offset]);
	}
	assert_int_equal(stat(path("a"), &st), 0);
	assert_true(st.st_blocks * 512 >= 16 << 20);
	region_close(region);
}

static void a_comma_belongs_to_the_path_unless_a_size_follows(void **state)
{
	region_close(open_region("a,b,2M", REGION_CREATE));
	assert_int_equal(access(path("a,b"), F_OK), 0);
	region_close(open_region("a,b", 0));
	refused("a,", REGION_CREATE, -ENOENT, "no such file");
}

static void a_missing_file_is_created_only_with_a_size(void **state)
{
	refused("a", REGION_CREATE, -ENOENT, "give a size");
	refused("a,2M", 0, -ENOENT, "no such file");
	refused("a,2M", REGION_CREATE | REGION_READ_ONLY, -ENOENT, "no such file");
	refused("not/there,2M", REGION_CREATE, -ENOENT, "directory");
	assert_int_equal(access(path("a"), F_OK), -1);
}

static void invalid_sizes_are_refused_and_leave_no_file(void **state)
{
	refused("a,1M", REGION_CREATE, -EINVAL, "too small");
	refused("a,2097153", REGION_CREATE, -EINVAL, "4096");
	refused("a,0", REGION_CREATE, -EINVAL, "too small");
	refused("a,16777216T", REGION_CREATE, -ERANGE, "range");
	assert_int_equal(access(path("a"), F_OK), -1);
	make_file("small", 4096);
	refused("small", 0, -EINVAL, "at least 2M");
	make_file("odd", (2 << 20) + 1);
	refused("odd", 0, -EINVAL, "not a multiple of 4096");
	make_file("other", 4 << 20);
	refused("other,2M", REGION_CREATE, -EINVAL, "leave the size out");
}

static void an_empty_file_counts_as_missing(void **state)
{
	struct region *region;

	make_file("a", 0);
	refused("a", REGION_CREATE, -EINVAL, "at least 2M");
	region = open_region("a,2M", REGION_CREATE);
	assert_true(region_is_new(region));
	region_close(region);
}

static void a_second_open_fails_with_ebusy(void **state)
{
	struct region *region = open_region("a,2M", REGION_CREATE), *second;
	int status;

	refused("a", 0, -EBUSY, "in use");
	refused("a", REGION_READ_ONLY, -EBUSY, "in use");
	if (fork() == 0)
		_exit(region_open(spec("a"), 0, &second, NULL) == -EBUSY ? 0 : 1);
	assert_true(wait(&status) > 0 && WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	region_close(region);

	region = open_region("a", REGION_READ_ONLY);
	second = open_region("a", REGION_READ_ONLY);
	refused("a", 0, -EBUSY, "in use");
	region_close(region);
	region_close(second);
	region_close(open_region("a", 0));
}

static void only_regular_files_and_block_devices_are_accepted(void **state)
{
	assert_int_equal(mkdir(path("dir"), 0700), 0);
	refused("dir", REGION_CREATE, -EISDIR, "directory");
	assert_int_equal(mkfifo(path("fifo"), 0600), 0);
	refused("fifo", 0, -EINVAL, "regular file");
	assert_int_equal(symlink("nothing", path("link")), 0);
	refused("link,2M", REGION_CREATE, -EEXIST, "symbolic link");
	assert_int_equal(region_open("file:", 0, &(struct region *){ NULL }, &message), -EINVAL);
	assert_int_equal(region_open("file:,2M", REGION_CREATE, &(struct region *){ NULL }, &message),
			 -EINVAL);
	assert_int_equal(region_open("file:/dev/null", 0, &(struct region *){ NULL }, &message), -EINVAL);
	make_file("target", 2 << 20);
	assert_int_equal(symlink("target", path("to-target")), 0);
	region_close(open_region("to-target", 0));
}

static void a_file_without_write_permission_opens_read_only(void **state)
{
	struct region *region;
	int status;

	make_file("a", 2 << 20);
	assert_int_equal(chmod(path("a"), 0444), 0);
	assert_int_equal(chmod(directory, 0755), 0);
	if (fork() == 0) {
		if (geteuid() == 0 && setuid(65534) < 0)
			_exit(2);
		_exit(region_open(spec("a"), 0, &region, &message) == -EACCES &&
				      strstr(message.text, "writing")
			      ? 0
			      : 1);
	}
	assert_true(wait(&status) > 0 && WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	region = open_region("a", REGION_READ_ONLY);
	assert_true(region_is_read_only(region));
	region_close(region);
}

/* Mount a tmpfs of 8 MiB over the test's directory, in a mount namespace of this process. */
static void enter_small_disk(void)
{
	if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", directory, "tmpfs", 0, "size=8M") < 0)
		skip_because("needs root and mount namespaces");
}

/* What root meets in a directory where anybody can make files. */
static void links_and_files_of_other_users_are_refused(void **state)
{
	char other[256];

	(void)state;
	if (geteuid() != 0)
		skip_because("needs root");
	make_file("target", 2 << 20);
	assert_int_equal(mkdir(path("shared"), 0700), 0);
	assert_int_equal(chmod(path("shared"), 01777), 0);
	assert_int_equal(symlink("../target", path("shared/link")), 0);
	assert_int_equal(symlink("..", path("shared/up")), 0);
	region_close(open_region("shared/link", 0));
	region_close(open_region("shared/up/target", 0));

	assert_int_equal(lchown(path("shared/link"), 65534, 65534), 0);
	assert_int_equal(lchown(path("shared/up"), 65534, 65534), 0);
	refused("shared/link", 0, -EPERM, "'link' is a symbolic link of another user (uid 65534)");
	refused("shared/up/target", 0, -EPERM, "'up' is a symbolic link of another user");
	refused("shared/up/new,2M", REGION_CREATE, -EPERM, "'up' is a symbolic link of another user");
	region_close(open_region("shared/link", REGION_READ_ONLY));
	assert_int_equal(chmod(path("shared"), 0777), 0);
	refused("shared/link", 0, -EPERM, "'link' is a symbolic link of another user");
	assert_int_equal(chmod(path("shared"), 01770), 0);
	refused("shared/link", 0, -EPERM, "'link' is a symbolic link of another user");
	assert_int_equal(chmod(path("shared"), 0775), 0);
	region_close(open_region("shared/link", 0));
	assert_int_equal(chmod(path("shared"), 01777), 0);

	make_file("shared/twice", 2 << 20);
	region_close(open_region("shared/twice", 0));
	strcpy(other, path("shared/second"));
	assert_int_equal(link(path("shared/twice"), other), 0);
	refused("shared/twice", 0, -EPERM, "several names");

	assert_int_equal(chown(path("target"), 65534, 65534), 0);
	refused("target", 0, -EPERM, "belongs to another user (uid 65534)");
	region_close(open_region("target", REGION_READ_ONLY));
}

static void a_full_disk_is_an_error_at_opening(void **state)
{
	struct region *region;
	struct stat st;
	int fd;

	enter_small_disk();
	refused("a,16M", REGION_CREATE, -ENOSPC, "free space");
	assert_int_equal(access(path("a"), F_OK), -1);

	make_file("empty", 0);
	refused("empty,16M", REGION_CREATE, -ENOSPC, "free space");
	assert_int_equal(stat(path("empty"), &st), 0);
	assert_int_equal(st.st_size, 0);

	make_file("sparse", 16 << 20);
	fd = open(path("sparse"), O_RDWR);
	assert_int_equal(pwrite(fd, "data", 4, 5 << 20), 4);
	refused("sparse", 0, -ENOSPC, "holes");
	assert_int_equal(pread(fd, message.text, 4, 5 << 20), 4);
	assert_memory_equal(message.text, "data", 4);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 16 << 20);

	assert_int_equal(ftruncate(fd, 6 << 20), 0);
	close(fd);
	region = open_region("sparse", 0);
	assert_int_equal(stat(path("sparse"), &st), 0);
	assert_true(st.st_blocks * 512 >= 6 << 20);
	assert_int_equal(media_compare(region, 5 << 20, "data", 4), 0);
	region_close(region);
	assert_int_equal(umount2(directory, MNT_DETACH), 0);
}

/*
 * Make a loop device over the file, which goes away with its last user. Returns a descriptor that keeps
 * it, or -1.
 */
static int make_loop(const char *name, char *device, size_t size)
{
	struct loop_config config = { .block_size = 512, .info.lo_flags = LO_FLAGS_AUTOCLEAR };
	int control = open("/dev/loop-control", O_RDWR), number, fd;

	if (control < 0)
		return -1;
	number = ioctl(control, LOOP_CTL_GET_FREE);
	close(control);
	snprintf(device, size, "/dev/loop%d", number);
	fd = open(device, O_RDWR);
	config.fd = (uint32_t)open(path(name), O_RDWR);
	if (fd >= 0 && ioctl(fd, LOOP_CONFIGURE, &config) < 0) {
		close(fd);
		fd = -1;
	}
	close((int)config.fd);
	return fd;
}

static void a_block_device_is_used_as_a_whole(void **state)
{
	char device[32], text[64];
	struct region *region;
	int loop;

	make_file("disk", 8 << 20);
	loop = make_loop("disk", device, sizeof(device));
	if (loop < 0)
		skip_because("needs root and loop devices");
	snprintf(text, sizeof(text), "file:%s", device);
	assert_int_equal(region_open(text, 0, &region, &message), 0);
	assert_int_equal(region_size(region), 8 << 20);
	assert_false(region_is_new(region));
	mediatest_write(region, 4096, "durable", 8);
	assert_int_equal(media_zero(region, 0, 4096), 0);
	assert_int_equal(media_zero(region, 4u << 20, 4u << 20), 0);
	media_fence(region);
	assert_int_equal(region_open(text, 0, &(struct region *){ NULL }, &message), -EBUSY);
	region_close(region);
	assert_int_equal(region_open(text, REGION_READ_ONLY, &region, &message), 0);
	assert_int_equal(media_compare(region, 4096, "durable", 8), 0);
	region_close(region);
	close(loop);
}


static void discarded_pages_keep_their_disk_space_and_others_their_bytes(void **state)
{
	const uint64_t mib = 1u << 20;
	struct region *region;
	struct stat before, after;
	int error;

	(void)state;
	make_file("r", 8 << 20);
	region = open_region("r", 0);
	mediatest_write(region, 2 * mib - 1, "<", 1);
	mediatest_write(region, 2 * mib, "discarded", 9);
	mediatest_write(region, 6 * mib, ">", 1);
	assert_int_equal(stat(path("r"), &before), 0);
	error = media_discard(region, 2 * mib, 4 * mib);
	/* tmpfs cannot do it; then nothing has changed. */
	assert_true(error == 0 || error == -EOPNOTSUPP);
	assert_int_equal(mediatest_byte(region, 2 * mib), error ? 'd' : 0);
	assert_int_equal(mediatest_byte(region, 2 * mib - 1), '<');
	assert_int_equal(mediatest_byte(region, 6 * mib), '>');
	assert_int_equal(stat(path("r"), &after), 0);
	assert_true(after.st_blocks >= before.st_blocks);
	assert_int_equal(media_discard(region, 2 * mib + 1, 4096), -EINVAL);
	assert_int_equal(media_discard(region, 7 * mib, 2 * mib), -EINVAL);
	region_close(region);
}

/* ---- Copies ------------------------------------------------------------------------ */

static const char *copy_spec(const char *name)
{
	static char text[256];

	snprintf(text, sizeof(text), "copy:%s/%s", directory, name);
	return text;
}

static struct region *open_copy(const char *name)
{
	struct region *region = NULL;
	int error = region_open(copy_spec(name), 0, &region, &message);

	if (error)
		fail_msg("%s: %d: %s", name, error, message.text);
	return region;
}

static void a_copy_has_the_bytes_of_the_file_and_does_not_change_it(void **state)
{
	struct region *region = open_region("a,4M", REGION_CREATE), *first, *second;

	mediatest_write(region, 4096, "original", 8);
	region_close(region);
	first = open_copy("a");
	second = open_copy("a");
	assert_int_equal(region_size(first), 4u << 20);
	assert_false(region_is_new(first) || region_outlives_process(first));
	assert_false(region_overlaps(first, second));
	assert_int_equal(media_compare(first, 4096, "original", 8), 0);
	mediatest_write(first, 4096, "changed ", 8);
	/* Large enough for a backend that can drop pages. */
	assert_int_equal(media_zero(second, 0, 2u << 20), 0);
	assert_int_equal(media_is_zero(second, 0, 2u << 20), 1);
	assert_int_equal(media_compare(first, 4096, "changed ", 8), 0);
	region_close(first);
	region_close(second);
	region = open_region("a", 0);
	assert_int_equal(media_compare(region, 4096, "original", 8), 0);
	region_close(region);
}

static void copy_refused(const char *name, int error, const char *words)
{
	struct region *region = NULL;

	assert_int_equal(region_open(copy_spec(name), 0, &region, &message), error);
	assert_null(region);
	if (!strstr(message.text, words) || !strstr(message.text, copy_spec(name)))
		fail_msg("'%s' does not name %s and say '%s'", message.text, copy_spec(name), words);
}

static void a_file_that_is_in_use_or_is_no_region_is_not_copied(void **state)
{
	struct region *region = open_region("a,4M", REGION_CREATE);

	copy_refused("a", -EBUSY, "in use");
	region_close(region);
	copy_refused("missing", -ENOENT, "cannot open it");
	copy_refused("", -EINVAL, "not a regular file");
	make_file("small", 4096);
	copy_refused("small", -EINVAL, "at least 2M");
	make_file("odd", (4 << 20) + 1);
	copy_refused("odd", -EINVAL, "multiple of 4096");
	region = open_copy("a");
	/* Its writer would change pages that are not copied yet. */
	refused("a", 0, -EBUSY, "in use");
	region_close(region);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_created_file_is_allocated_and_keeps_its_bytes),
		TEST(zeroing_keeps_the_blocks_and_the_bytes_around),
		TEST(discarded_pages_keep_their_disk_space_and_others_their_bytes),
		TEST(a_comma_belongs_to_the_path_unless_a_size_follows),
		TEST(a_missing_file_is_created_only_with_a_size),
		TEST(invalid_sizes_are_refused_and_leave_no_file),
		TEST(an_empty_file_counts_as_missing),
		TEST(a_second_open_fails_with_ebusy),
		TEST(only_regular_files_and_block_devices_are_accepted),
		TEST(a_file_without_write_permission_opens_read_only),
		TEST(links_and_files_of_other_users_are_refused),
		TEST(a_full_disk_is_an_error_at_opening),
		TEST(a_block_device_is_used_as_a_whole),
		TEST(a_copy_has_the_bytes_of_the_file_and_does_not_change_it),
		TEST(a_file_that_is_in_use_or_is_no_region_is_not_copied),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
