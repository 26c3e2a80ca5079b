/* SPDX-License-Identifier: BSD-3-Clause */
#include "explore/changes.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/crc32c.h"
#include "common/remove_tree.h"

/* Bytes that are compared at once; a multiple of a line. */
#define BLOCK_BYTES 65536u

/*
 * Told apart by a digest: a line or attributes before and after the recovery, a name that is gone, and a new
 * one.
 */
enum { SALT_BEFORE = 1, SALT_AFTER, SALT_GONE, SALT_NEW, SALT_ATTRIBUTES };

static void add(struct explore_digest *changes, struct explore_digest digest)
{
	*changes = explore_digest_add(*changes, digest);
}

static uint64_t number_of(const char *path)
{
	return crc32c(0, path, strlen(path));
}

/* The model address of a line in a digest: lines of all files, before and after, have different ones. */
static uint64_t line_address(const char *path, uint64_t salt, uint64_t offset)
{
	return align_down(explore_digest_of(salt, number_of(path)).low, LINE_SIZE) + offset;
}

/* A block of a file, and zeros after its end; of a file that does not exist all is zero. */
static int read_block(int fd, uint64_t offset, unsigned char block[BLOCK_BYTES])
{
	ssize_t got = fd < 0 ? 0 : pread(fd, block, BLOCK_BYTES, (off_t)offset);

	if (got < 0)
		return -errno;
	memset(block + got, 0, BLOCK_BYTES - (size_t)got);
	return 0;
}

static int compare_files(const char *path, int before, int after, uint64_t size,
			 struct explore_digest *changes)
{
	CLEANUP_FREE unsigned char *old = malloc(BLOCK_BYTES), *new = malloc(BLOCK_BYTES);
	int error = old && new ? 0 : -ENOMEM;

	for (uint64_t offset = 0; !error && offset < size; offset += BLOCK_BYTES) {
		error = read_block(before, offset, old);
		if (!error)
			error = read_block(after, offset, new);
		if (error || memcmp(old, new, BLOCK_BYTES) == 0)
			continue;
		for (size_t at = 0; at < BLOCK_BYTES; at += LINE_SIZE) {
			const uint64_t was = line_address(path, SALT_BEFORE, offset + at);
			const uint64_t is = line_address(path, SALT_AFTER, offset + at);

			if (memcmp(old + at, new + at, LINE_SIZE) == 0)
				continue;
			add(changes, explore_digest_line(was, old + at));
			add(changes, explore_digest_line(is, new + at));
		}
	}
	return error;
}

/* ---- Attributes ------------------------------------------------------------------------- */

/* The order of bytes counts. */
static void chain(struct explore_digest *digest, const void *bytes, size_t length)
{
	*digest = explore_digest_of(digest->low ^ length, digest->high);
	for (size_t at = 0; at < length; at += sizeof(uint64_t)) {
		uint64_t word = 0;

		memcpy(&word, (const unsigned char *)bytes + at, min_u64(sizeof(word), length - at));
		*digest = explore_digest_of(digest->low ^ word, digest->high);
	}
}

/* One that must not be read is told by its name. */
static int add_xattr(const char *path, const char *name, struct explore_digest *sum)
{
	const ssize_t room = lgetxattr(path, name, NULL, 0);
	CLEANUP_FREE unsigned char *value = malloc((size_t)max_u64((uint64_t)room + 1, 1));
	struct explore_digest digest = explore_digest_of(SALT_ATTRIBUTES, 0);
	ssize_t length;

	if (!value)
		return -ENOMEM;
	length = room < 0 ? room : lgetxattr(path, name, value, (size_t)room);
	chain(&digest, name, strlen(name));
	if (length > 0)
		chain(&digest, value, (size_t)length);
	add(sum, digest);
	return 0;
}

/* Those of users, which a state has. The kernel lists them in an order that says nothing. */
static int add_xattrs(const char *path, struct explore_digest *sum)
{
	const ssize_t room = llistxattr(path, NULL, 0);
	CLEANUP_FREE char *names = room > 0 ? malloc((size_t)room) : NULL;
	const ssize_t length = names ? llistxattr(path, names, (size_t)room) : 0;
	int error = room > 0 && !names ? -ENOMEM : 0;

	for (ssize_t at = 0; !error && at < length; at += (ssize_t)strlen(names + at) + 1)
		if (strncmp(names + at, "user.", 5) == 0)
			error = add_xattr(path, names + at, sum);
	return error;
}

/*
 * Mode, target and extended attributes; zero: there is no such file. States have no owners, so that to change
 * these leaves nothing to crash in.
 */
static int read_attributes(int directory, const char *path, struct explore_digest *sum)
{
	CLEANUP_FREE char *full = NULL, *target = NULL;
	struct stat st;
	ssize_t length;

	*sum = (struct explore_digest){ 0, 0 };
	if (fstatat(directory, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
	*sum = explore_digest_of(SALT_ATTRIBUTES, st.st_mode);
	if (S_ISLNK(st.st_mode)) {
		target = malloc((size_t)st.st_size + 1);
		length = target ? readlinkat(directory, path, target, (size_t)st.st_size + 1) : -1;
		if (length < 0)
			return target ? -errno : -ENOMEM;
		chain(sum, target, (size_t)length);
	}
	/* There is no function for a path below an open directory. */
	if (asprintf(&full, "/proc/self/fd/%d/%s", directory, path) < 0) {
		full = NULL;
		return -ENOMEM;
	}
	return add_xattrs(full, sum);
}

static int compare_attributes(int before, int after, const char *path, struct explore_digest *changes)
{
	struct explore_digest old, new;
	int error = read_attributes(before, path, &old);

	if (!error)
		error = read_attributes(after, path, &new);
	if (error || (old.low == new.low && old.high == new.high))
		return error;
	add(changes, explore_digest_of((SALT_BEFORE ^ old.low) + number_of(path), old.high));
	add(changes, explore_digest_of((SALT_AFTER ^ new.low) + number_of(path), new.high));
	return 0;
}

/* ---- Files ------------------------------------------------------------------------------ */

/* A regular file of that name in a directory: a descriptor, or -1, and its size. A negative errno. */
static int open_file(int directory, const char *path, int *fd, uint64_t *size)
{
	struct stat st;

	*size = 0;
	*fd = -1;
	if (fstatat(directory, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
	if (!S_ISREG(st.st_mode))
		return 0;
	*size = (uint64_t)st.st_size;
	*fd = openat(directory, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	/* One that must not be read is told by its size. */
	return *fd < 0 && errno != EACCES ? -errno : 0;
}

/* A file that is there before, after, or both. */
static int compare_path(int before, int after, const char *path, struct explore_digest *changes)
{
	CLEANUP_FD int old = -1, new = -1;
	uint64_t old_size, new_size;
	int error = compare_attributes(before, after, path, changes);

	if (!error)
		error = open_file(before, path, &old, &old_size);
	if (!error)
		error = open_file(after, path, &new, &new_size);
	if (error)
		return error;
	if (old_size != new_size) {
		add(changes, explore_digest_of(SALT_BEFORE + number_of(path), old_size + 1));
		add(changes, explore_digest_of(SALT_AFTER + number_of(path), new_size + 1));
	}
	return compare_files(path, old, new, max_u64(old_size, new_size), changes);
}

static bool is_there(int directory, const char *path)
{
	struct stat st;

	return fstatat(directory, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Each name of the tree `root`, which is the one after the recovery or the one before it. */
static int visit(const char *root, bool is_after, int before, int after, struct explore_digest *changes)
{
	char *const roots[] = { (char *)(uintptr_t)root, NULL };
	FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	FTSENT *entry;
	int error = 0;

	if (!tree)
		return -errno;
	while (!error && (entry = fts_read(tree))) {
		const char *path = entry->fts_path + strlen(root) + 1;
		bool in_both;

		if (entry->fts_level == 0 || entry->fts_info == FTS_DP)
			continue;
		in_both = is_there(is_after ? before : after, path);
		if (!in_both)
			add(changes, explore_digest_of(is_after ? SALT_NEW : SALT_GONE, number_of(path)));
		/* What is in both was compared when the tree before was visited. */
		if (!is_after || !in_both)
			error = compare_path(before, after, path, changes);
	}
	fts_close(tree);
	return error;
}

int explore_changes_find(const struct explore_state *state, const char *directory,
			 struct explore_digest *changes)
{
	CLEANUP_FREE char *copy = NULL;
	struct message ignored;
	int error;

	*changes = (struct explore_digest){ 0, 0 };
	if (asprintf(&copy, "%s.before", directory) < 0) {
		copy = NULL;
		return -ENOMEM;
	}
	remove_tree(copy);
	error = mkdir(copy, 0700) < 0 ? -errno : explore_state_save(state, copy, &ignored);
	if (!error) {
		CLEANUP_FD int before = open(copy, O_PATH | O_DIRECTORY | O_CLOEXEC);
		CLEANUP_FD int after = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);

		error = before < 0 || after < 0 ? -errno :
						  compare_attributes(before, after, ".", changes);
		if (!error)
			error = visit(copy, false, before, after, changes);
		if (!error)
			error = visit(directory, true, before, after, changes);
	}
	remove_tree(copy);
	return error;
}
