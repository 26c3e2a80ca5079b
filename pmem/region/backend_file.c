/* SPDX-License-Identifier: BSD-3-Clause */
#include "region/backend.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/align.h"
#include "common/cleanup.h"
#include "common/size.h"
#include "region/file_place.h"

struct file_spec {
	char *path;
	struct file_place place; /* of the path */
	/* The text after the last comma, if it is a size; else NULL. */
	const char *size_text;
	uint64_t size;
};

/* A path may contain commas, so only the text after the last one can be a size. */
static int parse_spec(const struct region *region, const char *where, struct file_spec *spec,
		      struct message *message)
{
	char *comma;

	spec->path = strdup(where);
	if (!spec->path)
		return message_fail(message, -ENOMEM, "region %s: out of memory", region->spec);
	comma = strrchr(spec->path, ',');
	if (comma && size_parse(comma + 1, &spec->size) != -EINVAL) {
		*comma = '\0';
		spec->size_text = comma + 1;
		int error = backend_parse_size(region, spec->size_text, &spec->size, message);

		if (error)
			return error;
	}
	if (spec->path[0] == '\0')
		return message_fail(message, -EINVAL, "region %s: no path: write file:PATH or file:PATH,SIZE",
				    region->spec);
	return 0;
}

static int check_kind(const struct region *region, mode_t mode, struct message *message)
{
	if (S_ISREG(mode) || S_ISBLK(mode))
		return 0;
	if (S_ISDIR(mode))
		return message_fail(message, -EISDIR, "region %s: a directory: name a file in it",
				    region->spec);
	return message_fail(message, -EINVAL, "region %s: neither a regular file nor a block device",
			    region->spec);
}

static int cannot_open(const struct region *region, int error, struct message *message)
{
	switch (error) {
	case ENOENT:
		return message_fail(
			message, -ENOENT,
			strchr(region->spec, ',') ?
				"region %s: no such file, and no size after the comma: give one to create "
				"it, as in file:PATH,1G" :
				"region %s: no such file: give a size to create it, as in file:PATH,1G",
			region->spec);
	case EACCES:
	case EPERM:
	case EROFS:
		return message_fail(message, -error, "region %s: not allowed to open it for %s: %s",
				    region->spec, region_is_read_only(region) ? "reading" : "writing",
				    strerror(error));
	case EEXIST:
		return message_fail(message, -EEXIST,
				    "region %s: a dangling symbolic link, or a file that another process has "
				    "just created",
				    region->spec);
	case EBUSY:
		return message_fail(message, -EBUSY,
				    "region %s: the block device is in use: unmount it first", region->spec);
	default:
		return message_fail(message, -error, "region %s: cannot open it: %s", region->spec,
				    strerror(error));
	}
}

/*
 * A region that is written to is the caller's own file, or root's: what another user can put there, that user
 * can also replace by a name of a file that the caller must not overwrite.
 */
static int check_owner(const struct region *region, const struct file_spec *spec, const struct stat *st,
		       struct message *message)
{
	if (region_is_read_only(region) || !S_ISREG(st->st_mode))
		return 0;
	if (st->st_uid != geteuid() && st->st_uid != 0)
		return message_fail(message, -EPERM,
				    "region %s: the file belongs to another user (uid %u): use a file of "
				    "your own, or run softpmemd as that user",
				    region->spec, st->st_uid);
	if (spec->place.shared && st->st_nlink > 1)
		return message_fail(message, -EPERM,
				    "region %s: the file has several names, in a directory that others may "
				    "write to: copy it",
				    region->spec);
	return 0;
}

/* Check the type before opening: opening some devices has side effects. */
static int open_existing(const struct region *region, const struct file_place *place, int *fd,
			 struct message *message)
{
	int access = region_is_read_only(region) ? O_RDONLY : O_RDWR;
	struct stat st;
	int error;

	if (fstatat(place->directory, place->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	error = check_kind(region, st.st_mode, message);
	if (error)
		return error;
	/* Without O_CREAT, O_EXCL refuses a block device that is mounted. Several readers are allowed. */
	if (S_ISBLK(st.st_mode) && access == O_RDWR)
		access |= O_EXCL;
	*fd = openat(place->directory, place->name, access | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	return *fd < 0 ? cannot_open(region, errno, message) : 0;
}

static int open_or_make(struct region *region, const struct file_spec *spec, bool *made,
			struct message *message)
{
	int error = open_existing(region, &spec->place, &region->fd, message);

	if (error != -ENOENT)
		return error;
	if (!(region->flags & REGION_CREATE) || region_is_read_only(region) || !spec->size_text)
		return cannot_open(region, ENOENT, message);
	region->fd = openat(spec->place.directory, spec->place.name,
			    O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (region->fd < 0)
		return cannot_open(region, errno, message);
	*made = true;
	return 0;
}

/*
 * flock(), not a POSIX lock: it belongs to the open file, so that it excludes a second open in this
 * process too.
 */
static int lock(const struct region *region, struct message *message)
{
	if (flock(region->fd, (region_is_read_only(region) ? LOCK_SH : LOCK_EX) | LOCK_NB) == 0)
		return 0;
	if (errno == EWOULDBLOCK)
		return backend_in_use(region, message);
	return message_fail(message, -errno, "region %s: cannot lock it: %s", region->spec, strerror(errno));
}

/*
 * The size is set last. If the process is killed before, the file is empty, and the next start treats it
 * as not existing.
 */
static int fill_new(struct region *region, uint64_t size)
{
	if (fallocate(region->fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)size) < 0) {
		if (errno != EOPNOTSUPP)
			return -errno;
		return -posix_fallocate(region->fd, 0, (off_t)size);
	}
	return ftruncate(region->fd, (off_t)size) < 0 ? -errno : 0;
}

static int allocate_new(struct region *region, const struct file_spec *spec, struct message *message)
{
	int error = fill_new(region, spec->size);

	if (!error) {
		region->size = spec->size;
		region->is_new = true;
		return 0;
	}
	/* Free the blocks that were allocated, also if the file existed and therefore stays. */
	(void)!ftruncate(region->fd, 0);
	return message_fail(message, error,
			    "region %s: cannot allocate %s for it: %s: free space there, or ask for less",
			    region->spec, spec->size_text, strerror(-error));
}

static int read_size(struct region *region, const struct stat *st, struct message *message)
{
	if (S_ISREG(st->st_mode)) {
		region->size = (uint64_t)st->st_size;
		return 0;
	}
	if (ioctl(region->fd, BLKGETSIZE64, &region->size) < 0)
		return message_fail(message, -errno, "region %s: cannot read the device's size: %s",
				    region->spec, strerror(errno));
	return 0;
}

static int check_size(const struct region *region, const struct file_spec *spec, struct message *message)
{
	unsigned long long size = region->size;

	if (size < REGION_MIN_SIZE)
		return message_fail(message, -EINVAL,
				    "region %s: it has %llu bytes: a region has at least 2M: if its file "
				    "was cut short, extend the file with truncate -s, or restore it",
				    region->spec, size);
	if (!is_aligned(size, PAGE_BYTES))
		return message_fail(message, -EINVAL,
				    "region %s: its size, %llu bytes, is not a multiple of 4096: 'truncate "
				    "-s %%4096' rounds that of a file up",
				    region->spec, size);
	if (spec->size_text && spec->size != size)
		return message_fail(
			message, -EINVAL,
			"region %s: it has %llu bytes, not %s: leave the size out to take it as it is",
			region->spec, size, spec->size_text);
	return 0;
}

/*
 * Fill holes now: on a full disk a store to one would raise SIGBUS. Existing data is not changed,
 * whatever happens.
 */
static int fill_holes(const struct region *region, struct message *message)
{
	int error = 0;

	if (fallocate(region->fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)region->size) < 0)
		error = errno;
	if (error == EOPNOTSUPP)
		error = posix_fallocate(region->fd, 0, (off_t)region->size);
	if (error)
		return message_fail(message, -error,
				    "region %s: cannot allocate the holes of the file: %s: free space there",
				    region->spec, strerror(error));
	return 0;
}

static int find_place(const struct region *region, struct file_spec *spec, struct message *message)
{
	int error = file_place_find(spec->path, region_is_read_only(region), region->spec, &spec->place,
				    message);

	if (error == -ENOENT && spec->size_text)
		return message_fail(message, -ENOENT, "region %s: its directory does not exist",
				    region->spec);
	return error && error != -EPERM ? cannot_open(region, -error, message) : error;
}

static int take_up(struct region *region, const struct file_spec *spec, struct message *message)
{
	struct stat st;
	int error;

	if (fstat(region->fd, &st) < 0)
		return message_fail(message, -errno, "region %s: fstat: %s", region->spec, strerror(errno));
	error = check_kind(region, st.st_mode, message);
	if (!error)
		error = check_owner(region, spec, &st, message);
	if (error)
		return error;
	/* Another process created it, and removed it between our open and our lock. */
	if (st.st_nlink == 0)
		return message_fail(message, -ENOENT, "region %s: it was removed while being opened",
				    region->spec);
	if (S_ISREG(st.st_mode) && st.st_size == 0 && spec->size_text && (region->flags & REGION_CREATE) &&
	    !region_is_read_only(region))
		return allocate_new(region, spec, message);
	error = read_size(region, &st, message);
	if (!error)
		error = check_size(region, spec, message);
	if (!error && S_ISREG(st.st_mode) && !region_is_read_only(region))
		error = fill_holes(region, message);
	return error;
}

/*
 * On a DAX file system MAP_SYNC keeps the file's own metadata durable, so that a flush and a fence are
 * enough.
 */
static int map(struct region *region, struct message *message)
{
	if (!region_is_read_only(region)) {
		void *media = mmap(NULL, region->size, PROT_READ | PROT_WRITE, MAP_SHARED_VALIDATE | MAP_SYNC,
				   region->fd, 0);

		if (media != MAP_FAILED) {
			region->media = media;
			return 0;
		}
	}
	return backend_map(region, 0, message);
}

static int open_spec(struct region *region, const struct file_spec *spec, struct message *message)
{
	bool made = false, locked;
	int error = open_or_make(region, spec, &made, message);

	if (error)
		return error;
	error = lock(region, message);
	locked = !error;
	if (!error)
		error = take_up(region, spec, message);
	if (!error)
		error = map(region, message);
	if (!error) {
		region->kernel_can_read = true;
		return 0;
	}
	/* Without the lock the file belongs to another process, which found it empty and fills it. */
	if (made && locked)
		unlinkat(spec->place.directory, spec->place.name, 0);
	close(steal_fd(&region->fd));
	return error;
}

static int file_open(struct region *region, const char *where, struct message *message)
{
	struct file_spec spec = { .place.directory = -1 };
	int error = parse_spec(region, where, &spec, message);

	if (!error)
		error = find_place(region, &spec, message);
	if (!error)
		error = open_spec(region, &spec, message);
	if (spec.place.directory >= 0)
		close(spec.place.directory);
	free(spec.path);
	return error;
}

/*
 * Keeps the blocks, unlike punching a hole, so that no later store can find the disk full. All pages have
 * to be faulted in again afterwards. On ext4 this was measured to cost more than storing zeros to pages
 * that are present, so it is used for ranges of which most are not.
 */
static int file_zero(struct region *region, uint64_t offset, uint64_t length)
{
	const uint64_t worth_the_faults = 4u << 20;

	if (length < worth_the_faults)
		return -EOPNOTSUPP;
	if (fallocate(region->fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)length) <
	    0)
		return -errno;
	return 0;
}

/*
 * The disk space stays allocated for the same reason as in file_zero(). What is given back is memory of
 * the page cache, and the writing of these pages to the disk.
 */
static int file_discard(struct region *region, uint64_t offset, uint64_t length)
{
	const uint64_t worth_the_faults = 2u << 20;
	struct stat st;

	/* A block device would have to write zeros. */
	if (length < worth_the_faults || fstat(region->fd, &st) < 0 || !S_ISREG(st.st_mode))
		return -EOPNOTSUPP;
	if (fallocate(region->fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)length) <
	    0)
		return -errno;
	return 0;
}

static void file_close(struct region *region)
{
	/* After a clean stop the bytes are on the disk, not only in the page cache of the host. */
	if (!region_is_read_only(region))
		msync(region->media, region->size, MS_SYNC);
	munmap(region->media, region->size);
	close(region->fd);
}

const struct backend backend_file = {
	.scheme = "file",
	.open = file_open,
	.zero = file_zero,
	.discard = file_discard,
	.is_whole = failure_fd_is_whole,
	.close = file_close,
};
