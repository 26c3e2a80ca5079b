/* SPDX-License-Identifier: BSD-3-Clause */
#include "explore/checkpoint.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/crc32c.h"
#include "common/write_all.h"

#define MAGIC "SPMEMPRG"
#define FORMAT 1u
/* A file that is larger is none of ours: failures are limited in number, and states in size. */
#define BYTES_MAX ((uint64_t)1 << 32)

struct head {
	char magic[8];
	uint32_t version;
	uint32_t checksum; /* CRC-32C of the head with 0 here */
	char identity[EXPLORE_IDENTITY_MAX + 1];
};
_Static_assert(sizeof(struct head) == 80, "the head has no padding");

enum record_kind { RECORD_FAILURE = 1, RECORD_CHECKED = 2, RECORD_RECOVERED = 3 };

/* What a state from which the checker recovered has in place of its output. */
struct changes {
	uint64_t low, high;
};

struct record {
	uint32_t checksum; /* CRC-32C of what follows it in the record, and of the versions */
	uint32_t kind;
	uint64_t sequence; /* of the failure; or the number of states that are checked */
	uint32_t point;
	uint32_t phase;
	uint32_t result;
	uint32_t code;
	uint64_t places; /* so many versions of 8 bytes follow */
	uint64_t output; /* and then so many bytes of output */
};
_Static_assert(sizeof(struct record) == 48, "a record has no padding");

struct explore_checkpoint {
	int fd;
	uint64_t end; /* where the next record goes */
	uint64_t from;
	VECTOR(unsigned char) buffer;
};

void explore_checkpoint_close(struct explore_checkpoint *checkpoint)
{
	if (!checkpoint)
		return;
	if (checkpoint->fd >= 0)
		close(checkpoint->fd);
	vector_free(&checkpoint->buffer);
	free(checkpoint);
}

uint64_t explore_checkpoint_from(const struct explore_checkpoint *checkpoint)
{
	return checkpoint->from;
}

/* ---- Reading ----------------------------------------------------------------------------- */

static uint32_t checksum_of(const struct record *record, const unsigned char *rest, size_t length)
{
	const size_t skipped = sizeof(record->checksum);

	return crc32c(crc32c(0, (const unsigned char *)record + skipped, sizeof(*record) - skipped), rest,
		      length);
}

static int read_verdict(const struct record *record, const unsigned char *rest, size_t output,
			struct explore_verdict *verdict)
{
	struct changes changes;

	if (le32toh(record->kind) == RECORD_RECOVERED) {
		if (verdict->result != EXPLORE_PASSED || output != sizeof(changes))
			return -EBADMSG;
		memcpy(&changes, rest, sizeof(changes));
		verdict->changes.low = le64toh(changes.low);
		verdict->changes.high = le64toh(changes.high);
		return 0;
	}
	if (verdict->result == EXPLORE_PASSED || verdict->result > EXPLORE_RESULT_LAST ||
	    output >= sizeof(verdict->output))
		return -EBADMSG;
	memcpy(verdict->output, rest, output);
	return 0;
}

static int read_failure(const struct record *record, const unsigned char *rest, size_t points,
			struct explore_failures *failures)
{
	const size_t places = (size_t)le64toh(record->places), output = (size_t)le64toh(record->output);
	struct explore_failure failure = {
		.sequence = le64toh(record->sequence),
		.point = le32toh(record->point),
		.phase = le32toh(record->phase),
		.verdict = { .result = le32toh(record->result), .code = (int)le32toh(record->code) },
		.places = places,
	};

	if (!failures || failure.point >= points || failure.phase > EXPLORE_RANDOM ||
	    read_verdict(record, rest + places * sizeof(uint64_t), output, &failure.verdict) < 0)
		return -EBADMSG;
	failure.versions = calloc(places + 1, sizeof(*failure.versions));
	if (!failure.versions)
		return -ENOMEM;
	for (size_t i = 0; i < places; i++) {
		uint64_t version;

		memcpy(&version, rest + i * sizeof(version), sizeof(version));
		failure.versions[i] = le64toh(version);
	}
	if (vector_append(failures, failure) == 0)
		return 0;
	free(failure.versions);
	return -ENOMEM;
}

/* What is read from a file. */
struct found {
	size_t points;
	struct explore_failures *failures, *recovered;
};

/* The record at `at`, if it is whole: its size. 0: it is not. A negative errno. */
static int64_t read_record(struct explore_checkpoint *checkpoint, const unsigned char *at, uint64_t left,
			   const struct found *found)
{
	struct record record;
	uint64_t rest;
	int error = 0;

	if (left < sizeof(record))
		return 0;
	memcpy(&record, at, sizeof(record));
	left -= sizeof(record);
	if (le64toh(record.places) > left / sizeof(uint64_t))
		return 0;
	rest = le64toh(record.places) * sizeof(uint64_t);
	if (le64toh(record.output) > left - rest)
		return 0;
	rest += le64toh(record.output);
	if (le32toh(record.checksum) != checksum_of(&record, at + sizeof(record), rest))
		return 0;
	if (le32toh(record.kind) == RECORD_CHECKED)
		checkpoint->from = max_u64(checkpoint->from, le64toh(record.sequence));
	else if (le32toh(record.kind) == RECORD_FAILURE)
		error = read_failure(&record, at + sizeof(record), found->points, found->failures);
	else if (le32toh(record.kind) == RECORD_RECOVERED)
		error = read_failure(&record, at + sizeof(record), found->points, found->recovered);
	else
		error = -EBADMSG;
	return error ? error : (int64_t)(sizeof(record) + rest);
}

static int compare_sequences(const void *a, const void *b)
{
	const struct explore_failure *one = a, *other = b;

	return one->sequence < other->sequence ? -1 : one->sequence > other->sequence;
}

/*
 * Failures of states that count as unchecked are found again, and were found again by a search that was
 * resumed before.
 */
static void keep_checked(const struct explore_checkpoint *checkpoint, struct explore_failures *failures)
{
	size_t kept = 0;

	if (failures->count)
		qsort(failures->items, failures->count, sizeof(*failures->items), compare_sequences);
	for (size_t i = 0; i < failures->count; i++) {
		const struct explore_failure *failure = &failures->items[i];

		if (failure->sequence >= checkpoint->from ||
		    (kept && failures->items[kept - 1].sequence == failure->sequence))
			free(failure->versions);
		else
			failures->items[kept++] = *failure;
	}
	failures->count = kept;
}

static void forget(struct explore_failures *failures)
{
	explore_failures_clear(failures);
	*failures = (struct explore_failures){ 0 };
}

static int read_records(struct explore_checkpoint *checkpoint, const unsigned char *bytes, uint64_t size,
			const struct found *found)
{
	int64_t length = 1;

	while (length > 0) {
		length = read_record(checkpoint, bytes + checkpoint->end, size - checkpoint->end, found);
		if (length > 0)
			checkpoint->end += (uint64_t)length;
	}
	if (length < 0) {
		forget(found->failures);
		if (found->recovered)
			forget(found->recovered);
		return (int)length;
	}
	keep_checked(checkpoint, found->failures);
	if (found->recovered)
		keep_checked(checkpoint, found->recovered);
	return ftruncate(checkpoint->fd, (off_t)checkpoint->end) < 0 ? -errno : 0;
}

/* ---- The head -------------------------------------------------------------------------------- */

static void make_head(const char *identity, struct head *head)
{
	*head = (struct head){ .magic = MAGIC, .version = htole32(FORMAT) };
	strncpy(head->identity, identity, sizeof(head->identity) - 1);
	head->checksum = htole32(crc32c(0, head, sizeof(*head)));
}

static int begin(struct explore_checkpoint *checkpoint, const struct head *head)
{
	int error = ftruncate(checkpoint->fd, 0) < 0 ? -errno : 0;

	checkpoint->end = sizeof(*head);
	return error ? error : write_all_at(checkpoint->fd, head, sizeof(*head), 0);
}

/* What an interrupted search has left. */
static int load(struct explore_checkpoint *checkpoint, const char *path, uint64_t size,
		const struct head *expected, const struct found *found, struct message *message)
{
	CLEANUP_FREE unsigned char *bytes = NULL;
	int error;

	if (size > BYTES_MAX)
		return message_fail(message, -EINVAL, "%s: not the progress of a search", path);
	bytes = malloc(size);
	if (!bytes)
		return message_fail(message, -ENOMEM, "%s: out of memory", path);
	if (pread(checkpoint->fd, bytes, size, 0) != (ssize_t)size)
		return message_fail(message, -EIO, "%s: cannot be read", path);
	if (size < sizeof(*expected) || memcmp(bytes, MAGIC, sizeof(expected->magic)) != 0)
		return message_fail(message, -EINVAL, "%s: not the progress of a search", path);
	if (memcmp(bytes, expected, sizeof(*expected)) != 0)
		return message_fail(message, -EINVAL,
				    "%s: the progress of a search with another trace, checker or options: "
				    "give the same, or begin anew without --resume",
				    path);
	checkpoint->end = sizeof(*expected);
	error = read_records(checkpoint, bytes, size, found);
	return error ? message_fail(message, error, "%s: it is damaged: begin anew without --resume", path) :
		       0;
}

static int open_locked(const char *path, struct message *message)
{
	/* Of the process alone: a lock that children inherit would outlive one that is killed. */
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	CLEANUP_FD int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);

	if (fd < 0)
		return message_fail(message, -errno, "%s: %s", path, strerror(errno));
	if (fcntl(fd, F_SETLK, &lock) < 0)
		return message_fail(message, -EBUSY, "%s: in use by another search", path);
	return steal_fd(&fd);
}

int explore_checkpoint_open(const char *path, const char *identity, bool resume, size_t points,
			    struct explore_failures *failures, struct explore_failures *recovered,
			    struct explore_checkpoint **out, struct message *message)
{
	const struct found found = { points, failures, recovered };
	struct explore_checkpoint *checkpoint = calloc(1, sizeof(*checkpoint));
	struct head head;
	struct stat st;
	int error;

	if (!checkpoint)
		return message_fail(message, -ENOMEM, "out of memory");
	make_head(identity, &head);
	checkpoint->fd = open_locked(path, message);
	error = checkpoint->fd < 0 ? checkpoint->fd : 0;
	if (!error && fstat(checkpoint->fd, &st) < 0)
		error = message_fail(message, -errno, "%s: %s", path, strerror(errno));
	if (!error && resume && st.st_size > 0) {
		error = load(checkpoint, path, (uint64_t)st.st_size, &head, &found, message);
	} else if (!error) {
		error = begin(checkpoint, &head);
		if (error)
			message_fail(message, error, "%s: %s", path, strerror(-error));
	}
	if (error)
		explore_checkpoint_close(checkpoint);
	else
		*out = checkpoint;
	return error;
}

/* ---- Writing --------------------------------------------------------------------------------- */

/* `rest` is what follows the versions, of record->output bytes. */
static int append(struct explore_checkpoint *checkpoint, struct record *record,
		  const struct explore_failure *failure, const void *rest)
{
	const size_t begin_at = checkpoint->buffer.count;
	int error = vector_append_all(&checkpoint->buffer, record, sizeof(*record));

	for (size_t i = 0; !error && failure && i < failure->places; i++) {
		const uint64_t version = htole64(failure->versions[i]);

		error = vector_append_all(&checkpoint->buffer, &version, sizeof(version));
	}
	if (!error && rest)
		error = vector_append_all(&checkpoint->buffer, rest, (size_t)le64toh(record->output));
	if (error)
		return error;
	record->checksum = htole32(checksum_of(record, checkpoint->buffer.items + begin_at + sizeof(*record),
					       checkpoint->buffer.count - begin_at - sizeof(*record)));
	memcpy(checkpoint->buffer.items + begin_at, record, sizeof(*record));
	return 0;
}

static int append_failure(struct explore_checkpoint *checkpoint, const struct explore_failure *failure)
{
	const struct explore_verdict *verdict = &failure->verdict;
	const bool recovered = verdict->result == EXPLORE_PASSED;
	const struct changes changes = { htole64(verdict->changes.low), htole64(verdict->changes.high) };
	struct record record = {
		.kind = htole32(recovered ? RECORD_RECOVERED : RECORD_FAILURE),
		.sequence = htole64(failure->sequence),
		.point = htole32(failure->point),
		.phase = htole32(failure->phase),
		.result = htole32(verdict->result),
		.code = htole32((uint32_t)verdict->code),
		.places = htole64(failure->places),
		.output = htole64(recovered ? sizeof(changes) : strlen(verdict->output)),
	};

	return append(checkpoint, &record, failure, recovered ? (const void *)&changes : verdict->output);
}

static int write_buffer(struct explore_checkpoint *checkpoint)
{
	int error = write_all_at(checkpoint->fd, checkpoint->buffer.items, checkpoint->buffer.count,
				 checkpoint->end);

	if (!error)
		checkpoint->end += checkpoint->buffer.count;
	return error;
}

int explore_checkpoint_add(struct explore_checkpoint *checkpoint, const struct explore_failure *failures,
			   size_t count)
{
	int error = 0;

	checkpoint->buffer.count = 0;
	for (size_t i = 0; !error && i < count; i++)
		error = append_failure(checkpoint, &failures[i]);
	return error || !count ? error : write_buffer(checkpoint);
}

int explore_checkpoint_pass(struct explore_checkpoint *checkpoint, uint64_t from)
{
	struct record checked = { .kind = htole32(RECORD_CHECKED), .sequence = htole64(from) };
	int error;

	checkpoint->buffer.count = 0;
	error = append(checkpoint, &checked, NULL, NULL);
	if (!error)
		error = write_buffer(checkpoint);
	if (!error)
		checkpoint->from = max_u64(checkpoint->from, from);
	return error;
}
