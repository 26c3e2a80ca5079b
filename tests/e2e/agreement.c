/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One truth: what a client stores through its mapping and what others see and
 * write on the mount are the same bytes.
 *
 *   agreement DIR PROGRAM
 *
 * PROGRAM is run as `PROGRAM powerfail --policy P`. The client is another
 * process, which does what it is told through a pipe.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "attaching.h"
#include "common/align.h"
#include "powerfail.h"
#include "tap.h"

#define SIZE (64u << 10)

unsigned tap_run, tap_failed;

enum order { STORE, PERSIST, LOAD };
struct command {
	enum order order;
	unsigned line;
	uint64_t value;
};

struct puppet {
	pid_t pid;
	int to, from;
};

static bool no_room(void *context, struct wpq_header *header)
{
	return false;
}

static uint64_t obey(struct mapping *mapping, struct wpq_producer *producer, const struct command *command)
{
	_Atomic uint64_t *at = (_Atomic uint64_t *)(mapping->bytes + (size_t)command->line * LINE_SIZE);
	struct attach_reply reply;

	switch (command->order) {
	case STORE:
		*at = command->value;
		return 0;
	case PERSIST:
		mapping_flush(mapping, producer, at, 8);
		wpq_fence(producer);
		return (uint64_t)attach_ask(mapping->connection, ATTACH_DRAIN, -1, &reply, NULL);
	case LOAD:
		return *at;
	}
	return UINT64_MAX;
}

static void __attribute__((noreturn)) dance(const char *name, int from, int to)
{
	struct wpq_producer producer;
	struct mapping mapping;
	struct command command;
	int error = mapping_open(&mapping, name);

	if (!error)
		error = mapping_wpq(&mapping, &producer);
	if (error)
		_exit(1);
	producer.full = no_room;
	(void)!write(to, &(uint64_t){ 0 }, sizeof(uint64_t));
	while (read(from, &command, sizeof(command)) == sizeof(command)) {
		uint64_t answer = obey(&mapping, &producer, &command);

		(void)!write(to, &answer, sizeof(answer));
	}
	_exit(0);
}

static struct puppet begin(const char *name)
{
	struct puppet puppet;
	int there[2], back[2];
	uint64_t ready;

	if (pipe2(there, O_CLOEXEC) || pipe2(back, O_CLOEXEC))
		exit(1);
	puppet = (struct puppet){ .pid = fork(), .to = there[1], .from = back[0] };
	if (puppet.pid == 0) {
		close(there[1]);
		close(back[0]);
		dance(name, there[0], back[1]);
	}
	close(there[0]);
	close(back[1]);
	if (puppet.pid < 0 || read(puppet.from, &ready, sizeof(ready)) != sizeof(ready)) {
		puts("Bail out! the client does not attach");
		exit(1);
	}
	return puppet;
}

static uint64_t tell(const struct puppet *puppet, enum order order, unsigned line, uint64_t value)
{
	const struct command command = { .order = order, .line = line, .value = value };
	uint64_t answer = UINT64_MAX;

	if (write(puppet->to, &command, sizeof(command)) != sizeof(command) ||
	    read(puppet->from, &answer, sizeof(answer)) != sizeof(answer))
		return UINT64_MAX;
	return answer;
}

static void end(struct puppet *puppet)
{
	close(puppet->to);
	close(puppet->from);
	waitpid(puppet->pid, NULL, 0);
}

static uint64_t read_line(int fd, unsigned line)
{
	uint64_t value = UINT64_MAX;

	if (pread(fd, &value, sizeof(value), (off_t)line * LINE_SIZE) != sizeof(value))
		perror("pread");
	return value;
}

static bool write_line(int fd, unsigned line, uint64_t value)
{
	return pwrite(fd, &value, sizeof(value), (off_t)line * LINE_SIZE) == sizeof(value);
}

static uint64_t load_line(const unsigned char *map, unsigned line)
{
	return *(const _Atomic uint64_t *)(map + (size_t)line * LINE_SIZE);
}

static int make_pool(const char *name)
{
	static const char zeros[SIZE];
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0 || pwrite(fd, zeros, SIZE, 0) != (ssize_t)SIZE || fsync(fd)) {
		printf("Bail out! %s: %s\n", name, strerror(errno));
		exit(1);
	}
	return fd;
}

/* What is told to the kernel arrives soon, and not at once. */
static bool comes_true(int fd, const unsigned char *map, unsigned line, uint64_t value)
{
	for (int i = 0; i < 1000; i++) {
		if (read_line(fd, line) == value && load_line(map, line) == value)
			return true;
		usleep(10000);
	}
	return false;
}

/* A file that was open, read and mapped before the client came. */
static void check_older_handle(void)
{
	int fd = make_pool("older");
	unsigned char *map = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
	struct puppet client;

	OK(load_line(map, 1) == 0 && read_line(fd, 2) == 0, "the kernel has the file in its cache");
	client = begin("older");
	OK(load_line(map, 1) == 0 && tell(&client, STORE, 1, 11) == 0 && load_line(map, 1) == 0,
	   "negative control: a store that was not drained is not in what the kernel caches");
	OK(tell(&client, PERSIST, 1, 0) == 0 && comes_true(fd, map, 1, 11),
	   "once it was, read(2) and mmap(2) of before the client came show it");
	OK(write_line(fd, 2, 22) && tell(&client, LOAD, 2, 0) == 22,
	   "what is written there the client loads");
	OK(tell(&client, LOAD, 1, 0) == 11, "and its own store is as it was");
	munmap(map, SIZE);
	close(fd);
	end(&client);
}

static bool store_and_sync(unsigned char *map, unsigned line, unsigned word, uint64_t value)
{
	((_Atomic uint64_t *)(map + (size_t)line * LINE_SIZE))[word] = value;
	return msync(map, SIZE, MS_SYNC) == 0;
}

/*
 * A page that the kernel writes back for one line of it, while its other lines
 * are older than what the client stored since.
 */
static void check_write_back(int fd, const struct puppet *puppet)
{
	unsigned char *map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	const struct puppet client = *puppet;

	if (map == MAP_FAILED && errno == ENODEV) {
		puts("# a kernel before 6.6: no shared mappings while a pool is attached");
		return;
	}
	OK(load_line(map, 5) == 0 && tell(&client, STORE, 5, 55) == 0 && load_line(map, 5) == 0,
	   "the kernel's page is older than the pool");
	OK(store_and_sync(map, 6, 0, 66) && tell(&client, LOAD, 6, 0) == 66,
	   "mmap(2) and msync(2) reach the client");
	OK(tell(&client, LOAD, 5, 0) == 55, "and put nothing old over what it stored");
	OK(tell(&client, STORE, 7, 77) == 0 && store_and_sync(map, 7, 1, 1) &&
		   tell(&client, LOAD, 7, 0) == 77,
	   "not within a line either");
	OK(tell(&client, STORE, 6, 67) == 0 && store_and_sync(map, 8, 0, 88) &&
		   tell(&client, LOAD, 6, 0) == 67 && tell(&client, LOAD, 8, 0) == 88,
	   "what was written back once is not written back again");
	OK(write_line(fd, 9, 99) && tell(&client, STORE, 9, 100) == 0 && store_and_sync(map, 8, 0, 89) &&
		   tell(&client, LOAD, 9, 0) == 100,
	   "nor is what was written with write(2)");
	OK(tell(&client, PERSIST, 9, 0) == 0 && comes_true(fd, map, 9, 100), "in the end both see the same");
	munmap(map, SIZE);
}

static void check_mappings(void)
{
	int older = make_pool("mapped"), newer;
	struct puppet client = begin("mapped");

	puts("# through a handle of before the client came");
	check_write_back(older, &client);
	close(older);
	end(&client);
	close(make_pool("mapped"));
	client = begin("mapped");
	newer = open("mapped", O_RDWR | O_CLOEXEC);
	puts("# through one of while it is there");
	check_write_back(newer, &client);
	close(newer);
	end(&client);
}

/* One that is opened while the client is there. */
static void check_newer_handle(void)
{
	struct puppet client;
	unsigned char *map;
	int fd;

	close(make_pool("newer"));
	client = begin("newer");
	fd = open("newer", O_RDWR | O_CLOEXEC);
	OK(read_line(fd, 1) == 0 && tell(&client, STORE, 1, 11) == 0 && read_line(fd, 1) == 11,
	   "read(2) shows a store at once, flushed or not");
	map = mmap(NULL, SIZE, PROT_READ, MAP_PRIVATE, fd, 0);
	OK(map != MAP_FAILED && load_line(map, 1) == 11, "so does a mapping made now");
	OK(tell(&client, STORE, 1, 12) == 0 && tell(&client, PERSIST, 1, 0) == 0 &&
		   comes_true(fd, map, 1, 12),
	   "and later stores, once they are drained");
	OK(write_line(fd, 2, 22) && tell(&client, LOAD, 2, 0) == 22,
	   "what is written the client loads at once");
	OK(write_line(fd, 1, 23) && tell(&client, LOAD, 1, 0) == 23, "over its own stores too");
	munmap(map, SIZE);
	close(fd);
	end(&client);
}

static void check_sync(const char *program)
{
	struct puppet client;
	int fd;

	close(make_pool("synced"));
	close(make_pool("unsynced"));
	client = begin("synced");
	fd = open("synced", O_RDWR | O_CLOEXEC);
	OK(tell(&client, STORE, 1, 11) == 0 && write_line(fd, 2, 22) && fsync(fd) == 0 &&
		   tell(&client, STORE, 3, 33) == 0,
	   "fsync(2) on the mount, and another store after it");
	close(fd);
	OK(!powerfail(program, "lose", 0), "the power fails");
	end(&client);
	fd = open("synced", O_RDONLY | O_CLOEXEC);
	OK(read_line(fd, 1) == 11 && read_line(fd, 2) == 22,
	   "what was stored and written before the fsync is there");
	OK(read_line(fd, 3) == 0, "negative control: what came after it is not");
	close(fd);
}

/* The file changes its size under the mapping. */
static void check_size(const char *program)
{
	struct puppet client;
	int fd;

	fd = make_pool("sized");
	client = begin("sized");
	OK(ftruncate(fd, 2 * SIZE) == 0 && tell(&client, STORE, 1, 11) == 0 && read_line(fd, 1) == 11,
	   "a pool that grows keeps its mapping");
	OK(ftruncate(fd, PAGE_BYTES) == 0 && tell(&client, STORE, 4 * LINES_PER_PAGE, 44) == 0 &&
		   tell(&client, PERSIST, 4 * LINES_PER_PAGE, 0) == 0,
	   "one that shrinks does not hurt who stores and persists behind its end");
	OK(tell(&client, STORE, 1, 12) == 0 && tell(&client, PERSIST, 1, 0) == 0,
	   "what is inside can be persisted");
	OK(unlink("sized") == 0 && tell(&client, STORE, 2, 22) == 0 && tell(&client, PERSIST, 2, 0) == 0,
	   "so it is with one that is destroyed");
	close(fd);
	OK(tell(&client, STORE, 3, 33) == 0 && tell(&client, PERSIST, 3, 0) == 0, "and closed");
	OK(!powerfail(program, "lose", 0), "the power fails");
	end(&client);
	OK(access("sized", F_OK) < 0, "and it stays destroyed");
}

int main(int argc, char **argv)
{
	if (argc != 3 || chdir(argv[1])) {
		fprintf(stderr, "usage: agreement DIR PROGRAM\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	alarm(120);
	check_older_handle();
	check_mappings();
	check_newer_handle();
	check_sync(argv[2]);
	check_size(argv[2]);
	return tap_done();
}
