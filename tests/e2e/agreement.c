/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A client stores through its mapping, and others read and write the same bytes on the mount.
 *
 *	agreement DIR PROGRAM
 *
 * PROGRAM is run as `PROGRAM powerfail --policy P`. The client is another process, which takes commands
 * from a pipe.
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

struct client {
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

static void __attribute__((noreturn)) run_client(const char *name, int from, int to)
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

static struct client begin(const char *name)
{
	struct client client;
	int there[2], back[2];
	uint64_t ready;

	if (pipe2(there, O_CLOEXEC) || pipe2(back, O_CLOEXEC))
		exit(1);
	client = (struct client){ .pid = fork(), .to = there[1], .from = back[0] };
	if (client.pid == 0) {
		close(there[1]);
		close(back[0]);
		run_client(name, there[0], back[1]);
	}
	close(there[0]);
	close(back[1]);
	if (client.pid < 0 || read(client.from, &ready, sizeof(ready)) != sizeof(ready)) {
		puts("Bail out! the client does not attach");
		exit(1);
	}
	return client;
}

static uint64_t tell(const struct client *client, enum order order, unsigned line, uint64_t value)
{
	const struct command command = { .order = order, .line = line, .value = value };
	uint64_t answer = UINT64_MAX;

	if (write(client->to, &command, sizeof(command)) != sizeof(command) ||
	    read(client->from, &answer, sizeof(answer)) != sizeof(answer))
		return UINT64_MAX;
	return answer;
}

static void end(struct client *client)
{
	close(client->to);
	close(client->from);
	waitpid(client->pid, NULL, 0);
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

/* The kernel is told to drop its pages after a drain, not at once. */
static bool becomes(int fd, const unsigned char *map, unsigned line, uint64_t value)
{
	for (int i = 0; i < 1000; i++) {
		if (read_line(fd, line) == value && load_line(map, line) == value)
			return true;
		usleep(10000);
	}
	return false;
}

/* A file that was opened, read and mapped before the client attaches. */
static void check_older_handle(void)
{
	int fd = make_pool("older");
	unsigned char *map = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
	struct client client;

	OK(load_line(map, 1) == 0 && read_line(fd, 2) == 0,
	   "the kernel caches a file that was read and mapped before the client came");
	client = begin("older");
	OK(load_line(map, 1) == 0 && tell(&client, STORE, 1, 11) == 0 && load_line(map, 1) == 0,
	   "negative control: a store that was not drained is not in the kernel's cache");
	OK(tell(&client, PERSIST, 1, 0) == 0 && becomes(fd, map, 1, 11),
	   "an older descriptor and mapping show a store once it is drained");
	OK(write_line(fd, 2, 22) && tell(&client, LOAD, 2, 0) == 22,
	   "the client loads what an older descriptor writes");
	OK(tell(&client, LOAD, 1, 0) == 11,
	   "a write(2) to another part of the line keeps the store of the client");
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
 * The kernel writes a page back because of one line, while its other lines are
 * older than what the client has stored since.
 */
static void check_write_back(int fd, const struct client *attached)
{
	unsigned char *map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	const struct client client = *attached;

	if (map == MAP_FAILED && errno == ENODEV) {
		puts("# a kernel before 6.6: no shared mappings while a pool is attached");
		return;
	}
	OK(load_line(map, 5) == 0 && tell(&client, STORE, 5, 55) == 0 && load_line(map, 5) == 0,
	   "the kernel's page is older than the pool");
	OK(store_and_sync(map, 6, 0, 66) && tell(&client, LOAD, 6, 0) == 66,
	   "the client loads what is stored through a mapping of the mount and msynced");
	OK(tell(&client, LOAD, 5, 0) == 55, "a page that is written back keeps newer lines of the client");
	OK(tell(&client, STORE, 7, 77) == 0 && store_and_sync(map, 7, 1, 1) &&
		   tell(&client, LOAD, 7, 0) == 77,
	   "a page that is written back leaves the client's newer words of a line");
	OK(tell(&client, STORE, 6, 67) == 0 && store_and_sync(map, 8, 0, 88) &&
		   tell(&client, LOAD, 6, 0) == 67 && tell(&client, LOAD, 8, 0) == 88,
	   "a line that was written back is not written back again over a newer store");
	OK(write_line(fd, 9, 99) && tell(&client, STORE, 9, 100) == 0 && store_and_sync(map, 8, 0, 89) &&
		   tell(&client, LOAD, 9, 0) == 100,
	   "a line that was written by write(2) is not written back over a newer store");
	OK(tell(&client, PERSIST, 9, 0) == 0 && becomes(fd, map, 9, 100),
	   "the mount and the client see the same once the client's store is drained");
	munmap(map, SIZE);
}

static void check_mappings(void)
{
	int older = make_pool("mapped"), newer;
	struct client client = begin("mapped");

	puts("# through a descriptor that is older than the client");
	check_write_back(older, &client);
	close(older);
	end(&client);
	close(make_pool("mapped"));
	client = begin("mapped");
	newer = open("mapped", O_RDWR | O_CLOEXEC);
	puts("# through a descriptor that was opened while the client is attached");
	check_write_back(newer, &client);
	close(newer);
	end(&client);
}

/* A descriptor that is opened while the client is attached. */
static void check_newer_handle(void)
{
	struct client client;
	unsigned char *map;
	int fd;

	close(make_pool("newer"));
	client = begin("newer");
	fd = open("newer", O_RDWR | O_CLOEXEC);
	OK(read_line(fd, 1) == 0 && tell(&client, STORE, 1, 11) == 0 && read_line(fd, 1) == 11,
	   "a newer descriptor reads a store at once, flushed or not");
	map = mmap(NULL, SIZE, PROT_READ, MAP_PRIVATE, fd, 0);
	OK(map != MAP_FAILED && load_line(map, 1) == 11,
	   "a new mapping shows a store that was made before it");
	OK(tell(&client, STORE, 1, 12) == 0 && tell(&client, PERSIST, 1, 0) == 0 &&
		   becomes(fd, map, 1, 12),
	   "a new mapping shows later stores once they are drained");
	OK(write_line(fd, 2, 22) && tell(&client, LOAD, 2, 0) == 22,
	   "the client loads at once what a newer descriptor writes");
	OK(write_line(fd, 1, 23) && tell(&client, LOAD, 1, 0) == 23,
	   "a newer descriptor overwrites the client's store");
	munmap(map, SIZE);
	close(fd);
	end(&client);
}

static void check_sync(const char *program)
{
	struct client client;
	int fd;

	close(make_pool("synced"));
	close(make_pool("unsynced"));
	client = begin("synced");
	fd = open("synced", O_RDWR | O_CLOEXEC);
	OK(tell(&client, STORE, 1, 11) == 0 && write_line(fd, 2, 22) && fsync(fd) == 0 &&
		   tell(&client, STORE, 3, 33) == 0,
	   "fsync(2) on the mount succeeds, and another store follows it");
	close(fd);
	OK(!powerfail(program, "lose", 0), "softpmem powerfail succeeds after an fsync(2) on the mount");
	end(&client);
	fd = open("synced", O_RDONLY | O_CLOEXEC);
	OK(read_line(fd, 1) == 11 && read_line(fd, 2) == 22,
	   "stores and writes before an fsync(2) on the mount survive");
	OK(read_line(fd, 3) == 0, "negative control: a store after the fsync(2) does not survive");
	close(fd);
}

/* The file changes its size while the client maps it. */
static void check_size(const char *program)
{
	struct client client;
	int fd;

	fd = make_pool("sized");
	client = begin("sized");
	OK(ftruncate(fd, 2 * SIZE) == 0 && tell(&client, STORE, 1, 11) == 0 && read_line(fd, 1) == 11,
	   "a client's mapping of a pool that grows goes on");
	OK(ftruncate(fd, PAGE_BYTES) == 0 && tell(&client, STORE, 4 * LINES_PER_PAGE, 44) == 0 &&
		   tell(&client, PERSIST, 4 * LINES_PER_PAGE, 0) == 0,
	   "a client may store and persist behind the end of a pool that shrank");
	OK(tell(&client, STORE, 1, 12) == 0 && tell(&client, PERSIST, 1, 0) == 0,
	   "a client persists inside a pool that shrank");
	OK(unlink("sized") == 0 && tell(&client, STORE, 2, 22) == 0 && tell(&client, PERSIST, 2, 0) == 0,
	   "a client may store and persist in a pool that was destroyed");
	close(fd);
	OK(tell(&client, STORE, 3, 33) == 0 && tell(&client, PERSIST, 3, 0) == 0,
	   "a client may store and persist in a pool that was destroyed and closed");
	OK(!powerfail(program, "lose", 0), "softpmem powerfail succeeds after a pool was destroyed");
	end(&client);
	OK(access("sized", F_OK) < 0, "a destroyed pool that was mapped is gone after a power failure");
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
