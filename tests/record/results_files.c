/* SPDX-License-Identifier: BSD-3-Clause */

/* Files, pipes and mappings. */

#include "results.h"

#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

#define PATH "/proc/self/exe"

/* A file of this process alone: "0123..." over and over. */
static int file_of_digits(void)
{
	int fd = memfd_create("results", MFD_CLOEXEC);

	for (unsigned i = 0; i < 100; i++)
		if (write(fd, "0123456789", 10) != 10)
			err(1, "write");
	lseek(fd, 0, SEEK_SET);
	return fd;
}

static long then_close(int fd, long result)
{
	close(fd);
	return result;
}

static long pread_row(unsigned char *at, bool raw)
{
	int fd = file_of_digits();

	return then_close(fd, CALL(SYS_pread64, pread, fd, at, 300UL, 5L));
}

static long readv_row(unsigned char *at, bool raw)
{
	const struct iovec parts[] = { { at, 5 }, { at + 100, 3 }, { at + 200, 100 } };
	int fd = file_of_digits();

	return then_close(fd, CALL(SYS_readv, readv, fd, parts, 3));
}

static long process_vm_readv_row(unsigned char *at, bool raw)
{
	static char digits[] = "0123456789";
	const struct iovec parts[] = { { at, 3 }, { at + 64, 20 } }, remote = { digits, 10 };

	return CALL(SYS_process_vm_readv, process_vm_readv, getpid(), parts, 2UL, &remote, 1UL, 0UL);
}

static long vmsplice_row(unsigned char *at, bool raw)
{
	const struct iovec parts[] = { { at, 3 }, { at + 64, 20 } };
	int fds[2];
	long result;

	if (pipe(fds) != 0 || write(fds[1], "0123456789", 10) != 10)
		err(1, "pipe");
	result = CALL(SYS_vmsplice, vmsplice, fds[0], parts, 2UL, 0U);
	close(fds[1]);
	return then_close(fds[0], result);
}

static long stat_row(unsigned char *at, bool raw)
{
	return CALL(SYS_stat, stat, PATH, AT(struct stat, 0));
}

static long lstat_row(unsigned char *at, bool raw)
{
	return CALL(SYS_lstat, lstat, "/", AT(struct stat, 0));
}

static long newfstatat_row(unsigned char *at, bool raw)
{
	return CALL(SYS_newfstatat, fstatat, AT_FDCWD, PATH, AT(struct stat, 0), 0);
}

static long statx_row(unsigned char *at, bool raw)
{
	return CALL(SYS_statx, statx, AT_FDCWD, PATH, 0, STATX_BASIC_STATS & ~STATX_ATIME,
		    AT(struct statx, 0));
}

static long statfs_row(unsigned char *at, bool raw)
{
	return CALL(SYS_statfs, statfs, "/proc", AT(struct statfs, 0));
}

static long fstatfs_row(unsigned char *at, bool raw)
{
	int fd = open("/proc", O_RDONLY);

	return then_close(fd, CALL(SYS_fstatfs, fstatfs, fd, AT(struct statfs, 0)));
}

static long ustat_row(unsigned char *at, bool raw)
{
	struct stat status;

	return stat("/", &status) == 0 ? BY_NUMBER(SYS_ustat, status.st_dev, at) : -errno;
}

static long readlink_row(unsigned char *at, bool raw)
{
	return CALL(SYS_readlink, readlink, PATH, (char *)at, 100UL);
}

static long readlinkat_row(unsigned char *at, bool raw)
{
	return CALL(SYS_readlinkat, readlinkat, AT_FDCWD, PATH, (char *)at, 8UL);
}

static long getcwd_row(unsigned char *at, bool raw)
{
	if (raw)
		return call(SYS_getcwd, at, 4096UL) < 0 ? -errno : 0;
	return getcwd((char *)at, 4096) ? 0 : -errno;
}

/* Offsets in directories of /sys are small numbers, and the same each time. */
static long getdents64_row(unsigned char *at, bool raw)
{
	int fd = open("/", O_RDONLY | O_DIRECTORY);

	return then_close(fd, CALL(SYS_getdents64, getdents64, fd, at, 8192UL));
}

static long getdirentries_row(unsigned char *at, bool raw)
{
	int fd = open("/", O_RDONLY | O_DIRECTORY);

	return then_close(fd, raw ? call(SYS_getdents, fd, at, 8192UL) :
				    or_errno(getdirentries(fd, (char *)at, 8192, AT(off_t, 8192))));
}

/* Of a file that has one, or of which it says that it can have none. */
static int file_with_attribute(void)
{
	int fd = open(".", O_RDWR | O_TMPFILE, 0600);

	if (fd >= 0)
		fsetxattr(fd, "user.result", "an attribute", 12, 0);
	return fd;
}

static long getxattr_row(unsigned char *at, bool raw)
{
	int fd = file_with_attribute();

	return then_close(fd, CALL(SYS_fgetxattr, fgetxattr, fd, "user.result", at, 100UL));
}

static long listxattr_row(unsigned char *at, bool raw)
{
	int fd = file_with_attribute();

	return then_close(fd, CALL(SYS_flistxattr, flistxattr, fd, (char *)at, 100UL));
}

/* Without room for the handle: the kernel says how much it takes. */
static long name_to_handle_at_row(unsigned char *at, bool raw)
{
	long result = CALL(SYS_name_to_handle_at, name_to_handle_at, AT_FDCWD, "/", AT(struct file_handle, 0),
			   AT(int, 256), 0);

	if (result != -EOVERFLOW)
		return result;
	return CALL(SYS_name_to_handle_at, name_to_handle_at, AT_FDCWD, "/", AT(struct file_handle, 0),
		    AT(int, 256), 0);
}

static long mincore_row(unsigned char *at, bool raw)
{
	static _Alignas(4096) unsigned char pages[5 * 4096];

	memset(pages, 1, sizeof(pages));
	return CALL(SYS_mincore, mincore, pages, sizeof(pages) - 100, at);
}

static long fcntl_row(unsigned char *at, bool raw)
{
	struct flock *lock = AT(struct flock, 0);
	int fd = file_of_digits();

	*lock = (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_CUR, .l_len = 5 };
	return then_close(fd, CALL(SYS_fcntl, fcntl, fd, F_GETLK, lock));
}

static long fcntl_owner_row(unsigned char *at, bool raw)
{
	int fd = file_of_digits();

	fcntl(fd, F_SETOWN, getpid());
	return then_close(fd, CALL(SYS_fcntl, fcntl, fd, F_GETOWN_EX, AT(struct f_owner_ex, 0)));
}

/* What the kernel only reads: flags of a lock. */
static long fcntl_set_row(unsigned char *at, bool raw)
{
	struct flock *lock = AT(struct flock, 0);
	int fd = file_of_digits();

	*lock = (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_SET };
	return then_close(fd, CALL(SYS_fcntl, fcntl, fd, F_SETLK, lock));
}

static long sendfile_row(unsigned char *at, bool raw)
{
	int fd = file_of_digits(), fds[2];
	long result;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0)
		err(1, "socketpair");
	*AT(off_t, 0) = 10;
	result = CALL(SYS_sendfile, sendfile, fds[0], fd, AT(off_t, 0), 50UL);
	close(fds[0]);
	close(fds[1]);
	return then_close(fd, result);
}

static long copy_file_range_row(unsigned char *at, bool raw)
{
	int from = file_of_digits(), to = file_of_digits();
	long result;

	*AT(off64_t, 0) = 10;
	*AT(off64_t, 8) = 20;
	result = CALL(SYS_copy_file_range, copy_file_range, from, AT(off64_t, 0), to, AT(off64_t, 8), 50UL,
		      0U);
	close(to);
	return then_close(from, result);
}

static long pipe_row(unsigned char *at, bool raw)
{
	long result = CALL(SYS_pipe2, pipe2, AT(int, 0), O_CLOEXEC);

	if (result == 0) {
		close(AT(int, 0)[0]);
		close(AT(int, 0)[1]);
	}
	return result;
}

static long ttyname_row(unsigned char *at, bool raw)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY), slave = -1;
	long result = 0;

	(void)raw;
	if (master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0)
		slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY);
	if (slave >= 0)
		result = -ttyname_r(slave, (char *)at, 100);
	close(slave);
	return then_close(master, result);
}

static long getrandom_row(unsigned char *at, bool raw)
{
	return CALL(SYS_getrandom, getrandom, at, 200UL, 0U);
}

static long arc4random_row(unsigned char *at, bool raw)
{
	if (raw)
		return call(SYS_getrandom, at, 300UL, 0U);
	arc4random_buf(at, 300);
	return 300;
}

const struct result_row file_rows[] = {
	{ "pread", pread_row, false },
	{ "readv", readv_row, false },
	{ "process_vm_readv", process_vm_readv_row, false },
	{ "vmsplice from a pipe", vmsplice_row, false },
	{ "stat", stat_row, false },
	{ "lstat", lstat_row, false },
	{ "fstatat", newfstatat_row, false },
	{ "statx", statx_row, false },
	{ "statfs", statfs_row, false },
	{ "fstatfs", fstatfs_row, false },
	{ "ustat", ustat_row, true },
	{ "readlink", readlink_row, false },
	{ "readlinkat", readlinkat_row, false },
	{ "getcwd", getcwd_row, false },
	{ "getdents64", getdents64_row, false },
	{ "getdirentries", getdirentries_row, false },
	{ "fgetxattr", getxattr_row, false },
	{ "flistxattr", listxattr_row, false },
	{ "name_to_handle_at", name_to_handle_at_row, false },
	{ "mincore", mincore_row, false },
	{ "fcntl of a lock", fcntl_row, false },
	{ "fcntl of an owner", fcntl_owner_row, false },
	{ "fcntl that sets a lock", fcntl_set_row, false },
	{ "sendfile", sendfile_row, false },
	{ "copy_file_range", copy_file_range_row, false },
	{ "pipe2", pipe_row, false },
	{ "ttyname_r", ttyname_row, false },
	{ "getrandom", getrandom_row, true },
	{ "arc4random_buf", arc4random_row, true },
};
const size_t file_row_count = COUNT(file_rows);
