/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Clients that attack the daemon, and one well-behaved client that must not be disturbed.
 *
 *	hostile DIR	DIR is in the second of two regions
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attaching.h"
#include "common/align.h"
#include "common/rng.h"
#include "tap.h"

#define SIZE (64u << 10)
/* Ends a test that hangs. A step takes seconds; no result depends on this limit. */
#define HANG_SECONDS 600

unsigned tap_run, tap_failed;

static struct attach_request request_of(unsigned type)
{
	return (struct attach_request){ .magic = ATTACH_MAGIC, .version = ATTACH_VERSION,
					.type = (uint16_t)type, .size = sizeof(struct attach_request) };
}

static void bail_out(const char *why)
{
	printf("Bail out! %s: %s\n", why, strerror(errno));
	exit(1);
}

static int make_pool(const char *name)
{
	static const char zeros[SIZE];
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0 || pwrite(fd, zeros, SIZE, 0) != (ssize_t)SIZE || fsync(fd))
		bail_out(name);
	return fd;
}

static int greeted(void)
{
	int connection = attach_connect(NULL);
	struct attach_reply reply;

	if (connection < 0 || attach_ask(connection, ATTACH_HELLO, -1, &reply, NULL))
		bail_out("greeting");
	return connection;
}

/* After a valid greeting, does the daemon answer this message with the error and close the connection? */
static bool ends_with(const void *bytes, size_t size, const int *fds, size_t fd_count, int error)
{
	int connection = greeted();
	struct attach_reply reply;
	bool good = !attach_send(connection, bytes, size, fds, fd_count) &&
		    !attach_receive(connection, &reply, NULL) && reply.error == error && *reply.message &&
		    attach_receive(connection, &reply, NULL) < 0;

	close(connection);
	return good;
}

/* Does the daemon refuse this descriptor, and does the connection continue? */
static bool refuses(int fd, int error)
{
	int connection = greeted();
	struct attach_reply reply;
	bool good = attach_ask(connection, ATTACH_POOL, fd, &reply, NULL) == error &&
		    attach_ask(connection, ATTACH_HELLO, -1, &reply, NULL) == 0;

	close(connection);
	close(fd);
	return good;
}

static bool range_is_refused(uint32_t view)
{
	struct attach_request request = request_of(ATTACH_SYNC_RANGE);
	struct attach_reply reply = { 0 };
	int connection = attach_connect(NULL);
	bool refused;

	request.view = view;
	request.length = UINT64_MAX;
	refused = attach_ask(connection, ATTACH_HELLO, -1, &reply, NULL) == 0 &&
		  !attach_send(connection, &request, sizeof(request), NULL, 0) &&
		  !attach_receive(connection, &reply, NULL) && reply.error == -EACCES;
	close(connection);
	return refused;
}

static void check_messages(void)
{
	struct attach_request request = request_of(ATTACH_WPQ);
	unsigned char long_one[256] = { 0 };
	int connection = attach_connect(NULL);
	struct attach_reply reply;

	OK(!attach_send(connection, &request, sizeof(request), NULL, 0) &&
		   !attach_receive(connection, &reply, NULL) && reply.error == -EPROTO &&
		   attach_receive(connection, &reply, NULL) < 0,
	   "a client that does not greet is hung up on");
	close(connection);
	OK(ends_with(&request, 1, NULL, 0, -EBADMSG), "a message of one byte ends its connection");
	OK(ends_with(&request, sizeof(request) - 1, NULL, 0, -EBADMSG),
	   "a message that lacks a byte ends its connection");
	memcpy(long_one, &request, sizeof(request));
	OK(ends_with(long_one, sizeof(long_one), NULL, 0, -EBADMSG),
	   "a message that is too long ends its connection");
	request = request_of(99);
	OK(ends_with(&request, sizeof(request), NULL, 0, -EBADMSG),
	   "a message of an unknown type ends its connection");
	request = request_of(ATTACH_WPQ);
	request.magic++;
	OK(ends_with(&request, sizeof(request), NULL, 0, -EBADMSG),
	   "a message with another magic number ends its connection");
	request = request_of(ATTACH_WPQ);
	request.version++;
	OK(ends_with(&request, sizeof(request), NULL, 0, -EPROTONOSUPPORT),
	   "a message of another version ends its connection");
	request = request_of(ATTACH_WPQ);
	request.flags = 1;
	OK(ends_with(&request, sizeof(request), NULL, 0, -EINVAL),
	   "a message with an unknown flag ends its connection");
	request = request_of(ATTACH_WPQ);
	request.reserved[2] = 1;
	OK(ends_with(&request, sizeof(request), NULL, 0, -EINVAL),
	   "a message whose reserved bytes are not zero ends its connection");
	request = request_of(ATTACH_WPQ);
	request.region = 2;
	OK(ends_with(&request, sizeof(request), NULL, 0, -EINVAL),
	   "a request for a region after the last one ends its connection");
	request.region = UINT32_MAX;
	OK(ends_with(&request, sizeof(request), NULL, 0, -EINVAL),
	   "a request for region 4294967295 ends its connection");
	request = request_of(ATTACH_DRAIN);
	request.region = 1;
	OK(ends_with(&request, sizeof(request), NULL, 0, -EINVAL),
	   "a region in a message that takes none ends its connection");
	request = request_of(ATTACH_DRAIN);
	request.length = 1;
	OK(ends_with(&request, sizeof(request), NULL, 0, -EINVAL),
	   "a range in a message that takes none ends its connection");
	request = request_of(ATTACH_SYNC_RANGE);
	request.region = UINT32_MAX;
	OK(ends_with(&request, sizeof(request), NULL, 0, -EINVAL),
	   "a range of a region after the last one ends its connection");
	OK(range_is_refused(UINT32_MAX) && range_is_refused(0),
	   "a range of a view that the client does not map is refused");
}

static void check_marks(void)
{
	struct attach_mark mark = { .request = request_of(ATTACH_MARK), .text = "x" };
	int fd = make_pool("marked");

	mark.request.size = sizeof(mark);
	OK(ends_with(&mark, sizeof(mark) - 1, NULL, 0, -EBADMSG),
	   "a mark that lacks a byte ends its connection");
	OK(ends_with(&mark, sizeof(mark.request), NULL, 0, -EBADMSG),
	   "a mark without a text ends its connection");
	OK(ends_with(&mark, sizeof(mark), &fd, 1, -EBADMSG),
	   "a mark with a descriptor ends its connection");
	mark.text[0] = '\0';
	OK(ends_with(&mark, sizeof(mark), NULL, 0, -EINVAL), "an empty mark ends its connection");
	memset(mark.text, 'x', sizeof(mark.text));
	OK(ends_with(&mark, sizeof(mark), NULL, 0, -EINVAL),
	   "a mark that is not terminated ends its connection");
	close(fd);
}

static void check_descriptors(void)
{
	struct attach_request pool = request_of(ATTACH_POOL), wpq = request_of(ATTACH_WPQ);
	int fd = make_pool("pool"), many[64], null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int i = 0; i < 64; i++)
		many[i] = fd;
	OK(ends_with(&pool, sizeof(pool), NULL, 0, -EBADMSG),
	   "a request for a pool without a descriptor ends its connection");
	OK(ends_with(&pool, sizeof(pool), many, 2, -EBADMSG),
	   "a request for a pool with two descriptors ends its connection");
	OK(ends_with(&pool, sizeof(pool), many, 64, -EBADMSG),
	   "a request for a pool with 64 descriptors ends its connection");
	OK(ends_with(&wpq, sizeof(wpq), many, 1, -EBADMSG),
	   "a request for a WPQ with a descriptor ends its connection");
	OK(ends_with(&pool, sizeof(pool), &null, 1, -EXDEV), "a descriptor of /dev/null ends its connection");
	OK(refuses(open(".", O_RDONLY | O_CLOEXEC), -EINVAL), "the descriptor of a directory is refused");
	OK(refuses(open("pool", O_RDONLY | O_CLOEXEC), -EACCES),
	   "a descriptor that was opened for reading is refused");
	OK(refuses(open("pool", O_WRONLY | O_CLOEXEC), -EACCES),
	   "a descriptor that was opened for writing is refused");
	OK(refuses(open("pool", O_PATH | O_CLOEXEC), -EACCES),
	   "a descriptor that was opened with O_PATH is refused");
	OK(refuses(open("empty", O_RDWR | O_CREAT | O_CLOEXEC, 0644), -EINVAL),
	   "the descriptor of an empty pool is refused");
	close(fd);
	close(null);
}

/* A well-behaved client, which the other ones must not disturb. */
struct bystander {
	struct mapping mapping;
	struct wpq_producer producer;
	uint64_t count;
};

static bool no_room(void *context, struct wpq_header *header)
{
	return false;
}

static void bystander_begin(struct bystander *by)
{
	close(make_pool("bystander"));
	by->count = 0;
	if (mapping_open(&by->mapping, "bystander") || mapping_wpq(&by->mapping, &by->producer))
		bail_out("bystander");
	by->producer.full = no_room;
}

static bool bystander_works(struct bystander *by)
{
	_Atomic uint64_t *at = (_Atomic uint64_t *)by->mapping.bytes;
	struct attach_reply reply;

	*at = ++by->count;
	mapping_flush(&by->mapping, &by->producer, at, 8);
	wpq_fence(&by->producer);
	return attach_ask(by->mapping.connection, ATTACH_DRAIN, -1, &reply, NULL) == 0 &&
	       by->producer.header->lanes[WPQ_FENCED].drained ==
		       by->producer.header->lanes[WPQ_FENCED].published;
}

static void check_floods(struct bystander *by)
{
	struct attach_request kick = request_of(ATTACH_KICK), hello = request_of(ATTACH_HELLO);
	int connections[1200], refused = 0, deaf, i;

	for (i = 0; i < 1200; i++)
		connections[i] = attach_connect(NULL);
	OK(bystander_works(by), "while 1,200 connections send nothing, other clients are served");
	for (i = 0; i < 1200; i++) {
		struct pollfd end = { .fd = connections[i], .events = POLLIN };

		refused += connections[i] >= 0 && poll(&end, 1, -1) == 1;
		close(connections[i]);
	}
	OK(refused == 1200, "the daemon closes all connections that send no greeting");
	deaf = greeted();
	for (i = 0; i < 100000 && !attach_send(deaf, &hello, sizeof(hello), NULL, 0); i++)
		;
	OK(i < 100000, "a client that sends requests and never reads is disconnected");
	close(deaf);
	deaf = greeted();
	for (i = 0; i < 10000 && !attach_send(deaf, &kick, sizeof(kick), NULL, 0); i++)
		;
	OK(i == 10000 && bystander_works(by),
	   "while a client kicks the daemon 10,000 times, others are served");
	close(deaf);
}

static void check_many_wpqs(struct bystander *by)
{
	int connection = greeted(), made = 0, error;
	struct attach_reply reply;

	for (;; made++) {
		int fd = -1;

		error = attach_ask(connection, ATTACH_WPQ, -1, &reply, &fd);
		if (fd >= 0)
			close(fd);
		if (error)
			break;
	}
	printf("# %d WPQs\n", made);
	OK(error == -EMFILE && made >= 1000, "a process gets at least 1,000 WPQs before EMFILE");
	OK(bystander_works(by), "after a client has taken all the WPQs that it may have, others are served");
	close(connection);
	connection = greeted();
	OK(attach_ask(connection, ATTACH_WPQ, -1, &reply, NULL) == 0,
	   "after that client has left, a new one gets a WPQ");
	close(connection);
}

/* ---- Rings ----------------------------------------------------------------------- */

typedef void spoil_fn(struct mapping *mapping, struct wpq_producer *producer);

static struct wpq_record *good_record(struct mapping *mapping, struct wpq_producer *producer)
{
	struct wpq_record *record = wpq_reserve(producer, WPQ_FENCED, 1);

	/* Make a record; a repeated flush of the line would use a slot. */
	wpq_snapshot(producer, WPQ_FENCED, mapping->view, mapping->bytes, LINE_SIZE, 1, 0);
	return record;
}

static void spoil_offset(struct mapping *mapping, struct wpq_producer *producer)
{
	good_record(mapping, producer)->offset = UINT64_MAX - 63;
}

static void spoil_alignment(struct mapping *mapping, struct wpq_producer *producer)
{
	good_record(mapping, producer)->offset = 1;
}

static void spoil_view(struct mapping *mapping, struct wpq_producer *producer)
{
	good_record(mapping, producer)->view = UINT32_MAX;
}

static const struct mapping *neighbour; /* another client's mapping, which this process inherited by fork() */

/* This client has not shown that it may write to the pool of that view. */
static void spoil_neighbour(struct mapping *mapping, struct wpq_producer *producer)
{
	good_record(mapping, producer)->view = neighbour->view;
}

static void spoil_lines(struct mapping *mapping, struct wpq_producer *producer)
{
	good_record(mapping, producer)->lines = UINT32_MAX;
}

static void spoil_kind(struct mapping *mapping, struct wpq_producer *producer)
{
	good_record(mapping, producer)->kind = 7;
}

static void spoil_position(struct mapping *mapping, struct wpq_producer *producer)
{
	producer->pending[WPQ_FENCED] = UINT64_MAX - 4096;
}

static void spoil_backwards(struct mapping *mapping, struct wpq_producer *producer)
{
	struct attach_reply reply;

	good_record(mapping, producer);
	wpq_fence(producer);
	attach_ask(mapping->connection, ATTACH_DRAIN, -1, &reply, NULL);
	producer->pending[WPQ_FENCED] -= 2 * LINE_SIZE;
}

/* The number of one of the last 500 records. */
static volatile struct wpq_record *some_record(struct wpq_producer *producer, uint64_t number)
{
	uint64_t position = producer->pending[WPQ_FENCED] - 2 * LINE_SIZE * (1 + number % 500);

	position &= producer->lane_size - 1;
	return (volatile struct wpq_record *)(producer->rings[WPQ_FENCED] + position);
}

/* Make the daemon drain the rings now. */
static void kick(const struct mapping *mapping)
{
	const struct attach_request request = request_of(ATTACH_KICK);

	attach_send(mapping->connection, &request, sizeof(request), NULL, 0);
}

static void spoil_for_a_moment(volatile struct wpq_record *record, uint64_t number,
			       const struct wpq_record *good)
{
	switch (number % 3) {
	case 0:
		record->lines = UINT32_MAX / 2;
		record->lines = good->lines;
		break;
	case 1:
		record->offset = UINT64_MAX - 63;
		record->offset = good->offset;
		break;
	case 2:
		record->view = UINT32_MAX;
		record->view = good->view;
		break;
	}
}

/*
 * The fields of a record change between a valid and an invalid value while the daemon drains it. The
 * daemon may or may not read an invalid one, so the last record stays invalid. Nothing here sleeps or
 * waits without a limit.
 */
static void spoil_in_time(struct mapping *mapping, struct wpq_producer *producer)
{
	const struct wpq_record good = *good_record(mapping, producer);
	const _Atomic uint64_t *drained = &producer->header->lanes[WPQ_FENCED].drained;

	for (uint64_t round = 0; round < 200; round++) {
		for (int i = 0; i < 500; i++)
			good_record(mapping, producer);
		wpq_fence(producer);
		kick(mapping);
		for (uint64_t n = 0; n < 100000 && atomic_load(drained) != producer->pending[WPQ_FENCED]; n++)
			spoil_for_a_moment(some_record(producer, rng_mix(n)), n, &good);
	}
	good_record(mapping, producer)->lines = UINT32_MAX;
}

/* Fill the whole ring with random bytes, which change all the time. */
static void spoil_all(struct mapping *mapping, struct wpq_producer *producer)
{
	uint64_t *words = (uint64_t *)producer->rings[WPQ_FENCED];

	for (uint64_t i = 0; i < producer->lane_size / 8; i++)
		words[i] = rng_mix(i);
	producer->pending[WPQ_FENCED] += producer->lane_size;
	wpq_fence(producer);
	for (uint64_t seed = 1;; seed++)
		for (uint64_t i = 0; i < producer->lane_size / 8; i += 8)
			words[i] = rng_mix(seed ^ i);
}

/* Give line 1 a slot. */
static struct wpq_slot *good_slot(struct mapping *mapping, struct wpq_producer *producer)
{
	for (unsigned i = 0; i < 3; i++) {
		mapping_flush(mapping, producer, mapping->bytes + LINE_SIZE, 8);
		wpq_fence(producer);
	}
	return &producer->header->combining.slots[wpq_slot_index(mapping->view, LINE_SIZE)];
}

static void spoil_slot_offset(struct mapping *mapping, struct wpq_producer *producer)
{
	struct wpq_slot *slot = good_slot(mapping, producer);

	mapping_flush(mapping, producer, mapping->bytes + LINE_SIZE, 8);
	slot->offset = UINT64_MAX - 63;
}

static void spoil_slot_view(struct mapping *mapping, struct wpq_producer *producer)
{
	struct wpq_slot *slot = good_slot(mapping, producer);

	mapping_flush(mapping, producer, mapping->bytes + LINE_SIZE, 8);
	slot->view = neighbour->view;
}

/*
 * The numbers and the offset of a slot change all the time, so that the daemon finds no consistent copy. It
 * may or may not read an invalid offset, so the last copy keeps one.
 */
static void spoil_slot_in_time(struct mapping *mapping, struct wpq_producer *producer)
{
	volatile struct wpq_slot *slot = good_slot(mapping, producer);
	struct wpq_combining *combining = &producer->header->combining;
	uint64_t n;

	kick(mapping);
	for (n = 100; n < 50000000; n++) {
		atomic_store_explicit(&slot->number[n % WPQ_COPIES], n, memory_order_relaxed);
		slot->offset = n % 7 ? LINE_SIZE : UINT64_MAX - 63;
		atomic_store_explicit(&combining->fenced, n - n % 5, memory_order_relaxed);
	}
	slot->offset = UINT64_MAX - 63;
	atomic_store(&slot->number[n % WPQ_COPIES], n);
	atomic_store(&combining->fenced, n);
}

static bool patient(void *context, struct wpq_header *header)
{
	usleep(1000);
	return true;
}

/* Persist line 0 correctly, then corrupt the ring, and wait to be killed. */
static void __attribute__((noreturn)) spoil_and_wait(spoil_fn *spoil)
{
	struct wpq_producer producer;
	struct mapping mapping;

	if (mapping_open(&mapping, "spoiled") || mapping_wpq(&mapping, &producer))
		_exit(1);
	producer.full = patient;
	*(_Atomic uint64_t *)mapping.bytes = 1;
	mapping_flush(&mapping, &producer, mapping.bytes, 8);
	wpq_fence(&producer);
	spoil(&mapping, &producer);
	wpq_fence(&producer);
	for (;;)
		pause();
}

static bool spoiler_is_killed(spoil_fn *spoil)
{
	int fd = make_pool("spoiled"), status;
	uint64_t line[16] = { 0 };
	pid_t client = fork();
	bool good;

	if (client < 0)
		bail_out("fork");
	if (client == 0) {
		/* If the test is killed, its clients end too. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* A process may name the views that it maps. */
		munmap(neighbour->bytes, neighbour->size);
		spoil_and_wait(spoil);
	}
	good = waitpid(client, &status, 0) == client && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
	close(fd);
	fd = open("spoiled", O_RDONLY | O_CLOEXEC);
	good = good && pread(fd, line, sizeof(line), 0) == sizeof(line) && line[0] == 1 && line[8] == 0;
	close(fd);
	return good;
}

static void check_rings(struct bystander *by)
{
	static const struct {
		spoil_fn *spoil;
		const char *what;
	} spoils[] = {
		{ spoil_offset, "a record at offset 2^64 - 64" },
		{ spoil_alignment, "a record at an offset inside a line" },
		{ spoil_view, "a record of a view that does not exist" },
		{ spoil_neighbour, "a record of another client's view" },
		{ spoil_lines, "a record of 2^32 - 1 lines" },
		{ spoil_kind, "a record of an unknown kind" },
		{ spoil_position, "a position far ahead of the ring" },
		{ spoil_backwards, "a position that moves back" },
		{ spoil_all, "a ring of random bytes that change" },
		{ spoil_in_time, "records that change while they are drained" },
		{ spoil_slot_offset, "a slot with offset 2^64 - 64" },
		{ spoil_slot_view, "a slot of another client's view" },
		{ spoil_slot_in_time, "a slot that changes while it is collected" },
	};
	char name[160];

	neighbour = &by->mapping;
	for (size_t i = 0; i < sizeof(spoils) / sizeof(spoils[0]); i++) {
		alarm(HANG_SECONDS);
		snprintf(name, sizeof(name), "%s: the client is killed, and no other data is lost",
			 spoils[i].what);
		OK(spoiler_is_killed(spoils[i].spoil), name);
		snprintf(name, sizeof(name), "%s: other clients are served", spoils[i].what);
		OK(bystander_works(by), name);
	}
}

static void check_shrinking(void)
{
	struct attach_reply reply;
	int connection = greeted(), fd = make_pool("pool"), view = -1, wpq = -1;

	OK(attach_ask(connection, ATTACH_POOL, fd, &reply, &view) == 0 && ftruncate(view, 0) < 0 &&
		   errno == EPERM,
	   "a client cannot shrink a view");
	OK(attach_ask(connection, ATTACH_WPQ, -1, &reply, &wpq) == 0 && ftruncate(wpq, 0) < 0 &&
		   errno == EPERM,
	   "a client cannot shrink a WPQ");
	close(view);
	close(wpq);
	close(fd);
	close(connection);
}

int main(int argc, char **argv)
{
	struct bystander bystander;

	if (argc != 2 || chdir(argv[1])) {
		fprintf(stderr, "usage: hostile DIR\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	alarm(HANG_SECONDS);
	check_messages();
	check_marks();
	check_descriptors();
	check_shrinking();
	bystander_begin(&bystander);
	alarm(HANG_SECONDS);
	check_floods(&bystander);
	alarm(HANG_SECONDS);
	check_many_wpqs(&bystander);
	check_rings(&bystander);
	return tap_done();
}
