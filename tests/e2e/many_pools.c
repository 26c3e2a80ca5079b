/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * many_pools PREFIX COUNT release|keep|unflushed|mmap: maps so many new pools of one page one after the
 * other, each of which gets its number in its first bytes, on one connection.
 *
 *	release    each number is persisted, and the pool is unmapped and closed at once
 *	unflushed  the same, but the numbers are not persisted
 *	keep       the pools stay mapped
 *	mmap       the pools stay mapped, by libc's mmap(2), as under softpmem run; nothing is persisted
 *
 * Prints "mapped N", or "mapped N: REASON" if one could not be mapped, and waits for the end of stdin.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "attaching.h"
#include "common/align.h"

static void open_one(struct mapping *mapping, const char *path)
{
	mapping->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (mapping->fd >= 0 && ftruncate(mapping->fd, PAGE_BYTES) == 0)
		return;
	perror(path);
	exit(1);
}

static int map_plain(struct mapping *mapping, struct attach_reply *reply)
{
	mapping->bytes = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, mapping->fd, 0);
	if (mapping->bytes == MAP_FAILED)
		snprintf(reply->message, sizeof(reply->message), "%s", strerror(errno));
	return mapping->bytes == MAP_FAILED ? -1 : 0;
}

static int map_attached(struct mapping *mapping, struct attach_reply *reply)
{
	int view = -1, error;

	error = attach_ask(mapping->connection, ATTACH_POOL, mapping->fd, reply, &view);
	if (error)
		return error;
	mapping->view = reply->view;
	mapping->bytes = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, view, 0);
	close(view);
	return mapping->bytes == MAP_FAILED ? -1 : 0;
}

int main(int argc, char **argv)
{
	const int count = argc == 4 ? atoi(argv[2]) : 0;
	const char *how = argc == 4 ? argv[3] : "";
	const bool plain = strcmp(how, "mmap") == 0, keeps = plain || strcmp(how, "keep") == 0;
	const bool persists = !plain && strcmp(how, "unflushed") != 0;
	struct mapping mapping = { .connection = plain ? -1 : attach_connect(NULL) };
	struct attach_reply reply = { 0 };
	struct wpq_producer producer;
	int mapped = 0;
	char byte;

	if (!count || (!plain && (attach_ask(mapping.connection, ATTACH_HELLO, -1, &reply, NULL) ||
				  mapping_wpq(&mapping, &producer)))) {
		fprintf(stderr, "usage: many_pools PREFIX COUNT release|keep|unflushed|mmap\n");
		return 2;
	}
	while (mapped < count) {
		char path[4096];

		snprintf(path, sizeof(path), "%s%d", argv[1], mapped);
		open_one(&mapping, path);
		if (plain ? map_plain(&mapping, &reply) : map_attached(&mapping, &reply))
			break;
		memcpy(mapping.bytes, &mapped, sizeof(mapped));
		mapped++;
		if (persists) {
			mapping_flush(&mapping, &producer, mapping.bytes, sizeof(mapped));
			wpq_fence(&producer);
		}
		if (!keeps)
			munmap(mapping.bytes, PAGE_BYTES);
		if (!keeps || plain)
			close(mapping.fd);
	}
	if (mapped < count)
		printf("mapped %d: %s\n", mapped, reply.message);
	else
		printf("mapped %d\n", mapped);
	fflush(stdout);
	while (read(0, &byte, 1) > 0)
		;
	return 0;
}
