/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a power failure does to open files and mappings.
 *
 *   powercut effects DIR PROGRAM    each effect once
 *   powercut storm DIR PROGRAM N    N failures under load; must come to an end
 *
 * PROGRAM is run as `PROGRAM powerfail --policy P [--seed N]`.
 */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "powerfail.h"
#include "tap.h"

#define PAGE 4096
#define STORM_PAGES 64

unsigned tap_run, tap_failed;

static const char *program;
static _Thread_local sigjmp_buf fault;

static void on_bus_error(int number)
{
	siglongjmp(fault, 1);
}

struct open_file {
	int fd;
	char *map;
};

static struct open_file begin(const char *name, const char *text, bool synced)
{
	struct open_file file = { .fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644) };

	if (pwrite(file.fd, text, strlen(text), 0) < 0 || (synced && fsync(file.fd)))
		file.fd = -1;
	file.map = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file.fd, 0);
	return file;
}

static void end(struct open_file *file)
{
	munmap(file->map, 4 * PAGE);
	close(file->fd);
}

static bool load_faults(const volatile char *byte)
{
	if (sigsetjmp(fault, 1))
		return true;
	(void)*byte;
	return false;
}

static bool store_faults(volatile char *byte)
{
	if (sigsetjmp(fault, 1))
		return true;
	*byte = 'x';
	return false;
}

static bool is_dead(struct open_file *file)
{
	char byte = 0;

	return pread(file->fd, &byte, 1, 0) < 0 && errno == EIO && pwrite(file->fd, "x", 1, 0) < 0 &&
	       errno == EIO && fsync(file->fd) < 0 && errno == EIO && ftruncate(file->fd, 0) < 0 &&
	       errno == EIO && fallocate(file->fd, 0, 0, PAGE) < 0 && errno == EIO &&
	       load_faults(file->map) && store_faults(file->map);
}

static bool holds(const char *name, const char *text)
{
	char bytes[64] = "";
	struct stat st;
	int fd;

	/* Read the size first, without an open: what the kernel cached of the file must be gone too. */
	if (stat(name, &st) || st.st_size != (off_t)strlen(text))
		return false;
	fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, bytes, sizeof(bytes)) != st.st_size)
		return false;
	close(fd);
	return !memcmp(bytes, text, strlen(text));
}

static void check_lose(void)
{
	struct open_file synced = begin("synced", "durable", true);
	struct open_file written = begin("written", "durable", true);
	struct open_file stored = begin("stored", "durable", true);
	struct open_file msynced = begin("msynced", "durable", true);
	struct open_file never = begin("never", "volatile", false);

	OK(pwrite(written.fd, "VOLATILE and longer", 19, 0) == 19,
	   "lose: a synced file is overwritten and grown without a sync");
	memcpy(stored.map, "VOLATIL", 7);
	memcpy(msynced.map, "MSYNCED", 7);
	OK(!msync(msynced.map, PAGE, MS_SYNC), "msync(2) of a store succeeds");
	OK(!mkdir("directory", 0755) && !rename("synced", "directory/renamed"),
	   "a directory is made and a synced file moved into it");
	OK(!powerfail(program, "lose", 1), "softpmem powerfail --policy lose succeeds");
	OK(is_dead(&synced) && is_dead(&written) && is_dead(&stored) && is_dead(&msynced) && is_dead(&never),
	   "after a power failure handles fail with EIO and mappings with SIGBUS");
	OK(holds("directory/renamed", "durable"), "lose: synced bytes are in the file under its new name");
	OK(holds("written", "durable"),
	   "lose: bytes and size of a file that was only written are as last synced");
	OK(holds("stored", "durable"), "lose: a store through a mapping without msync is gone");
	OK(holds("msynced", "MSYNCED"), "lose: a store with msync is there");
	OK(holds("never", ""), "lose: a file that was never synced is empty");
	OK(is_dead(&stored) && load_faults(stored.map),
	   "a dead mapping stays dead when the file is opened and read again");
	end(&synced);
	end(&written);
	end(&stored);
	end(&msynced);
	end(&never);
}

static void check_keep(void)
{
	struct open_file written = begin("written", "durable", true);
	struct open_file stored = begin("stored", "durable", true);

	OK(pwrite(written.fd, "VOLATILE and longer", 19, 0) == 19,
	   "keep: a synced file is overwritten and grown without a sync");
	memcpy(stored.map, "VOLATIL", 7);
	OK(!powerfail(program, "keep", 1), "softpmem powerfail --policy keep succeeds");
	OK(is_dead(&written) && is_dead(&stored), "keep: handles and mappings are dead too");
	OK(holds("written", "VOLATILE and longer"), "keep: unsynced bytes and size are there");
	OK(holds("stored", "VOLATIL"), "keep: a store through a mapping without msync is there");
	end(&written);
	end(&stored);
}

static void check_unlinked(void)
{
	struct open_file file = begin("gone", "durable", true);

	OK(!unlink("gone") && !powerfail(program, "lose", 1) && is_dead(&file),
	   "a file unlinked while open is dead after a power failure");
	end(&file);
	OK(access("gone", F_OK) < 0 && errno == ENOENT,
	   "a file unlinked while open is gone after a power failure");
}

static int effects(void)
{
	check_lose();
	check_keep();
	check_unlinked();
	return tap_done();
}

static atomic_bool enough;
static atomic_ulong rounds;

static void *storm_store(void *context)
{
	const char *name = context;
	unsigned i;
	int fd;
	char *map;

	while (!atomic_load(&enough)) {
		fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
		if (fd < 0)
			continue;
		if (ftruncate(fd, STORM_PAGES * PAGE)) {
			close(fd);
			continue;
		}
		map = mmap(NULL, STORM_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (map != MAP_FAILED && !sigsetjmp(fault, 1)) {
			for (i = 0; !atomic_load(&enough); i++) {
				((volatile char *)map)[(i * 7919) % (STORM_PAGES * PAGE)] = (char)i;
				if (i % 5000 == 0)
					msync(map, STORM_PAGES * PAGE, MS_SYNC);
			}
		}
		atomic_fetch_add(&rounds, 1);
		if (map != MAP_FAILED)
			munmap(map, STORM_PAGES * PAGE);
		close(fd);
	}
	return NULL;
}

static void *storm_write(void *context)
{
	const char *name = context;
	char bytes[3 * PAGE];
	int fd, i;

	memset(bytes, 'w', sizeof(bytes));
	while (!atomic_load(&enough)) {
		fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
		for (i = 0; fd >= 0 && !atomic_load(&enough); i++)
			if (pwrite(fd, bytes, sizeof(bytes), i % 50 * 1000) < 0 ||
			    (i % 7 == 0 && fsync(fd)) || pread(fd, bytes, sizeof(bytes), i % 30 * 1000) < 0)
				break;
		atomic_fetch_add(&rounds, 1);
		if (fd >= 0)
			close(fd);
	}
	return NULL;
}

/* May truncate(2) fail so? The kernel looks a name up again only once: a second power failure is ESTALE. */
static bool is_of_power_failures(int error)
{
	return error == EIO || error == ENOENT || error == ESTALE;
}

/* By path, without handles. Such calls wait until the outage is over. */
static void *storm_names(void *context)
{
	struct stat st;
	int i;

	for (i = 0; !atomic_load(&enough); i++) {
		stat("stored.0", &st);
		if (truncate("stored.0", (i % STORM_PAGES + 1) * PAGE) && !is_of_power_failures(errno)) {
			fprintf(stderr, "truncate: %s\n", strerror(errno));
			return "truncate";
		}
		chmod("stored.1", 0600 | (i & 077));
		close(open("made", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
		rename("made", "moved");
		unlink("moved");
		atomic_fetch_add(&rounds, 1);
	}
	return NULL;
}

static int storm(int failures)
{
	static const char *const policies[] = { "lose", "keep", "random" };
	static const struct {
		void *(*run)(void *);
		const char *name;
	} loads[] = { { storm_store, "stored.0" },
		      { storm_store, "stored.1" },
		      { storm_write, "written.0" },
		      { storm_write, "stored.1" },
		      { storm_names, "" } };
	pthread_t threads[sizeof(loads) / sizeof(loads[0])];
	unsigned long before;
	void *complaint;
	bool good = true, moved = true;
	size_t i;
	int n;

	for (i = 0; i < sizeof(loads) / sizeof(loads[0]); i++)
		pthread_create(&threads[i], NULL, loads[i].run, (void *)loads[i].name);
	for (n = 0; n < failures && good; n++) {
		before = atomic_load(&rounds);
		usleep((useconds_t)(n * 7919 % 20000));
		good = !powerfail(program, policies[n % 3], (unsigned long)n);
		/* A thread whose file is dead opens it again. If no thread does, the alarm ends the test. */
		while (good && atomic_load(&rounds) == before)
			usleep(1000);
	}
	OK(good, "every power failure under load ends");
	atomic_store(&enough, true);
	for (i = 0; i < sizeof(loads) / sizeof(loads[0]); i++) {
		pthread_join(threads[i], &complaint);
		moved = moved && !complaint;
	}
	OK(moved, "every thread under power failures ends without a wrong error");
	return tap_done();
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_bus_error };

	if (argc < 4 || chdir(argv[2])) {
		fprintf(stderr, "usage: powercut effects|storm DIR PROGRAM [N]\n");
		return 2;
	}
	program = argv[3];
	sigaction(SIGBUS, &action, NULL);
	/* Turns a deadlock into a failure. */
	alarm(240);
	if (!strcmp(argv[1], "effects"))
		return effects();
	return storm(argc > 4 ? atoi(argv[4]) : 30);
}
