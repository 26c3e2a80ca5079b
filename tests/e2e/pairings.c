/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Pairs each way to access a pool through the mount with each way to access it through libpmem's mapping, in
 * different processes. Each process sees what the other one stores, neither overwrites new bytes by old ones,
 * and what either made durable survives a power failure.
 *
 *   pairings DIR PROGRAM    to be started by `PROGRAM run`; PROGRAM is softpmem
 *   pairings side           a process that is one side of a pair: it takes commands on stdin
 *
 * Each pair is tried on a file that the mount's side opened, read and mapped before the mapping was made, and
 * on one that it opened after.
 */

#include <fcntl.h>
#include <libpmem.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "common/align.h"
#include "abi/line.h"
#include "powerfail.h"
#include "tap.h"

#define SIZE (64u << 10)
#define SLOTS 32

unsigned tap_run, tap_failed;

/* OPEN, READ, WRITE and MSYNC are for the mount's side, MAP and PERSIST for the mapping's. */
enum order { OPEN, READ, WRITE, MSYNC, MAP, PERSIST, LOAD, STORE };
struct command {
	enum order order;
	unsigned slot, line, word;
	uint64_t value;
};

/* ---- A side: does what it is told ---------------------------------------------------- */

struct slot {
	int fd;
	unsigned char *memory;
};
static struct slot slots[SLOTS];

static void name_of(unsigned slot, char name[16])
{
	snprintf(name, 16, "pairing%u", slot);
}

static uint64_t open_on_mount(struct slot *slot, const char *name)
{
	slot->fd = open(name, O_RDWR | O_CLOEXEC);
	if (slot->fd < 0)
		return (uint64_t)errno;
	slot->memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, slot->fd, 0);
	return slot->memory == MAP_FAILED ? (uint64_t)errno : 0;
}

static uint64_t open_mapping(struct slot *slot, const char *name)
{
	int is_pmem = 0;

	slot->memory = pmem_map_file(name, 0, 0, 0, NULL, &is_pmem);
	return !slot->memory ? (uint64_t)errno : is_pmem ? 0 : ENODEV;
}

static uint64_t obey(const struct command *command)
{
	struct slot *slot = &slots[command->slot];
	off_t offset = (off_t)command->line * LINE_SIZE + (off_t)command->word * 8;
	_Atomic uint64_t *at = (_Atomic uint64_t *)(slot->memory + offset);
	uint64_t value = UINT64_MAX;
	char name[16];

	name_of(command->slot, name);
	switch (command->order) {
	case OPEN:
		return open_on_mount(slot, name);
	case MAP:
		return open_mapping(slot, name);
	case READ:
		return pread(slot->fd, &value, sizeof(value), offset) == sizeof(value) ? value : UINT64_MAX;
	case WRITE:
		return pwrite(slot->fd, &command->value, sizeof(value), offset) != sizeof(value);
	case MSYNC:
		return (uint64_t)msync(slot->memory, SIZE, MS_SYNC);
	case PERSIST:
		pmem_persist((void *)at, sizeof(*at));
		return 0;
	case LOAD:
		return *at;
	case STORE:
		*at = command->value;
		return 0;
	}
	return UINT64_MAX;
}

static int run_side(void)
{
	struct command command;

	while (read(0, &command, sizeof(command)) == sizeof(command)) {
		uint64_t answer = obey(&command);

		if (write(1, &answer, sizeof(answer)) != sizeof(answer))
			return 1;
	}
	return 0;
}

/* ---- The program that tells the sides -------------------------------------------------- */

struct side {
	pid_t pid;
	int to, from;
};
static struct side mount_side, mapping_side;
static unsigned slot_now;
static bool cannot_map[SLOTS];
static bool opened_before; /* the mount's side, before the mapping was made */

static void bail_out(const char *why)
{
	printf("Bail out! %s\n", why);
	exit(1);
}

static struct side begin(const char *preload)
{
	char *arguments[] = { "/proc/self/exe", "side", NULL };
	struct side side = { .pid = -1 };
	int there[2], back[2];

	if (pipe2(there, O_CLOEXEC) || pipe2(back, O_CLOEXEC))
		bail_out("pipe");
	side.pid = fork();
	if (side.pid == 0) {
		if (dup2(there[0], 0) < 0 || dup2(back[1], 1) < 0)
			_exit(1);
		if (preload)
			setenv("LD_PRELOAD", preload, 1);
		else
			unsetenv("LD_PRELOAD");
		execv(arguments[0], arguments);
		_exit(1);
	}
	if (side.pid < 0)
		bail_out("fork");
	close(there[0]);
	close(back[1]);
	side.to = there[1];
	side.from = back[0];
	return side;
}

static void end(struct side *side)
{
	close(side->to);
	close(side->from);
	waitpid(side->pid, NULL, 0);
}

static uint64_t tell(const struct side *side, enum order order, unsigned line, unsigned word, uint64_t value)
{
	const struct command command = { order, slot_now, line, word, value };
	uint64_t answer;

	if (write(side->to, &command, sizeof(command)) != sizeof(command) ||
	    read(side->from, &answer, sizeof(answer)) != sizeof(answer))
		return UINT64_MAX;
	return answer;
}

static uint64_t mount_does(enum order order, unsigned line, unsigned word, uint64_t value)
{
	return tell(&mount_side, order, line, word, value);
}

static uint64_t mapping_does(enum order order, unsigned line, unsigned word, uint64_t value)
{
	return tell(&mapping_side, order, line, word, value);
}

static bool mount_stores_and_syncs(unsigned line, unsigned word, uint64_t value)
{
	return mount_does(STORE, line, word, value) == 0 && mount_does(MSYNC, 0, 0, 0) == 0;
}

static bool mapping_persists(unsigned line, unsigned word, uint64_t value)
{
	return mapping_does(STORE, line, word, value) == 0 && mapping_does(PERSIST, line, word, 0) == 0;
}

/* The kernel is told to drop its pages of the file after a drain, not at once. */
static bool becomes(enum order order, unsigned line, unsigned word, uint64_t value)
{
	for (int i = 0; i < 1000; i++) {
		if (mount_does(order, line, word, 0) == value)
			return true;
		usleep(10000);
	}
	return false;
}

/* ---- The pairings ---------------------------------------------------------------------- */

/* Different lines of one page. */
enum { A = 70, B = 71, C = 72, D = 73 };

static bool read_and_load(void)
{
	return mount_does(READ, A, 0, 0) == 1 && mapping_does(LOAD, A, 0, 0) == 1;
}

static bool read_and_store(void)
{
	if (mount_does(READ, A, 0, 0) != 1 || mapping_does(STORE, A, 0, 2) != 0)
		return false;
	/* The kernel keeps a page that was read before the mapping was made until a line of it is drained. */
	if (!opened_before)
		return mount_does(READ, A, 0, 0) == 2;
	return mapping_does(PERSIST, A, 0, 0) == 0 && becomes(READ, A, 0, 2);
}

static bool read_and_persist(void)
{
	return mount_does(READ, A, 0, 0) == 1 && mapping_persists(A, 0, 2) && becomes(READ, A, 0, 2);
}

static bool write_and_load(void)
{
	return mount_does(WRITE, A, 0, 2) == 0 && mapping_does(LOAD, A, 0, 0) == 2;
}

static bool write_and_store(void)
{
	/* Words of one line: each side overwrites its own and the other's. */
	return mount_does(WRITE, A, 0, 2) == 0 && mapping_does(STORE, A, 1, 3) == 0 &&
	       mapping_does(LOAD, A, 0, 0) == 2 && mount_does(WRITE, A, 2, 4) == 0 &&
	       mapping_does(LOAD, A, 1, 0) == 3 && mapping_does(STORE, A, 0, 5) == 0 &&
	       mount_does(WRITE, A, 1, 6) == 0 && mapping_does(LOAD, A, 0, 0) == 5 &&
	       mapping_does(LOAD, A, 1, 0) == 6 && mapping_does(LOAD, A, 2, 0) == 4;
}

static bool write_and_persist(void)
{
	return mount_does(WRITE, A, 0, 2) == 0 && mapping_persists(A, 1, 3) && mapping_persists(B, 0, 4) &&
	       mount_does(WRITE, B, 1, 5) == 0 && mapping_does(LOAD, B, 0, 0) == 4 &&
	       mount_does(WRITE, C, 0, 6) == 0 && mapping_does(LOAD, C, 0, 0) == 6;
}

/* A flush covers what was written to its line before it; all other writes are volatile. */
static bool write_and_persist_survive(void)
{
	return mount_does(READ, A, 0, 0) == 2 && mount_does(READ, A, 1, 0) == 3 &&
	       mount_does(READ, B, 0, 0) == 4 && mount_does(READ, B, 1, 0) == 1 &&
	       mount_does(READ, C, 0, 0) == 1;
}

static bool load_and_load(void)
{
	return mount_does(LOAD, A, 0, 0) == 1 && mapping_does(LOAD, A, 0, 0) == 1;
}

static bool load_and_store(void)
{
	return mount_does(LOAD, A, 0, 0) == 1 && mapping_does(STORE, A, 0, 2) == 0 &&
	       mapping_does(PERSIST, A, 0, 0) == 0 && becomes(LOAD, A, 0, 2);
}

static bool load_and_persist(void)
{
	return mount_does(LOAD, B, 0, 0) == 1 && mapping_persists(A, 0, 2) && becomes(LOAD, A, 0, 2) &&
	       mapping_persists(A, 0, 3) && becomes(LOAD, A, 0, 3);
}

static bool sync_and_load(void)
{
	return mount_stores_and_syncs(A, 0, 2) && mapping_does(LOAD, A, 0, 0) == 2;
}

static bool sync_and_store(void)
{
	/* The kernel's cached page has the old B, and the old A except for one word. */
	return mount_does(LOAD, A, 0, 0) == 1 && mapping_does(STORE, B, 0, 2) == 0 &&
	       mapping_does(STORE, A, 1, 3) == 0 && mount_stores_and_syncs(A, 0, 4) &&
	       mapping_does(LOAD, B, 0, 0) == 2 && mapping_does(LOAD, A, 1, 0) == 3 &&
	       mapping_does(LOAD, A, 0, 0) == 4 && mapping_does(STORE, A, 0, 5) == 0 &&
	       mount_stores_and_syncs(C, 0, 6) && mapping_does(LOAD, A, 0, 0) == 5 &&
	       mapping_does(LOAD, C, 0, 0) == 6;
}

static bool sync_and_persist(void)
{
	return mount_does(LOAD, A, 0, 0) == 1 && mapping_persists(A, 1, 2) &&
	       mount_stores_and_syncs(A, 0, 3) && mapping_does(LOAD, A, 1, 0) == 2 &&
	       mount_stores_and_syncs(B, 0, 4) && mapping_persists(B, 1, 5) &&
	       mapping_does(LOAD, B, 0, 0) == 4 && mapping_does(STORE, D, 0, 6) == 0 &&
	       mapping_does(LOAD, D, 0, 0) == 6;
}

static bool survive_each(uint64_t a0, uint64_t a1, uint64_t b0, uint64_t b1)
{
	return mount_does(READ, A, 0, 0) == a0 && mount_does(READ, A, 1, 0) == a1 &&
	       mount_does(READ, B, 0, 0) == b0 && mount_does(READ, B, 1, 0) == b1;
}

static bool two_survives(void)
{
	return survive_each(2, 1, 1, 1);
}

static bool three_survives(void)
{
	return survive_each(3, 1, 1, 1);
}

/* msync(2) covers all that was stored to the file before it; D was stored after. */
static bool sync_and_persist_survive(void)
{
	return survive_each(3, 2, 4, 5) && mount_does(READ, D, 0, 0) == 1;
}

static const struct pairing {
	const char *what;
	bool (*agree)(void);
	bool (*survive)(void); /* NULL: it made nothing durable */
} pairings[] = {
	{ "read(2) with a load", read_and_load, NULL },
	{ "read(2) with a store", read_and_store, NULL },
	{ "read(2) with a persist", read_and_persist, two_survives },
	{ "write(2) with a load", write_and_load, NULL },
	{ "write(2) with a store", write_and_store, NULL },
	{ "write(2) with a persist", write_and_persist, write_and_persist_survive },
	{ "mmap(2) and a load with a load", load_and_load, NULL },
	{ "mmap(2) and a load with a store", load_and_store, two_survives },
	{ "mmap(2) and a load with a persist", load_and_persist, three_survives },
	{ "mmap(2), a store and msync(2) with a load", sync_and_load, two_survives },
	{ "mmap(2), a store and msync(2) with a store", sync_and_store, NULL },
	{ "mmap(2), a store and msync(2) with a persist", sync_and_persist, sync_and_persist_survive },
};
#define PAIRINGS (sizeof(pairings) / sizeof(pairings[0]))
_Static_assert(2 * PAIRINGS <= SLOTS, "a file each");

/* Every word is 1, and durable. */
static void make_file(unsigned slot)
{
	static uint64_t words[SIZE / 8];
	char name[16];
	int fd;

	for (size_t i = 0; i < SIZE / 8; i++)
		words[i] = 1;
	name_of(slot, name);
	fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, words, SIZE) != (ssize_t)SIZE || fsync(fd) != 0)
		bail_out(name);
	close(fd);
}

/* The error of opening the file on the mount. ENODEV: it cannot be mapped there. */
static uint64_t open_both(void)
{
	uint64_t error;

	if (!opened_before && mapping_does(MAP, 0, 0, 0) != 0)
		return EIO;
	error = mount_does(OPEN, 0, 0, 0);
	if (!opened_before || error)
		return error;
	if (mount_does(READ, A, 0, 0) != 1 || mount_does(LOAD, A, 0, 0) != 1)
		return EIO;
	return mapping_does(MAP, 0, 0, 0) == 0 ? 0 : EIO;
}

static void report(bool good, const char *what, const char *when)
{
	char words[128];

	snprintf(words, sizeof(words), "%s %s", what, when);
	OK(good, words);
}

static void check_agreement(bool before)
{
	for (size_t i = 0; i < PAIRINGS; i++) {
		uint64_t error;

		slot_now = (unsigned)(i + (before ? PAIRINGS : 0));
		opened_before = before;
		make_file(slot_now);
		error = open_both();
		cannot_map[slot_now] = error == ENODEV && strncmp(pairings[i].what, "mmap", 4) == 0;
		if (cannot_map[slot_now])
			printf("# %s: a kernel before 6.6: no shared mappings while a pool is attached\n",
			       pairings[i].what);
		else
			report((error == 0 || error == ENODEV) && pairings[i].agree(), pairings[i].what,
			    before ? "agree on a file opened before the mapping was made"
				   : "agree on a file opened after the mapping was made");
	}
}

static void check_survival(bool before)
{
	for (size_t i = 0; i < PAIRINGS; i++) {
		slot_now = (unsigned)(i + (before ? PAIRINGS : 0));
		if (pairings[i].survive && !cannot_map[slot_now])
			report(mount_does(OPEN, 0, 0, 0) == 0 && pairings[i].survive(), pairings[i].what,
			    "leave after a power failure what they made durable");
	}
}

int main(int argc, char **argv)
{
	const char *preload = getenv("LD_PRELOAD");

	if (argc == 2 && strcmp(argv[1], "side") == 0)
		return run_side();
	if (argc != 3 || !preload || chdir(argv[1])) {
		fprintf(stderr, "usage: softpmem run pairings DIR SOFTPMEM\n");
		return 2;
	}
	alarm(240);
	mount_side = begin(NULL);
	mapping_side = begin(preload);
	check_agreement(false);
	check_agreement(true);
	OK(powerfail(argv[2], "lose", 0) == 0, "softpmem powerfail succeeds");
	end(&mount_side);
	end(&mapping_side);
	mount_side = begin(NULL);
	check_survival(false);
	check_survival(true);
	end(&mount_side);
	return tap_done();
}
