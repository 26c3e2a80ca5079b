/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <unistd.h>

#include "fileops.h"

static bool moved(const struct timespec *from, const struct timespec *to)
{
	return to->tv_sec > from->tv_sec || (to->tv_sec == from->tv_sec && to->tv_nsec > from->tv_nsec);
}

static void check_times(void)
{
	struct timespec times[2] = { { .tv_sec = 1000000000, .tv_nsec = 123456789 },
				     { .tv_sec = -5, .tv_nsec = 7 } };
	struct timespec keep[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_nsec = UTIME_NOW } };
	struct stat before, after;
	int fd;

	OK(!put("t", "t") && !stat("t", &before) && before.st_ctim.tv_sec > 0, "a new file has times");
	OK(!utimensat(AT_FDCWD, "t", times, 0) && !stat("t", &after), "utimensat(2) succeeds");
	OK(after.st_atim.tv_sec == 1000000000 && after.st_atim.tv_nsec == 123456789,
	   "utimensat sets the atime to the nanosecond");
	OK(after.st_mtim.tv_sec == -5 && after.st_mtim.tv_nsec == 7, "utimensat sets an mtime before 1970");
	OK(moved(&before.st_ctim, &after.st_ctim), "utimensat moves the ctime");
	OK(!utimensat(AT_FDCWD, "t", keep, 0) && !stat("t", &after) && after.st_atim.tv_sec == 1000000000 &&
		   moved(&before.st_mtim, &after.st_mtim),
	   "UTIME_OMIT keeps the atime and UTIME_NOW moves the mtime");
	before = after;
	fd = open("t", O_RDWR | O_CLOEXEC);
	OK(write(fd, "x", 1) == 1 && !fstat(fd, &after) && moved(&before.st_mtim, &after.st_mtim) &&
		   moved(&before.st_ctim, &after.st_ctim),
	   "write(2) moves mtime and ctime");
	before = after;
	OK(!ftruncate(fd, 9) && !fstat(fd, &after) && moved(&before.st_mtim, &after.st_mtim),
	   "ftruncate(2) moves the mtime");
	before = after;
	OK(!fchmod(fd, 0640) && !fstat(fd, &after) && moved(&before.st_ctim, &after.st_ctim) &&
		   !moved(&before.st_mtim, &after.st_mtim),
	   "chmod moves the ctime and not the mtime");
	close(fd);
	OK(!stat(".", &before) && !put("new", "") && !stat(".", &after) &&
		   moved(&before.st_mtim, &after.st_mtim),
	   "a new name moves its directory's mtime");
	before = after;
	OK(!unlink("new") && !stat(".", &after) && moved(&before.st_mtim, &after.st_mtim),
	   "a removed name moves its directory's mtime");
}

/* Linux asks a FUSE file system for the time of birth since 6.6. */
static void check_birth(void)
{
	struct statx at_first = { 0 }, later = { 0 };
	struct stat directory;
	bool known;

	OK(!put("born", "b") && !statx(AT_FDCWD, "born", 0, STATX_BASIC_STATS | STATX_BTIME, &at_first),
	   "statx(2) succeeds");
	known = at_first.stx_mask & STATX_BTIME;
	if (!known && !linux_is_at_least(6, 6)) {
		tap_run++;
		printf("ok %u - statx(2) shows the time of birth # SKIP Linux is older than 6.6\n", tap_run);
		return;
	}
	OK(known && at_first.stx_btime.tv_sec > 1600000000 && at_first.stx_size == 1 &&
		   at_first.stx_btime.tv_sec <= at_first.stx_mtime.tv_sec,
	   "statx(2) shows the time of birth of a file, which is not after its mtime");
	OK(!put("born", "later") && !chmod("born", 0600) &&
		   !statx(AT_FDCWD, "born", 0, STATX_BASIC_STATS | STATX_BTIME, &later) &&
		   later.stx_btime.tv_sec == at_first.stx_btime.tv_sec &&
		   later.stx_btime.tv_nsec == at_first.stx_btime.tv_nsec && later.stx_size == 5 &&
		   (later.stx_mode & 07777) == 0600,
	   "the time of birth stays when a file is written and its mode is set");
	OK(!statx(AT_FDCWD, ".", 0, STATX_BASIC_STATS | STATX_BTIME, &later) && !stat(".", &directory) &&
		   (later.stx_mask & STATX_BTIME) && later.stx_ino == directory.st_ino &&
		   S_ISDIR(later.stx_mode),
	   "statx(2) shows the time of birth of a directory");
}

void check_attributes(void)
{
	struct stat st;
	int fd;

	fd = open("m", O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	OK(fd >= 0 && !fstat(fd, &st) && (st.st_mode & 07777) == 0644,
	   "a new file has its mode without the bits of the umask");
	OK(st.st_uid == geteuid() && st.st_gid == getegid() && st.st_nlink == 1 && st.st_size == 0,
	   "a new file is its creator's, empty and has one link");
	OK(!fchmod(fd, 04751) && !fstat(fd, &st) && (st.st_mode & 07777) == 04751,
	   "fchmod sets permissions and the set-user-ID bit");
	close(fd);
	OK(!mkdir("d", 0777) && !stat("d", &st) && S_ISDIR(st.st_mode) && (st.st_mode & 07777) == 0755 &&
		   st.st_nlink == 2,
	   "a new directory has its mode and two links");
	check_times();
	check_birth();
}

static int write_as_other(void)
{
	int fd = open("suid", O_WRONLY | O_CLOEXEC);

	return fd < 0 || write(fd, "y", 1) != 1;
}

static int truncate_as_other(void)
{
	return truncate("suid", 1) != 0;
}

static int open_trunc_as_other(void)
{
	return open("suid", O_WRONLY | O_TRUNC | O_CLOEXEC) < 0;
}

static int fallocate_as_other(void)
{
	int fd = open("suid", O_WRONLY | O_CLOEXEC);

	return fd < 0 || fallocate(fd, 0, 0, 100);
}

static int punch_as_other(void)
{
	int fd = open("suid", O_WRONLY | O_CLOEXEC);

	return fd < 0 || fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 10);
}

static int zero_as_other(void)
{
	int fd = open("suid", O_WRONLY | O_CLOEXEC);

	return fd < 0 || fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, 10);
}

static int write_directly_as_other(void)
{
	static char page[4096] __attribute__((aligned(4096)));
	int fd = open("suid", O_WRONLY | O_DIRECT | O_CLOEXEC);

	return fd < 0 || write(fd, page, sizeof(page)) != sizeof(page);
}

static int read_private(void)
{
	return open("private", O_RDONLY | O_CLOEXEC) >= 0 || errno != EACCES;
}

static int make_in_private(void)
{
	return open("closed/x", O_WRONLY | O_CREAT | O_CLOEXEC, 0600) >= 0 || errno != EACCES;
}

static int remove_others(void)
{
	return unlink("sticky/f") == 0 || errno != EPERM;
}

static int make_own(void)
{
	return open("sticky/own", O_WRONLY | O_CREAT | O_CLOEXEC, 0600) < 0;
}

static int chown_others(void)
{
	return chown("private", 65534, 65534) == 0 || errno != EPERM;
}

static mode_t mode_of(const char *name)
{
	struct stat st;

	return stat(name, &st) ? (mode_t)-1 : st.st_mode & 07777;
}

/* The mode of a file after another user did `what` to it. */
static mode_t after(int (*what)(void), mode_t mode)
{
	return chmod("suid", mode) || as_nobody(what) ? (mode_t)-1 : mode_of("suid");
}

/* Bits that give no program another identity, but that a change by another user clears as well. */
static void check_set_group_id_without_execute(void)
{
	static const struct {
		int (*what)(void);
		const char *name;
	} changes[] = {
		{ write_as_other, "a write" },
		{ write_directly_as_other, "an O_DIRECT write" },
		{ truncate_as_other, "truncate(2)" },
		{ open_trunc_as_other, "O_TRUNC" },
		{ fallocate_as_other, "fallocate(2)" },
		{ punch_as_other, "PUNCH_HOLE" },
		{ zero_as_other, "ZERO_RANGE" },
	};
	char name[100];

	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		snprintf(name, sizeof(name), "%s by another user clears the set-ID bits of mode 06666",
			 changes[i].name);
		OK(after(changes[i].what, 06666) == 0666, name);
		snprintf(name, sizeof(name), "%s by another user clears the set-ID bits of mode 06777",
			 changes[i].name);
		OK(after(changes[i].what, 06777) == 0777, name);
	}
	OK(!chown("suid", 0, 65534) && after(write_as_other, 02666) == 02666,
	   "a write by a member of the group keeps the set-group-ID bit of mode 02666");
	OK(after(write_as_other, 02676) == 0676,
	   "a write by a member of the group clears the set-group-ID bit of mode 02676");
	OK(!chown("suid", 0, 1234) && !chmod("suid", 02666) && !as_nobody_in_group(1234, write_as_other) &&
		   mode_of("suid") == 02666,
	   "a write by a member of a supplementary group keeps the set-group-ID bit of mode 02666");
	OK(!chown("suid", 0, 0) && !chmod("suid", 06666) && !write_as_other() && mode_of("suid") == 06666,
	   "a write by root keeps the set-ID bits");
}

void check_permissions(void)
{
	struct stat st;

	if (geteuid()) {
		tap_run++;
		printf("ok %u - users cannot do what permissions deny # SKIP not root\n", tap_run);
		return;
	}
	OK(!put("private", "p") && !chmod("private", 0600) && !as_nobody(read_private),
	   "a file of mode 0600 cannot be read by another user");
	OK(!as_nobody(chown_others), "another user cannot chown a file");
	OK(!mkdir("closed", 0755) && !as_nobody(make_in_private),
	   "another user cannot create in a directory of mode 0755");
	OK(!mkdir("sticky", 0777) && !chmod("sticky", 01777) && !put("sticky/f", "") &&
		   !as_nobody(remove_others),
	   "another user cannot remove a file from a sticky directory");
	OK(!as_nobody(make_own) && !stat("sticky/own", &st) && st.st_uid == 65534 && st.st_gid == 65534,
	   "a file belongs to the user and group that created it");
	OK(!mkdir("group", 0777) && !chown("group", 0, 1234) && !chmod("group", 02777) &&
		   !put("group/f", "") && !stat("group/f", &st) && st.st_gid == 1234,
	   "a file in a set-group-ID directory has the directory's group");
	OK(!mkdir("group/d", 0755) && !stat("group/d", &st) && st.st_gid == 1234 && (st.st_mode & S_ISGID),
	   "a directory in a set-group-ID directory has its group and the bit");
	OK(!put("suid", "s") && !chmod("suid", 0666), "a file can be made writable for everyone");
	OK(after(write_as_other, 06777) == 0777, "a write by another user clears the set-ID bits");
	OK(after(truncate_as_other, 06777) == 0777, "truncate(2) by another user clears the set-ID bits");
	OK(after(open_trunc_as_other, 06777) == 0777, "O_TRUNC by another user clears the set-ID bits");
	check_set_group_id_without_execute();
	OK(!chmod("suid", 06755) && !chown("suid", 65534, 65534) && !stat("suid", &st) &&
		   (st.st_mode & 07777) == 0755,
	   "chown clears the set-ID bits");
}
