/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/explore_identity.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/crc32c.h"

static int hash_file(int fd, uint32_t *hash)
{
	unsigned char bytes[1 << 16];
	off_t at = 0;
	ssize_t got;

	while ((got = pread(fd, bytes, sizeof(bytes), at)) > 0) {
		*hash = crc32c(*hash, bytes, (size_t)got);
		at += got;
	}
	return got < 0 ? -errno : 0;
}

int explore_search_id(int fd, const struct explore_options *options, char text[EXPLORE_SEARCH_ID_BYTES])
{
	char facts[256];
	uint32_t trace = 0;
	int error = hash_file(fd, &trace);

	if (error)
		return error;
	snprintf(facts, sizeof(facts), "%d %d %d %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %d",
		 (int)options->walk.mode, (int)options->walk.domain, (int)options->walk.metadata,
		 options->seed, options->exhaustive, options->states, options->at,
		 options->recovered ? 2 : 1);
	snprintf(text, EXPLORE_SEARCH_ID_BYTES, "%08" PRIx32 "-%08" PRIx32, trace,
		 crc32c(0, facts, strlen(facts)));
	return 0;
}

/* The bytes of a regular file that a word names, if it names one: an edited checker is another one. */
static void hash_named(const char *word, uint32_t *hash)
{
	CLEANUP_FD int fd = open(word, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		(void)hash_file(fd, hash);
}

void explore_run_id(const char *search_id, const struct explore_options *options, const char *oracle,
		    char text[EXPLORE_RUN_ID_BYTES])
{
	char facts[128];
	uint32_t hash;

	snprintf(facts, sizeof(facts), "%u/%u %u %" PRIu64 " %d %s", options->shard, options->shards,
		 options->timeout_ms, options->most_failures, (int)options->how, oracle ? oracle : "");
	hash = crc32c(0, facts, strlen(facts));
	for (char *const *word = options->checker; *word; word++) {
		hash = crc32c(hash, *word, strlen(*word) + 1);
		hash_named(*word, &hash);
	}
	snprintf(text, EXPLORE_RUN_ID_BYTES, "%s-%08" PRIx32, search_id, hash);
}
