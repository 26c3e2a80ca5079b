/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A malicious client of a daemon without a mount.
 *
 *	unmounted POOL	the path that `softpmem path` prints
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attaching.h"
#include "tap.h"

unsigned tap_run, tap_failed;

static int greeted(void)
{
	int connection = attach_connect(NULL);
	struct attach_reply reply;

	if (connection < 0 || attach_ask(connection, ATTACH_HELLO, -1, &reply, NULL)) {
		printf("Bail out! greeting: %s\n", strerror(errno));
		exit(1);
	}
	return connection;
}

/* Does the daemon answer with this error, and does the connection continue? Closes the descriptor. */
static bool answers(unsigned type, int fd, int error)
{
	int connection = greeted();
	struct attach_reply reply;
	bool good = fd >= 0 && attach_ask(connection, type, fd, &reply, NULL) == error &&
		    attach_ask(connection, ATTACH_HELLO, -1, &reply, NULL) == 0;

	close(connection);
	close(fd);
	return good;
}

static int memory(const char *name)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	return fd >= 0 && ftruncate(fd, 1 << 20) == 0 ? fd : -1;
}

static int queue(int connection)
{
	struct attach_reply reply;
	int fd = -1;

	return attach_ask(connection, ATTACH_WPQ, -1, &reply, &fd) == 0 ? fd : -1;
}

static void check_descriptors(const char *pool)
{
	int connection = greeted(), elsewhere = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct attach_reply reply;

	OK(answers(ATTACH_POOL, memory("something"), -EIO), "a memfd of the client is refused as a pool");
	OK(answers(ATTACH_POOL, memory("softpmem-view"), -EIO),
	   "a memfd of the client with the name of a view is refused as a pool");
	OK(answers(ATTACH_SYNC, memory("softpmem-view"), -EIO), "a memfd of the client cannot be synced");
	OK(answers(ATTACH_POOL, queue(connection), -EIO), "the memory of a WPQ is refused as a pool");
	OK(attach_ask(connection, ATTACH_POOL, elsewhere, &reply, NULL) == -EXDEV,
	   "a file of another file system is refused as a pool");
	OK(answers(ATTACH_POOL, open(pool, O_RDONLY | O_CLOEXEC), -EACCES),
	   "a read-only descriptor of a pool is refused");
	OK(answers(ATTACH_POOL, open(pool, O_WRONLY | O_CLOEXEC), -EACCES),
	   "a write-only descriptor of a pool is refused");
	OK(answers(ATTACH_POOL, open(pool, O_PATH | O_CLOEXEC), -EACCES),
	   "a descriptor with O_PATH is refused");
	OK(answers(ATTACH_SYNC, open(pool, O_PATH | O_CLOEXEC), -EBADF),
	   "a descriptor with O_PATH cannot be synced");
	OK(answers(ATTACH_SYNC, open(pool, O_RDONLY | O_CLOEXEC), 0),
	   "a read-only descriptor of a pool can be synced");
	OK(answers(ATTACH_POOL, open(pool, O_RDWR | O_CLOEXEC), 0),
	   "a descriptor for reading and writing is accepted");
	close(elsewhere);
	close(connection);
}

static void check_memory(const char *pool)
{
	int fd = open(pool, O_RDWR | O_CLOEXEC);
	struct stat stat;

	OK(fstat(fd, &stat) == 0 && ftruncate(fd, 0) < 0 && errno == EPERM, "a view cannot be shrunk");
	OK(ftruncate(fd, stat.st_size + 1) < 0 && errno == EPERM, "a view cannot be grown");
	OK(fallocate(fd, FALLOC_FL_KEEP_SIZE, stat.st_size, 4096) < 0, "a view cannot be given more memory");
	OK(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE) < 0 && errno == EPERM, "a view cannot be sealed");
	close(fd);
}

static void check_counters(const char *pool)
{
	struct wpq_producer producer;
	struct wpq_record *record;
	struct mapping mapping;
	struct wpq_combining *combining;

	OK(mapping_open(&mapping, pool) == 0 && mapping_wpq(&mapping, &producer) == 0,
	   "a client with false counters attaches");
	combining = &producer.header->combining;
	record = wpq_reserve(&producer, WPQ_FENCED, 1);
	mapping_flush(&mapping, &producer, mapping.bytes, 8);
	record->flags = ~(uint32_t)WPQ_COUNTED;
	wpq_fence(&producer);
	/* Claim flushes of slots, for every view. */
	for (uint32_t i = 0; i < WPQ_SLOT_VIEWS; i++) {
		combining->counts[i].view = i;
		atomic_store(&combining->counts[i].flushes, 1000 + i);
		atomic_store(&combining->counts[i].fences, UINT64_MAX);
	}
	atomic_store(&combining->counted, WPQ_SLOT_VIEWS);
	atomic_store(&combining->fenced, UINT64_MAX);
	atomic_store(&producer.header->lanes[WPQ_FENCED].idle_fences, UINT64_MAX);
	atomic_store(&producer.header->lanes[WPQ_FENCED].pending, UINT64_MAX);
	atomic_store(&producer.header->lanes[WPQ_DIRECT].pending, UINT64_MAX);
	printf("# lies told\n");
	fflush(stdout);
	/* Wait until the test script has read the counters. */
	getchar();
	OK(attach_ask(mapping.connection, ATTACH_DRAIN, -1, &(struct attach_reply){ 0 }, NULL) == 0,
	   "a client with false counters is served");
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: unmounted POOL\n");
		return 2;
	}
	alarm(240);
	check_descriptors(argv[1]);
	check_memory(argv[1]);
	check_counters(argv[1]);
	return tap_done();
}
